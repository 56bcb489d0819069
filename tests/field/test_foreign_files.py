"""Files of other tools as people have them: read rightly, told in a note, or refused in a sentence.

Each case is one change to a good file. What it must not do is pass unseen: a value that is dropped,
merged or guessed has a note, and two words that say different things are refused.
"""

import gzip
import io
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cost_models import load_accelerator, load_technology
from cost_models.content import read_content
from cost_models.strict_yaml import read_yaml
from dse.design.point import point_from_node
from dse.errors import InvalidInput
from dse.interchange.accelergy import import_tables
from dse.interchange.nemo import import_nemo
from dse.interchange.onnx_import import import_onnx
from dse.interchange.scalesim import import_configuration
from dse.interchange.stream import import_core
from dse.interchange.zigzag import import_hardware, import_workload
from dse.rtl.area import _facts, default_library
from dse.studies.reading import read_study
from dse.training.checkpoint import load_checkpoint
from tests.field.mutations import as_yaml
from tests.field.test_damaged_files import DATA, DESIGN, ROOT, nemo_text

HARDWARE = """
memories:
  sums: {size: 24, r_cost: 0.2, w_cost: 0.2, operands: [O], served_dimensions: [],
    ports: [{name: r, type: read, bandwidth_min: 24, bandwidth_max: 24, allocation: ["O, tl"]},
            {name: w, type: write, bandwidth_min: 24, bandwidth_max: 24, allocation: ["O, fl"]}]}
  buffer: {size: 524288, r_cost: 38.0, w_cost: 33.0, operands: [I1, I2, O],
    served_dimensions: [D1, D2],
    ports: [{name: rw, type: read_write, bandwidth_min: 64, bandwidth_max: 128}]}
  dram: {size: 10000000000, r_cost: 700, w_cost: 750, operands: [I1, I2, O],
    served_dimensions: [D1, D2],
    ports: [{name: rw, type: read_write, bandwidth_min: 64, bandwidth_max: 64}]}
operational_array: {unit_energy: 0.8, unit_area: 1, dimensions: [D1, D2], sizes: [16, 16]}
"""
LAYERS = """
- {id: 0, name: a, operator_type: Conv, equation: "O[b][k][ox]+=W[k][c][fx]*I[b][c][ix]",
   dimension_relations: [ix=1*ox+1*fx], loop_dims: [B, K, C, OX, FX], loop_sizes: [1, 16, 8, 32, 3],
   operand_precision: {W: 8, I: 8, O: 16, O_final: 8}, operand_source: {I: 0, W: 0},
   pr_loop_dims: [IX], pr_loop_sizes: [32], padding: [[1, 1]]}
- {id: 1, name: b, operator_type: Conv, equation: "O[b][k][ox]+=W[k][c]*I[b][c][ox]",
   loop_dims: [B, K, C, OX], loop_sizes: [1, 8, 16, 32],
   operand_precision: {W: 8, I: 8, O: 16, O_final: 8}, operand_source: {I: 0, W: 1}}
"""
ERT = """
ERT:
  version: '0.4'
  tables:
  - name: system.mult8
    actions:
    - {name: mult_random, energy: 0.8, arguments: {a: 1, b: 2}}
"""
CFG = """[architecture_presets]
ArrayHeight: 8
ArrayWidth: 8
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
Dataflow: ws
Bandwidth: 10
[run_presets]
InterfaceBandwidth: USER
"""

Reader = Callable[[Path], list[str]]
"""Reads a file, and gives the notes."""


def hardware(path: Path) -> list[str]:
    return list(import_hardware(path).notes)


def layers(path: Path) -> list[str]:
    notes: list[str] = []
    import_workload(path, notes=notes)
    return notes


def tables(path: Path) -> list[str]:
    return list(import_tables(path, load_technology("low_leakage_45nm")).notes)


def configuration(path: Path) -> list[str]:
    return list(import_configuration(path).notes)


def network(path: Path) -> list[str]:
    import_nemo(path)
    return []


def library(path: Path) -> list[str]:
    _facts.cache_clear()
    _facts((path,))
    return []


def graph(path: Path) -> list[str]:
    notes: list[str] = []
    import_onnx(path, notes=notes)
    return notes


def checkpoint(path: Path) -> list[str]:
    load_checkpoint(path)
    return []


GOOD: dict[Reader, Callable[[], str]] = {
    hardware: lambda: HARDWARE,
    layers: lambda: LAYERS,
    tables: lambda: ERT,
    configuration: lambda: CFG,
    network: nemo_text,
    library: lambda: default_library().read_text(),
}
READERS = (*GOOD, graph, checkpoint)

# (reader, what is changed, into what, what the note or the refusal says)
TOLD = [
    (hardware, "unit_energy: 0.8", "unit_energy: 0", "unit_energy is 0, read as 1e-09 pJ"),
    (
        hardware,
        "unit_area: 1",
        "input_precision: [4, 4]",
        "input_precision is 4 bits: elements of 8",
    ),
    (
        hardware,
        "buffer: {",
        "buffer: {mem_type: rram, ",
        "mem_type 'rram' is not known, it is read",
    ),
    (hardware, "buffer: {", "edram: {", "edram is read as an SRAM"),
    (hardware, "dram: {", "lpddr4: {", "lpddr4 is read as a DRAM outside of the chip"),
    (layers, "[[1, 1]]", "[[5, 0]]", "5 and 0 make 35 output frames, and its loops 32"),
    (layers, "ix=1*ox", "ix=2*ox", "make 16 output frames, and its loops 32"),
    (
        layers,
        "[1, 8, 16, 32]",
        "[1, 8, 99, 32]",
        "b reads 99 channels of 32 frames, and a makes 16",
    ),
    (layers, ", operand_source: {I: 0, W: 1}", "", "operand_source says no source of I"),
    (layers, "{I: 0, W: 1}", "{I: [0, 0], W: 1}", r"names \[0, 0\], which is no layer before it"),
    (tables, "version: '0.4'", "comment: mine", "ERT.comment is not known, and left out"),
    (
        tables,
        "ERT:",
        "ART: {version: 1, tables: [{name: add16, area: 9}]}\nERT:",
        "ART is left out",
    ),
]
REFUSED = [
    (hardware, "unit_area: 1", "imc_type: digital", "compute in memory are not supported"),
    (
        hardware,
        "unit_area: 1",
        "bit_serial_precision: 2",
        "bit_serial_precision 2 is not supported",
    ),
    (hardware, "unit_area: 1", "input_precision: [-1]", "must be 1 to 64 bits, not -1"),
    (hardware, '"O, tl"', '"O, fl"', "has 'O, fl', which read ports cannot"),
    (hardware, '"O, tl"', '"I1, tl"', "has 'I1, tl': an operand of O, and tl, th, fh or fl"),
    (hardware, "operands: [O]", "operands: [O, O]", "holds O twice"),
    (hardware, "buffer: {", "buffer: {latency: -3, ", "latency must be positive, not -3"),
    (hardware, "buffer: {", "buffer: {<<: *base, ", "undefined alias|without its anchor"),
    (hardware, "memories:", "base: &base {a: 1}\nmemories: {<<: *base}\nx:", "merge keys"),
    (hardware, "\nmemories", "\n---\na: 1\n---\nmemories", "second document"),
    (hardware, "  dram:", "\tdram:", "a tab as indentation"),
    (hardware, "buffer: {", '"bu\\u202effer": {', "has the control character"),
    (layers, "ix=1*ox+1*fx", "ix=1*ox+1*k", "one loop must be an output frame"),
    (
        layers,
        "O: 16, O_final: 8}, operand_source: {I: 0, W: 0}",
        "O: 4, O_final: 8}",
        "narrower than",
    ),
    (layers, "W: 8, I: 8", "I2: 8, I1: 8", "names 'I2': operands are W, I, O, O_final"),
    (layers, "{I: 0, W: 1}", "{I: 0, W: 0}", "W comes from layer 0"),
    (
        layers,
        "[B, K, C, OX], loop_sizes: [1, 8, 16, 32]",
        "[B, K, OX], loop_sizes: [1, 8, 32]",
        "index c",
    ),
    (layers, "[[1, 1]]", "same", "padding must be a list"),
    (tables, "version: '0.4'", "units: {energy: nJ}", "figures in pJ are read"),
    (tables, "energy: 0.8", "energy: 8.0e-13", "from 2.87e-09"),
    (tables, "energy: 0.8", "energy: 0.8, average_energy: 5", "leave one out"),
    (tables, "energy: 0.8", "energy: 0", "has no figure above 0"),
    (
        tables,
        "    - {name: mult_random",
        "    - {name: mult_random, energy: 0.9, arguments: {b: 2, a: 1}}\n    - {name: mult_random",
        "has 0.8 pJ, and a row before it of the same name 0.9",
    ),
    (tables, "ERT:", "ERT_summary:", "ERT_summary.table_summary"),
    (
        configuration,
        "Dataflow",
        "IfmapSramSz: 128\nDataflow",
        "are one size, and say 64 and 128 KiB",
    ),
    (
        configuration,
        "[run_presets]",
        "[sparsity]\nSparsitySupport: T\n[run_presets]",
        "True or False",
    ),
    (configuration, "ArrayHeight", "ArrayHeigth", "it has 'arrayheigth'"),
    (network, "- 11", "- 0", "kernel must be at least 1, not 0"),
    (network, "model:", "JasperEncoder: {jasper: []}\nmodel:", "two networks"),
    (library, "area : 3.7536;", "area : 3.7536; area : 5;", "has areas of 3.7536 and 5"),
    (library, "area : 3.7536;", "area : 3.7e-12;", "from 0.001 to"),
    (library, "area : 3.7536;", "area : 2 * 5;", r"has an area of 2 \* 5"),
    (library, "1um2", "1mm2", "um2 are read; give them in um2"),
    (library, "cell (inv) {", "cell (inv) { dont_use : 1;", "one of true and false is needed"),
    (
        library,
        "  cell (inv)",
        "  include_file(other.lib)\n  cell (inv)",
        "'other.lib', which is not",
    ),
]


def written(reader: Reader, before: str, after: str, folder: Path) -> Path:
    good = GOOD[reader]()
    assert before in good
    path = folder / "file.yaml"
    path.write_text(good.replace(before, after, 1))
    return path


@pytest.mark.parametrize(("reader", "before", "after", "said"), TOLD)
def test_what_is_left_out_or_assumed_is_told(
    reader: Reader, before: str, after: str, said: str, tmp_path: Path
) -> None:
    notes = "\n".join(reader(written(reader, before, after, tmp_path)))
    assert re.search(said, notes), notes


@pytest.mark.parametrize(("reader", "before", "after", "said"), REFUSED)
def test_what_contradicts_itself_is_refused(
    reader: Reader, before: str, after: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        reader(written(reader, before, after, tmp_path))


@pytest.mark.parametrize("relation", ["ix=1*ox+1*fx", "ix=1*fx+1*ox", "ix = fx + ox"])
def test_the_equation_says_which_term_is_the_frame(relation: str, tmp_path: Path) -> None:
    # 16 x 8 channels, 3 taps, 32 frames: by hand. Read by the order of the terms, the frames were
    # taken for 32 taps, and the layer had 12,288 weights in the place of 384.
    path = written(layers, "ix=1*ox+1*fx", relation, tmp_path)
    first = import_workload(path).layers[0]
    assert (first.trained_parameters, first.macs) == (16 * 8 * 3, 16 * 8 * 3 * 32)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_without_waiting(reader: Reader, tmp_path: Path) -> None:
    # A pipe that nobody writes to, a device without an end, a folder, a link to itself, no file.
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for path in ("pipe.yaml", "/dev/zero", ".", "loop.yaml", "nowhere.yaml", "a\0b"):
        with pytest.raises(InvalidInput, match=r"regular|folder|symbolic|exist|no name of a file"):
            reader(tmp_path / path)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_content(path, 5, "a word") == b"12345"
    with pytest.raises(InvalidInput, match="is too large: a word has at most 4 bytes"):
        read_content(path, 4, "a word")
    with path.open("wb") as file:
        file.truncate(10**12)  # a hole, of which nothing is read
    with pytest.raises(InvalidInput, match="at most 5 bytes"):
        read_content(path, 5, "a word")
    # What says that it is empty, and is not.
    with pytest.raises(InvalidInput, match="at most 5 bytes"):
        read_content("/proc/self/status", 5, "a word")


def tar_of(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("model_config.yaml")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.parametrize("reader", [hardware, layers, tables, configuration, network])
@pytest.mark.parametrize(
    ("convert", "said"),
    [
        (lambda text: gzip.compress(text.encode()), "packed by gzip: unpack it"),
        (lambda text: b"PK\x03\x04" + text.encode(), "a zip archive"),
        (tar_of, "a tar archive"),
        (lambda text: text.encode("utf-16"), "text in UTF-16: save it as UTF-8"),
        (lambda text: b"# caf\xe9\n" + text.encode(), r"not UTF-8 text \(byte 5\)"),
    ],
)
def test_packed_and_otherwise_written_text_is_named(
    reader: Reader, convert: Callable[[str], bytes], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(convert(GOOD[reader]()))
    with pytest.raises(InvalidInput, match=said):
        reader(path)


@pytest.mark.parametrize("reader", GOOD)
@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_and_marks_of_other_systems_are_read(
    reader: Reader, ends: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(GOOD[reader]())
    plain = repr(reader(path))
    path.write_bytes(b"\xef\xbb\xbf" + GOOD[reader]().replace("\n", ends).encode())
    assert repr(reader(path)) == plain


# ---- one kind in the place of another ----

OF_KINDS: dict[str, tuple[Callable[[], str], str]] = {
    "zigzag_hardware": (lambda: HARDWARE, "dse import zigzag .* makes a machine of it"),
    "zigzag_workload": (lambda: LAYERS, "dse import zigzag .* prices it"),
    "accelergy": (lambda: ERT, "dse import accelergy .* makes a technology"),
    "nemo": (nemo_text, "dse estimate .* prices it, .dse import nemo"),
    "machine": (lambda: (DATA / "accelerators" / "kws_int8.yaml").read_text(), "--machine"),
    "technology": (lambda: (DATA / "technologies" / "asap7_7nm.yaml").read_text(), "--technology"),
    "study": (lambda: (ROOT / "examples" / "demo.yaml").read_text(), "dse search .* begins it"),
    "design": (lambda: as_yaml(DESIGN.to_dict()), "dse estimate .* prices it"),
}
TAKE: dict[str, Callable[[Path], Any]] = {
    "machine": load_accelerator,
    "technology": load_technology,
    "study": read_study,
    "design": lambda path: point_from_node(read_yaml(path)),
    "nemo": import_nemo,
    "zigzag_hardware": import_hardware,
    "accelergy": tables,
}


@pytest.mark.parametrize("reader", TAKE)
@pytest.mark.parametrize("kind", OF_KINDS)
def test_a_file_of_another_kind_is_called_what_it_is(
    reader: str, kind: str, tmp_path: Path
) -> None:
    text, said = OF_KINDS[kind]
    path = tmp_path / "file.yaml"
    path.write_text(text())
    if reader == kind:
        TAKE[reader](path)
        return
    with pytest.raises(InvalidInput, match=f"^this is .*{said}"):
        TAKE[reader](path)


@pytest.mark.parametrize(("name", "command"), [("net.onnx", "onnx"), ("scale.cfg", "scalesim")])
def test_other_files_are_told_by_their_endings(name: str, command: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"is no YAML file: `dse import {command} "):
        read_yaml(tmp_path / name)


# ---- Stream ----

INSIDE = re.sub("  dram: .*?(?=operational_array)", "", HARDWARE, flags=re.S)
OUTSIDE = f"memories:\n{re.search('  dram: .*?(?=operational_array)', HARDWARE, re.S)[0]}"
BUS = "core_connectivity: [{type: bus, cores: [0, 1, 2], bandwidth: 32}]\nunit_energy_cost: 0.5\n"


def several_cores(folder: Path, listed: str, rest: str) -> Path:
    (folder / "cores").mkdir()
    (folder / "cores" / "array.yaml").write_text(f"type: compute\n{INSIDE}")
    (folder / "outside.yaml").write_text(OUTSIDE)
    path = folder / "chip.yaml"
    path.write_text(f"name: chip\ncores: {listed}\n{rest}")
    return path


@pytest.mark.parametrize(
    ("listed", "rest", "port_bits"),
    [
        ("{0: array.yaml, 1: x.yaml, 2: outside.yaml}", f"offchip_core_id: 2\n{BUS}", 32),
        ("[array.yaml, x.yaml, ./outside.yaml]", "graph: {bandwidth: 999, offchip_core_id: 2}", 64),
    ],
)
def test_one_core_of_several_is_read_with_the_memory_outside(
    listed: str, rest: str, port_bits: int, tmp_path: Path
) -> None:
    found = import_core(several_cores(tmp_path, listed, rest), "0")
    (tmp_path / "array.yaml").write_text(HARDWARE)
    whole = import_hardware(tmp_path / "array.yaml").machine
    *inner, last = found.machine.memories
    assert (found.machine.arrays, tuple(inner)) == (whole.arrays, whole.memories[:-1])
    # An access is as dear as before: a narrow link takes two cycles for a word of 64 bits.
    expected = replace(whole.memories[-1], bandwidth_bits_per_cycle=port_bits)
    assert repr(last) == repr(expected).replace("array.yaml", "outside.yaml")
    notes = "\n".join(found.notes)
    assert "other cores are left out, with what they would take over: 1" in notes
    assert ("unit_energy_cost of 0.5 is left out" in notes) == (port_bits == 32)


@pytest.mark.parametrize(
    ("listed", "core", "said"),
    [
        ("[array.yaml, outside.yaml]", "7", r"has the cores 0 \(array.yaml\), 1 \(outside.yaml\)"),
        ("[../../../etc/passwd, outside.yaml]", "0", "cannot name a file here"),
        ("[/etc/passwd, outside.yaml]", "0", "does not exist"),
        ("[{type: aie2.compute, memory: {}}]", "0", "is not described as ZigZag's hardware"),
        ("[outside.yaml, outside.yaml]", "0", "is called as one outside|missing key"),
        ("3", "0", "an accelerator of Stream has 'cores'"),
    ],
)
def test_cores_that_are_none_are_named(listed: str, core: str, said: str, tmp_path: Path) -> None:
    path = several_cores(tmp_path, listed, "offchip_core_id: 1\n")
    with pytest.raises(InvalidInput, match=said):
        import_core(path, core)


# ---- ONNX ----


def model(weights: np.ndarray, *nodes: onnx.NodeProto, frames: int | str = 32) -> onnx.ModelProto:
    """A convolution of weights `w` over 8 channels, unless other nodes are given."""
    made = nodes or (helper.make_node("Conv", ["x", "w"], ["y"], name="conv"),)
    shape = [1, 8, frames]
    return helper.make_model(
        helper.make_graph(
            list(made),
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(weights, "w")],
        )
    )


TAPS = np.ones((16, 8, 3), np.float32) * np.arange(3, dtype=np.float32)


def conv(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["y"], name="conv", **attributes)


def shortened() -> onnx.ModelProto:
    made = model(TAPS)
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-4]
    return made


def doubled() -> onnx.ModelProto:
    made = model(TAPS)
    made.graph.initializer.append(made.graph.initializer[0])
    return made


def without_end() -> onnx.ModelProto:
    made = model(TAPS)
    made.graph.output[0].name = "elsewhere"
    return made


def of_scale(scale: float) -> onnx.ModelProto:
    widen = helper.make_node("DequantizeLinear", ["w", "s"], ["d"])
    made = model(TAPS.astype(np.int8), widen, helper.make_node("Conv", ["x", "d"], ["y"]))
    made.graph.initializer.append(numpy_helper.from_array(np.float32(scale), "s"))
    return made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (shortened, "the file has not as many numbers as its shape"),
        (doubled, "two constants are called 'w'"),
        (without_end, "the output 'elsewhere' is made by no node"),
        (lambda: of_scale(0.0), "scales that are not above 0"),
        (lambda: of_scale(float("nan")), "scales that are not above 0"),
        (lambda: model(np.full((16, 8, 1), np.inf, np.float32)), "not numbers: NaN or infinity"),
        (lambda: model(TAPS.astype(np.complex64)), "has no real numbers in it"),
        (
            lambda: model(TAPS, conv(kernel_shape=[7])),
            r"kernel_shape of \[7\], and weights of \[3\]",
        ),
        (
            lambda: model(TAPS, conv(auto_pad="SAME_UPPER", pads=[5, 5])),
            "both pads and an auto_pad",
        ),
        (lambda: model(TAPS, conv(domain="com.example")), "of com.example, whose operators"),
        (lambda: model(TAPS, frames="T"), "give the frames with --frames"),
    ],
)
def test_graphs_that_say_two_things_are_refused(
    made: Callable[[], onnx.ModelProto], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(made().SerializeToString())
    with pytest.raises(InvalidInput, match=said):
        graph(path)


def test_a_matrix_of_zeros_is_not_taken_for_a_ternary_one(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(model(np.zeros((16, 8, 1), np.float32)).SerializeToString())
    assert import_onnx(path).layers[0].trained_parameters == 16 * 8
