"""What an estimate returns: layers x components; every total is derived from them."""

from collections.abc import Callable
from dataclasses import dataclass

from cost_models.accelerator import Accelerator
from cost_models.energy import Component
from cost_models.latency import Bound, bound_of
from cost_models.technology import Technology
from cost_models.units import cycles_to_us
from cost_models.workload import Layer, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """Cost of one layer in one inference."""

    layer: Layer
    generated_weights: int
    """Made by the machine's generator."""
    stored_bits: int
    """On this machine: with ternary entries where it stores them."""
    weight_traffic_bits: int
    energies_pj: dict[Component, float]
    """Components that the layer does not use are left out."""
    cycles: dict[Bound, int]
    """Of each part of the machine."""

    @property
    def energy_pj(self) -> float:
        """Sum over the components."""
        return sum(self.energies_pj.values())

    @property
    def latency_cycles(self) -> int:
        """Cycles of the slowest part."""
        return max(self.cycles.values())

    @property
    def bound(self) -> Bound:
        """The slowest part."""
        return bound_of(self.cycles)

    def row(self) -> dict[str, str | float | int]:
        """One row of the breakdown, with unit-suffixed names; components not used are 0."""
        counts: dict[str, str | float | int] = {
            "layer": self.layer.name,
            "kind": str(self.layer.kind),
            "trained_parameters": self.layer.trained_parameters,
            "stored_bits": self.stored_bits,
            "generated_weights": self.generated_weights,
            "macs": self.layer.macs,
            "multiplications": self.layer.multiplications,
            "additions": self.layer.additions,
            "dense_additions": self.layer.dense_additions,
            "weight_traffic_bits": self.weight_traffic_bits,
            "activation_traffic_bits": self.layer.activation_traffic_bits,
        }
        energies = {f"{part}_pj": self.energies_pj.get(part, 0.0) for part in Component}
        return counts | energies | {
            "energy_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "bound": str(self.bound),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one inference of a workload on a machine.

    Counts of operations and parameters are the network's. Stored bits, generated weights and weight
    traffic are those on this machine: one without a generator stores the ternary entries.
    """

    workload: Workload
    accelerator: Accelerator
    technology: Technology
    layers: tuple[LayerCost, ...]

    def total(self, count: Callable[[LayerCost], int]) -> int:
        """Sum of a count over the layers."""
        return sum(count(layer) for layer in self.layers)

    @property
    def trained_parameters(self) -> int:
        """Numbers that training changes."""
        return self.workload.trained_parameters

    @property
    def stored_bits(self) -> int:
        """Bits of weight memory taken."""
        return self.total(lambda cost: cost.stored_bits)

    @property
    def generated_weights(self) -> int:
        """Weights that the generator makes per inference, zeros included."""
        return self.total(lambda cost: cost.generated_weights)

    @property
    def macs(self) -> int:
        """Multiply-accumulates with trained weights."""
        return self.workload.macs

    @property
    def multiplications(self) -> int:
        """All multiplications, those within MACs included."""
        return self.total(lambda cost: cost.layer.multiplications)

    @property
    def additions(self) -> int:
        """All additions, those within MACs included; zeros of ternary matrices left out."""
        return self.workload.additions

    @property
    def dense_additions(self) -> int:
        """All additions, zeros of ternary matrices included."""
        return self.total(lambda cost: cost.layer.dense_additions)

    @property
    def weight_traffic_bits(self) -> int:
        """Bits read from the weight memory per inference."""
        return self.total(lambda cost: cost.weight_traffic_bits)

    @property
    def activation_traffic_bits(self) -> int:
        """Bits read from and written to the activation memory per inference."""
        return self.total(lambda cost: cost.layer.activation_traffic_bits)

    @property
    def energies_pj(self) -> dict[Component, float]:
        """Energy by component, summed over the layers; every component is named."""
        return {
            part: sum(layer.energies_pj.get(part, 0.0) for layer in self.layers)
            for part in Component
        }

    @property
    def energy_pj(self) -> float:
        """Energy of one inference."""
        return sum(layer.energy_pj for layer in self.layers)

    @property
    def latency_cycles(self) -> int:
        """Cycles of one inference."""
        return self.total(lambda cost: cost.latency_cycles)

    @property
    def latency_us(self) -> float:
        """Microseconds of one inference at the machine's clock."""
        return cycles_to_us(self.latency_cycles, self.accelerator.clock_mhz)

    @property
    def bounds_cycles(self) -> dict[Bound, int]:
        """Cycles of the layers that each part bounds; they sum to `latency_cycles`."""
        return {
            part: self.total(lambda cost, part=part: cost.latency_cycles * (cost.bound is part))  # type: ignore[misc]
            for part in Bound
        }

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit the machine's memories, one sentence each; empty if all fits.

        The estimate is computed all the same, as if the memory were large enough.
        """
        machine = self.accelerator
        working_bits = max(cost.layer.activation_traffic_bits for cost in self.layers)
        sentences = []
        for what, bits, name in (
            ("weights", self.stored_bits, "weight_memory"),
            ("inputs and outputs of one layer", working_bits, "activation_memory"),
        ):
            capacity_bits = getattr(machine, name).capacity_bits
            if bits > capacity_bits:
                sentences.append(
                    f"{what} take {bits:,} bits, and {name}.capacity_bits of {machine.name} is "
                    f"{capacity_bits:,}"
                )
        return tuple(sentences)

    @property
    def breakdown(self) -> list[dict[str, str | float | int]]:
        """One row a layer: counts, energy by component, cycles and what bounds them."""
        return [layer.row() for layer in self.layers]

    def columns(self) -> dict[str, float | int]:
        """Totals by the names that they have in the results table."""
        return {
            "trained_parameters": self.trained_parameters,
            "stored_bits": self.stored_bits,
            "generated_weights": self.generated_weights,
            "macs": self.macs,
            "multiplications": self.multiplications,
            "additions": self.additions,
            "dense_additions": self.dense_additions,
            "weight_traffic_bits": self.weight_traffic_bits,
            "activation_traffic_bits": self.activation_traffic_bits,
            "energy_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "latency_us": self.latency_us,
        }
