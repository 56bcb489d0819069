"""Energy of a layer by component: counts of the layer times prices of the machine.

    multiply_accumulate = macs * (multiplication + addition + accumulator)
    ternary_addition    = additions * ternary addition + clocked positions * ternary position
    post_processing     = multiplications * multiplication + additions * (addition + accumulator)
                          of biases, batch norm, residual add and pooling
    weight_read         = weight traffic * pJ/bit of the weight memory
    activation_read     = input traffic * pJ/bit read of the activation memory
    activation_write    = output traffic * pJ/bit written of the activation memory
    generator           = cycles * pJ/cycle + trits * pJ/trit, once per inference

Every operand moves once per layer (ideal reuse): a lower bound of what any dataflow moves. Not
charged: leakage, clock tree, control, wires, activation functions, requantisation by a shift.
docs/model.md has the sources and what was measured.
"""

from dataclasses import dataclass
from enum import StrEnum

from cost_models.accelerator import Accelerator, MemoryLevel
from cost_models.errors import InvalidLayer
from cost_models.technology import Technology
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource

POST_PROCESSING = frozenset({LayerKind.BATCH_NORM, LayerKind.RESIDUAL_ADD, LayerKind.AVERAGE_POOL})
"""Kinds that the vector lanes execute."""


class Component(StrEnum):
    """What spends the energy."""

    MULTIPLY_ACCUMULATE = "multiply_accumulate"
    TERNARY_ADDITION = "ternary_addition"
    POST_PROCESSING = "post_processing"
    WEIGHT_READ = "weight_read"
    ACTIVATION_READ = "activation_read"
    ACTIVATION_WRITE = "activation_write"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """pJ per primitive on one machine in one technology."""

    multiplication_pj_per_bit2: float
    addition_pj_per_bit: float
    accumulator_pj_per_bit: float
    ternary_position_pj_per_bit: float
    ternary_addition_pj_per_bit: float
    weight_read_pj_per_bit: float
    activation_read_pj_per_bit: float
    activation_write_pj_per_bit: float
    generator_pj_per_cycle: float
    generator_pj_per_trit: float


def read_energy_pj_per_bit(memory: MemoryLevel, technology: Technology) -> float:
    """Energy to read one bit of a memory."""
    if memory.kind == "dram":
        return technology.dram_pj_per_bit.value
    return technology.sram.read_pj_per_bit(memory.capacity_bits)


def write_energy_pj_per_bit(memory: MemoryLevel, technology: Technology) -> float:
    """Energy to write one bit of a memory."""
    if memory.kind == "dram":
        return technology.dram_pj_per_bit.value
    return technology.sram.write_pj_per_bit(memory.capacity_bits)


def prices(accelerator: Accelerator, technology: Technology) -> Prices:
    """What each primitive costs on this machine. Raises `InvalidAccelerator` for an SRAM size."""
    generator = accelerator.generator
    state_bits = generator.state_bits if generator else 0
    threshold_bits = generator.threshold_bits if generator else 0
    return Prices(
        multiplication_pj_per_bit2=technology.multiplication_pj_per_bit2.value,
        addition_pj_per_bit=technology.addition_pj_per_bit.value,
        accumulator_pj_per_bit=technology.accumulator_pj_per_bit.value,
        ternary_position_pj_per_bit=technology.ternary_position_pj_per_bit.value,
        ternary_addition_pj_per_bit=technology.ternary_addition_pj_per_bit.value,
        weight_read_pj_per_bit=read_energy_pj_per_bit(accelerator.weight_memory, technology),
        activation_read_pj_per_bit=read_energy_pj_per_bit(
            accelerator.activation_memory, technology
        ),
        activation_write_pj_per_bit=write_energy_pj_per_bit(
            accelerator.activation_memory, technology
        ),
        generator_pj_per_cycle=technology.generator_state_pj_per_bit.value * state_bits,
        generator_pj_per_trit=technology.generator_threshold_pj_per_bit.value * threshold_bits,
    )


def layer_energy_pj(
    layer: Layer, accelerator: Accelerator, price: Prices
) -> dict[Component, float]:
    """Energy of one layer in one inference, by component; components that it lacks are left out.

    Args:
        layer: what is executed; `accelerator.check_executable` has passed.
        accelerator: the machine.
        price: `prices` of this machine.

    Raises:
        InvalidLayer: there is no model for the layer's kind.
    """
    energy = _arithmetic_pj(layer, accelerator, price)
    movement = {
        Component.WEIGHT_READ: accelerator.weight_traffic_bits(layer)
        * price.weight_read_pj_per_bit,
        Component.ACTIVATION_READ: layer.input_traffic_bits * price.activation_read_pj_per_bit,
        Component.ACTIVATION_WRITE: layer.output_traffic_bits * price.activation_write_pj_per_bit,
        Component.GENERATOR: _generator_pj(layer, accelerator, price),
    }
    energy.update((component, pj) for component, pj in movement.items() if pj)
    return energy


def _arithmetic_pj(layer: Layer, accelerator: Accelerator, price: Prices) -> dict[Component, float]:
    if layer.kind in CONVOLUTIONS:
        biases = layer.out_channels * layer.out_frames if layer.bias else 0
        energy = {Component.POST_PROCESSING: _additions_pj(layer, biases, price)} if biases else {}
        if layer.weights is WeightSource.TRAINED:
            energy[Component.MULTIPLY_ACCUMULATE] = _macs_pj(layer, layer.macs, price)
            return energy
        if layer.weights is WeightSource.GENERATED:
            return energy | _ternary_pj(layer, accelerator, price)
        raise InvalidLayer(f"{layer.name}: a {layer.kind} layer needs trained or generated weights")
    if layer.kind in POST_PROCESSING:
        # A gain or 1/frames is a mantissa of weight_bits with a shift, times a full sum.
        multiplication_pj = (
            price.multiplication_pj_per_bit2 * layer.weight_bits * layer.accumulator_bits
        )
        pj = layer.multiplications * multiplication_pj
        pj += _additions_pj(layer, layer.additions, price)
        return {Component.POST_PROCESSING: pj} if pj else {}
    if layer.kind is LayerKind.ACTIVATION:
        return {}
    raise InvalidLayer(f"{layer.name}: there is no energy model for layers of kind {layer.kind!r}")


def _macs_pj(layer: Layer, macs: int, price: Prices) -> float:
    product_pj = price.multiplication_pj_per_bit2 * layer.weight_bits * layer.input_bits
    return macs * product_pj + _additions_pj(layer, macs, price)


def _additions_pj(layer: Layer, additions: int, price: Prices) -> float:
    per_bit = price.addition_pj_per_bit + price.accumulator_pj_per_bit
    return additions * per_bit * layer.accumulator_bits


def _ternary_pj(layer: Layer, accelerator: Accelerator, price: Prices) -> dict[Component, float]:
    """On ternary adders; without them, on MAC units, whose multipliers see narrow operands."""
    array = accelerator.compute_array
    positions = layer.weight_entries * layer.out_frames
    if not array.ternary_adders:
        return {Component.MULTIPLY_ACCUMULATE: _macs_pj(layer, positions, price)}
    nonzeros = layer.nonzeros * layer.out_frames
    clocked = nonzeros if array.zero_handling == "skipped" else positions
    per_bit = (
        nonzeros * price.ternary_addition_pj_per_bit + clocked * price.ternary_position_pj_per_bit
    )
    return {Component.TERNARY_ADDITION: per_bit * layer.accumulator_bits}


def _generator_pj(layer: Layer, accelerator: Accelerator, price: Prices) -> float:
    trits = accelerator.generated_weights(layer)
    if not trits or accelerator.generator is None:
        return 0.0
    cycles = -(-trits // accelerator.generator.trits_per_cycle)
    return cycles * price.generator_pj_per_cycle + trits * price.generator_pj_per_trit
