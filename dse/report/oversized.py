"""A machine that is far too large for a design: what empty memories cost, and what would do."""

import dataclasses

from cost_models import Cost, MemoryLevel, estimate
from cost_models.application import Use
from cost_models.fitting import keepers
from cost_models.units import bits_to_kib
from dse.columns import share_words, significant
from dse.errors import InvalidInput
from dse.pricing.application import power_at
from dse.pricing.priced import Priced

HALF_EMPTY = 0.5
"""Filled to less than this, a memory could have half the size."""
MATTERS = 0.1
"""Share of the average power, or of the chip, that it must be worth for anybody to care."""


def oversized_words(priced: Priced, use: Use) -> str:
    """What memories that are mostly empty cost, and what the machine that fits would take.

    Empty where there are none, or where a machine that fits would save less than `MATTERS` of the
    average power and of the area. Where none can be built, the empty memories are told alone.
    """
    cost = priced.cost
    kept_bits = priced.stream.state_bits if priced.stream else 0
    empty = [
        (memory, needed)
        for memory in cost.accelerator.memories
        if (needed := _needed(cost, memory, kept_bits)) < HALF_EMPTY * memory.bits
    ]
    if not empty:
        return ""
    fitted = _fitted(cost, [memory for memory, _ in empty], kept_bits)
    if fitted is not None and not _worth_it(cost, fitted, use):
        return ""
    held = ", ".join(
        f"'{memory.name}' holds {_kib(needed)} of {_kib(memory.bits)} KiB "
        f"({significant(100 * needed / memory.bits, 2)} %)"
        for memory, needed in empty
    )
    return f"{held}{_leak_words(cost, [memory for memory, _ in empty], use)}." + (
        "" if fitted is None else f" {_fitted_words(cost, fitted, len(empty), use)}"
    )


def _kib(bits: float) -> str:
    return significant(bits_to_kib(bits))


def _worth_it(cost: Cost, fitted: Cost, use: Use) -> bool:
    """Whether a machine that fits saves much of the power or of the area."""
    before, after = (power_at(each, use.inferences_per_second) for each in (cost, fitted))
    powers = before and after and before.mid - after.mid >= MATTERS * before.mid
    return bool(powers) or cost.area.mid - fitted.area.mid >= MATTERS * cost.area.mid


def _leak_words(cost: Cost, memories: list[MemoryLevel], use: Use) -> str:
    power = power_at(cost, use.inferences_per_second)
    if power is None:
        return ""
    share = sum(_leakage_uw(cost, memory) for memory in memories) / power.mid
    whose = "its leakage is" if len(memories) == 1 else "their leakage is"
    return f"; {whose} {share_words(share)} of the average power at {use.words}"


def _fitted_words(cost: Cost, fitted: Cost, count: int, use: Use) -> str:
    """Power, energy and area with memories as large as needed, beside those of the machine."""
    changes = [("mm²", fitted.area.mid * 1e-6, cost.area.mid * 1e-6)]
    changes.insert(0, ("µJ an inference", fitted.energy_pj * 1e-6, cost.energy_pj * 1e-6))
    powers = [power_at(each, use.inferences_per_second) for each in (fitted, cost)]
    if powers[0] is not None and powers[1] is not None:
        changes.insert(0, ("µW on average", powers[0].mid, powers[1].mid))
    listed = ", ".join(
        f"{significant(after)} instead of {significant(before)} {unit}"
        for unit, after, before in changes
    )
    which = "it" if count == 1 else "them"
    return f"With capacity_bits: fit for {which} the machine takes {listed}."


def fitted_words(cost: Cost) -> str:
    """`'weight_sram' has 65,536 bits`: sizes that the design's needs decided; empty without any."""
    sizes = [
        f"'{memory.name}' has {memory.bits:,} bits"
        for memory in cost.accelerator.memories
        if memory.fitted
    ]
    return ", ".join(sizes)


def _needed(cost: Cost, memory: MemoryLevel, kept_bits: int) -> int:
    """Bits of a memory that the design needs; all of one that is to be full, or of a DRAM."""
    weights, activations = keepers(cost.accelerator)
    keeps = memory.name in weights or memory.name in activations
    if memory.kind == "dram" or memory.fitted or not keeps:
        return memory.bits
    needed = cost.stored_bits if memory.name in weights else 0
    if memory.name in activations:
        needed += cost.activation_bits + kept_bits
    return needed


def _leakage_uw(cost: Cost, memory: MemoryLevel) -> float:
    leakage = cost.leakages_uw.get(memory.name)
    return leakage.mid if leakage is not None else 0.0


def _fitted(cost: Cost, memories: list[MemoryLevel], kept_bits: int) -> Cost | None:
    """The same design with these memories as large as it needs; None where that cannot be."""
    names = {memory.name for memory in memories}
    try:
        machine = dataclasses.replace(
            cost.accelerator.as_asked,
            memories=tuple(
                dataclasses.replace(memory, capacity_bits="fit") if memory.name in names else memory
                for memory in cost.accelerator.as_asked.memories
            ),
        )
        return estimate(cost.workload, machine, cost.technology, kept_bits=kept_bits)
    except InvalidInput:  # a memory at figures of its own, or none as small
        return None
