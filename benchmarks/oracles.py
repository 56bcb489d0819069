"""Hold the cost model against the figures of ZigZag and SCALE-Sim, and print the differences.

    python benchmarks/oracles.py [--layers] [FOLDER ...]

The figures lie under `tests/cost_models/oracles`, whose README says what each means; nothing is run
but our own model. A FOLDER is one more run of ZigZag: `hardware.yaml`, which is read as `dse import
zigzag` reads it, and `per_layer.csv` as `run_zigzag.py` writes it; activations stay on chip in one
with `locality` in its name. `--layers` adds each layer, with the energy of each operand in each
memory where the two differ. What both do not cost is left out: leakage, and what we count after the
convolution (rounding, biases).
"""

import argparse
import csv
import dataclasses
import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models import (
    Accelerator,
    ComputeArray,
    Layer,
    LayerKind,
    Register,
    WeightSource,
    load_accelerator,
    load_technology,
)
from cost_models.energy import Component
from cost_models.latency import ideal_cycles
from cost_models.mapping import N, R, T, list_candidates
from cost_models.pricing import LayerPricer
from cost_models.residency import Placed, weights_stay
from cost_models.tile_search import Objective
from dse.interchange.zigzag import import_hardware

ORACLES = Path(__file__).parents[1] / "tests" / "cost_models" / "oracles"

KINDS = {
    "dw": LayerKind.DEPTHWISE,
    "pw": LayerKind.POINTWISE,
    "conv": LayerKind.CONVOLUTION,
    "fc": LayerKind.LINEAR,
}

LEFT_OUT = (
    Component.POST_PROCESSING,
    Component.WIRES,
    Component.CLOCK,
    Component.CONTROL,
    Component.LEAKAGE,
)

LETTERS = {"weights": "W", "inputs": "I", "outputs": "O"}

ZIGZAG_MEMORIES = {
    "tpu_like": {
        "macs": {"weights": "rf_128B", "outputs": "rf_2B"},
        "activation_sram": {"inputs": "sram_2MB", "outputs": "sram_2MB"},
    },
    "edge_tpu_like": {
        "macs": {"weights": "rf_1B", "outputs": "rf_2B"},
        "weight_sram": {"weights": "sram_32KB"},
        "activation_sram": {"inputs": "sram_2MB", "outputs": "sram_2MB"},
    },
    "eyeriss_like": {
        "macs": {"weights": "rf_64B_W", "inputs": "rf_64B_A", "outputs": "rf_16B"},
        "output_sram": {"outputs": "sram_8KB"},
        "weight_sram": {"weights": "sram_64KB"},
        "activation_sram": {"inputs": "sram_1M", "outputs": "sram_1M"},
    },
}
"""Our parts -> operand -> ZigZag's name of the memory, where it has another; of machines that are
imported, `memory_names`."""

PARTIAL_SUM_BITS = 16
"""As `run_zigzag.py` says to ZigZag; SCALE-Sim counts cycles, which do not depend on it."""

SPATIAL_LOOPS = {"K": N, "G": N, "C": R, "FX": R, "FY": R, "OX": T, "OY": T}
"""ZigZag's loops -> ours."""


@dataclass(frozen=True)
class Compared:
    """One layer in both models."""

    layer: Layer
    mapping: str
    ours_pj: float
    theirs_pj: float
    parts_pj: dict[tuple[str, str], tuple[float, float]]
    """(operand, part) -> energy in ours and in theirs."""
    ours_ideal: float
    """Passes of the array when it unrolls what theirs does."""
    theirs_ideal: float
    cycles: tuple[float, float]
    """Ours: all transfers overlap with computing, and nothing does."""
    theirs_cycles: float
    port_cycles: float
    """Of their own accesses at their DRAM port."""

    @property
    def error(self) -> float:
        """Share by which ours is above theirs."""
        return self.ours_pj / self.theirs_pj - 1


def zigzag_runs() -> list[Path]:
    """The runs of ZigZag, one file each."""
    return sorted((ORACLES / "zigzag").glob("*.csv"))


def layer_of(row: dict[str, str]) -> Layer:
    """A layer from a row of a file."""
    kind = KINDS[row["kind"]]
    channels = int(row["C"])
    return Layer(
        name=row["layer"],
        kind=kind,
        in_channels=channels,
        out_channels=int(row["K"]),
        in_frames=int(row["T_in"]),
        out_frames=int(row["T_out"]),
        kernel_size=int(row["k"]),
        stride=int(row["stride"]),
        dilation=int(row.get("dil", 1)),
        in_bins=int(row.get("B_in") or 1),
        out_bins=int(row.get("B_out") or 1),
        kernel_bins=int(row.get("kb") or 1),
        bin_stride=int(row.get("stride_b") or row["stride"]),
        groups=channels if kind is LayerKind.DEPTHWISE else 1,
        weights=WeightSource.TRAINED,
        weight_bits=max(int(row.get("W_bits", 8)), 1),
        accumulator_bits=PARTIAL_SUM_BITS,
        rescaled=False,
    )


def label(run: Path) -> str:
    """What a run is called: by its file, or by its folder."""
    return run.parent.name if run.name == "per_layer.csv" else run.stem


def hardware_of(run: Path) -> Path | None:
    """Hardware YAML of a run on a machine that is none of ours."""
    name = label(run).split("__")[0]
    files = (run.parent / "hardware.yaml", ORACLES / "machines" / f"{name}.yaml")
    return next((file for file in files if file.exists()), None)


def find_machine(run: Path) -> Accelerator:
    """The machine of a run, with activations where the run has them.

    One of ours, or hardware YAML that is read as `dse import zigzag` reads it.
    """
    hardware = hardware_of(run)
    if hardware is None:
        machine = load_accelerator(label(run).split("__")[0])
    else:
        machine = import_hardware(hardware).machine
    if "locality" in label(run):
        home = machine.activation_home
        assert home is not None  # the machines of such runs have an SRAM of activations
        return dataclasses.replace(machine, input_memory=home.name)
    return dataclasses.replace(machine, residency="never")


def memory_names(machine: Accelerator) -> dict[str, dict[str, str]]:
    """Names of an imported machine's registers: sources of their prices are `FILE: NAME, ...`."""
    found = {}
    for operand in LETTERS:
        register = getattr(machine.arrays[0], operand)
        if register is not None and register.read_pj_per_bit is not None:
            source = register.read_pj_per_bit.source
            found[operand] = source.split(": ", 1)[1].split(",")[0]
    return {machine.arrays[0].name: found}


@dataclass(frozen=True)
class Priced:
    """One layer in our model."""

    layer: Layer
    mapping: str
    parts_pj: dict[tuple[str, str], float]
    """(operand, part) -> energy; of arithmetic the operand is empty."""
    cycles: tuple[float, float]


def price_rows(
    rows: list[dict[str, str]], machine: Accelerator, objective: Objective, *, on_chip: bool
) -> list[Priced]:
    """The layers of a run's file, without what ZigZag does not have."""
    pricer = LayerPricer(machine, load_technology(machine.technology), objective)
    layers = [layer_of(row) for row in rows]
    kept = on_chip and weights_stay(network_bits(rows), machine)
    placed = [Placed(layer, int(on_chip), on_chip, kept) for layer in layers]
    at = pricer.rows(placed)
    table, prices = pricer.table, pricer.prices
    found = []
    for layer, row, number in zip(layers, rows, at, strict=True):
        parts: dict[tuple[str, str], float] = {}
        for index, entry in enumerate(prices.entries):
            free = row["W_bits"] == "0" and entry.operand == "weights"
            if entry.component not in LEFT_OUT and not free:
                energy = float(table.counts[number, index] * prices.prices_pj[index, 1])
                key = (entry.operand, entry.part if entry.operand else "")
                parts[key] = parts.get(key, 0.0) + energy
        cycles = (float(table.latency[number]), float(table.alone[number]))
        found.append(Priced(layer, str(table.mappings[number]), parts, cycles))
    return found


@functools.cache  # for two tables, and for tests
def compare_zigzag(run: Path) -> list[Compared]:
    """Every layer of a run in both models."""
    machine = find_machine(run)
    names = memory_names(machine) if hardware_of(run) else ZIGZAG_MEMORIES[machine.name]
    objective: Objective = "energy" if label(run).endswith("_energy") else "edp"
    with run.open(newline="") as file:
        rows = list(csv.DictReader(file))
    compared = []
    priced = price_rows(rows, machine, objective, on_chip="locality" in label(run))
    for ours, row in zip(priced, rows, strict=True):
        both = {}
        for (operand, part), energy in ours.parts_pj.items():
            if operand:
                memory = names.get(part, {}).get(operand, part)
                theirs = row.get(f"E_{LETTERS[operand]}_{memory}_pJ") or 0.0
                both[operand, part] = (energy, float(theirs))
        compared.append(
            Compared(
                layer=ours.layer,
                mapping=ours.mapping,
                ours_pj=sum(ours.parts_pj.values()),
                theirs_pj=float(row["energy_total_pJ"]),
                parts_pj=both,
                ours_ideal=ideal_with(ours.layer, row["spatial_mapping"]),
                theirs_ideal=float(row["cycles_ideal_temporal"]),
                cycles=ours.cycles,
                theirs_cycles=float(row["cycles_total"]),
                port_cycles=float(row["dram_port_cycles_lower_bound"]),
            )
        )
    return compared


def network_bits(rows: list[dict[str, str]]) -> int:
    """Weights of a run's network; ZigZag knows no biases."""
    return sum(layer_of(row).weight_entries * int(row["W_bits"]) for row in rows)


def ideal_with(layer: Layer, spatial_mapping: str) -> float:
    """Passes of our model on an array that unrolls what ZigZag's does: `D1: K 32; D2: C 32`.

    Older files have `{D1: {K: 32}, D2: {C: 32}}`.
    """
    sizes = [1, 1, 1]
    for loop, size in re.findall(r"([A-Z]+):? (\d+)", spatial_mapping):
        sizes[SPATIAL_LOOPS[loop]] *= int(size)
    array = ComputeArray(
        name="unrolled",
        element="mac",
        rows=sizes[N],
        columns=sizes[R],
        lanes=sizes[T],
        depthwise="channels_across_array" if sizes[N] > 1 else "one_channel_per_pass",
        outputs=Register(capacity_bits=24),
    )
    found = list_candidates([layer], array)
    same = np.ones(found.order.shape[1], dtype=np.bool_)
    for bound, size, passes in zip(found.views.bounds[:, 0], sizes, found.iterations, strict=True):
        same &= passes == math.ceil(bound / size)
    return float(ideal_cycles(found)[same].min())


@dataclass(frozen=True)
class Cycles:
    """One layer on one array in both models."""

    array: str
    layer: Layer
    ours: float
    theirs: int


DATAFLOWS = {"ws": "weight_stationary", "os": "output_stationary", "is": "input_stationary"}


def compare_scalesim() -> Iterator[Cycles]:
    """Every layer on every array in both models."""
    base = load_accelerator("systolic_32x32")
    technology = load_technology(base.technology)
    rows = []
    for path in sorted((ORACLES / "scalesim").glob("*.csv")):
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file))
    keys = ("dataflow", "rows", "columns")
    for key in dict.fromkeys(tuple(row[name] for name in keys) for row in rows):
        array = dataclasses.replace(
            base.arrays[0], dataflow=DATAFLOWS[key[0]], rows=int(key[1]), columns=int(key[2])
        )
        pricer = LayerPricer(dataclasses.replace(base, arrays=(array,)), technology, "latency")
        here = [row for row in rows if tuple(row[name] for name in keys) == key]
        layers = [layer_of(row) for row in here]
        for layer, row, at in zip(
            layers, here, pricer.rows([Placed(layer) for layer in layers]), strict=True
        ):
            # Its depthwise layers are as many runs as there are channels, each with its own end.
            ours = float(pricer.table.array_cycles[at] + pricer.table.fill_cycles[at])
            yield Cycles(" ".join(key), layer, ours, int(row["cycles"]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", action="store_true", help="each layer, where they differ")
    parser.add_argument(
        "folders", type=Path, nargs="*", help="more runs of ZigZag", metavar="FOLDER"
    )
    options = parser.parse_args()
    runs = [*zigzag_runs(), *(folder / "per_layer.csv" for folder in options.folders)]
    print(f"{'ZigZag 3.9.1':52} {'µJ':>9} {'ours':>9} {'total':>8}  worst layer")
    for run in runs:
        compared = compare_zigzag(run)
        theirs = sum(each.theirs_pj for each in compared)
        ours = sum(each.ours_pj for each in compared)
        worst = max(compared, key=lambda each: abs(each.error))
        print(
            f"{label(run):52} {theirs * 1e-6:9.3f} {ours * 1e-6:9.3f} {ours / theirs - 1:+8.2%}  "
            f"{worst.error:+.1%} {worst.layer.name}"
        )
        if options.layers:
            for each in compared:
                print(
                    f"    {each.layer.name:12} {each.error:+8.2%}  ideal cycles "
                    f"{each.ours_ideal:,.0f} / {each.theirs_ideal:,.0f}  {each.mapping}"
                )
                for (operand, part), (mine, other) in each.parts_pj.items():
                    if abs(mine - other) > 1e-6 * max(mine, other):
                        print(f"        {operand} in {part}: {mine:,.0f} / {other:,.0f} pJ")
    print(f"\n{'cycles':52} {'ours':>9} {'to':>9} {'ZigZag':>9} {'its port':>9}  layers below that")
    for run in runs:
        compared = compare_zigzag(run)
        low, high = (sum(each.cycles[end] for each in compared) for end in (0, 1))
        theirs = sum(each.theirs_cycles for each in compared)
        port = sum(each.port_cycles for each in compared)
        below = sum(each.theirs_cycles < each.port_cycles for each in compared)
        print(
            f"{label(run):52} {low:9,.0f} {high:9,.0f} {theirs:9,.0f} {port:9,.0f}  "
            f"{below} of {len(compared)}"
        )
    equal: dict[str, list[bool]] = {}
    for one in compare_scalesim():
        equal.setdefault(one.array, []).append(one.ours == one.theirs)
    print(f"\n{'SCALE-Sim 3.0.0':52} layers with equal cycles")
    for array, same in equal.items():
        print(f"{array:52} {sum(same)} of {len(same)}")


if __name__ == "__main__":
    main()
