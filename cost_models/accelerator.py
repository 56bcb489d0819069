"""An accelerator: compute array, two memories, and a generator of ternary weights or none.

    weight memory -> +---------------+
    generator ---->  | compute array | <-> activation memory
                     +---------------+

The compute array holds multiply-accumulate (MAC) units, ternary adders, and vector lanes for what
follows a layer: batch norm, residual add, pooling.
"""

import math
from dataclasses import dataclass
from typing import Literal

from cost_models.errors import InvalidAccelerator, require
from cost_models.workload import Layer, WeightSource

ZeroHandling = Literal["dense", "skipped"]
TernaryWeights = Literal["generated", "stored", "refused"]


def _require_at_least(minimum: int, value: object, *names: str) -> None:
    for name in names:
        number = getattr(value, name)
        require(number >= minimum, name, f"at least {minimum}", number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeArray:
    """What computes, and how much of it a cycle."""

    mac_rows: int
    mac_columns: int
    """MAC units: rows * columns, one multiply-accumulate a cycle each."""
    vector_lanes: int
    """Batch norm, residual add, pooling: one multiplication and one addition a cycle each."""
    ternary_adders: int = 0
    """Trits added, subtracted or passed over a cycle; 0: ternary layers run on the MAC units."""
    zero_handling: ZeroHandling = "dense"
    """Ternary adders clock the zeros too (dense), or only meet non-zeros (skipped)."""
    operand_bits: int = 8
    """Widest weight or activation that a MAC unit takes."""
    accumulator_bits: int = 24
    """Widest sum that a MAC unit or ternary adder holds."""

    def __post_init__(self) -> None:
        """Counts are positive, except that there may be no ternary adders."""
        _require_at_least(1, self, "mac_rows", "mac_columns", "vector_lanes",
                          "operand_bits", "accumulator_bits")  # fmt: skip
        _require_at_least(0, self, "ternary_adders")
        require(
            self.zero_handling == "dense" or self.ternary_adders > 0,
            "zero_handling",
            "dense for an array without ternary adders: MAC units do not skip",
            self.zero_handling,
        )

    @property
    def macs_per_cycle(self) -> int:
        """Peak rate of multiply-accumulates."""
        return self.mac_rows * self.mac_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevel:
    """A memory with one port."""

    kind: Literal["sram", "dram"]
    capacity_bits: int
    bandwidth_bits_per_cycle: int
    """Read or written, not both at once."""

    def __post_init__(self) -> None:
        """Sizes are positive."""
        _require_at_least(1, self, "capacity_bits", "bandwidth_bits_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Makes ternary weights from a seed: a shift register and a threshold per lane."""

    trits_per_cycle: int
    """Lanes. The sequence does not depend on them."""
    state_bits: int
    """Of the shift register; must be those of the design's generator."""
    threshold_bits: int
    """Random bits compared for each trit; its sign takes one more."""

    def __post_init__(self) -> None:
        """Sizes are positive."""
        _require_at_least(1, self, "trits_per_cycle", "state_bits", "threshold_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A machine. A frozen value; `library.load_accelerator` reads it."""

    name: str
    """Of its file."""
    description: str
    source: str
    """Where its sizes come from: a publication, or whose design choice they are."""
    technology: str
    """Technology that it is priced with unless another is asked for: name or file."""
    clock_mhz: float
    compute_array: ComputeArray
    weight_memory: MemoryLevel
    activation_memory: MemoryLevel
    ternary_weights: TernaryWeights
    """Made by the generator; read from the weight memory, two bits each; or not executable."""
    generator: Generator | None = None

    def __post_init__(self) -> None:
        """Parts fit each other."""
        require(0 < self.clock_mhz < math.inf, "clock_mhz", "a positive number", self.clock_mhz)
        require(bool(self.source.strip()), "source", "a text that says where from", self.source)
        require(
            self.activation_memory.kind == "sram",
            "activation_memory",
            "of kind sram: the model keeps activations on chip",
            self.activation_memory.kind,
        )
        generated = self.ternary_weights == "generated"
        if generated:
            remedy = "given where ternary_weights is generated"
        else:
            remedy = f"left out where ternary_weights is {self.ternary_weights}"
        require((self.generator is not None) == generated, "generator", remedy, self.generator)

    def generated_weights(self, layer: Layer) -> int:
        """Weights of a layer that this machine's generator makes, zeros included."""
        return layer.generated_weights if self.ternary_weights == "generated" else 0

    def stored_bits(self, layer: Layer) -> int:
        """Bits of weight memory that a layer takes on this machine.

        `Layer.stored_bits`, except on a machine that stores ternary matrices: there their entries
        at the layer's `weight_bits` take the place of the generator's start state.
        """
        if layer.weights is WeightSource.GENERATED and self.ternary_weights == "stored":
            entries_bits = layer.generated_weights * layer.weight_bits
            return layer.stored_bits - layer.generator_state_bits + entries_bits
        return layer.stored_bits

    def weight_traffic_bits(self, layer: Layer) -> int:
        """Bits of weights read for a layer, once per inference: exactly what it stores."""
        return self.stored_bits(layer)

    def check_executable(self, layer: Layer) -> None:
        """Raise `InvalidAccelerator` if the machine cannot execute a layer."""
        where = f"{layer.name} cannot run on {self.name}"
        widest = max(layer.input_bits, layer.output_bits, layer.weight_bits)
        if widest > self.compute_array.operand_bits:
            raise InvalidAccelerator(
                f"{where}: it has {widest}-bit operands, and compute_array.operand_bits is "
                f"{self.compute_array.operand_bits}; use a wider array"
            )
        if layer.accumulator_bits > self.compute_array.accumulator_bits:
            raise InvalidAccelerator(
                f"{where}: it has {layer.accumulator_bits}-bit sums, and "
                f"compute_array.accumulator_bits is {self.compute_array.accumulator_bits}; use a "
                "wider array"
            )
        if layer.weights is not WeightSource.GENERATED:
            return
        if self.ternary_weights == "refused":
            raise InvalidAccelerator(
                f"{where}: its weights are generated, and the machine has no generator; set "
                "ternary_weights to stored or to generated (with a generator), or use a dense mixer"
            )
        if self.generator and layer.generator_state_bits not in (0, self.generator.state_bits):
            raise InvalidAccelerator(
                f"{where}: its generator has {layer.generator_state_bits} state bits, and "
                f"generator.state_bits is {self.generator.state_bits}, so the matrix would be "
                "another one; set the machine's to the design's"
            )
