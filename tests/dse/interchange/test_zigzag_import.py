"""What ZigZag's files say, read rightly or refused: machines by hand, layers by their equation.

How the prices agree with ZigZag's own is in tests/cost_models/test_oracles.py.
"""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.networks import ds_cnn_s
from cost_models import (
    Component,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    load_accelerator,
    load_technology,
)
from cost_models.cost import Cost
from cost_models.estimation import estimate
from cost_models.workload import CONVOLUTIONS
from dse.errors import InvalidFile
from dse.interchange import zigzag
from dse.interchange.zigzag import import_hardware, import_workload

FAULTS = Path(__file__).parents[4] / "shared" / "faults"


def port(name: str, kind: str, least: int, most: int) -> str:
    return f"{{name: {name}, type: {kind}, bandwidth_min: {least}, bandwidth_max: {most}}}"


def memory(size: int, operands: str, served: str, *ports: str, cost: float = 1.0) -> str:
    return (
        f"{{size: {size}, r_cost: {cost}, w_cost: {2 * cost}, latency: 1, operands: [{operands}], "
        f"served_dimensions: [{served}], ports: [{', '.join(ports)}]}}"
    )


def both(least: int, most: int) -> tuple[str, str]:
    return port("r_port_1", "read", least, most), port("w_port_1", "write", least, most)


WEIGHTS = memory(8, "I2", "", *both(8, 8), cost=0.8)
SUMS = memory(96, "O", "D2", *both(24, 24), cost=2.4)
SRAM = memory(
    1_000_000, "I1, I2, O", "D1, D2", port("rw_port_1", "read_write", 32, 1024), cost=1024
)
ARRAY = "{unit_energy: 1.0, dimensions: [D1, D2], sizes: [4, 4]}"


def hardware(tmp_path: Path, array: str = ARRAY, **memories: str) -> Path:
    """A file of 4 x 4 elements unless others are given: weights, sums that a row shares, an SRAM.

    A bit costs 0.1 and 0.2 pJ in the registers, 1 and 2 pJ in the SRAM, whose words have 32.
    """
    listed = memories or {"weights": WEIGHTS, "sums": SUMS, "sram": SRAM}
    lines = [f"  {name}: {text}" for name, text in listed.items()]
    path = tmp_path / "hardware.yaml"
    path.write_text("\n".join(["memories:", *lines, f"operational_array: {array}"]))
    return path


def depthwise(channels: int, taps: int, frames: int, **changes: int) -> Layer:
    return Layer(
        name="dw",
        kind=LayerKind.DEPTHWISE,
        in_channels=channels,
        out_channels=channels,
        in_frames=frames + taps - 1,
        out_frames=frames,
        kernel_size=taps,
        groups=channels,
        weights=WeightSource.TRAINED,
        rescaled=False,
        **changes,
    )


def priced(path: Path, layer: Layer) -> Cost:
    # ZigZag knows no vector unit: as many lanes as elements never bound a layer.
    machine = import_hardware(path).machine
    machine = dataclasses.replace(machine, vector_lanes=machine.arrays[0].elements)
    technology = load_technology(machine.technology)
    return estimate(Workload("one", (layer,)), machine, technology, "latency")


def counts(cost: Cost) -> dict[tuple[str, str, str], float]:
    """Bits of every operand in registers and memories."""
    return {
        (entry.part, entry.operand, entry.action): count
        for entry, count in zip(cost.prices.entries, cost.counts, strict=True)
        if count and entry.operand and entry.component is not Component.POST_PROCESSING
    }


def energy_pj(cost: Cost) -> float:
    """Of what ZigZag prices."""
    left_out = (
        Component.POST_PROCESSING,
        Component.WIRES,
        Component.CLOCK,
        Component.CONTROL,
        Component.LEAKAGE,
    )
    energy = cost.counts * cost.prices.prices_pj[:, 1]
    return float(
        sum(
            energy[row]
            for row, entry in enumerate(cost.prices.entries)
            if entry.component not in left_out
        )
    )


def test_a_depthwise_layer_of_four_taps_has_its_channels_across_the_array(tmp_path: Path) -> None:
    # 4 channels along the rows, 4 taps along the columns: a frame of all channels a cycle, 6 of
    # them. Channels by frames would take 2 x 4 cycles, a channel at a time 4 x 2.
    cost = priced(hardware(tmp_path), depthwise(4, 4, 6))
    [layer] = cost.layers
    assert (layer.busy_cycles["compute"], layer.mapping.unrolled) == (6, (4, 4, 1))
    assert counts(cost) == {
        # 16 weights stay where they are: in four words of 32 from the SRAM, a word of 8 each
        ("sram", "weights", "read"): 16 * 8,
        ("macs", "weights", "write"): 16 * 8,
        ("macs", "weights", "read"): 16 * 8,
        # each cycle, 4 channels of 4 neighbouring frames
        ("sram", "inputs", "read"): 6 * 16 * 8,
        ("macs", "inputs", "write"): 6 * 16 * 8,  # held at no price
        # the 4 products of a row are added up before its accumulator, which hands on the sum
        ("macs", "outputs", "write"): 24 * 24,
        ("macs", "outputs", "read"): (24 + 24) * 24,
        ("sram", "outputs", "write"): 24 * 8,
    }
    # 96 MACs of 1 pJ; bits above by 0.1 and 0.2 pJ in registers, 1 and 2 pJ in the SRAM
    registers = 0.1 * (128 + 1152) + 0.2 * (128 + 576)
    assert energy_pj(cost) == pytest.approx(96 + registers + 1 * (128 + 768) + 2 * 192)


def test_a_depthwise_layer_of_three_taps_has_frames_beside_its_channels(tmp_path: Path) -> None:
    # 4 channels along the rows, 4 frames along the columns, 3 taps and 2 times 4 frames in time: 6
    # cycles. With the taps along the columns a frame of all channels would take one, 8 in all.
    cost = priced(hardware(tmp_path), depthwise(4, 3, 8))
    [layer] = cost.layers
    assert (layer.busy_cycles["compute"], layer.mapping.unrolled) == (6, (4, 1, 4))
    assert layer.mapping.order == (("R", 3), ("T", 2))
    assert counts(cost) == {
        # a weight of each channel a cycle, for the 4 elements of its row a copy each
        ("sram", "weights", "read"): 6 * 4 * 8,
        ("macs", "weights", "write"): 6 * 16 * 8,
        ("macs", "weights", "read"): 6 * 16 * 8,
        ("sram", "inputs", "read"): 6 * 16 * 8,
        ("macs", "inputs", "write"): 6 * 16 * 8,
        # a row's accumulators hold its 4 sums until all 3 taps have been added
        ("macs", "outputs", "write"): 3 * 32 * 24,
        ("macs", "outputs", "read"): (3 * 32 + 32) * 24,
        ("sram", "outputs", "write"): 32 * 8,
    }
    registers = 0.1 * (768 + 3072) + 0.2 * (768 + 2304)
    assert energy_pj(cost) == pytest.approx(96 + registers + 1 * (192 + 768) + 2 * 256)


def test_narrow_weights_are_packed_and_narrow_sums_pay_for_the_port(tmp_path: Path) -> None:
    # 4 weights of 2 bits lie in the 8 bits of an element: all 16 inputs of 4 outputs are loaded
    # once, in words of 8, and read a word a MAC. Sums of 16 bits pay for ports of 24.
    layer = Layer(
        name="pw",
        kind=LayerKind.POINTWISE,
        in_channels=16,
        out_channels=4,
        in_frames=8,
        out_frames=8,
        weights=WeightSource.TRAINED,
        weight_bits=2,
        accumulator_bits=16,
        rescaled=False,
    )
    sums = SUMS.replace("size: 96", "size: 24")  # one a row: its four products meet there
    path = hardware(tmp_path, weights=WEIGHTS, sums=sums, sram=SRAM)
    machine = import_hardware(path).machine
    cost = estimate(
        Workload("one", (layer,)), machine, load_technology(machine.technology), "energy"
    )
    found = counts(cost)
    assert cost.layers[0].mapping.unrolled == (4, 4, 1)
    assert found["sram", "weights", "read"] == 64 * 2  # four words of 32
    assert found["macs", "weights", "write"] == 16 * 8
    assert found["macs", "weights", "read"] == 512 * 8
    assert found["macs", "outputs", "write"] == 4 * 32 * 24
    assert found["macs", "outputs", "read"] == (4 * 32 + 32) * 24


def test_sums_that_are_added_up_in_a_buffer_of_their_own_need_no_register(tmp_path: Path) -> None:
    buffer = memory(960, "O", "D1, D2", *both(24, 24), cost=24)
    found = import_hardware(hardware(tmp_path, weights=WEIGHTS, buffer=buffer, sram=SRAM))
    sums = found.machine.arrays[0].outputs
    assert (sums.capacity_bits, sums.shared_along) == (960, ("rows", "columns", "lanes"))
    assert [each.name for each in found.machine.memories] == ["sram"]
    assert found.notes == (
        "buffer: sums are added up there, it is read as accumulators that the whole array shares, "
        "without a limit of bandwidth",
    )
    # With no such buffer an accumulator is assumed, and that is said.
    bare = import_hardware(hardware(tmp_path, weights=WEIGHTS, sram=SRAM))
    assert bare.machine.arrays[0].outputs.capacity_bits == 24
    assert "one accumulator of 24 bits in each element is assumed" in bare.notes[0]


def test_double_buffers_stay_double_buffered(tmp_path: Path) -> None:
    text = SRAM.replace("latency: 1", "latency: 1, force_double_buffering: true")
    found = import_hardware(hardware(tmp_path, weights=WEIGHTS, sums=SUMS, sram=text))
    assert (found.machine.memories[0].double_buffered, found.notes) == (True, ())


FOUR = "{dimensions: [D1, D2, D3, D4], sizes: [8, 4, 2, 3], unit_energy: 1.0}"
WHOLE = SRAM.replace("D1, D2]", "D1, D2, D3, D4]")


def test_dimensions_that_no_memory_tells_apart_are_one_axis(tmp_path: Path) -> None:
    weights = WEIGHTS.replace("served_dimensions: []", "served_dimensions: [D3, D4]")
    found = import_hardware(hardware(tmp_path, FOUR, weights=weights, sums=SUMS, sram=WHOLE))
    array = found.machine.arrays[0]
    assert array.sizes == (8, 4, 6)
    assert (array.weights.shared_along, array.outputs.shared_along) == (("lanes",), ("columns",))
    assert found.notes == (
        "D3 and D4 are one axis of 6 elements, which no memory tells apart: mappings that lay "
        "different loops over them are not tried",
    )


def test_four_dimensions_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    weights = WEIGHTS.replace("served_dimensions: []", "served_dimensions: [D3]")
    inputs = memory(8, "I1", "D4", *both(8, 8))
    path = hardware(tmp_path, FOUR, weights=weights, inputs=inputs, sums=SUMS, sram=WHOLE)
    with pytest.raises(InvalidFile, match=r"has 4 dimensions that differ .* \(D1, D2, D3, D4\)"):
        import_hardware(path)
    # Served alike, but told to carry different loops.
    weights = WEIGHTS.replace("served_dimensions: []", "served_dimensions: [D3, D4]")
    path = hardware(tmp_path, FOUR, weights=weights, sums=SUMS, sram=WHOLE)
    flows = "dataflows: {D1: ['K, 8'], D2: ['C, 4'], D3: ['OX, 2'], D4: ['FX, 3']}\n"
    path.write_text(flows + path.read_text())
    with pytest.raises(InvalidFile, match="in the loops that they carry"):
        import_hardware(path)
    path.write_text(path.read_text().replace("FX, 3", "OX, 3"))
    found = import_hardware(path)
    assert found.machine.arrays[0].sizes == (8, 4, 6)
    assert found.notes[-1].startswith("dataflows is left out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sram": SRAM.replace("ports: [", f"ports: [{port('r_port_1', 'read', 32, 64)}, ")},
            r"memories\.sram has ports with a bandwidth_max of 64 and 1,024 bits: a memory of ours "
            r"has ports of one width; give them one, or make it two memories \(.*yaml:4\)",
        ),
        (
            {"sums": SUMS.replace("bandwidth_min: 24", "bandwidth_min: 12", 1)},
            r"memories\.sums has ports with a bandwidth_min of 12 and 24 bits: a register",
        ),
        (
            {"sram": SRAM.replace("read_write", "write")},
            r"memories\.sram has no port that can read: what lies in a memory came there, and goes",
        ),
        (
            {"sram": SRAM.replace("r_cost: 1024", "r_cost: 1.0e+15")},
            r"memories\.sram\.r_cost must be at most 1e\+09 pJ, not 1e\+15",
        ),
        (
            {"sums": SUMS.replace("size: 96", "size: 16")},
            r"word_bits must be at most capacity_bits \(16\)",
        ),
        (
            {"again": WEIGHTS},
            r"memories\.again stands outside of sram: registers come first",
        ),
        (
            {"sram": SRAM.replace("[D1, D2]", "[D1]")},
            r"memories\.sram serves part of the array and holds 3 operands",
        ),
    ],
)
def test_what_a_machine_cannot_be_is_one_sentence(
    changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    memories = {"weights": WEIGHTS, "sums": SUMS, "sram": SRAM} | changes
    if "again" in changes:
        del memories["weights"]
    with pytest.raises(InvalidFile, match=message):
        import_hardware(hardware(tmp_path, **memories))


def test_a_memory_that_reads_wider_than_it_writes_keeps_both_prices(tmp_path: Path) -> None:
    # An access costs 1,024 pJ for 1,024 bits read, 2,048 pJ for 64 written.
    ports = (port("r", "read", 32, 1024), port("w", "write", 32, 64))
    sram = memory(1_000_000, "I1, I2, O", "D1, D2", *ports, cost=1024)
    found = import_hardware(hardware(tmp_path, weights=WEIGHTS, sums=SUMS, sram=sram))
    [level] = found.machine.memories
    assert level.read_pj_per_bit is not None and level.write_pj_per_bit is not None
    assert (level.read_pj_per_bit.value, level.write_pj_per_bit.value) == (1.0, 32.0)
    assert (level.bandwidth_bits_per_cycle, level.word_bits, level.ports) == (64, 32, "separate")
    assert any("1,024 and 64 bits a cycle" in note for note in found.notes)


def test_more_ports_than_ours_have_are_told(tmp_path: Path) -> None:
    text = SRAM.replace("ports: [", f"ports: [{port('rw_port_2', 'read_write', 32, 1024)}, ")
    found = import_hardware(hardware(tmp_path, weights=WEIGHTS, sums=SUMS, sram=text))
    assert found.notes == (
        "sram has 2 ports, read as one port that reads or writes: it may take more cycles",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: quad\ncores: [a.yaml, b.yaml]\ngraph: {type: bus, bandwidth: 32}\n",
            r"this is an accelerator of Stream, several cores .* choose one by its number there, "
            r"--core 0, which gets .*\(.*yaml:2\)",
        ),
        (
            "memories: {}\nmultipliers: {sizes: [16, 16], dimensions: [D1, D2]}\n",
            r"a file of ZigZag before 3\.8, with 'multipliers': since then it is 'operational_arr",
        ),
        (
            "memories:\n  rf: {size: 8, r_bw: 8, w_bw: 8, r_port: 1}\noperational_array: {}\n",
            r"memories\.rf has its ports as in ZigZag before 3\.8 \(r_bw, r_port\): since then",
        ),
    ],
)
def test_relatives_of_a_hardware_file_are_called_what_they_are(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "hardware.yaml"
    path.write_text(text)
    with pytest.raises(InvalidFile, match=message):
        import_hardware(path)


def test_areas_and_latencies_of_the_file_are_told_as_left_out(tmp_path: Path) -> None:
    sram = SRAM.replace("latency: 1", "latency: 3, area: 0.5")
    array = ARRAY.replace("unit_energy: 1.0", "unit_energy: 1.0, unit_area: 2.5")
    found = import_hardware(hardware(tmp_path, array, weights=WEIGHTS, sums=SUMS, sram=sram))
    assert found.notes == (
        "area of sram is left out, it has no unit: the technology gives one",
        "latency of sram (3) is left out: accesses are pipelined",
        "unit_area is left out, it has no unit: the technology gives the area",
    )


# --- layers

LAYER = """
- {{id: 0, operator_type: {operator}, equation: '{equation}', dimension_relations: {relations},
   loop_dims: [{dims}], loop_sizes: [{sizes}], operand_source: {{I: 0, W: 0}},
   operand_precision: {{W: 8, I: 8, O: 24, O_final: 8}}}}
"""


def layers_file(
    tmp_path: Path,
    equation: str,
    dims: str,
    sizes: str,
    operator: str = "Gemm",
    relations: str = "[]",
) -> Path:
    path = tmp_path / "workload.yaml"
    path.write_text(
        LAYER.format(
            operator=operator, equation=equation, relations=relations, dims=dims, sizes=sizes
        )
    )
    return path


@pytest.mark.parametrize(
    ("equation", "dims", "sizes"),
    [
        ("O[b][d][k]+=I[b][d][c]*W[c][k]", "B, D, K, C", "1, 50, 24, 40"),
        ("O[d1][d0]+=I[d1][d2]*W[d2][d0]", "D1, D0, D2", "50, 24, 40"),
        ("O[c][d]+=I[c][k]*W[k][d]", "C, D, K", "50, 24, 40"),
        ("O[b][d][k] += W[c][k] * I[b][d][c]", "B, D, K, C", "2, 25, 24, 40"),
    ],
)
def test_a_product_of_matrices_is_read_by_where_its_indices_stand(
    equation: str, dims: str, sizes: str, tmp_path: Path
) -> None:
    # 50 rows of 40 numbers times 40 x 24: 50 frames, 40 channels in, 24 out.
    [layer] = import_workload(layers_file(tmp_path, equation, dims, sizes)).layers
    assert (layer.in_channels, layer.out_channels, layer.out_frames) == (40, 24, 50)
    assert (layer.kind, layer.weight_entries, layer.macs) == (LayerKind.POINTWISE, 960, 48_000)


def test_a_depthwise_layer_of_other_letters(tmp_path: Path) -> None:
    equation = "O[b][k][oy]+=W[k][fy]*I[b][k][iz]"
    path = layers_file(tmp_path, equation, "B, K, OZ, FZ", "1, 6, 9, 3", "Conv", "['iz=1*oz+2*fz']")
    path.write_text(path.read_text().replace("oy", "oz").replace("fy", "fz"))
    [layer] = import_workload(path).layers
    assert (layer.kind, layer.in_channels, layer.groups) == (LayerKind.DEPTHWISE, 6, 6)
    assert (layer.kernel_size, layer.dilation, layer.macs) == (3, 2, 6 * 9 * 3)


def test_a_second_axis_of_one_step_is_none(tmp_path: Path) -> None:
    equation = "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"
    dims, sizes = "B, K, C, OY, OX, FY, FX", "1, 8, 4, 1, 10, 1, 3"
    relations = "['ix=2*ox+1*fx', 'iy=1*oy+1*fy']"
    path = layers_file(tmp_path, equation, dims, sizes, "Conv", relations)
    [layer] = import_workload(path).layers
    assert (layer.kind, layer.stride, layer.kernel_size) == (LayerKind.CONVOLUTION, 2, 3)
    assert (layer.in_frames, layer.macs) == (19, 8 * 4 * 10 * 3)
    path.write_text(path.read_text().replace("4, 1, 10", "4, 2, 10"))
    [layer] = import_workload(path).layers
    assert (layer.out_frames, layer.out_bins, layer.kernel_bins) == (10, 2, 1)


def test_layers_with_bins_come_back_as_they_were(tmp_path: Path) -> None:
    before = [each for each in ds_cnn_s().layers if each.kind in CONVOLUTIONS]
    path, notes = tmp_path / "ds_cnn_s.yaml", list[str]()
    path.write_text(zigzag.workload_yaml(ds_cnn_s(), load_accelerator("kws_int8")))
    after = import_workload(path, notes=notes).layers
    names = [
        *("name", "kind", "in_channels", "out_channels", "groups", "macs", "taps"),
        *("in_frames", "out_frames", "kernel_size", "stride", "dilation"),
        *("in_bins", "out_bins", "kernel_bins", "bin_stride", "bin_dilation"),
    ]
    for one, other in zip(after, before, strict=True):
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    # What is between them, the pool, is not in the file.
    assert notes == [
        "fc reads 64 channels of 1 frames, and pw4 makes 64 channels of 25 frames of 5 bins: what "
        "stands between them is not in the file, and not priced"
    ]


def test_an_image_of_one_row_is_a_row_of_frames(tmp_path: Path) -> None:
    equation = "O[b][k][oy]+=W[k][c][fy]*I[b][c][iy]"
    dims, sizes = "B, K, C, OY, FY", "1, 8, 4, 10, 3"
    path = layers_file(tmp_path, equation, dims, sizes, "Conv", "['iy=oy+fy']")
    [layer] = import_workload(path).layers
    assert (layer.out_frames, layer.kernel_size, layer.out_bins) == (10, 3, 1)


def test_two_relations_of_frames_are_refused(tmp_path: Path) -> None:
    equation = "O[b][k][ox][oz]+=W[k][c][fx][fz]*I[b][c][ix][iz]"
    relations = "['ix=ox+fx', 'iz=oz+fz']"
    path = layers_file(
        tmp_path, equation, "B, K, C, OX, OZ, FX, FZ", "1, 8, 4, 9, 9, 3, 3", "Conv", relations
    )
    with pytest.raises(InvalidFile, match="has 2 dimension_relations: layers have one of frames"):
        import_workload(path)


@pytest.mark.parametrize(
    ("equation", "dims", "sizes", "message"),
    [
        ("O[b][d][k]+=I[b][d][c]*W[b][c][k]", "B, D, K, C", "2, 5, 4, 3", "are activations"),
        ("O[d][k]+=I[d][c]*V[c][k]", "D, K, C", "5, 4, 3", "cannot read the equation"),
        ("O[d][k]+=I[d][c]*I[c][k]", "D, K, C", "5, 4, 3", "cannot read the equation"),
        ("O[d][k]+=I[d][c]*W[c][k]", "D, K, C, H", "5, 4, 3, 2", "loop H stands in none of O, W"),
        ("O[d][k]+=I[d][c]*W[c][k]", "D, K, K", "5, 4, 3", "a loop stands in loop_dims twice"),
        ("O[d][k]+=I[d][c]*W[c][k]", "D, K, C", "5, 4, 0", "must be 1 to 2,147,483,647, not 0"),
        ("O[d][k]+=I[d][c]*W[c][k]", "D, K, C", "5, 4, 9999999999", "not 9,999,999,999"),
        ("O[d][k]+=I[d][c]*W[c][k]", "D, K, C", f"{2**30}, {2**30}, 9", "2.53 or more"),
    ],
)
def test_a_layer_that_is_none_of_ours_is_one_sentence(
    equation: str, dims: str, sizes: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidFile, match=message) as refused:
        import_workload(layers_file(tmp_path, equation, dims, sizes))
    assert len(str(refused.value)) < 400


def chain(tmp_path: Path, *entries: str) -> Path:
    """Layers of 8 channels and 10 frames, each with further keys."""
    path = tmp_path / "workload.yaml"
    lines = [
        "{operator_type: Conv, equation: 'O[b][k][ox]+=W[k][c]*I[b][c][ox]', loop_dims: [K, C, OX],"
        f" loop_sizes: [8, 8, 10], {entry}}}"
        for entry in entries
    ]
    path.write_text("".join(f"- {line}\n" for line in lines))
    return path


BITS = "operand_precision: {W: 8, I: 8, O: 24, O_final: 8}"


def test_who_reads_whom_is_what_operand_source_says(tmp_path: Path) -> None:
    path = chain(
        tmp_path,
        f"id: 5, name: a, {BITS}, operand_source: {{I: 5, W: 5}}",
        f"id: 6, name: b, {BITS}, operand_source: {{I: 5, W: 6}}",
        f"id: 7, name: c, {BITS}, operand_source: {{I: 5, W: 7}}",  # a branch: not b
        f"id: 8, name: d, {BITS}",
        f"id: 9, name: e, {BITS}, operand_source: {{I: 99}}",
    )
    notes: list[str] = []
    layers = import_workload(path, notes=notes).layers
    assert [layer.reads for layer in layers] == [(), ("a",), ("a",), ("c",), ("d",)]
    assert notes == [
        "d: operand_source says no source of I: read as a chain",
        "e: operand_source names 99, which is no layer before it: read as a chain",
    ]


def test_what_is_assumed_of_a_layer_is_told(tmp_path: Path) -> None:
    path = chain(
        tmp_path, "id: 0, name: a, operand_precision: {W: 0, I: 4}, core_allocation: 1, sparse: 2"
    )
    notes: list[str] = []
    [layer] = import_workload(path, notes=notes).layers
    assert (layer.weight_bits, layer.input_bits, layer.accumulator_bits) == (1, 4, 24)
    assert notes == [
        "a: operand_precision leaves out bits: assumed are O 24, O_final 8",
        "a: weights of 0 bits are read as 1 bit",
        "a: core_allocation, sparse is not known, and left out",
    ]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            (f"id: 0, name: a, {BITS}", f"id: 0, name: b, {BITS}"),
            "id must be a whole number of its",
        ),
        (
            (f"id: 0, name: input, {BITS}",),
            "name must be a text of 200 letters at most, and not 'i",
        ),
        ((f"id: 0, name: [a], {BITS}",), "name must be a text of 200 letters at most"),
        ((f"id: 0, name: a, {BITS}", f"id: 1, name: a, {BITS}"), "has two layers named 'a'"),
    ],
)
def test_layers_of_one_name_or_number_are_refused(
    entries: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidFile, match=message):
        import_workload(chain(tmp_path, *entries))


def test_input_frames_are_those_of_the_axis_that_is_read(tmp_path: Path) -> None:
    equation = "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"
    dims, sizes = "B, K, C, OY, OX, FY, FX", "1, 8, 4, 1, 10, 1, 3"
    relations = "['ix=1*ox+1*fx', 'iy=1*oy+1*fy']"
    path = layers_file(tmp_path, equation, dims, sizes, "Conv", relations)
    whole = path.read_text()

    def written(pr: str) -> Path:
        path.write_text(whole.replace("operand_source", f"{pr}, operand_source"))
        return path

    [layer] = import_workload(written("pr_loop_dims: [IY, IX], pr_loop_sizes: [1, 12]")).layers
    assert (layer.in_frames, layer.out_frames) == (12, 10)
    for pr, message in (
        (
            "pr_loop_dims: [IY, IX], pr_loop_sizes: [12, 1]",
            "a second axis of 12, which no relation",
        ),
        ("pr_loop_dims: [IY], pr_loop_sizes: [1, 12]", "has 2 sizes, and pr_loop_dims 1 names"),
        ("pr_loop_dims: [IY, IZ], pr_loop_sizes: [1, 12]", "of which one must be IX"),
        ("pr_loop_dims: [IX], pr_loop_sizes: [0]", "must be 1 to 2,147,483,647, not 0"),
    ):
        with pytest.raises(InvalidFile, match=message):
            import_workload(written(pr))


def test_a_mapping_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    for text in (
        "- {name: default, spatial_mapping: {D1: ['K, 8']}, memory_operand_links: {O: O}}",
        "- {name: Layer0, core_allocation: [0], intra_core_tiling: ['OY, all']}",
    ):
        path.write_text(text)
        with pytest.raises(InvalidFile, match="is an entry of a mapping, of ZigZag or of Stream"):
            import_workload(path)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="no folder ../shared/faults")
def test_files_of_shared_are_read_rightly_or_refused() -> None:
    for name in ("zigzag_gemm_numbered_loops", "zigzag_gemm_other_letters"):
        [layer] = import_workload(FAULTS / f"{name}.yaml").layers
        assert (layer.in_channels, layer.out_channels, layer.out_frames) == (40, 24, 50)
    with pytest.raises(InvalidFile, match=r"buf has ports with a bandwidth_max of 64 and 1,024"):
        import_hardware(FAULTS / "zigzag_ports_of_two_widths.yaml")
    with pytest.raises(InvalidFile, match=r"the whole number '10{78}... is too large"):
        import_workload(FAULTS / "zigzag_workload_overflow.yaml")
