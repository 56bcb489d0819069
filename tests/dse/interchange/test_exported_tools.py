"""Files for ZigZag, SCALE-Sim and AccelForge: read back, by the tools themselves, and by hand.

Our estimate is held against figures that `benchmarks/run_exported.py` took from the tools, kept
with a hash of the files that they were made from. One case of each tool runs anew: it must say the
same.
"""

import dataclasses
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cost_models import (
    Cost,
    Workload,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.accelerator import ComputeArray
from cost_models.energy import Component
from cost_models.workload import CONVOLUTIONS, Layer
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.errors import InvalidFile, InvalidInput
from dse.interchange import accelforge, scalesim, zigzag
from dse.interchange.exporting import TOOLS, tool_files
from dse.networks.lowering import lower

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "tests" / "dse" / "interchange" / "exported").glob("*.json"))


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "run_exported", ROOT / "benchmarks/run_exported.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUNNER = runner()


def figures_of(path: Path) -> tuple[dict, list[dict]]:
    """A golden file, and its layers."""
    golden = json.loads(path.read_text())
    files = RUNNER.exported(golden["tool"], golden["case"])
    assert RUNNER.digest(files) == golden["sha256"], "run benchmarks/run_exported.py again"
    return golden, golden["layers"]


ANEW = 4
"""Layers of a case that run anew: both kinds of convolution, weights of 8 and of 2 bits. All take
half a minute, and differ by their sizes alone."""


def beginning(files: dict[str, str]) -> dict[str, str]:
    """The files of a tool with the first layers of their network alone."""
    cut = dict(files)
    if "workload.yaml" in files:
        layers = yaml.safe_load(files["workload.yaml"])[:ANEW]
        cut["workload.yaml"] = yaml.safe_dump(layers, sort_keys=False)
    for name in files.keys() & {"topology.csv", "layout.csv"}:
        cut[name] = "".join(files[name].splitlines(keepends=True)[: 1 + ANEW])
    return cut


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("zigzag__matchboxnet-3x1x64-P2__kws_int8", marks=pytest.mark.soak),
        "scalesim__matchboxnet-3x1x64__systolic_32x32",
    ],
)
def test_the_tool_itself_says_what_is_kept(name: str, pytestconfig: pytest.Config) -> None:
    golden = json.loads((ROOT / "tests/dse/interchange/exported" / f"{name}.json").read_text())
    assert pytestconfig.cache is not None
    # Once a checkout: pip takes some seconds.
    packages = RUNNER.installed(golden["tool"], pytestconfig.cache.mkdir("tools"))
    files = beginning(RUNNER.exported(golden["tool"], golden["case"]))
    layers, kept_layers = RUNNER.run(golden["tool"], packages, files), golden["layers"][:ANEW]
    assert [layer["layer"] for layer in layers] == [layer["layer"] for layer in kept_layers]
    for found, kept in zip(layers, kept_layers, strict=True):
        for figure in kept.keys() - {"layer"}:
            assert found[figure] == pytest.approx(kept[figure], rel=1e-9), (kept["layer"], figure)


def cost_of(case: list) -> Cost:
    # Each layer by itself, as ZigZag runs it.
    machine = dataclasses.replace(RUNNER.find_machine(case[1]), residency="never")
    lowered = RUNNER.find_workload(case)
    # They know of no records, and of no biases.
    layers = tuple(dataclasses.replace(each, rescaled=False, bias=False) for each in lowered.layers)
    workload = dataclasses.replace(lowered, layers=layers)
    return estimate(workload, machine, load_technology(machine.technology))


def energies_of(cost: Cost, *, macs: bool = True) -> dict[str, float]:
    """Layer -> pJ of what ZigZag prices, too; without the arithmetic where `macs` is False."""
    left_out = {
        Component.POST_PROCESSING,
        Component.WIRES,
        Component.CLOCK,
        Component.CONTROL,
        Component.LEAKAGE,
    }
    if not macs:
        left_out.add(Component.MULTIPLY_ACCUMULATE)
    found = {}
    for layer in cost.layers:
        if layer.layer.kind not in CONVOLUTIONS:
            continue
        energy = layer.counts * layer.prices.prices_pj[:, 1]
        entries = layer.prices.entries
        found[layer.layer.name] = sum(
            energy[row]
            for row, entry in enumerate(entries)
            if entry.component not in left_out
            # The latch of the inputs, which the tools do not know.
            and (entry.component, entry.operand) != (Component.REGISTER, "inputs")
        )
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in GOLDEN if path.name.startswith("zigzag__matchboxnet")],
    ids=lambda path: path.stem,
)
def test_zigzag_on_an_exported_design_agrees_with_our_estimate(path: Path) -> None:
    golden, layers = figures_of(path)
    cost = cost_of(golden["case"])
    # A MAC costs the same there whatever its weight's width, which is ZigZag's known limit.
    ours = energies_of(cost, macs=False)
    theirs = {layer["layer"]: layer["energy_pj"] - layer["mac_energy_pj"] for layer in layers}
    assert list(theirs) == list(ours)
    assert sum(layer["macs"] for layer in layers) == sum(
        layer.layer.weight_entries * layer.layer.out_frames
        for layer in cost.layers
        if layer.layer.kind in CONVOLUTIONS
    )
    narrow = {each.layer.name for each in cost.layers if each.layer.weight_bits < 8}
    mapping = yaml.safe_load(RUNNER.exported("zigzag", golden["case"])["mapping.yaml"])
    prescribed = {row["name"] for row in mapping} - {"default"}
    assert len(prescribed) > len(ours) / 2
    for name, energy in ours.items():
        difference = energy / theirs[name] - 1
        # docs/evidence/model.md: over all orders of loops, it finds a layer at most 3.4 % better
        # than ours.
        assert difference < 0.034, name
        if name in narrow:
            # Four trits fit a register of 8 bits, and come in one word; there, one in a word.
            assert -0.45 < difference < 0.001, name
        elif name in prescribed:  # unrolled alike, the difference is the order of loops alone
            assert abs(difference) < 0.08, name
    equal = [name for name in prescribed if ours[name] == pytest.approx(theirs[name], rel=1e-6)]
    assert len(equal) >= 6, "accesses of the same mapping are the same, level by level"
    ours, theirs = (
        {name: energy for name, energy in each.items() if name not in narrow}
        for each in (ours, theirs)
    )
    assert sum(ours.values()) == pytest.approx(sum(theirs.values()), rel=0.02)


def test_layers_with_bins_cost_what_they_cost_in_zigzag() -> None:
    # 24 frames fill the 8 rows that ZigZag unrolls them over, so that bins, which it has apart, are
    # as many passes there as here: 3 x 3 windows overlap in both dimensions, and all is the same.
    golden, layers = figures_of(GOLDEN[0].with_name("zigzag__ds-cnn-s-block__kws_int8.json"))
    ours = energies_of(cost_of(golden["case"]), macs=False)
    theirs = {layer["layer"]: layer["energy_pj"] - layer["mac_energy_pj"] for layer in layers}
    assert set(ours) == {"dw1", "pw1"}
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_accelforge_refuses_layers_with_bins_by_name() -> None:
    machine = load_accelerator("kws_int8")
    technology = load_technology(machine.technology)
    workload = RUNNER.find_workload(["ds-cnn-s", "kws_int8", 49, 12])
    with pytest.raises(InvalidInput, match="conv has frames of 10 bins, and what is written for a"):
        tool_files("accelforge", workload, machine, technology)


def test_scalesim_has_one_stride_for_frames_and_bins() -> None:
    # As many bins as the outputs need at the stride of the frames: 49 x 10 in, of which the kernel
    # of 10 x 4 sees 58 x 12 with padding; with a bin stride of 1, five outputs still are five.
    [layer, *_] = RUNNER.find_workload(["ds-cnn-s", "systolic_32x32", 49, 12]).layers
    for bin_stride in (1, 2):
        one = dataclasses.replace(layer, bin_stride=bin_stride)
        [_, line] = scalesim.topology_csv(Workload("one", (one,))).splitlines()
        assert line == "conv,58,12,10,4,1,64,2,1:1,"


def closed_form(array: ComputeArray, layer: Layer) -> int:
    """Cycles that SCALE-Sim 3.0.0 reports without stalls: docs/evidence/model.md, fitted to it.

    M pixels, N filters, K inputs of a filter, on an array of R rows and C columns.
    """
    m, n = layer.out_pixels, layer.out_channels // layer.groups
    k = layer.in_channels // layer.groups * layer.taps
    r, c = array.rows, array.columns
    if array.dataflow in ("weight_stationary", "auto"):
        cycles = -(-k // r) * -(-n // c) * (2 * r + c + m - 2) - 1
    elif array.dataflow == "output_stationary":
        cycles = -(-m // r) * -(-n // c) * (r + c + k - 2) - 1
    else:
        cycles = -(-k // r) * -(-m // c) * (2 * r + c + n - 2) - 1
    return layer.groups * cycles


@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if "scalesim" in path.name], ids=lambda path: path.stem
)
def test_scalesim_on_an_exported_design_has_our_cycles(path: Path) -> None:
    golden, layers = figures_of(path)
    machine = RUNNER.find_machine(golden["case"][1])
    workload = RUNNER.find_workload(golden["case"])
    convolutions = [layer for layer in workload.layers if layer.kind in CONVOLUTIONS]
    assert len(layers) == len(convolutions)
    for layer, row in zip(convolutions, layers, strict=True):
        assert row["layer"] == scalesim.run_name(layer) and row["stalls"] == 0
        assert layer.groups * row["cycles"] == closed_form(machine.arrays[0], layer)


@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if "accelforge" in path.name], ids=lambda path: path.stem
)
def test_accelforge_on_an_exported_design_agrees_with_our_estimate(path: Path) -> None:
    golden, layers = figures_of(path)
    cost = cost_of(golden["case"])
    ours = energies_of(cost)
    theirs = {layer["layer"]: layer["energy_pj"] for layer in layers}
    assert list(theirs) == [name.replace(".", "_") for name in ours]
    # Each MAC costs the same, so what differs is how often memories are accessed.
    arithmetic = sum(ours.values()) - sum(energies_of(cost, macs=False).values())
    assert sum(layer["mac_energy_pj"] for layer in layers) == pytest.approx(arithmetic, rel=1e-6)
    for name, energy in ours.items():
        assert -0.13 < energy / theirs[name.replace(".", "_")] - 1 < 0.04, name
    assert sum(ours.values()) / sum(theirs.values()) - 1 == pytest.approx(-0.074, abs=0.001)


def test_there_are_golden_figures() -> None:
    assert {path.name.split("__")[0] for path in GOLDEN} == set(RUNNER.CASES)


GROUPED = DesignPoint(
    in_channels=8,
    blocks=(
        Block(name="A", out_channels=12, kernel_size=5, separable=False, groups=4, stride=2),
        Block(name="B", out_channels=6, kernel_size=1, stride=3, separable=False),
        Block(name="C", out_channels=6, kernel_size=7, dilation=3),
    ),
)


@pytest.mark.parametrize("design", ["matchboxnet-3x1x64", "quartznet-5x5", "grouped"])
def test_zigzag_workload_comes_back_with_the_same_counts(design: str, tmp_path: Path) -> None:
    point = GROUPED if design == "grouped" else published(design)
    machine = load_accelerator("kws_int8")
    before = lower(point, frames=100, outputs=12)
    path = tmp_path / "workload.yaml"
    path.write_text(zigzag.workload_yaml(before, machine))
    after = zigzag.import_workload(path)
    shapes = (
        "name",
        "in_channels",
        "out_channels",
        "out_frames",
        "kernel_size",
        "stride",
        "dilation",
        "groups",
        "macs",
        "weight_entries",
    )
    expected = [layer for layer in before.layers if layer.kind in CONVOLUTIONS]
    for shape in shapes:
        assert [getattr(each, shape) for each in after.layers] == [
            # A 1x1 has no stride in an equation of its outputs.
            getattr(each, shape)
            for each in expected
        ], shape


@pytest.mark.parametrize("name", accelerator_names())
def test_zigzag_hardware_comes_back_as_the_same_machine(name: str, tmp_path: Path) -> None:
    machine = load_accelerator(name)
    technology = load_technology(machine.technology)
    path = tmp_path / f"{name}.yaml"
    path.write_text(zigzag.hardware_yaml(machine, technology))
    back = zigzag.import_hardware(path, clock_mhz=machine.clock_mhz).machine
    for one, other in zip(back.memories, machine.memories, strict=True):
        for field in (
            "name",
            "holds",
            "capacity_bits",
            "bandwidth_bits_per_cycle",
            "ports",
            "access_bits",
        ):
            given = getattr(other, field)
            found = getattr(one, field)
            assert set(found) == set(given) if field == "holds" else found == given
    array, given_array = back.arrays[0], zigzag.mac_array(machine)
    assert array.elements == given_array.elements
    assert array.accumulator_bits == given_array.accumulator_bits
    # What it costs is the same but for what a file of ZigZag cannot say.
    workload = lower(published("matchboxnet-1x1x8"), frames=64, outputs=12)
    again = tmp_path / "again.yaml"
    again.write_text(zigzag.hardware_yaml(back, technology))
    first, second = (yaml.safe_load(each.read_text()) for each in (path, again))
    for memory, found in zip(first["memories"].values(), second["memories"].values(), strict=True):
        for cost in ("r_cost", "w_cost"):
            assert found[cost] == pytest.approx(memory[cost], rel=1e-9, abs=1e-6)
    assert second["operational_array"]["unit_energy"] == pytest.approx(
        first["operational_array"]["unit_energy"]
    )
    assert zigzag.workload_yaml(workload, back)


TPU = """
name: tpu_like
memories:
  rf:
    {size: 1024, r_cost: 0.095, w_cost: 0.095, latency: 1, operands: [I2], served_dimensions: [],
     ports: [{name: r_port_1, type: read, bandwidth_min: 8, bandwidth_max: 8},
             {name: w_port_1, type: write, bandwidth_min: 8, bandwidth_max: 8}]}
  sums:
    {size: 16, r_cost: 0.021, w_cost: 0.021, latency: 1, operands: [O], served_dimensions: [],
     ports: [{name: r_port_1, type: read, bandwidth_min: 16, bandwidth_max: 16},
             {name: w_port_1, type: write, bandwidth_min: 16, bandwidth_max: 16}]}
  sram:
    size: 16777216
    r_cost: 416.16
    w_cost: 378.4
    latency: 1
    operands: [I1, O]
    ports: [{name: r_port_1, type: read, bandwidth_min: 1, bandwidth_max: 1}]
    ports: [{name: r_port_1, type: read, bandwidth_min: 64, bandwidth_max: 2048},
            {name: w_port_1, type: write, bandwidth_min: 64, bandwidth_max: 2048}]
    served_dimensions: [D1, D2]
  dram:
    {size: 10000000000, r_cost: 700, w_cost: 750, latency: 1, operands: [I1, I2, O],
     ports: [{name: rw_port_1, type: read_write, bandwidth_min: 64, bandwidth_max: 64}],
     served_dimensions: [D1, D2]}
operational_array:
  {unit_energy: 0.04, dimensions: [D1, D2], sizes: [32, 32], systolic_dimensions: [D1, D2]}
"""
"""Figures of ZigZag 3.9.1's tpu_like, with its doubled key `ports`: PyYAML keeps the last."""


def test_zigzags_tpu_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "tpu.yaml"
    path.write_text(TPU)
    found = zigzag.import_hardware(path)
    assert len(found.notes) == 1
    assert "duplicate key 'memories.sram.ports'" in found.notes[0]
    assert found.notes[0].endswith("; the last one holds")
    ours = load_accelerator("tpu_like")  # written by hand from the same file
    for one, other in zip(found.machine.memories, ours.memories, strict=True):
        assert one.read_pj_per_bit.value == pytest.approx(other.read_pj_per_bit.value)
        assert one.write_pj_per_bit.value == pytest.approx(other.write_pj_per_bit.value)
    assert found.machine.arrays[0].operation_pj.value == 0.04
    workload = lower(published("matchboxnet-3x1x64"), frames=128, outputs=12)
    technology = load_technology("low_leakage_45nm")
    imported = energies_of(estimate(workload, found.machine, technology))
    by_hand = energies_of(estimate(workload, ours, technology))
    assert sum(imported.values()) == pytest.approx(sum(by_hand.values()), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "unknown key 'a'"),
        ("[" * 5_000, "more than 64 levels"),
        ("!!python/object/apply:os.system ['true']", "operational_array|mapping of keys"),
        (
            "memories: {}\noperational_array: {dimensions: [], sizes: []}",
            "one or more distinct dim",
        ),
        (TPU.replace("sizes: [32, 32]", "sizes: [3200000, 32000000]"), "elements"),
        (TPU.replace("size: 1024,", "size: -1,"), r"memories\.rf\.size must be positive, not -1"),
        (TPU.replace("unit_energy", "is_imc: true, unit_energy"), "compute in memory"),
        (
            TPU.replace("operands: [I2]", "operands: [I2, O]"),
            "part of the array and holds 2 operands",
        ),
        (TPU.replace("served_dimensions: [D1, D2]", "served_dimensions: [D7]"), "serves 'D7'"),
        ("x" * 1_000_001, "is too large"),
    ],
)
def test_hostile_hardware_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hardware.yaml"
    path.write_text(text)
    with pytest.raises(InvalidFile, match=message):
        zigzag.import_hardware(path)


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidFile, match="more than 100,000 YAML nodes"):
        zigzag.is_workload(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("operator_type: Conv", "operator_type: Pooling"), "operator 'Pooling' is not supported"),
        (("- B\n", "- OY\n"), "duplicate|one dimension"),
        (("- OX\n", "- OY\n"), "has ox, which is no loop of loop_dims"),
        (("ix=1*ox+1*fx", "ix=1*ox+a"), "has a, which is no loop of loop_dims"),
    ],
)
def test_layers_of_other_kinds_are_named(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    workload = lower(published("matchboxnet-1x1x8"), frames=64, outputs=12)
    text = zigzag.workload_yaml(workload, load_accelerator("kws_int8"))
    assert change[0] in text
    path = tmp_path / "workload.yaml"
    path.write_text(text.replace(*change, 1))
    if message.startswith("duplicate"):  # B of one step is OY of one step: still one dimension
        assert zigzag.import_workload(path).macs == sum(layer.macs for layer in workload.layers)
        return
    with pytest.raises(InvalidFile, match=message):
        zigzag.import_workload(path)


def test_scalesim_cfg_comes_back(tmp_path: Path) -> None:
    machine = load_accelerator("systolic_32x32")
    path = tmp_path / "machine.cfg"
    path.write_text(scalesim.configuration(machine))
    back = scalesim.import_configuration(path).machine
    assert (back.arrays[0].rows, back.arrays[0].columns) == (32, 32)
    assert back.arrays[0].dataflow == "weight_stationary"
    # 64 KiB of weights; 128 KiB that inputs and outputs share evenly.
    assert [memory.capacity_bits for memory in back.memories[:3]] == [524_288] * 3
    assert back.memories[-1].bandwidth_bits_per_cycle == 64
    assert scalesim.configuration(back).replace("machine", "systolic_32x32") == path.read_text()


def test_scalesim_topology_by_hand() -> None:
    # 64 features x 11 taps of stride 1 to 128 frames: 138 input frames; one channel, 64 runs.
    text = scalesim.topology_csv(lower(published("matchboxnet-3x1x64"), frames=128, outputs=12))
    rows = text.splitlines()
    assert rows[1] == "Conv1_0_dw_x64,138,1,11,1,1,1,1,1:1,"
    assert rows[2] == "Conv1_0_pw,128,1,1,1,64,128,1,1:1,"
    assert rows[-1] == "head_linear,1,1,1,1,128,12,1,1:1,"


def test_no_name_is_taken_for_a_depthwise_layer_of_scalesim() -> None:
    point = DesignPoint(in_channels=8, blocks=(Block(name="DP1", out_channels=4, kernel_size=1),))
    text = scalesim.topology_csv(lower(point, frames=16, outputs=3))
    assert "Dp1_0" in text and "DP" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no section \[architecture_presets\]"),
        ("[architecture_presets]\nArrayHeight: 8", "missing key 'ArrayWidth'"),
        ("[architecture_presets]\nArrayHeight: -8\nArrayWidth: 8", "ArrayHeight must be a whole"),
        ("[architecture_presets]\nArrayHeight: 9999999999\nArrayWidth: 8", "must be a whole"),
        (
            "[architecture_presets]\nArrayHeight: 1\nArrayWidth: 1\nDataflow: xs",
            "Dataflow must be one of ws, os, is, not 'xs'",
        ),
        ("[architecture_presets]\nArrayHeight: %(a)s\nArrayWidth: 1", "must be a whole number"),
        ("no section", "is no cfg file of SCALE-Sim"),
        ("#" * 100_001, "is too large"),
    ],
)
def test_wrong_cfgs_are_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.cfg"
    path.write_text(text)
    with pytest.raises(InvalidFile, match=message):
        scalesim.import_configuration(path)
    with pytest.raises(InvalidFile, match="does not exist: check the name"):
        scalesim.import_configuration(tmp_path / "none.cfg")


class _Tagged(yaml.SafeLoader):
    pass


_Tagged.add_multi_constructor(
    "!", lambda loader, tag, node: {"tag": tag} | loader.construct_mapping(node, deep=True)
)


def test_accelforge_files_by_hand() -> None:
    machine = load_accelerator("kws_int8_dram")
    technology = load_technology(machine.technology)
    workload = lower(published("matchboxnet-3x1x64"), frames=128, outputs=12)
    files = tool_files("accelforge", workload, machine, technology)
    nodes = yaml.load(files["arch.yaml"], _Tagged)["arch"]["nodes"]
    assert [node["tag"] for node in nodes] == [
        *["Memory"] * 4,
        "Container",
        *["Memory"] * 2,
        "Compute",
    ]
    assert [node["name"] for node in nodes[:2]] == ["dram", "activation_sram"]
    # 8 pJ a bit is 8e-12 J; 16 bits a cycle of 10 MHz are 160 Mbit a second.
    read = nodes[0]["actions"][0]
    assert (read["energy"], float(read["throughput"])) == (8e-12, 1.6e8)
    # One row of elements: the mapper unrolls a loop over one side of an array only.
    assert nodes[4]["spatial"] == [{"name": "elements", "fanout": 64}]
    # Sums have 24 bits in their register, outputs 8 in the memories.
    assert nodes[6]["bits_per_value"] == {"output": 24} and "bits_per_value" not in nodes[5]
    # 8 x 8 bits of product and 24 of sum: 64 x 0.002834 + 24 x 0.005745 pJ = 0.319 pJ.
    assert nodes[-1]["actions"][0]["energy"] == pytest.approx(0.319256e-12, rel=1e-6)
    einsums = yaml.safe_load(files["workload.yaml"])["workload"]["einsums"]
    assert len(einsums) == 15
    depthwise, pointwise = einsums[:2]
    assert depthwise["iteration_space_shape"] == [
        "0 <= t_conv1_0_dw < 128",
        "0 <= f_conv1_0_dw < 11",
        "0 <= g_conv1_0_dw < 64",
    ]
    reads = pointwise["tensor_accesses"][0]["projection"]
    assert reads["C_CONV1_0_PW"] == "c_conv1_0_pw"
    assert pointwise["renames"]["weight"] == "W_Conv1_0_pw"
    names = [accelforge.layer_name(layer) for layer in workload.layers]
    assert all(name.isidentifier() for name in names)


def test_a_depthwise_layer_of_one_channel_has_frames_alone() -> None:
    machine = load_accelerator("kws_int8")
    blocks = (Block(name="A", out_channels=4, kernel_size=3),)
    workload = lower(DesignPoint(in_channels=1, blocks=blocks), frames=16, outputs=3)
    text = accelforge.workload_yaml(workload, machine)
    depthwise, *_ = yaml.safe_load(text)["workload"]["einsums"]
    assert depthwise["iteration_space_shape"] == ["0 <= t_a_0_dw < 16", "0 <= f_a_0_dw < 3"]
    assert [access["projection"] for access in depthwise["tensor_accesses"]] == [
        {"T_A_0_DW": "1 * t_a_0_dw + 1 * f_a_0_dw"},
        ["f_a_0_dw"],
        ["t_a_0_dw"],
    ]


@pytest.mark.parametrize("tool", TOOLS)
def test_generated_weights_are_free(tool: str) -> None:
    machine = load_accelerator("kws_ternary")
    technology = load_technology(machine.technology)
    workload = lower(published("matchboxnet-3x1x64-P1"), frames=128, outputs=12)
    files = tool_files(tool, workload, machine, technology)
    if tool == "zigzag":
        bits = {
            row["name"]: row["operand_precision"]["W"]
            for row in yaml.safe_load(files["workload.yaml"])
        }
        assert bits["B1.0.pw"] == 0 and bits["B1.skip"] == 8
    if tool == "accelforge":
        assert "{name: W_B1_0_pw, bits_per_value: 1," in files["workload.yaml"]


def test_lanes_are_no_array_of_scalesim() -> None:
    machine = load_accelerator("kws_int8")
    array = dataclasses.replace(machine.arrays[0], lanes=2)
    with pytest.raises(InvalidInput, match="'macs' has 2 lanes: make them rows"):
        scalesim.configuration(dataclasses.replace(machine, arrays=(array,)))
