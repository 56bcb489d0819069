"""ONNX as workloads, Accelergy's tables as technologies, NeMo files written and read back."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cost_models import load_accelerator, load_technology
from cost_models.workload import LayerKind
from cost_models.writing import technology_yaml
from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign, InvalidFile, InvalidInput
from dse.export.onnx import export_onnx
from dse.interchange.accelergy import import_tables
from dse.interchange.nemo import import_nemo
from dse.interchange.nemo_export import nemo_yaml
from dse.interchange.onnx_import import import_onnx
from dse.networks.lowering import lower
from dse.ternary.generators import Generator
from dse.training.source import untrained
from dse_cli import main

TERNARY = Mixer(kind="ternary", density=0.25, generator=Generator(family="lfsr_threshold"))
MIXED = DesignPoint(
    in_channels=8,
    head="framewise",
    blocks=(
        Block(name="A", out_channels=8, kernel_size=5, stride=2, dilation=2, skip=TERNARY),
        Block(name="B", out_channels=8, kernel_size=3, skip=IDENTITY, repeats=2),
        Block(name="C", out_channels=12, kernel_size=3, separable=False, groups=2, skip=DENSE),
    ),
)


@pytest.mark.parametrize("ternary", ["float", "int8"])
@pytest.mark.parametrize("design", ["matchboxnet-3x2x64", "matchboxnet-3x1x64-P4", "mixed"])
def test_our_onnx_comes_back_with_the_same_counts(
    design: str, ternary: str, tmp_path: Path
) -> None:
    point = MIXED if design == "mixed" else published(design)
    path = tmp_path / "network.onnx"
    network = untrained(point, 12).network
    export_onnx(network, path, in_channels=point.in_channels, ternary=ternary)
    found = import_onnx(path, frames=98)
    expected = lower(point, frames=98, outputs=12)
    for count in ("macs", "trained_parameters", "additions"):
        assert getattr(found, count) == getattr(expected, count), count
    for count in ("multiplications", "nonzeros", "activation_traffic_bits"):
        totals = [
            workload.total(lambda layer, count=count: getattr(layer, count))
            for workload in (found, expected)
        ]
        argmax = expected.layers[-1]  # ours ends in it, the graph in scores
        assert totals[0] == totals[1] - getattr(argmax, count), count
    masks = [
        {layer.nonzero_mask for layer in workload.layers if layer.nonzeros}
        for workload in (found, expected)
    ]
    assert masks[0] == masks[1]


def graph_of(
    nodes: list[onnx.NodeProto], shape: list[int], constants: dict[str, np.ndarray]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def test_two_dimensions_with_one_of_size_one_by_hand(tmp_path: Path) -> None:
    # (1, 4, 1, 20) * (6, 4, 1, 3), stride 2, pads 1: (20 + 2 - 3) // 2 + 1 = 10 frames.
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], strides=[1, 2], pads=[0, 1, 0, 1]),
        helper.make_node("Clip", ["a"], ["c"]),
        helper.make_node("AveragePool", ["c"], ["p"], kernel_shape=[1, 10]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    constants = {
        "w": np.full((6, 4, 1, 3), 0.5, np.float32),
        "b": np.zeros(6, np.float32),
        "m": np.full((6, 5), 0.5, np.float32),
    }
    path = tmp_path / "two.onnx"
    path.write_bytes(graph_of(nodes, [1, 4, 1, 20], constants))
    convolution, relu, pool, linear = import_onnx(path).layers
    assert (convolution.out_frames, convolution.macs) == (10, 6 * 4 * 3 * 10)
    assert (convolution.trained_parameters, relu.kind) == (6 * 4 * 3 + 6, LayerKind.ACTIVATION)
    assert (pool.in_frames, pool.out_frames, linear.macs) == (10, 1, 30)


ONE = {"w": np.ones((2, 2, 1), np.float32)}


@pytest.mark.parametrize(
    ("nodes", "shape", "constants", "message"),
    [
        (
            [helper.make_node("LSTM", ["x"], ["y"], name="rnn")],
            [1, 2, 9],
            {},
            r"node 'rnn' \(LSTM\) is not supported: the nearest supported is Conv \(",
        ),
        (
            [helper.make_node("Sub", ["x", "x"], ["y"])],
            [1, 2, 9],
            {},
            r"node 'y' \(Sub\) is not supported: the nearest supported is Add",
        ),
        ([helper.make_node("Einsumm", ["x"], ["y"])], [1, 2, 9], {}, "supported are Add, ArgMax"),
        ([helper.make_node("Conv", ["x", "w"], ["y"])], [1, 3, 9], ONE, "takes 2 channels, and ge"),
        ([helper.make_node("Conv", ["x", "w"], ["y"])], [1, 2, 0], ONE, "give the frames with --"),
        ([helper.make_node("Conv", ["x", "q"], ["y"])], [1, 2, 9], ONE, "'q', which is no const"),
        ([helper.make_node("Relu", ["z"], ["y"])], [1, 2, 9], {}, "'z', which is no tensor"),
        ([helper.make_node("Relu", ["x"], ["y"])], [1, 3, 0, 0], {}, "both of its dimensions of"),
        (
            [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2], ceil_mode=1)],
            [1, 2, 9],
            {},
            "has a ceil_mode: windows that end behind the last frame are none",
        ),
        (
            [
                helper.make_node("Flatten", ["x"], ["f"]),
                helper.make_node("Gemm", ["f", "w"], ["y"]),
            ],
            [1, 2, 9],
            {"w": np.ones((3, 3))},
            "takes 3 numbers, and gets 18",
        ),
    ],
)
def test_what_is_not_supported_is_named(
    nodes: list[onnx.NodeProto],
    shape: list[int],
    constants: dict[str, np.ndarray],
    message: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(graph_of(nodes, shape, constants))
    with pytest.raises(InvalidFile, match=message):
        import_onnx(path)


def test_hostile_onnx_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    for content in (b"", b"not a graph", b"\xff" * 1000):
        path.write_bytes(content)
        with pytest.raises(InvalidFile, match="no ONNX file"):
            import_onnx(path)
    with pytest.raises(InvalidFile, match="does not exist: check the name"):
        import_onnx(tmp_path / "none.onnx")
    # Weights that claim to be in another file, or to be huge, are not fetched.
    tensor = numpy_helper.from_array(ONE["w"], "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    model = onnx.load_from_string(graph_of([node], [1, 2, 9], {}))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidFile, match="weights in another file: save the model as one"):
        import_onnx(path)
    del model.graph.initializer[0]
    model.graph.initializer.add(name="w", data_type=1, dims=[2**40, 2**20])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidFile, match="constant of more than 50,000,000 numbers"):
        import_onnx(path)


ERT = """
ERT:
  version: '0.4'
  tables:
  - name: system.mult8
    actions:
    - {name: mult_reused, energy: 0.673625}
    - {name: mult_random, energy: 0.7925, arguments: {global_cycle_seconds: 1e-09}}
  - name: system.add16
    actions: [{name: add_random, energy: 0.105}]
  - name: system.DRAM[1..1]
    actions: [{name: read, energy: 512}, {name: leak, energy: 0}]
"""
"""Figures that Accelergy wrote at 45 nm, and the DRAM of Timeloop's published references."""
ART = """
ART: {version: '0.4', tables: [{name: system.add16, area: 139.0}, {name: system.pe, area: 10}]}
"""


def test_accelergys_tables_become_constants_by_hand(tmp_path: Path) -> None:
    ert, art = tmp_path / "ERT.yaml", tmp_path / "ART.yaml"
    ert.write_text(ERT)
    art.write_text(ART)
    base = load_technology("low_leakage_45nm")
    takes = ["dram_pj_per_bit=system.DRAM.read/64", "comparator_um2_per_bit=system.pe/4"]
    found = import_tables(ert, base, art=art, takes=takes)
    technology = found.technology
    assert technology.multiplication_pj_per_bit2.value == pytest.approx(0.7925 / 64)
    assert technology.addition_pj_per_bit.value == pytest.approx(0.105 / 16)
    assert technology.adder_um2_per_bit.value == pytest.approx(139 / 16)
    assert technology.dram_pj_per_bit.value == 8.0
    assert technology.comparator_um2_per_bit.value == 2.5
    assert technology.dram_pj_per_bit.source == "ERT.yaml: system.DRAM.read / 64"
    assert technology.sram == base.sram
    assert len(found.taken) == 5
    path = tmp_path / "ERT2.yaml"
    path.write_text(technology_yaml(technology))
    assert load_technology(path) == dataclasses.replace(technology, name="ERT2")


def test_accelergys_summaries_say_the_same(tmp_path: Path) -> None:
    base = load_technology("low_leakage_45nm")
    read = []
    for name, renamed in (("ERT.yaml", False), ("ERT_summary.yaml", True)):
        path = tmp_path / name
        text = ERT.replace("ERT:", "ERT_summary:").replace("tables:", "table_summary:")
        path.write_text(text if renamed else ERT)
        read.append(import_tables(path, base).technology)
    assert read[0].multiplication_pj_per_bit2.value == read[1].multiplication_pj_per_bit2.value
    assert read[0].addition_pj_per_bit.value == read[1].addition_pj_per_bit.value


@pytest.mark.parametrize(
    ("text", "takes", "message"),
    [
        (
            ERT.replace("0.7925", "1.6e17"),
            [],
            "must be 0, or from 2.87e-09 to 1e[+]12 pJ, not 1.6e[+]17",
        ),
        (ERT.replace("0.7925", "-1"), [], "must be 0, or from 2.87e-09 to 1e[+]12 pJ, not -1"),
        (ERT.replace("0.7925", "0.5ns"), [], "must be a number of pJ"),
        ("ART: {tables: []}", [], "this is an ART, not an ERT: give it with --art"),
        ("architecture: {}", [], "this file holds an architecture, which Accelergy makes tables"),
        ("tables: []", [], "an ERT has a key 'ERT.tables'"),
        (ERT, ["dram_pj_per_bit=system.DRAM.read:most"], "the tables have no 'system.DRAM.read:m"),
        ("ERT: {tables: []}", [], "must be a list of components"),
        (ERT, ["nonsense"], "must be CONSTANT=COMPONENT.ACTION/DIVISOR; constants are accu"),
        (ERT, ["dram_pj_per_bit=system.L2.read"], "the tables have no 'system.L2.read'; comp"),
        (ERT, ["dram_pj_per_bit=system.DRAM.leak"], "does not make a positive number"),
        (ERT, ["dram_pj_per_bit=system.DRAM.read/0"], "does not make a positive number"),
        (ERT.replace("mult8", "pe").replace("add16", "noc"), [], "say it with --take"),
    ],
)
def test_tables_that_say_nothing_or_nonsense_are_refused(
    text: str, takes: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "ERT.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        import_tables(path, load_technology("low_leakage_45nm"), takes=takes)


SUMMARY = """
ERT_summary:
  table_summary:
  - name: chip.mult8
    actions: [{name: mult_random, average_energy: 0.64, min_energy: 0.32, max_energy: 1.28}]
  - name: chip.add16
    actions: [{name: add, average_energy: 0.16, min_energy: 0, max_energy: 0.32}]
  - name: chip.GLB
    actions: [{name: read, average_energy: 6.0, max_energy: 8, min_energy: 4}]
"""
"""Energies that depend on arguments, as Accelergy sums them up."""


def test_an_average_has_a_band_and_a_take_may_choose(tmp_path: Path) -> None:
    ert, base = tmp_path / "ERT_summary.yaml", load_technology("low_leakage_45nm")
    ert.write_text(SUMMARY)
    found = import_tables(ert, base, takes=["dram_pj_per_bit=chip.GLB.read/2"])
    product = found.technology.multiplication_pj_per_bit2
    assert (product.low, product.value, product.high) == (0.005, 0.01, 0.02)
    dram = found.technology.dram_pj_per_bit
    assert (dram.low, dram.value, dram.high) == (2.0, 3.0, 4.0)
    sums = found.technology.addition_pj_per_bit
    assert (sums.low, sums.value, sums.high) == (None, 0.01, 0.02)  # 0 pJ is no price of a bit
    for choice, value in (("min", 4.0), ("max", 8.0), ("average", 6.0)):
        take = f"dram_pj_per_bit=chip.GLB.read:{choice}"
        chosen = import_tables(ert, base, takes=[take]).technology.dram_pj_per_bit
        assert (chosen.low, chosen.value, chosen.high) == (None, value, None)
        assert chosen.source == f"ERT_summary.yaml: chip.GLB.read:{choice} / 1"


ROWS = """
ERT:
  tables:
  - name: chip.mult8
    actions:
    - {name: mult_random, energy: 0.64}
    - {name: leak, energy: 5.0e-13}
    - {name: idle, energy: broken}
    - {energy: 3}
  - name: chip.GLB
    actions:
    - {name: read, arguments: {data_delta: 0}, energy: 2}
    - {name: read, arguments: {data_delta: 1}, energy: 7}
    - {name: write, arguments: {data_delta: 1}, energy: 7}
    - {name: write, arguments: {data_delta: 1}, energy: 8}
  - {name: "pe[0..3].rf", actions: [{name: read, energy: 1}]}
  - {name: "pe[4..7].rf", actions: [{name: read, energy: 3}]}
  - {name: chip.mult16, actions: [{name: mult_random, energy: 5.12}]}
"""


def taken(tmp_path: Path, take: str) -> float:
    path = tmp_path / "ERT.yaml"
    path.write_text(ROWS)
    base = load_technology("low_leakage_45nm")
    found = import_tables(path, base, takes=[f"dram_pj_per_bit={take}"])
    return found.technology.dram_pj_per_bit.value


def test_rows_that_say_different_things_are_averaged_by_argument_or_refused(
    tmp_path: Path,
) -> None:
    assert taken(tmp_path, "chip.GLB.read") == 4.5  # of 2 and 7 for two arguments
    assert taken(tmp_path, "chip.GLB.read:max") == 7
    assert taken(tmp_path, "pe[4..7].rf.read") == 3
    for take, message in (
        ("chip.GLB.write", r"has 8 pJ, and a row before it of the same name 7: leave one out"),
        (
            "pe.rf.read",
            r"has 2 tables of pe.rf with different figures of 'read' \(pe\[0..3\].rf 1,",
        ),
        ("chip.mult8.idle", "must be a number of pJ, not 'broken'"),
        ("chip.mult8.leak", "must be 0, or from 2.87e-09 to 1e[+]12 pJ, not 5e-13"),
    ):
        with pytest.raises(InvalidInput, match=message):
            taken(tmp_path, take)


def test_what_nobody_takes_is_told_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ERT.yaml"
    path.write_text(ROWS)
    found = import_tables(path, load_technology("low_leakage_45nm"))
    assert found.technology.multiplication_pj_per_bit2.value == 0.01  # of mult8, the first
    assert found.notes == (
        f"ERT.tables[0].actions[3] has no name, and is left out ({path}:9)",
        "chip.mult16 makes 0.02 of multiplication_pj_per_bit2; taken is that of the first in the "
        "file, 0.01 (ERT.yaml: chip.mult8 mult_random, 0.64 pJ for 8 bits)",
        "nothing is taken of chip.GLB, pe[0..3].rf, pe[4..7].rf",
    )


def test_a_take_of_equal_components_takes_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "ERT.yaml"
    path.write_text(ROWS.replace("energy: 3}]}", "energy: 1}]}"))
    base = load_technology("low_leakage_45nm")
    found = import_tables(path, base, takes=["dram_pj_per_bit=pe.rf.read"])
    assert found.technology.dram_pj_per_bit.value == 1
    assert found.notes[-1] == "nothing is taken of chip.GLB"


def test_tables_of_before_version_3_are_mappings(tmp_path: Path) -> None:
    path = tmp_path / "ERT.yaml"
    path.write_text(
        "ERT:\n  version: 0.2\n  tables:\n    chip.mult8:\n      idle: {energy: 0}\n"
        "      mult_random:\n"
        "      - {arguments: {delta: 0}, energy: 0.32}\n"
        "      - {arguments: {delta: 1}, energy: 0.96}\n"
    )
    product = import_tables(path, load_technology("low_leakage_45nm")).technology
    constant = product.multiplication_pj_per_bit2
    assert (constant.low, constant.value, constant.high) == (0.005, 0.01, 0.015)


@pytest.mark.parametrize(("name", "outputs"), [("matchboxnet-3x2x64", 30), ("quartznet-5x5", 29)])
def test_nemo_reads_back_the_same_design(name: str, outputs: int, tmp_path: Path) -> None:
    point = published(name)
    path = tmp_path / "network.yaml"
    path.write_text(nemo_yaml(point, outputs=outputs))
    found = import_nemo(path)
    assert (found.point.key, found.outputs) == (point.key, outputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixer": TERNARY}, "block B1 has a ternary 1x1, which NeMo does not have: use a dense"),
        ({"skip": TERNARY}, "block B1 has a skip that is ternary"),
        ({"skip": DENSE, "skip_norm": False}, "a skip without batch norm"),
        ({"groups": 2}, "2 groups"),
        ({"stride": 2, "repeats": 2}, "a stride with several repeats"),
        ({"stride": 2, "dilation": 2}, "stride with dilation"),
    ],
)
def test_what_nemo_cannot_say_is_refused(changes: dict, message: str) -> None:
    block = Block(name="B1", out_channels=8, kernel_size=3, **changes)
    with pytest.raises(InvalidDesign, match=message):
        nemo_yaml(DesignPoint(in_channels=8, blocks=(block,)), outputs=3)


def test_the_command_line_imports_and_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    design = "matchboxnet-3x1x64"
    for arguments in (
        f"export zigzag {design} --machine kws_int8 --out zz",
        "import zigzag zz/hardware.yaml --out kws_again.yaml",
        "import zigzag zz/workload.yaml --machine kws_again.yaml",
        f"export scalesim {design} --machine systolic_32x32 --out ss",
        "import scalesim ss/scalesim.cfg --out systolic.yaml",
        f"export accelforge {design} --machine kws_int8 --out af",
        f"export nemo {design} --outputs 12 --out nemo.yaml",
        "import nemo nemo.yaml --out design.yaml",
        "export onnx design.yaml --out network.onnx",
        "import onnx network.onnx --frames 128 --machine kws_int8",
        "estimate design.yaml --machine systolic.yaml",
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments.split())
        assert not stop.value.code, capsys.readouterr().err
    printed = capsys.readouterr().out
    macs = f"{lower(published(design), frames=128, outputs=12).macs:,} MACs"
    assert printed.count(macs) >= 2  # of the workload and of the graph
    assert load_accelerator("kws_again.yaml").memories[0].capacity_bits == 8192
