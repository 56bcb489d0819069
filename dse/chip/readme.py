"""What an exported chip says of itself: its data sheet, and the mapping of each layer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse.chip.export import ChipExport

_TEXT = """\
# {title} on {machine}

- {layers} layers, a descriptor of {descriptor_bits:,} bits each
- {weight_bits:,} bits in the weight memory
- test bench: {clips} clips of {frames} frames, {classes} scores each

Written by `dse export chip` (ternary-dse, Apache-2.0). Verilog-2005. Scores come from the integer
network in Python; the test bench compares them with the circuit's bit by bit, counts what each
memory does in each layer, and prints PASS or FAIL.

    verilator --binary --timing -Wno-fatal -Wno-WIDTH --top-module test_bench *.v
    obj_dir/Vtest_bench
    iverilog -g2005 -s test_bench -o bench *.v && vvp -n bench

## How it works

`chip.v` is the machine: every engine (what fills the input buffer, fetches inputs, fetches weights,
runs passes, hands out results) has a loop nest of its own, which `fields.vh` cuts out of the
layer's descriptor. So the circuit runs the mapping that the cost model chose, whatever its order.
Engines run ahead of each other as far as there is room.

| port of `chip` | |
|---|---|
| `go`, `done` | begin an inference; it is done |
| `host_*` | words into the activation memory, before `go`: features from row {feature_row} on |
| `score_valid`, `score` | scores of the classes in order, in 1/65,536ths |
| `best` | class of the highest score, when `done` |
| `conflict` | two lanes asked for one bank of the activation memory: never |

`memory_macro.v` and `two_port_macro.v` are the memories, and behavioural: replace them by macros.
The activation memory is {lanes} of them, a byte wide each; the input buffer is made alike.

A record of {record_bits} bits a channel holds what makes int8 of its sums: a factor of 16 bits, a
shift and an offset.
{generator}
Files: {sources}

## Layers

| layer | array | unrolled N, R, T | order, innermost first | cycles by the model |
|---|---|---|---|---|
{rows}"""


def chip_readme(export: "ChipExport", sources: list[str]) -> str:
    """The data sheet.

    Args:
        export: the chip.
        sources: Verilog files but the test bench.
    """
    fields, image = export.loaded
    generator = ""
    if export.trits is not None:
        block = export.trits.block
        generator = (
            f"\nGenerator: {block.generator.label}, density {block.density:g}, {block.lanes} "
            "trits a cycle, in the order of the matrix.\n"
        )
    return _TEXT.format(
        title=export.network.title,
        machine=export.machine.name,
        layers=len(fields),
        descriptor_bits=export.descriptor_bits,
        weight_bits=8 * len(image),
        clips=len(export.features),
        frames=export.features.shape[2],
        classes=len(export.network.classes),
        sources=" ".join(sources),
        feature_row=export.places["features"].row,
        lanes=export.chip.lanes,
        record_bits=export.record_bits,
        generator=generator,
        rows="".join(_row(export, step.name) for step in export.program.steps),
    )


def _row(export: "ChipExport", name: str) -> str:
    cost = export.program.layer(name)
    if cost.mapping is None:
        return f"| {name} | vector unit | | | {cost.latency_cycles:,} |\n"
    mapping = cost.mapping
    order = ", ".join(f"{axis} {count}" for axis, count in mapping.order) or "one pass"
    unrolled = ", ".join(map(str, mapping.unrolled))
    return f"| {name} | {mapping.array} | {unrolled} | {order} | {cost.latency_cycles:,} |\n"
