"""What keeps figures from being compared: constants of other sources, and leakage of another class.

A machine may bring constants of its own (`edge_tpu_like` has those of ZigZag): its figures are not
of the technology that it is priced in, and are never shown as if they were. And a technology may
leak more than a machine that waits can bear: then nearly all of an energy is leakage, and says
nothing of the design.
"""

from collections.abc import Iterable, Iterator

from cost_models import Accelerator, Constant, Cost, Technology
from cost_models.accelerator import OPERANDS
from cost_models.application import UW_PER_PJ_PER_S, Use, average_power_uw
from cost_models.sleep import sleep_between
from cost_models.units import with_prefix
from dse.columns import share_words, significant
from dse.errors import InvalidInput

LOW_LEAKAGE = ("low_leakage_22nm", "low_leakage_45nm")
"""What a machine that waits is priced in."""
LOW = "low_leakage"
MUCH_ENERGY = 0.5
"""Share of an inference's energy from which on leakage is told of."""
MUCH_POWER = 0.9
"""Share of the average power, likewise: at one inference a second, idle silicon leaks anyway."""


def own_constants(machine: Accelerator) -> dict[str, tuple[str, ...]]:
    """Parts of a machine that have constants of their own, with the sources of those, each once."""
    found = {array.name: _sources(array) for array in machine.arrays}
    found |= {memory.name: _sources(memory) for memory in machine.memories}
    parts = {name: tuple(dict.fromkeys(sources)) for name, sources in found.items()}
    return {name: sources for name, sources in parts.items() if sources}


def _sources(part: object) -> Iterator[str]:
    """Of an array and its registers, or of a memory: what stands before the first colon."""
    for name in getattr(part, "__dataclass_fields__", ()):
        value = getattr(part, name)
        if isinstance(value, Constant):
            yield value.source.partition(":")[0].strip()
        elif name in OPERANDS:
            yield from _sources(value)


def say_technology(machine: Accelerator, technology: Technology) -> str:
    """`low_leakage_45nm`, and `low_leakage_45nm and own constants` where that is not all."""
    return f"{technology.name}{' and own constants' if own_constants(machine) else ''}"


def own_words(machine: Accelerator, technology: Technology) -> str | None:
    """Which figures of a machine are not of the technology; None where all are of it."""
    own = own_constants(machine)
    if not own:
        return None
    sources = dict.fromkeys(source for each in own.values() for source in each)
    return (
        f"{machine.name} has constants of its own ({'; '.join(sources)}) for "
        f"{_listed([repr(name) for name in own])}; only the rest is {technology.name}. Beside a "
        "machine without them, figures differ by their sources, too"
    )


def leakage_words(technology: Technology) -> str:
    """The leakage classes of a technology, as a clause."""
    return f"leakage of logic {technology.logic_class}, of memories {technology.memory_class}"


def warmth_words(technologies: Iterable[Technology]) -> str | None:
    """A sentence where memories of several technologies leak at different temperatures."""
    each = {one.name: one.memory_class.temperature_k for one in technologies}
    if len({*each.values()}) < 2:
        return None
    places = _listed([f"{kelvin:g} K in {name}" for name, kelvin in each.items()])
    return f"Leakage of memories is at {places}: compare powers with that in mind"


def technology_words(technologies: Iterable[Technology]) -> str | None:
    """A sentence where figures of several technologies stand side by side; None for one.

    Constants of one technology come from one set of sources; between two sets, a difference may be
    of the silicon, of the cell library, or of how somebody measured.
    """
    each = {one.name: one for one in technologies}
    if len(each) < 2:
        return None
    listed = _listed([f"{one.name} ({one.node_nm} nm)" for one in each.values()])
    return (
        f"Figures are of {len(each)} technologies, {listed}, each with sources of its own: what "
        "differs between them is not the design's or the machine's doing alone"
    )


def leakage_warning(cost: Cost, use: Use | None = None) -> str | None:
    """A sentence where a design mostly leaks, and its technology is not made for waiting.

    Args:
        cost: of one inference.
        use: rate, and whether the supply is cut in between; one inference a second without it.
    """
    use = use or Use()
    dynamic = cost.dynamic_energy
    try:
        power = average_power_uw(
            dynamic,
            cost.latency_us,
            cost.leakage,
            use.inferences_per_second,
            asleep=sleep_between(cost, use.sleep),
        ).mid
    except InvalidInput:  # too slow for the rate: then there is no power at it
        power = None
    return find_leakage(
        cost.accelerator,
        cost.technology,
        energy_pj=cost.energy_pj,
        dynamic_pj=dynamic.mid,
        leakage_uw=cost.leakage.mid,
        average_power_uw=power,
        rate=use.inferences_per_second,
    )


def find_leakage(
    machine: Accelerator,
    technology: Technology,
    *,
    energy_pj: float,
    dynamic_pj: float,
    leakage_uw: float,
    average_power_uw: float | None,
    rate: float,
) -> str | None:
    """The sentence of `leakage_warning`, of plain figures.

    Args:
        machine: what is priced.
        technology: in which.
        energy_pj: of one inference, leakage included.
        dynamic_pj: of it, all but leakage.
        leakage_uw: of the whole machine, while its supply is on.
        average_power_uw: at `rate`; None where the machine cannot keep it.
        rate: inferences a second.

    Returns:
        None where both classes of the technology are low_leakage, or leakage is not much.
    """
    classes = (("memories are", technology.memory_class), ("logic is", technology.logic_class))
    leaky = [f"its {what} {each.level}" for what, each in classes if each.level != LOW]
    leaked = energy_pj - dynamic_pj
    of_energy = leaked / energy_pj
    of_power = 0.0
    if average_power_uw is not None:
        of_power = 1 - dynamic_pj * rate * UW_PER_PJ_PER_S / average_power_uw
    if not leaky or (of_energy < MUCH_ENERGY and of_power < MUCH_POWER):
        return None
    at_rate = f" and {share_words(of_power)} of the average power at {rate:g} a second"
    return (
        f"{machine.name} leaks {_microwatts(leakage_uw)} in {technology.name}: "
        f"{share_words(of_energy)} of the energy of an inference ({significant(leaked * 1e-6)} of "
        f"{significant(energy_pj * 1e-6)} µJ){at_rate if of_power else ''}; "
        f"{_listed(leaky)}, which is made for what is always busy: price a machine that waits in "
        f"{' or '.join(LOW_LEAKAGE)}, or cut its supply in between"
    )


def _microwatts(value: float) -> str:
    return f"{significant(value)} µW" if value < 999.5 else with_prefix(value * 1e-3, "mW")


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
