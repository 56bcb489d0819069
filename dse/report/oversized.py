"""A machine that is far too large for a design: what empty memories cost, and what would do."""

import dataclasses

from cost_models import Cost, MemoryLevel, estimate
from cost_models.application import Use
from cost_models.fitting import keepers
from dse.columns import significant
from dse.errors import InvalidInput
from dse.pricing.application import power_at
from dse.pricing.priced import Priced

HALF_EMPTY = 0.5
"""Filled to less than this, a memory could have half the size."""
MATTERS = 0.1
"""Share of the average power that such memories must leak for anybody to care."""


def oversized_words(priced: Priced, use: Use) -> str:
    """A sentence on memories that are mostly empty and whose leakage is much of the power.

    Empty where there are none, where the machine cannot keep the rate, and where no memory that
    fits can be built. The figures of the machine that fits are those of an estimate.
    """
    cost = priced.cost
    power = power_at(cost, use.inferences_per_second)
    if power is None:
        return ""
    kept_bits = priced.stream.state_bits if priced.stream else 0
    empty = [
        (memory, fill, _leakage_uw(cost, memory) / power.mid)
        for memory in cost.accelerator.memories
        if (fill := _fill(cost, memory, kept_bits)) < HALF_EMPTY
    ]
    if sum(share for _, _, share in empty) < MATTERS:
        return ""
    fitted = _fitted(cost, [memory for memory, _, _ in empty], kept_bits)
    after = fitted and power_at(fitted, use.inferences_per_second)
    if not fitted or not after:
        return ""
    names = " and ".join(f"'{memory.name}'" for memory, _, _ in empty)
    filled = ", and ".join(
        f"'{memory.name}' is filled to {fill:.0%}, its leakage is {share:.0%} of the average power"
        for memory, fill, share in empty
    )
    areas = (significant(each.area.mid * 1e-6) for each in (fitted, cost))
    return (
        f"{filled} at {use.words}. With capacity_bits: fit for {names} it is "
        f"{significant(after.mid)} uW instead of {significant(power.mid)}, and the chip "
        f"{' mm2 instead of '.join(areas)}."
    )


def fitted_words(cost: Cost) -> str:
    """`'weight_sram' has 65,536 bits`: sizes that the design's needs decided; empty without any."""
    sizes = [
        f"'{memory.name}' has {memory.bits:,} bits"
        for memory in cost.accelerator.memories
        if memory.fitted
    ]
    return ", ".join(sizes)


def _fill(cost: Cost, memory: MemoryLevel, kept_bits: int) -> float:
    """Share of a memory that the design needs; 1 of one that is to be full, or of a DRAM."""
    weights, activations = keepers(cost.accelerator)
    keeps = memory.name in weights or memory.name in activations
    if memory.kind == "dram" or memory.fitted or not keeps:
        return 1.0
    needed = cost.stored_bits if memory.name in weights else 0
    if memory.name in activations:
        needed += cost.activation_bits + kept_bits
    return needed / memory.bits


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
