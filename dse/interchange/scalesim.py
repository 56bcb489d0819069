"""SCALE-Sim 3: topology CSV, layout CSV and cfg written; cfg read.

What SCALE-Sim does not know, and how it is written: padding (a layer gets the input frames that its
output frames need); dilation (a kernel of as many taps, side by side); groups (one group a run: the
name ends in `_x64` where 64 equal runs make the layer, so its cycles count 64 times); bit widths (a
word is a byte). A memory that holds several operands is divided among them evenly, whole KiB. Its
cfg asks for `InterfaceBandwidth: CALC`: USER inflates reads of small filters (3.0.0), and CALC
reports no stalls.

A convolution over frames is written as one over images of width 1: IFMAP Height is time. Bins of a
frame are widths. It has one stride for both: that of the frames is written, and as many bins as the
outputs need at that stride, so that cycles are those of the layer where its strides differ, too.
"""

import configparser
import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel, Operand
from cost_models.content import read_text
from cost_models.library import load_accelerator
from cost_models.workload import CONVOLUTIONS, Layer, Workload
from dse.errors import InvalidFile, InvalidInput, short
from dse.interchange.imported import ImportedMachine

MAX_BYTES = 100_000
KIB_BITS = 8 * 1024
DATAFLOWS = {
    "ws": "weight_stationary",
    "os": "output_stationary",
    "is": "input_stationary",
}
_LETTERS = {name: letters for letters, name in DATAFLOWS.items()} | {"auto": "ws"}
_SRAMS: dict[str, Operand] = {
    "IfmapSramSzkB": "inputs",
    "FilterSramSzkB": "weights",
    "OfmapSramSzkB": "outputs",
}
LAYOUT_FACTORS = 20
"""Numbers per layer in a layout file, which is read even where no layout is used."""


# ---- export ----


def topology_csv(workload: Workload) -> str:
    """The layers that have weights: one line each, for one group of the layer.

    Frames stand in the columns of heights, bins in those of widths, 1 where a layer has none;
    channels and filters are those of one group. IFMAP Height is (output frames - 1) * stride +
    taps, so that SCALE-Sim, which does not pad, comes to the same output frames; bins likewise.
    """
    header = (
        "Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num Filter,"
        "Strides,Sparsity,"
    )
    return "\n".join([header, *(_entry(layer) for layer in _convolutions(workload))]) + "\n"


def layout_csv(workload: Workload) -> str:
    """A layout whose factors are all 1, which is no layout: the program wants the file anyway."""
    lines = ["Layer name," + "factor," * LAYOUT_FACTORS]
    lines += [f"{run_name(layer)}," + "1," * LAYOUT_FACTORS for layer in _convolutions(workload)]
    return "\n".join(lines) + "\n"


def run_name(layer: Layer) -> str:
    """A layer's name there: dots are not in it, `_x64` says that it stands for 64 runs.

    Nor is `DP`, which SCALE-Sim would take for a depthwise layer, to be split by channels.
    """
    name = layer.name.replace(".", "_").replace("DP", "Dp")
    return f"{name}_x{layer.groups}" if layer.groups > 1 else name


def _convolutions(workload: Workload) -> list[Layer]:
    return [layer for layer in workload.layers if layer.kind in CONVOLUTIONS]


def _entry(layer: Layer) -> str:
    height = (layer.out_frames - 1) * layer.stride + layer.kernel_size
    width = (layer.out_bins - 1) * layer.stride + layer.kernel_bins
    channels, filters = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    kernel = (layer.kernel_size, layer.kernel_bins)
    sizes = (height, width, *kernel, channels, filters, layer.stride)
    return f"{run_name(layer)},{','.join(map(str, sizes))},1:1,"


def configuration(machine: Accelerator) -> str:
    """The machine's array of multipliers, its SRAMs and dataflow as a cfg file.

    Sizes of SRAMs are whole KiB, at least 1; Bandwidth is that of the outermost memory in words of
    one byte a cycle. A dataflow that our mapper chooses by layer (`auto`) is written as `ws`.

    Raises:
        InvalidInput: the array has lanes, which SCALE-Sim does not know.
    """
    array = next(each for each in machine.arrays if each.element == "mac")
    if array.lanes > 1:
        raise InvalidInput(
            f"{machine.name}: SCALE-Sim has arrays of rows and columns, and '{array.name}' has "
            f"{array.lanes} lanes: make them rows"
        )
    sizes = "\n".join(
        f"{key}: {max(1, _share_bits(machine, operand) // KIB_BITS)}"
        for key, operand in _SRAMS.items()
    )
    outermost = machine.memories[-1]
    return f"""[general]
run_name = {machine.name}

[architecture_presets]
ArrayHeight: {array.rows}
ArrayWidth: {array.columns}
{sizes}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: {max(1, outermost.bandwidth_bits_per_cycle // 8)}
Dataflow: {_LETTERS[array.dataflow]}
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32

[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 8
IfmapSRAMBankNum: 1
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 8
FilterSRAMBankNum: 1
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def _share_bits(machine: Accelerator, operand: Operand) -> int:
    """Bits that an operand has of the largest memory on the chip that holds it.

    SCALE-Sim has an SRAM for each operand; a unified buffer is divided evenly among those it holds.
    0 where the operand is on the chip nowhere.
    """
    levels = [each for each in machine.chain(operand) if each.kind != "dram"]
    if not levels:
        return 0
    largest = max(levels, key=lambda level: level.bits)
    return largest.bits // len(largest.holds)


# ---- import ----

SRAM_KEYS = {key: (key.lower(), key.lower().removesuffix("kb")) for key in _SRAMS}
"""`IfmapSramSz` was its name in version 1, in KiB too."""
MOST_ELEMENTS = 2**24
MOST_KIB = 2**30
WITHOUT_EFFECT = {
    "general": ("run_name",),
    "architecture_presets": (
        "ifmapoffset",
        "filteroffset",
        "ofmapoffset",
        "readrequestbuffer",
        "writerequestbuffer",
    ),
    "sparsity": ("sparserep", "optimizedmapping", "blocksize", "randomnumbergeneratorseed"),
    "run_presets": ("sram_row_size", "sram_bank_size", "dram_row_size", "dram_bank_size"),
}
"""Keys that mean nothing for a machine: addresses, queues of the simulator, what belongs to
something that is off, and what only a run needs."""
READ = {
    "architecture_presets": {
        *("arrayheight", "arraywidth", "dataflow", "bandwidth", "memorybanks"),
        *(key for keys in SRAM_KEYS.values() for key in keys),
    },
    "sparsity": {"sparsitysupport"},
    "run_presets": {"interfacebandwidth", "useramulatortrace"},
}
"""Keys that are read here; of the section `layout` only whether any of it is on."""
MOST_NAMED = 10
"""Unknown keys in a note."""


def import_configuration(path: Path | str) -> ImportedMachine:
    """A machine from a cfg file: array, three SRAMs, dataflow, bandwidth.

    What the file does not say is that of `systolic_32x32`: one weight an element, technology,
    clock, DRAM.

    Raises:
        InvalidFile: the file cannot be read, or a value in it is missing or wrong.
    """
    path = Path(path)
    parser = _parser(path)
    base = load_accelerator("systolic_32x32")
    array = _array(path, parser, base.arrays[0])
    _check_switches(path, parser)
    notes: list[str] = []
    words = _bandwidth(path, parser, notes)
    dram = dataclasses.replace(base.memories[-1], bandwidth_bits_per_cycle=8 * words, where="")
    notes += _left_out(parser)
    machine = dataclasses.replace(
        base,
        name=path.stem,
        description=f"{array.rows} x {array.columns} systolic array, {array.dataflow}",
        source=f"Imported from {path.name}, a cfg of SCALE-Sim; clock and DRAM are those of "
        "systolic_32x32.",
        arrays=(array,),
        memories=(*_srams(path, parser, array), dram),
        vector_lanes=array.columns,
    )
    return ImportedMachine(machine, tuple(notes))


def _array(path: Path, parser: configparser.ConfigParser, base: ComputeArray) -> ComputeArray:
    """The array of the file; what it does not say is that of `base`."""
    section = parser["architecture_presets"]
    rows, columns = (_whole(path, section, key) for key in ("ArrayHeight", "ArrayWidth"))
    dataflow = section.get("Dataflow", "").strip().lower()
    if dataflow not in DATAFLOWS:
        raise InvalidFile(
            f"Dataflow must be one of {', '.join(DATAFLOWS)}, not {short(dataflow)} ({path})"
        )
    array = dataclasses.replace(
        base,
        rows=rows,
        columns=columns,
        dataflow=DATAFLOWS[dataflow],  # type: ignore[arg-type]
    )
    if array.elements > MOST_ELEMENTS:
        raise InvalidFile(
            f"ArrayHeight x ArrayWidth must be at most {MOST_ELEMENTS:,} elements, not "
            f"{array.elements:,} ({path})"
        )
    return array


def _srams(
    path: Path, parser: configparser.ConfigParser, array: ComputeArray
) -> tuple[MemoryLevel, ...]:
    """The SRAM of each operand, in KiB in the file."""
    section = parser["architecture_presets"]
    memories: list[MemoryLevel] = []
    for key, operand in _SRAMS.items():
        sizes = [_whole(path, section, each, key) for each in SRAM_KEYS[key] if each in section]
        if len(set(sizes)) > 1:
            raise InvalidFile(
                f"{' and '.join(SRAM_KEYS[key])} are one size, and say {sizes[0]} and {sizes[1]} "
                f"KiB: leave one out ({path})"
            )
        kib = sizes[0] if sizes else _whole(path, section, key)
        if kib > MOST_KIB:
            raise InvalidFile(f"{key} must be at most {MOST_KIB:,} KiB, not {kib:,} ({path})")
        memories.append(
            MemoryLevel(
                name=f"{operand}_sram",
                kind="sram",
                holds=(operand,),
                capacity_bits=kib * KIB_BITS,
                # The presets have no bandwidth of an SRAM: a byte a cycle for each element of the
                # longer side, so that an SRAM does not hold the array up.
                bandwidth_bits_per_cycle=8 * max(array.rows, array.columns),
            )
        )
    return tuple(memories)


def _bandwidth(path: Path, parser: configparser.ConfigParser, notes: list[str]) -> int:
    """Words a cycle of the DRAM; the file may have one for each operand, or none that counts."""
    section = parser["architecture_presets"]
    texts = [text.strip() for text in section.get("Bandwidth", "").split(",")]
    if not any(texts):
        notes.append("the file has no Bandwidth: 8 words of a byte a cycle are assumed of the DRAM")
        return 8
    words = {_whole(path, {"Bandwidth": text}, "Bandwidth") for text in texts}
    if len(words) > 1:
        raise InvalidFile(
            f"Bandwidth has {len(texts)} values that differ: operands share one DRAM here; "
            f"give one ({path})"
        )
    [found] = words
    mode = _value(parser, "run_presets", "InterfaceBandwidth").upper()
    if mode == "CALC":
        notes.append(
            f"InterfaceBandwidth is CALC: SCALE-Sim gives the DRAM what the array needs, without "
            f"stalls; read is Bandwidth, {found} words of a byte a cycle, which may hold the array "
            "up: set bandwidth_bits_per_cycle of the DRAM to what yours has"
        )
    elif mode not in ("", "USER"):
        raise InvalidFile(f"InterfaceBandwidth must be CALC or USER, not {short(mode)} ({path})")
    return found


def _left_out(parser: configparser.ConfigParser) -> list[str]:
    """What is in the file and has no place in a machine of ours."""
    notes = []
    if _on(parser, "sparsity", "SparsitySupport"):
        notes.append(
            "SparsitySupport is on, and left out: N of M weights that are not zero are no property "
            "of a machine here; ternary matrices of a design have a density"
        )
    if _on(parser, "run_presets", "UseRamulatorTrace"):
        notes.append(
            "UseRamulatorTrace is on, and left out: the DRAM is that of systolic_32x32, which "
            "answers in time"
        )
    for operand in ("Ifmap", "Filter", "Ofmap"):
        if _on(parser, "layout", f"{operand}CustomLayout"):
            notes.append(
                f"{operand}CustomLayout is on, and left out: banks of an SRAM never wait for each "
                "other here"
            )
    banks = _value(parser, "architecture_presets", "MemoryBanks")
    if banks not in ("", "1"):
        notes.append(f"MemoryBanks is {banks[:20]}, and left out: the DRAM is one")
    rest = [
        f"[{name}] {key}"
        for name in parser.sections()
        for key in parser[name]
        if name != "layout" and key not in (*WITHOUT_EFFECT.get(name, ()), *READ.get(name, ()))
    ]
    if rest:
        more = f" and {len(rest) - MOST_NAMED} more" if len(rest) > MOST_NAMED else ""
        named = ", ".join(each[:60] for each in rest[:MOST_NAMED])
        notes.append(f"not known, and left out: {named}{more}")
    return notes


def _value(parser: configparser.ConfigParser, section: str, key: str) -> str:
    found = parser.get(section, key, fallback="")
    return found.strip()


SWITCHES = {
    "sparsity": ("SparsitySupport", "OptimizedMapping"),
    "run_presets": ("UseRamulatorTrace",),
    "layout": ("IfmapCustomLayout", "FilterCustomLayout", "OfmapCustomLayout"),
}


def _check_switches(path: Path, parser: configparser.ConfigParser) -> None:
    """Raise `InvalidFile` for a switch that is neither on nor off: SCALE-Sim would stop there."""
    for section, keys in SWITCHES.items():
        for key in keys:
            said = _value(parser, section, key)
            if said and said.lower() not in parser.BOOLEAN_STATES:
                raise InvalidFile(
                    f"{key} in [{section}] must be True or False, not {short(said)} ({path})"
                )


def _on(parser: configparser.ConfigParser, section: str, key: str) -> bool:
    return _value(parser, section, key).lower() in ("true", "yes", "1", "on")


def _parser(path: Path) -> configparser.ConfigParser:
    """The sections of a cfg file.

    Raises:
        InvalidFile: it cannot be read, is a list of layers, or has no presets of an architecture.
    """
    text = read_text(path, MAX_BYTES, "a cfg file of SCALE-Sim")
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # of the first Macintosh, too
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if first[:1] != "[" and first.count(",") > 2:
        raise InvalidFile(
            f"{path} is a topology or a layout of SCALE-Sim, a list of layers; read is the cfg of "
            "a machine: layers come in from NeMo, ONNX and ZigZag"
        )
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text, path.name)
    except configparser.Error as error:
        said = "".join(each for each in str(error).splitlines()[0][:200] if each.isprintable())
        raise InvalidFile(f"{path} is no cfg file of SCALE-Sim: {said}") from None
    if "architecture_presets" not in parser:
        raise InvalidFile(f"{path} has no section [architecture_presets]")
    return parser


def _whole(path: Path, section: Mapping[str, str], key: str, shown: str = "") -> int:
    """A number from 1 on; `shown` is the key as files write it, where `key` is in small letters."""
    text = section.get(key)
    key = shown or key
    if text is None:
        close = difflib.get_close_matches(key.lower(), section, n=1)
        hint = f"; it has {short(close[0])}" if close else ""
        raise InvalidFile(f"missing key '{key}' in [architecture_presets]{hint} ({path})")
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 9 and int(plain) > 0):
        raise InvalidFile(f"{key} must be a whole number from 1, not {short(text)} ({path})")
    return int(plain)
