"""Leakage classes: which kind of transistor leaks in a technology, how warm, at which voltage.

    class              logic, nW per um2     memories, nW per bit     made for
    low_leakage        at most 0.5           at most 0.1              what waits most of its time
    standard           at most 5             at most 1                what is busy half of it
    high_performance   more                  more                     what is always busy

Leakage of one node spans five decades, by the choice of device: CACTI's high-performance cells of
45 nm leak 5600 times as much as its low-standby-power ones, and those at 350 K 6.3 times as much as
at 300 K. So leakage of two technologies compares only together with this.
"""

from dataclasses import dataclass
from typing import Literal

from cost_models.allowed import Name, Positive, check_fields

LeakageLevel = Literal["low_leakage", "standard", "high_performance"]

LOGIC_NW_PER_UM2 = {"low_leakage": 0.5, "standard": 5.0}
MEMORY_NW_PER_BIT = {"low_leakage": 0.1, "standard": 1.0}
"""The most that each class leaks, by the middle figures; high_performance has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageClass:
    """What leaks, and under which conditions the technology's figure of it holds."""

    level: LeakageLevel
    devices: Name
    """The flavour of transistor, or whose cells they are."""
    temperature_k: Positive
    """In kelvin."""
    voltage_v: Positive
    """Of the figure; another one than the technology's where nobody scaled it."""

    def __post_init__(self) -> None:
        """Temperature and voltage are positive."""
        check_fields(self)

    def __str__(self) -> str:
        """`low_leakage (itrs-lstp cells of CACTI 7, 350 K, 1.1 V)`."""
        where = f"{self.temperature_k:g} K, {self.voltage_v:g} V"
        return f"{self.level} ({self.devices}, {where})"
