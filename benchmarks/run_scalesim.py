"""Run SCALE-Sim on one network and several arrays, and write its cycles per layer as CSV.

The figures under `tests/cost_models/oracles/scalesim` come from here. SCALE-Sim is not a dependency
of the project; it needs its own environment, from the root of the repository (it fails on numpy 2):

    python -m venv SCALESIM && SCALESIM/bin/pip install scalesim==3.0.0 'numpy<2' pyyaml
    PYTHONPATH=. SCALESIM/bin/python benchmarks/run_scalesim.py --network matchboxnet-3x2x64 \
        --first-stride 2 --out FILE ws:32x32 os:32x32 ws:8x32

An array is `dataflow:ROWSxCOLUMNS`. A depthwise layer is simulated for one channel and multiplied
by the channels. SCALE-Sim knows neither padding nor dilation: a layer gets the input frames that
its output frames need, and a dilated kernel is replaced by one of the same length without.
"""

import argparse
import contextlib
import csv
import dataclasses
import io
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from networks import KIND_NAMES, add_options, convolutions

from cost_models.workload import Layer
from dse.files import write_text

COLUMNS = (
    *("dataflow", "rows", "columns", "layer", "kind", "C", "K", "k"),
    *("T_in", "T_out", "stride", "B_in", "B_out", "kb", "channels"),
)

SRAM_KILOBYTES = 64  # each of the three; large enough that none of them stalls

CONFIGURATION = """[general]
run_name = run

[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: {sram}
FilterSramSzkB: {sram}
OfmapSramSzkB: {sram}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 8
Dataflow: {dataflow}
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

LAYOUT_FACTORS = 20
"""Numbers per layer in a layout file, which is read even where no layout is used."""


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    """A systolic array and what stays in it."""

    dataflow: str  # ws, os or is
    rows: int
    columns: int

    @classmethod
    def parse(cls, text: str) -> "Array":
        """An array from its name, such as `ws:32x32`."""
        dataflow, _, size = text.partition(":")
        rows, _, columns = size.partition("x")
        if dataflow not in {"ws", "os", "is"} or not (rows.isdigit() and columns.isdigit()):
            raise argparse.ArgumentTypeError(f"{text!r} is not like ws:32x32 (ws, os or is)")
        return cls(dataflow, int(rows), int(columns))


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """What SCALE-Sim reports of one layer; words are bytes."""

    cycles: int
    cycles_with_prefetch: int
    sram_input_reads: int
    sram_weight_reads: int
    sram_output_writes: int

    def times(self, count: int) -> "Figures":
        """The figures of `count` equal runs."""
        return Figures(*(count * value for value in dataclasses.astuple(self)))


def channels_apart(layer: Layer) -> int:
    """How many times one simulation stands for the layer: once per channel if depthwise."""
    if layer.groups not in {1, layer.in_channels}:
        raise SystemExit(f"{layer.name}: groups = {layer.groups} are not written for SCALE-Sim")
    return layer.groups


def topology_entry(layer: Layer) -> tuple[int, ...]:
    """Input height and width, kernel height and width, channels, filters, stride.

    Frames are heights, bins are widths; one stride serves both.
    """
    height = (layer.out_frames - 1) * layer.stride + layer.kernel_size
    width = (layer.out_bins - 1) * layer.stride + layer.kernel_bins
    apart = channels_apart(layer)
    channels, filters = layer.in_channels // apart, layer.out_channels // apart
    kernel = (layer.kernel_size, layer.kernel_bins)
    return (height, width, *kernel, channels, filters, layer.stride)


def simulate(array: Array, entries: Sequence[tuple[int, ...]]) -> list[Figures]:
    """SCALE-Sim's figures for each entry."""
    from scalesim.scale_sim import scalesim

    numbered = list(enumerate(entries))
    topology = ["Layer name,IFMAP H,IFMAP W,Filter H,Filter W,Channels,Filters,Strides,N:M,"]
    topology += [f"L{n},{','.join(map(str, entry))},1:1," for n, entry in numbered]
    layout = ["Layer name," + "factor," * LAYOUT_FACTORS]
    layout += [f"L{n}," + "1," * LAYOUT_FACTORS for n, _ in numbered]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {"topology.csv": topology, "layout.csv": layout}
        for name, lines in files.items():
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        configuration = CONFIGURATION.format(sram=SRAM_KILOBYTES, **dataclasses.asdict(array))
        (folder / "run.cfg").write_text(configuration, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            simulation = scalesim(
                save_disk_space=True,
                verbose=False,
                config=str(folder / "run.cfg"),
                topology=str(folder / "topology.csv"),
                layout=str(folder / "layout.csv"),
            )
            simulation.run_scale(top_path=scratch)
        return [_figures(layer) for layer in simulation.runner.single_layer_sim_object_list]


def _figures(layer: Any) -> Figures:
    with_prefetch, cycles, stalls, *_ = layer.get_compute_report_items()
    if stalls != 0:
        raise SystemExit("SCALE-Sim stalled where none was expected")
    details = layer.get_detail_report_items()
    inputs, weights, outputs = details[2], details[5], details[8]
    return Figures(*(int(value) for value in (cycles, with_prefetch, inputs, weights, outputs)))


def closed_form(array: Array, layer: Layer) -> int:
    """Cycles of a layer as one product of matrices per group, on an array of R rows, C columns.

    M pixels, N filters, K inputs of a filter. Fitted to SCALE-Sim 3.0.0, which it equals.
    """
    apart = channels_apart(layer)
    m, n = layer.out_pixels, layer.out_channels // apart
    k = layer.in_channels // apart * layer.taps
    r, c = array.rows, array.columns
    if array.dataflow == "ws":
        cycles = math.ceil(k / r) * math.ceil(n / c) * (2 * r + c + m - 2) - 1
    elif array.dataflow == "os":
        cycles = math.ceil(m / r) * math.ceil(n / c) * (r + c + k - 2) - 1
    else:
        cycles = math.ceil(k / r) * math.ceil(m / c) * (2 * r + c + n - 2) - 1
    return apart * cycles


def main() -> None:
    """Read the command line, run, write one file, compare with the closed form."""
    parser = argparse.ArgumentParser(description="Cycles of a network's layers, by SCALE-Sim.")
    parser.add_argument("arrays", nargs="+", type=Array.parse, metavar="DATAFLOW:RxC")
    add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()

    layers = convolutions(options)
    entries = list(dict.fromkeys(topology_entry(layer) for layer in layers))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(field.name for field in dataclasses.fields(Figures))])
    rows = agreeing = 0
    for array in options.arrays:
        begin = time.process_time()
        by_entry = dict(zip(entries, simulate(array, entries), strict=True))
        seconds = time.process_time() - begin
        for layer in layers:
            apart = channels_apart(layer)
            figures = by_entry[topology_entry(layer)].times(apart)
            sizes = (layer.in_channels, layer.out_channels, layer.kernel_size)
            frames = (layer.in_frames, layer.out_frames, layer.stride)
            bins = (layer.in_bins, layer.out_bins, layer.kernel_bins)
            names = (layer.name, KIND_NAMES[layer.kind])
            described = (*dataclasses.astuple(array), *names, *sizes, *frames, *bins, apart)
            writer.writerow([*described, *dataclasses.astuple(figures)])
            rows += 1
            agreeing += figures.cycles == closed_form(array, layer)
        print(f"{array}: {seconds:.2f} CPU seconds for {len(entries)} distinct layers")
    write_text(options.out, text.getvalue())
    print(f"closed form: {agreeing} of {rows} rows agree")


if __name__ == "__main__":
    main()
