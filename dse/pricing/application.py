"""What a cost means in a product: power, battery, listening, and what a cut of the supply loses.

The equations are those of `cost_models.application`; here they meet a whole `Cost` and a `Use`.
"""

from cost_models import Band, Cost
from cost_models.application import (
    Use,
    average_power_uw,
    battery_days,
    busy_share,
    energy_per_second_of_audio_uj,
    inferences_per_second,
)
from cost_models.residency import weights_stay
from dse.errors import InvalidInput


def application(cost: Cost, use: Use) -> dict[str, Band | float | bool]:
    """What a cost means in a product, by unit-suffixed names.

    Args:
        cost: of one inference on one machine. Its leakage is power (uW) and flows between
            inferences, too, so only the dynamic part of its energy is taken, and leakage added by
            the time for which the supply is on.
        use: rate, battery, audio per inference, and whether the supply is cut in between.

    Returns:
        `inferences_per_second` is the most that the machine can do, not the rate that is asked for;
        `busy_share` is at that rate, from 0 to 1. `energy_per_audio_second_uj` is missing where the
        machine is slower than the sound.

    Raises:
        InvalidInput: the machine cannot keep the rate.
    """
    dynamic = cost.dynamic_energy
    power = average_power_uw(
        dynamic,
        cost.latency_us,
        cost.leakage,
        use.inferences_per_second,
        duty_cycled=use.duty_cycled,
    )
    figures: dict[str, Band | float | bool] = {
        "inferences_per_second": inferences_per_second(cost.latency_us),
        "busy_share": busy_share(cost.latency_us, use.inferences_per_second),
        "duty_cycled": use.duty_cycled,
        "average_power_uw": power,
        "battery_days": battery_days(power, use.battery_mwh),
    }
    listened = listening_uj(cost, dynamic, use)
    return figures if listened is None else figures | {"energy_per_audio_second_uj": listened}


def power_at(cost: Cost, rate: float) -> Band | None:
    """Average power in microwatts, always powered; None where the rate is too high.

    Args:
        cost: of one inference.
        rate: inferences a second.
    """
    try:
        return average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate)
    except InvalidInput:
        return None


def forgotten(cost: Cost) -> str | None:
    """What a cut of the supply loses, and the figures do not bring back; None where nothing is.

    For whoever duty-cycles: generated weights need no reloading, as their seed makes them again,
    but stored ones in SRAM do, and a low average power would be bought by leaving that out.
    """
    # Weights that come from DRAM at each inference are counted each time anyway. Only where they
    # would stay in an on-chip home between inferences is something saved that a cut would lose.
    machine = cost.accelerator
    memory = machine.chain("weights")[-1]
    if memory.kind == "dram":
        if not weights_stay(cost.stored_bits, machine) or machine.weight_home is None:
            return None
        memory = machine.weight_home
    return (
        f"'{memory.name}' of {machine.name} forgets {cost.stored_bits:,} bits of weights when the "
        "supply is cut, and loading them again is not counted"
    )


def listening_uj(cost: Cost, dynamic_pj: Band, use: Use) -> Band | None:
    """Energy to take in a second of sound, in real time; None where the machine is too slow.

    Args:
        cost: of one inference.
        dynamic_pj: its energy without leakage.
        use: `audio_s` is the new sound of each inference; its rate does not matter here.
    """
    try:
        return energy_per_second_of_audio_uj(
            dynamic_pj, cost.latency_us, cost.leakage, use.audio_s, duty_cycled=use.duty_cycled
        )
    except InvalidInput:
        return None
