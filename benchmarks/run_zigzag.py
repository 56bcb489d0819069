"""Run ZigZag on one network and one machine, and write what it counts per layer as CSV.

The figures under `tests/cost_models/oracles/zigzag` come from here. ZigZag is not a dependency of
the project; it needs its own environment, from the root of the repository:

    python -m venv ZIGZAG && ZIGZAG/bin/pip install zigzag-dse==3.9.1 six moocore
    PYTHONPATH=.:benchmarks ZIGZAG/bin/python -P benchmarks/run_zigzag.py --machine edge_tpu_like \
        --network matchboxnet-3x2x64 --first-stride 2 --weight-bits 8 --out FILE

Two files appear: FILE, one row per layer, and FILE with the ending `.json`, the run's options,
totals and CPU time. Only convolutions and the classifier are run: ZigZag costs no batch
normalisation, activation, residual addition or pooling here.
"""

import argparse
import contextlib
import csv
import dataclasses
import importlib.metadata
import importlib.util
import io
import json
import logging
import math
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from networks import KIND_NAMES, add_options, convolutions

from cost_models.workload import Layer, LayerKind
from dse.files import write_text

OPERANDS = ("O", "W", "I")

PARTIAL_SUM_BITS = 16
ACTIVATION_BITS = 8

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Bits:
    """Widths of weights in bits; activations are `ACTIVATION_BITS` wide."""

    weights: int
    pointwise: int  # of 1x1 convolutions except the classifier; 0: no weight traffic at all

    def of(self, layer: Layer) -> int:
        """Bits of one weight of the layer."""
        return self.pointwise if layer.kind is LayerKind.POINTWISE else self.weights


def shape(layer: Layer, bits: Bits) -> tuple[object, ...]:
    """What decides the cost of a layer: equal shapes cost the same."""
    sizes = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.groups)
    steps = (layer.stride, layer.dilation, layer.in_frames, layer.out_frames)
    bins = (layer.in_bins, layer.out_bins, layer.kernel_bins, layer.bin_stride, layer.bin_dilation)
    return (layer.kind, *sizes, *steps, *bins, bits.of(layer))


def workload(layers: Sequence[Layer], bits: Bits) -> list[dict[str, Any]]:
    """The layers in ZigZag's workload schema, each reading the one before it.

    A skip is written as one more link of the chain: branches would only change which activations
    may stay on chip.
    """
    return [_node(number, layer, bits) for number, layer in enumerate(layers)]


def _node(number: int, layer: Layer, bits: Bits) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": number,
        "name": layer.name,
        "operator_type": "Conv",
        "dimension_relations": [],
        "operand_precision": {
            "W": bits.of(layer),
            "I": ACTIVATION_BITS,
            "O": PARTIAL_SUM_BITS,
            "O_final": ACTIVATION_BITS,
        },
        "operand_source": {"I": max(number - 1, 0), "W": number},
    }
    if layer.two_dimensional:
        return node | _plane(layer)
    if layer.kernel_size == 1 and layer.groups == 1:
        node |= {
            "equation": "O[b][k][ox]+=W[k][c]*I[b][c][ox]",
            "loop_dims": ["B", "K", "C", "OX"],
            "loop_sizes": [1, layer.out_channels, layer.in_channels, layer.out_frames],
        }
        return node
    padding = layer.dilation * (layer.kernel_size - 1) // 2
    node |= {
        "dimension_relations": [f"ix={layer.stride}*ox+{layer.dilation}*fx"],
        "pr_loop_dims": ["IX"],
        "pr_loop_sizes": [layer.in_frames],
        "padding": [[padding, padding]],
    }
    if layer.kind is LayerKind.DEPTHWISE:
        node |= {
            "equation": "O[b][g][ox]+=W[g][fx]*I[b][g][ix]",
            "loop_dims": ["B", "G", "OX", "FX"],
            "loop_sizes": [1, layer.out_channels, layer.out_frames, layer.kernel_size],
        }
    elif layer.groups == 1:
        node |= {
            "equation": "O[b][k][ox]+=W[k][c][fx]*I[b][c][ix]",
            "loop_dims": ["B", "K", "C", "OX", "FX"],
            "loop_sizes": [
                1,
                layer.out_channels,
                layer.in_channels,
                layer.out_frames,
                layer.kernel_size,
            ],
        }
    else:
        raise SystemExit(f"{layer.name}: groups = {layer.groups} are not written for ZigZag")
    return node


def _plane(layer: Layer) -> dict[str, Any]:
    """Loops of a layer with bins, OY and FY beside OX and FX of frames."""
    depthwise = layer.kind is LayerKind.DEPTHWISE
    if layer.groups != (layer.in_channels if depthwise else 1):
        raise SystemExit(f"{layer.name}: groups = {layer.groups} are not written for ZigZag")
    loops = {"B": 1}
    loops |= {"G": layer.groups} if depthwise else {"K": layer.out_channels, "C": layer.in_channels}
    loops |= {"OY": layer.out_bins, "OX": layer.out_frames}
    if layer.taps == 1 and layer.stride == layer.bin_stride == 1:
        return {
            "equation": "O[b][k][oy][ox]+=W[k][c]*I[b][c][oy][ox]",
            "loop_dims": list(loops),
            "loop_sizes": list(loops.values()),
        }
    loops |= {"FY": layer.kernel_bins, "FX": layer.kernel_size}
    frames = _padding(layer.in_frames, layer.out_frames, layer.stride, layer.kernel_size)
    bins = _padding(layer.in_bins, layer.out_bins, layer.bin_stride, layer.kernel_bins)
    return {
        "equation": "O[b][g][oy][ox]+=W[g][fy][fx]*I[b][g][iy][ix]"
        if depthwise
        else "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [
            f"ix={layer.stride}*ox+{layer.dilation}*fx",
            f"iy={layer.bin_stride}*oy+{layer.bin_dilation}*fy",
        ],
        "loop_dims": list(loops),
        "loop_sizes": list(loops.values()),
        "pr_loop_dims": ["IY", "IX"],
        "pr_loop_sizes": [layer.in_bins, layer.in_frames],
        "padding": [bins, frames],
    }


def _padding(size: int, made: int, stride: int, taps: int) -> list[int]:
    """Padding before and behind: what the outputs need beyond the inputs, without dilation."""
    both = max((made - 1) * stride + taps - size, 0)
    return [both // 2, both - both // 2]


def machine_file(machine: str) -> Path:
    """A machine's hardware YAML: a file of this name, or what the installed ZigZag brings."""
    if machine.endswith(".yaml"):
        return Path(machine)
    spec = importlib.util.find_spec("zigzag")
    if spec is None or spec.origin is None:
        raise SystemExit("ZigZag is not installed: pip install zigzag-dse==3.9.1 six")
    folder = Path(spec.origin).parent / "inputs" / "hardware"
    path = folder / f"{machine}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise SystemExit(f"ZigZag has no machine {machine!r}; it has {known}")
    return path


def run(
    layers: Sequence[Layer], bits: Bits, options: argparse.Namespace
) -> tuple[list[Any], float]:
    """ZigZag's evaluation of every layer, in order, and the CPU seconds it took.

    Without data locality, layers of equal shape are evaluated once.
    """
    from zigzag.api import get_hardware_performance_zigzag

    keys = [shape(layer, bits) for layer in layers]
    if options.locality or options.every_layer:
        keys = [(number, *key) for number, key in enumerate(keys)]
    distinct = dict(zip(reversed(keys), reversed(layers), strict=True))
    ordered = {key: distinct[key] for key in keys}

    logging.basicConfig(level=logging.ERROR)  # before ZigZag asks for a line per mapping
    mapping = [{"name": "default", "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}]
    with tempfile.TemporaryDirectory() as scratch:
        mapping_file = Path(scratch) / "mapping.yaml"
        mapping_file.write_text(json.dumps(mapping), encoding="utf-8")  # JSON is YAML
        begin = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            _, _, results = get_hardware_performance_zigzag(
                workload(list(ordered.values()), bits),
                str(machine_file(options.machine)),
                str(mapping_file),
                opt=options.objective,
                dump_folder=scratch,
                lpf_limit=options.lpf_limit,
                nb_spatial_mappings_generated=options.spatial_mappings,
                exploit_data_locality=options.locality,
                loma_show_progress_bar=False,
            )
        seconds = time.process_time() - begin
    evaluations = [evaluation for evaluation, _ in results[0][1]]
    by_key = dict(zip(ordered, evaluations, strict=True))
    return [by_key[key] for key in keys], seconds


def describe(layer: Layer, evaluation: Any, bits: Bits) -> Row:
    """One row of the CSV: figures of one layer.

    Energies in pJ; accesses in units of the port's widest access (a port that can transfer less
    counts a part of one).
    """
    row: Row = {
        "layer": layer.name,
        "kind": KIND_NAMES[layer.kind],
        "C": layer.in_channels,
        "K": layer.out_channels,
        "k": layer.kernel_size,
        "stride": layer.stride,
        "dil": layer.dilation,
        "T_in": layer.in_frames,
        "T_out": layer.out_frames,
        **_bins(layer),
        "macs": evaluation.layer.total_mac_count,
        "W_bits": bits.of(layer),
        "energy_total_pJ": evaluation.energy_total,
        "energy_mac_pJ": evaluation.mac_energy,
        "energy_mem_pJ": evaluation.mem_energy,
        "cycles_ideal": evaluation.ideal_cycle,
        "cycles_ideal_temporal": evaluation.ideal_temporal_cycle,
        "cycles_compute_with_stalls": evaluation.latency_total0,
        "cycles_with_onload": evaluation.latency_total1,
        "cycles_total": evaluation.latency_total2,
        "spatial_util": evaluation.mac_spatial_utilization,
        "spatial_mapping": _spatial(evaluation),
        "temporal_mapping": _temporal(evaluation),
        "spatial_levels": _spatial_levels(evaluation),
    }
    dram_accesses = 0
    for operand, memory, access, energy in _memories(evaluation):
        directions = {str(direction): count for direction, count in access.data.items()}
        reads = directions["rd_out_to_low"] + directions["rd_out_to_high"]
        writes = directions["wr_in_by_low"] + directions["wr_in_by_high"]
        column = f"{operand}_{memory}"
        row[f"E_{column}_pJ"] = energy
        row[f"rd_{column}"] = reads
        row[f"wr_{column}"] = writes
        row[f"up_{column}"] = directions["rd_out_to_high"] + directions["wr_in_by_high"]
        if memory == "dram":
            dram_accesses += reads + writes
    row["dram_port_cycles_lower_bound"] = dram_accesses
    return row


def _bins(layer: Layer) -> Row:
    """Columns of the second dimension, where a layer has one."""
    if not layer.two_dimensional:
        return {}
    sizes = {"B_in": layer.in_bins, "B_out": layer.out_bins}
    return sizes | {"kb": layer.kernel_bins, "stride_b": layer.bin_stride}


def _memories(evaluation: Any) -> Iterable[tuple[str, str, Any, float]]:
    """Operand, memory, accesses in four directions and pJ, innermost memory first."""
    hierarchy = evaluation.mapping.accelerator.memory_hierarchy
    links = evaluation.layer.memory_operand_links
    by_name = {operand.name: operand for operand in evaluation.memory_word_access}
    for name in OPERANDS:
        operand = by_name[name]
        levels = hierarchy.get_memory_levels(mem_op=links.layer_to_mem_op(operand))
        accesses = evaluation.memory_word_access[operand]
        energies = evaluation.mem_energy_breakdown[operand]
        for level, access, energy in zip(levels, accesses, energies, strict=True):
            yield name, level.name, access, energy


def _spatial(evaluation: Any) -> str:
    """Array dimensions with what runs along them, such as `D1: K 32; D2: C 32`."""
    mapping = evaluation.layer.spatial_mapping
    return "; ".join(
        f"{dimension}: {' '.join(f'{loop} {_number(size)}' for loop, size in loops.items())}"
        for dimension, loops in mapping.items()
    )


def _temporal(evaluation: Any) -> str:
    """Loops inner to outer by the memory that holds them, such as `W: rf[OX 64] dram[K 2]`.

    A loop in the brackets of a memory runs over what that memory holds of the operand.
    """
    levels = {
        operand.name: loops
        for operand, loops in evaluation.temporal_mapping.mapping_dic_stationary.items()
    }
    return _by_level(evaluation, levels)


def _spatial_levels(evaluation: Any) -> str:
    """Spatial loops by the memory above which they are unrolled.

    `array[K 8]` are multipliers that share one innermost memory; `rf[C 8]` are eight such memories
    under one of the next level. A size may be a fraction: 11 taps in two steps are 5.5 each.
    """
    levels = {
        operand.name: loops
        for operand, loops in evaluation.spatial_mapping.mapping_dict_origin.items()
    }
    return _by_level(evaluation, levels, below="array")


def _by_level(evaluation: Any, levels: dict[str, Any], below: str = "") -> str:
    names: dict[str, list[str]] = {name: [below] if below else [] for name in OPERANDS}
    for operand, memory, *_ in _memories(evaluation):
        names[operand].append(memory)
    return "; ".join(
        f"{operand}: "
        + " ".join(
            f"{memory}[{', '.join(f'{loop} {_number(size)}' for loop, size in loops)}]"
            for memory, loops in zip(names[operand], levels[operand], strict=True)
        )
        for operand in OPERANDS
    )


def _number(value: float) -> str:
    return f"{value:g}"


def summary(rows: Sequence[Row], seconds: float, options: argparse.Namespace) -> Row:
    """Options, totals over the layers, and CPU seconds of the run."""
    totals = ("macs", "energy_total_pJ", "energy_mac_pJ", "cycles_ideal", "cycles_total")
    shapes = ("kind", "C", "K", "k", "stride", "dil", "T_in", "T_out", "W_bits")
    shapes += ("B_in", "B_out", "kb")
    return {
        "tool": f"zigzag-dse {importlib.metadata.version('zigzag-dse')}",
        **{name: value for name, value in vars(options).items() if name != "out"},
        "layers": len(rows),
        "distinct_layers": len({tuple(row.get(name) for name in shapes) for row in rows}),
        **{name: math.fsum(row[name] for row in rows) for name in totals},
        "cpu_seconds": round(seconds, 2),
    }


def to_csv(rows: Sequence[Row]) -> str:
    """CSV text; a memory that a layer does not use has an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main() -> None:
    """Read the command line, run, write two files."""
    parser = argparse.ArgumentParser(description="Costs of a network's layers, by ZigZag.")
    parser.add_argument(
        "--machine", required=True, help="one of ZigZag's, such as tpu_like, or a FILE.yaml"
    )
    add_options(parser)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--pointwise-weight-bits", type=int, help="of 1x1 layers but the last")
    parser.add_argument("--objective", choices=("EDP", "energy", "latency"), default="EDP")
    parser.add_argument("--lpf-limit", type=int, default=6, help="loop factors to permute")
    parser.add_argument("--spatial-mappings", type=int, default=3, help="how many to try")
    parser.add_argument(
        "--locality", action="store_true", help="keep activations and weights on chip that fit"
    )
    parser.add_argument(
        "--every-layer", action="store_true", help="run equal layers again, to time the tool"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    if options.pointwise_weight_bits is None:
        options.pointwise_weight_bits = options.weight_bits

    bits = Bits(weights=options.weight_bits, pointwise=options.pointwise_weight_bits)
    layers = convolutions(options)
    evaluations, seconds = run(layers, bits, options)
    rows = [
        describe(layer, evaluation, bits)
        for layer, evaluation in zip(layers, evaluations, strict=True)
    ]
    write_text(options.out, to_csv(rows))
    totals = summary(rows, seconds, options)
    write_text(options.out.with_suffix(".json"), json.dumps(totals, indent=1) + "\n")
    print(json.dumps(totals, indent=1))


if __name__ == "__main__":
    main()
