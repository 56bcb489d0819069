"""Circuit and model side by side: cycles of each layer, and words that each memory moved.

Words of weights and of records are counted apart; both come from the weight memory.
"""

from dataclasses import dataclass

from cost_models.cost import LayerCost
from cost_models.latency import Bound
from dse.chip.program import Program
from dse.chip.simulation import Simulated


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerComparison:
    """One descriptor's layer."""

    name: str
    cycles: int
    """Of the circuit."""
    model_cycles: int
    """As `dse estimate` says."""
    words: dict[str, tuple[int, int]]
    """Words that a port moved, passes, and cycles of the generator: circuit, model."""

    @property
    def differing(self) -> dict[str, tuple[int, int]]:
        """Ports on which both sides differ."""
        return {port: pair for port, pair in self.words.items() if pair[0] != pair[1]}


def compare_layers(program: Program, simulated: Simulated) -> list[LayerComparison]:
    """Circuit and model, layer by layer, in the order in which they run."""
    return [
        LayerComparison(
            name=step.name,
            cycles=counts["cycles"],
            model_cycles=program.layer(step.name).latency_cycles,
            words={
                port: (counts[port], words)
                for port, words in model_words(program, program.layer(step.name)).items()
            },
        )
        for step, counts in zip(program.steps, simulated.layers, strict=True)
    ]


def model_words(program: Program, cost: LayerCost) -> dict[str, int]:
    """Words through each port of a layer, passes and generator cycles, as the model counts them."""
    machine = program.cost.accelerator
    inputs = machine.chain("inputs")
    found = {
        f"activation_{action}s": _words(cost, inputs[-1].name, action, ("inputs", "outputs"))
        // inputs[-1].access_bits
        for action in ("read", "write")
    }
    if len(inputs) > 1:
        found |= {
            f"buffer_{action}s": _words(cost, inputs[0].name, action, ("inputs",))
            // inputs[0].access_bits
            for action in ("read", "write")
        }
    lanes = machine.generator.trits_per_cycle if machine.generator else 1
    found |= {
        "passes": cost.busy_cycles[Bound.COMPUTE],
        "trit_cycles": -(-cost.trits // lanes),
    }
    weights, layer = machine.chain("weights")[0], cost.layer
    words = _words(cost, weights.name, "read", ("weights",)) // weights.access_bits
    started = layer.start_bits if machine.generates(layer) else 0
    records = -(-(layer.parameter_bits + started) // weights.access_bits)
    return found | {"weight_reads": words - records, "record_reads": records}


def _words(cost: LayerCost, part: str, action: str, operands: tuple[str, ...]) -> int:
    total = float(
        sum(
            count
            for count, entry in zip(cost.counts, cost.prices.entries, strict=True)
            if entry.part == part and entry.action == action and entry.operand in operands
        )
    )
    return round(total)


def comparison_table(layers: list[LayerComparison]) -> str:
    """A table in Markdown: cycles, and words of every port as circuit / model where they differ."""
    lines = [
        "| layer | cycles | model | off | words of ports (circuit / model) |",
        "|---|---|---|---|---|",
    ]
    for layer in [*layers, total(layers)]:
        off = layer.cycles / layer.model_cycles - 1 if layer.model_cycles else 0.0
        words = ", ".join(
            f"{port.replace('_', ' ')} {ours:,}" + ("" if ours == theirs else f" / {theirs:,}")
            for port, (ours, theirs) in layer.words.items()
            if ours or theirs
        )
        lines.append(
            f"| {layer.name} | {layer.cycles:,} | {layer.model_cycles:,} | {off:+.1%} | {words} |"
        )
    return "\n".join(lines) + "\n"


def total(layers: list[LayerComparison]) -> LayerComparison:
    """The sum over all layers."""
    ports = layers[0].words
    return LayerComparison(
        name="total",
        cycles=sum(layer.cycles for layer in layers),
        model_cycles=sum(layer.model_cycles for layer in layers),
        words={
            port: (
                sum(layer.words[port][0] for layer in layers),
                sum(layer.words[port][1] for layer in layers),
            )
            for port in ports
        },
    )
