"""A descriptor: the bits that make the machine run a layer, and Verilog's names for them.

Counters, addresses and their steps are as wide as the machine and the network's layers need.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dse.chip.nests import Nest, encode_deltas, encode_first, encode_last

NESTS = {
    "pass": ("index",),
    "fetch": ("fetch", "second", "tensor"),
    "read": ("row", "tensor", "tensor"),
    "weight": ("weight",),
    "step": ("channel",),
    "word": ("row", "tensor", "tensor"),
}
"""Nest -> what each of its addresses counts."""
AT_ZERO = ("pass", "step")
"""Nests whose first address is always 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bits of what a descriptor's fields count."""

    lanes: int
    """Of the activation memory's words, not their bits."""
    index: int
    """Sums of an element."""
    fetch: int
    """Of the input buffer's bytes, or rows without one."""
    second: int
    """Likewise of a tile's end, or channels."""
    row: int
    tensor: int
    """Channels and frames, which may lie before or behind the tensor."""
    weight: int
    """Bytes of the weight memory, or of a generated matrix."""
    word: int
    """Words of the weight memory."""
    channel: int
    """Records."""
    nests: dict[str, tuple[int, int]]
    """Nest -> loops, bits of a count."""

    def addresses(self, nest: str) -> tuple[int, ...]:
        """Bits of a nest's addresses."""
        return tuple(getattr(self, what) for what in NESTS[nest])


def nest_sizes(fields: Iterable[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Loops and bits of counts that the nests of all layers need, by nest."""
    found = dict.fromkeys(NESTS, (1, 1))
    for layer in fields:
        for name in NESTS:
            nest = layer.get(name)
            if nest is not None:
                loops, bits = found[name]
                most = max((loop.count - 1 for loop in nest.loops), default=1)
                found[name] = max(loops, len(nest.loops)), max(bits, most.bit_length())
    return found


def field_bits(widths: Widths) -> dict[str, int]:
    """Verilog name of every field -> bits, in the order in which they lie, from the lowest.

    A field that a layer does not use is 0.
    """
    loops = {name: size[0] for name, size in widths.nests.items()}
    found = {
        "kind": 2,
        "on_trees": 1,
        "rows_outputs": 1,
        "rows_inputs": 1,
        "columns_inputs": 1,
        "columns_used": 8,
        "weights_are_trits": 1,
        "generated": 1,
        "last_row": 8,
        "pass_reduces": loops["pass"],
        "pass_pops_inputs": loops["pass"],
        "pass_pops_weights": loops["pass"],
        "fetch_tile": loops["fetch"],
        "fetch_reuse": loops["fetch"],
        "fetch_releases": 1,
        "fetch_last_beat": 6,
        "fetch_beat_steps": sum(widths.addresses("fetch")),
        "fetch_padded": 1,
        "fetch_channels": 1,
        "in_frames": widths.tensor,
        "in_pitch": widths.tensor,
        "read_group": loops["read"],
        "read_base_a": widths.row,
        "read_base_b": widths.row,
        "read_two": 1,
        "read_fast_frames": 1,
        "read_fast": 3,
        "read_lanes": widths.lanes,
        "weight_last_beat": 6,
        "weight_keeps": 1,
        "record_base": widths.word,
        "record_count": widths.channel,
        "records_a_row": 4,
        "records_held": 1,
        "limit_zero": 1,
        "results_a_row": 4,
        "results_a_step": 4,
        "results_a_word": 4,
        "out_channels": widths.tensor,
        "out_frames": widths.tensor,
        "out_pitch": widths.tensor,
        "out_fast_frames": 1,
        "out_fast": 3,
    }
    for name, (count, bits) in widths.nests.items():
        found[f"{name}_last"] = count * bits
        found[f"{name}_deltas"] = count * sum(widths.addresses(name))
        if name not in AT_ZERO:
            found[f"{name}_first"] = sum(widths.addresses(name))
    return found


def descriptor_bits(widths: Widths) -> int:
    """Bits of a descriptor."""
    return sum(field_bits(widths).values())


def fields_header(widths: Widths) -> str:
    """Text of `fields.vh`: a wire for each field."""
    lines = ["    // Fields of the descriptor, from the lowest bit on; see README.md.\n"]
    low = 0
    for name, bits in field_bits(widths).items():
        width = f"[{bits - 1}:0] " if bits > 1 else ""
        lines.append(f"    wire {width}{name} = descriptor[{low} +: {bits}];\n")
        low += bits
    return "".join(lines)


def encode_descriptor(fields: dict[str, Any], widths: Widths) -> int:
    """The descriptor of a layer as a number."""
    values: dict[str, int] = {}
    value: Any
    for name, value in fields.items():
        if isinstance(value, Nest):
            bits = widths.addresses(name)
            values[f"{name}_last"] = encode_last(value, widths.nests[name][1])
            values[f"{name}_deltas"] = encode_deltas(value, bits)
            if name not in AT_ZERO:
                values[f"{name}_first"] = encode_first(value, bits)
        elif isinstance(value, tuple):
            values[name] = encode_first(Nest(value, ()), widths.addresses("fetch"))
        else:
            values[name] = value
    sizes = field_bits(widths)
    unknown = set(values) - set(sizes)
    assert not unknown, unknown
    word, low = 0, 0
    for name, size in sizes.items():
        number = values.get(name, 0)
        assert 0 <= number < 2**size, f"{name} = {number} in {size} bits"
        word |= number << low
        low += size
    return word
