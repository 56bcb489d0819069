"""What a cost means in a product: power, battery, listening, and what a cut of the supply loses.

The equations are those of `cost_models.application`; here they meet a whole `Cost` and a `Use`.
"""

from collections.abc import Iterable

from cost_models import Accelerator, Band, Cost
from cost_models.application import (
    Asleep,
    Sleep,
    Use,
    average_power_uw,
    battery_days,
    busy_share,
    energy_per_second_of_audio_uj,
    inferences_per_second,
)
from cost_models.sleep import sleep_between
from dse.errors import InvalidInput


def application(cost: Cost, use: Use, *, streams: bool = False) -> dict[str, Band | float | bool]:
    """What a cost means in a product, by unit-suffixed names.

    Args:
        cost: of one inference on one machine. Its leakage is power (uW) and flows between
            inferences, too, so only the dynamic part of its energy is taken, and leakage added by
            the time for which the supply is on.
        use: rate, battery, audio per inference, and what the machine does in between.
        streams: activations have a state that must outlive an inference.

    Returns:
        `inferences_per_second` is the most that the machine can do, not the rate that is asked for;
        `busy_share` is at that rate, from 0 to 1, waking included. `energy_per_audio_second_uj` is
        missing where the machine is slower than the sound.

    Raises:
        InvalidInput: the machine cannot keep the rate.
    """
    dynamic = cost.dynamic_energy
    asleep = sleep_between(cost, use.sleep, streams=streams)
    power = average_power_uw(
        dynamic, cost.latency_us, cost.leakage, use.inferences_per_second, asleep=asleep
    )
    waking_us = 0.0 if asleep is None else asleep.wake_us
    figures: dict[str, Band | float | bool] = {
        "inferences_per_second": inferences_per_second(cost.latency_us + waking_us),
        "busy_share": busy_share(cost.latency_us + waking_us, use.inferences_per_second),
        "duty_cycled": use.sleep == "cut",
        "average_power_uw": power,
        "battery_days": battery_days(power, use.battery_mwh),
    }
    listened = listening_uj(cost, dynamic, use, asleep)
    return figures if listened is None else figures | {"energy_per_audio_second_uj": listened}


def power_at(cost: Cost, rate: float, sleep: Sleep = "on") -> Band | None:
    """Average power in microwatts; None where the rate is too high, or sleep loses weights.

    Args:
        cost: of one inference.
        rate: inferences a second.
        sleep: what the machine does between inferences.
    """
    asleep = sleep_between(cost, sleep)
    if asleep is not None and asleep.lost:
        return None
    try:
        return average_power_uw(
            cost.dynamic_energy, cost.latency_us, cost.leakage, rate, asleep=asleep
        )
    except InvalidInput:
        return None


def left_out(cost: Cost) -> str:
    """`the standby power of 'dram', which is not known`: what powers and battery lives lack.

    Empty where nothing is. A DRAM draws power to keep its contents, and only a machine file that
    has a figure (`leakage_uw`) can say how much: without one, a power is at least, and a battery
    life at most, what is printed.
    """
    return left_out_on(cost.accelerator)


def left_out_on(machine: Accelerator) -> str:
    """As `left_out`, where only the machine is known: of sweeps and records."""
    names = [f"'{name}'" for name in unknown_standby(machine)]
    return f"the standby power of {' and '.join(names)}, which is not known" if names else ""


def unknown_standby(machine: Accelerator) -> list[str]:
    """Memories of a machine that draw power to keep their contents, nobody says how much."""
    return [
        each.name for each in machine.memories if each.kind == "dram" and each.leakage_uw is None
    ]


OF_POWER = ("average_power_uw", "leakage_uw", "listening_power_uw")
"""Columns that lack what `left_out` names."""


def power_caveats(machines: Iterable[Accelerator], columns: Iterable[str]) -> list[str]:
    """Sentences about powers that are no more than a part, for tables without a note of their own.

    Args:
        machines: that the figures are of; those that lack the same share a sentence.
        columns: that stand there; without one of `OF_POWER`, there is nothing to say.
    """
    if not set(OF_POWER) & set(columns):
        return []
    lacking: dict[str, list[str]] = {}
    for machine in machines:
        if without := left_out_on(machine):
            lacking.setdefault(without, []).append(machine.name)
    return [f"Powers on {_shortened(names)} lack {without}." for without, names in lacking.items()]


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    return ", ".join(names[: 2 if more else 3]) + more


def forgotten(cost: Cost, use: Use, *, streams: bool = False) -> str | None:
    """What sleep loses, and the figures do not bring back; None where nothing is.

    Generated weights need no reloading, as their seed makes them again; stored ones in SRAM do.
    """
    asleep = sleep_between(cost, use.sleep, streams=streams)
    return asleep.lost if asleep and asleep.lost else None


def listening_uj(
    cost: Cost, dynamic_pj: Band, use: Use, asleep: Asleep | None = None
) -> Band | None:
    """Energy to take in a second of sound, in real time; None where the machine is too slow.

    Args:
        cost: of one inference.
        dynamic_pj: its energy without leakage.
        use: `audio_s` is the new sound of each inference; its rate does not matter here.
        asleep: what the machine does between inferences; always powered where it is left out.
    """
    try:
        return energy_per_second_of_audio_uj(
            dynamic_pj, cost.latency_us, cost.leakage, use.audio_s, asleep=asleep
        )
    except InvalidInput:
        return None
