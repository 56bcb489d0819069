"""A descriptor: the bits that make the machine run a layer, and Verilog's names for them."""

from typing import Any

from dse.chip.nests import COUNT_BITS, LOOPS, Nest, encode_deltas, encode_first, encode_last

ADDRESS, WEIGHT, CHANNEL = 16, 20, 12
"""Bits of an address in the activation memory, of one in the weight memory, of a channel."""

NESTS = {
    "pass": (1, ADDRESS, False),
    "fetch": (3, ADDRESS, True),
    "read": (3, ADDRESS, True),
    "weight": (1, WEIGHT, True),
    "step": (1, CHANNEL, False),
    "word": (3, ADDRESS, True),
}
"""Nest -> addresses, bits of each, whether it has first addresses other than 0."""

NUMBERS = {
    "kind": 2,
    "on_trees": 1,
    "rows_outputs": 1,
    "rows_inputs": 1,
    "columns_inputs": 1,
    "columns_used": 8,
    "weights_are_trits": 1,
    "generated": 1,
    "last_row": 8,
    "pass_reduces": LOOPS,
    "pass_pops_inputs": LOOPS,
    "pass_pops_weights": LOOPS,
    "fetch_tile": LOOPS,
    "fetch_reuse": LOOPS,
    "fetch_releases": 1,
    "fetch_last_beat": 6,
    "fetch_beat_steps": 3 * ADDRESS,
    "fetch_padded": 1,
    "fetch_channels": 1,
    "in_frames": ADDRESS,
    "in_pitch": ADDRESS,
    "read_group": LOOPS,
    "read_base_a": ADDRESS,
    "read_base_b": ADDRESS,
    "read_plane_rows_a": ADDRESS,
    "read_plane_rows_b": ADDRESS,
    "read_planes_a": 2,
    "read_planes_b": 2,
    "read_fast_frames": 1,
    "read_fast": 3,
    "read_lanes": 0,  # as many as the machine has
    "weight_last_beat": 6,
    "weight_keeps": 1,
    "record_base": WEIGHT,
    "record_count": CHANNEL,
    "raw": 1,
    "records_held": 1,
    "limit_zero": 1,
    "shift": 6,
    "mean_half": 16,
    "mean_reciprocal": 24,
    "mean_shift": 6,
    "results_a_step": 4,
    "results_a_word": 4,
    "out_channels": ADDRESS,
    "out_frames": ADDRESS,
    "out_pitch": ADDRESS,
    "out_planes": 2,
    "out_plane_rows": ADDRESS,
    "out_fast_frames": 1,
    "out_fast": 3,
}
"""Other fields -> bits; a field that a layer does not use is 0."""


def field_bits(lanes: int) -> dict[str, int]:
    """Verilog name of every field -> bits, in the order in which they lie, from the lowest."""
    found = {name: bits or lanes for name, bits in NUMBERS.items()}
    for name, (addresses, bits, first) in NESTS.items():
        found[f"{name}_last"] = LOOPS * COUNT_BITS
        found[f"{name}_deltas"] = LOOPS * addresses * bits
        if first:
            found[f"{name}_first"] = addresses * bits
    return found


def descriptor_bits(lanes: int) -> int:
    """Bits of a descriptor."""
    return sum(field_bits(lanes).values())


def fields_header(lanes: int) -> str:
    """Text of `fields.vh`: a wire for each field."""
    lines = ["    // Fields of the descriptor, from the lowest bit on; see README.md.\n"]
    low = 0
    for name, bits in field_bits(lanes).items():
        width = f"[{bits - 1}:0] " if bits > 1 else ""
        lines.append(f"    wire {width}{name} = descriptor[{low} +: {bits}];\n")
        low += bits
    return "".join(lines)


def encode_descriptor(fields: dict[str, Any], lanes: int) -> int:
    """The descriptor of a layer as a number."""
    values: dict[str, int] = {}
    for name, value in fields.items():
        if isinstance(value, Nest):
            _, bits, first = NESTS[name]
            values[f"{name}_last"] = encode_last(value)
            values[f"{name}_deltas"] = encode_deltas(value, bits)
            if first:
                values[f"{name}_first"] = encode_first(value, bits)
        else:
            values[name] = value
    widths = field_bits(lanes)
    unknown = set(values) - set(widths)
    assert not unknown, unknown
    word, low = 0, 0
    for name, bits in widths.items():
        value = values.get(name, 0)
        assert 0 <= value < 2**bits, f"{name} = {value} in {bits} bits"
        word |= value << low
        low += bits
    return word
