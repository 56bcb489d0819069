"""What a cost means in a product: rate, average power, energy per second of audio, battery life.

    busy share     = latency * rate                              at most 1
    average power  = energy * rate + leakage                     always powered
                   = (energy + energy to wake) * rate            asleep between inferences:
                     + leakage * awake                           `cost_models.sleep` says what it
                     + leakage asleep * (1 - awake)              leaks then, and takes to wake
    awake          = (latency + time to wake) * rate             at most 1
    battery life   = capacity / average power

Energy is that of one inference without leakage: leakage flows as long as the supply is on, whether
or not something is computed, and is added here. Left out, because they are not the accelerator's:
microphone, regulator, what wakes it, self-discharge of the battery.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cost_models.allowed import Allowed, check_fields
from cost_models.band import ZERO, Band
from cost_models.errors import InvalidInput, require

US_PER_S = 1e6
UW_PER_PJ_PER_S = 1e-6
UWH_PER_MWH = 1e3
HOURS_PER_DAY = 24
ROUNDING = 1e-9
"""A rate that is the inverse of the latency fits, whatever the last bit says."""


Sleep = Literal["on", "retention", "gated", "cut"]
"""What a machine does between inferences (`cost_models.sleep`)."""
State = Literal["on", "retention", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a machine is used: what its power and the life of its battery depend on."""

    inferences_per_second: Annotated[float, Allowed(ge=1e-9, le=1e9)] = 1.0
    battery_mwh: Annotated[float, Allowed(ge=1e-9, le=1e12)] = 650.0
    """Usable; the default is a CR2032 (225 mAh at 2.9 V)."""
    audio_s: Annotated[float, Allowed(gt=0, le=1e9)] = 1.0
    """New sound in each inference: a hop of a stream, or a whole utterance."""
    sleep: Sleep = "on"
    """What the machine does between inferences."""

    def __post_init__(self) -> None:
        """Check the figures: of one beyond, products end in infinity, or in nothing."""
        check_fields(self)

    @property
    def words(self) -> str:
        """`1 inference a second`."""
        rate = self.inferences_per_second
        return f"{rate:,.10g} inference{'' if rate == 1 else 's'} a second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asleep:
    """A machine between inferences; by default one whose supply is cut, and that loses nothing."""

    leakage_uw: Band = ZERO
    wake_pj: Band = ZERO
    """Each time, reloading included."""
    wake_us: float = 0.0
    """Each time, reloading included."""
    reloaded_bits: int = 0
    states: dict[str, State] = field(default_factory=dict)
    """Of logic and each memory on the chip."""
    lost: str = ""
    """What is forgotten and not brought back, as a sentence; empty where nothing is."""


def inferences_per_second(latency_us: float) -> float:
    """Inferences a second at most, one after the other."""
    _require_positive(latency_us=latency_us)
    return US_PER_S / latency_us


def busy_share(latency_us: float, inferences_per_second: float) -> float:
    """Share of the time in which the machine computes.

    Raises:
        InvalidInput: the rate leaves less than the latency for each inference.
    """
    _require_positive(latency_us=latency_us, inferences_per_second=inferences_per_second)
    share = latency_us * inferences_per_second / US_PER_S
    if share > 1 + ROUNDING:
        raise InvalidInput(
            f"{inferences_per_second:,.6g} inferences a second do not fit: at {latency_us:,.6g} us "
            f"each, at most {US_PER_S / latency_us:,.6g} do; lower the rate or raise the clock"
        )
    return min(share, 1.0)


def average_power_uw(
    energy_pj: Band,
    latency_us: float,
    leakage_uw: Band,
    inferences_per_second: float,
    *,
    asleep: Asleep | None = None,
) -> Band:
    """Average power at a given rate of inferences.

    Args:
        energy_pj: of one inference, without leakage.
        latency_us: of one inference.
        leakage_uw: of the whole machine while its supply is on.
        inferences_per_second: as asked for, at most `1 / latency`.
        asleep: what it does between inferences; always powered where it is left out.

    Raises:
        InvalidInput: the machine cannot keep the rate, or a figure is out of range.
    """
    _require_not_negative("energy_pj", energy_pj)
    _require_not_negative("leakage_uw", leakage_uw)
    asleep_us = 0.0 if asleep is None else asleep.wake_us
    awake = busy_share(latency_us + asleep_us, inferences_per_second)
    dynamic = energy_pj.scaled(inferences_per_second * UW_PER_PJ_PER_S)
    if asleep is None:
        return dynamic + leakage_uw
    waking = asleep.wake_pj.scaled(inferences_per_second * UW_PER_PJ_PER_S)
    return dynamic + waking + leakage_uw.scaled(awake) + asleep.leakage_uw.scaled(1 - awake)


def energy_per_second_of_audio_uj(
    energy_pj: Band,
    latency_us: float,
    leakage_uw: Band,
    audio_s_per_inference: float,
    *,
    asleep: Asleep | None = None,
) -> Band:
    """Energy to listen for a second, in real time: each inference takes in `audio_s_per_inference`.

    Args:
        energy_pj: of one inference, without leakage.
        latency_us: of one inference.
        leakage_uw: of the whole machine while its supply is on.
        audio_s_per_inference: new audio between one inference and the next (the hop of a streaming
            spotter, or a whole utterance).
        asleep: as in `average_power_uw`.

    Raises:
        InvalidInput: the machine is slower than the audio, or a figure is out of range.
    """
    _require_positive(audio_s_per_inference=audio_s_per_inference)
    # A microwatt is a microjoule a second.
    return average_power_uw(
        energy_pj, latency_us, leakage_uw, 1 / audio_s_per_inference, asleep=asleep
    )


def battery_days(average_power_uw: Band, battery_mwh: float) -> Band:
    """Days that a battery lasts; the lowest power gives the highest figure.

    Args:
        average_power_uw: all that draws on the battery.
        battery_mwh: usable capacity; a CR2032 has about 650 mWh (225 mAh at 2.9 V).
    """
    _require_positive(battery_mwh=battery_mwh)
    require(average_power_uw.low > 0, "average_power_uw", "above 0", average_power_uw.low)
    days_uw = battery_mwh * UWH_PER_MWH / HOURS_PER_DAY
    return Band(
        low=days_uw / average_power_uw.high,
        mid=days_uw / average_power_uw.mid,
        high=days_uw / average_power_uw.low,
    )


def _require_positive(**numbers: float) -> None:
    for name, number in numbers.items():
        require(0 < number < math.inf, name, "a positive number", number)


def _require_not_negative(name: str, band: Band) -> None:
    require(band.low >= 0, name, "at least 0", band.low)
