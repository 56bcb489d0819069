"""Hold the cost model against the figures of ZigZag and SCALE-Sim, and print the differences.

    python benchmarks/oracles.py [--layers]

The figures lie under `tests/cost_models/oracles`, whose README says what each means; nothing is run
but our own model. `--layers` adds each layer, with the energy of each operand in each memory where
the two differ. What both do not cost is left out: leakage, and what we count after the convolution
(rounding, biases).
"""

import argparse
import csv
import dataclasses
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
from dse.interchange.zigzag import import_hardware

ORACLES = Path(__file__).parents[1] / "tests" / "cost_models" / "oracles"

KINDS = {"dw": LayerKind.DEPTHWISE, "pw": LayerKind.POINTWISE, "fc": LayerKind.LINEAR}

LEFT_OUT = (Component.POST_PROCESSING, Component.LEAKAGE)

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
    "tinynpu": {"macs": {"weights": "weight_register", "outputs": "accumulator"}},
    "fourfold": {"macs": {"weights": "weight_register", "outputs": "accumulator"}},
    "rowfiles": {
        "macs": {"weights": "weight_file", "inputs": "input_file", "outputs": "sum_file"},
    },
}
"""Our parts -> operand -> ZigZag's name of the memory, where it has another."""

PARTIAL_SUM_BITS = 16
"""As `run_zigzag.py` says to ZigZag; SCALE-Sim counts cycles, which do not depend on it."""

SPATIAL_LOOPS = {"K": N, "G": N, "C": R, "FX": R, "OX": T}
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
    """Ours: all transfers overlap with computing, and first loads and last stores do not."""
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
        groups=channels if kind is LayerKind.DEPTHWISE else 1,
        weights=WeightSource.TRAINED,
        weight_bits=max(int(row.get("W_bits", 8)), 1),
        accumulator_bits=PARTIAL_SUM_BITS,
    )


def find_machine(run: Path) -> Accelerator:
    """The machine of a run, with activations where the run has them.

    One of ours, or hardware YAML that is read as `dse import zigzag` reads it.
    """
    name = run.name.split("__")[0]
    hardware = ORACLES / "machines" / f"{name}.yaml"
    machine = import_hardware(hardware).machine if hardware.exists() else load_accelerator(name)
    if "locality" in run.name:
        home = machine.activation_home
        assert home is not None  # the machines of such runs have an SRAM of activations
        return dataclasses.replace(machine, input_memory=home.name)
    return dataclasses.replace(machine, residency="never")


def compare_zigzag(run: Path) -> list[Compared]:
    """Every layer of a run in both models."""
    machine = find_machine(run)
    names = ZIGZAG_MEMORIES[machine.name]
    on_chip = "locality" in run.name
    objective = "energy" if run.stem.endswith("_energy") else "edp"
    pricer = LayerPricer(machine, load_technology(machine.technology), objective)
    with run.open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = [layer_of(row) for row in rows]
    kept = on_chip and weights_stay(network_bits(rows), machine)
    priced = pricer.rows(
        [
            Placed(
                layer,
                inputs_on_chip=int(on_chip),
                output_on_chip=on_chip,
                weights_on_chip=kept,
            )
            for layer in layers
        ]
    )
    latency, exposed = pricer.table.latency, pricer.table.exposed
    compared = []
    for layer, row, at in zip(layers, rows, priced, strict=True):
        ours_pj, parts_pj = 0.0, {}
        for index, entry in enumerate(pricer.prices.entries):
            free = row["W_bits"] == "0" and entry.operand == "weights"
            if entry.component in LEFT_OUT or free:
                continue
            energy = float(pricer.table.counts[at, index] * pricer.prices.prices_pj[index, 1])
            ours_pj += energy
            if entry.operand:
                key = (entry.operand, entry.part)
                parts_pj[key] = parts_pj.get(key, 0.0) + energy
        both = {}
        for (operand, part), energy in parts_pj.items():
            memory = names.get(part, {}).get(operand, part)
            theirs = row.get(f"E_{LETTERS[operand]}_{memory}_pJ") or 0.0
            both[operand, part] = (energy, float(theirs))
        compared.append(
            Compared(
                layer=layer,
                mapping=str(pricer.table.mappings[at]),
                ours_pj=ours_pj,
                theirs_pj=float(row["energy_total_pJ"]),
                parts_pj=both,
                ours_ideal=ideal_with(layer, row["spatial_mapping"]),
                theirs_ideal=float(row["cycles_ideal_temporal"]),
                cycles=(latency[at], latency[at] + exposed[at]),
                theirs_cycles=float(row["cycles_total"]),
                port_cycles=float(row["dram_port_cycles_lower_bound"]),
            )
        )
    return compared


def network_bits(rows: list[dict[str, str]]) -> int:
    """Weights of a run's network; ZigZag knows no biases."""
    return sum(layer_of(row).weight_entries * int(row["W_bits"]) for row in rows)


def ideal_with(layer: Layer, spatial_mapping: str) -> float:
    """Passes of our model on an array that unrolls what ZigZag's does: `D1: K 32; D2: C 32`."""
    sizes = [1, 1, 1]
    for loop, size in re.findall(r"([A-Z]+) (\d+)", spatial_mapping):
        sizes[SPATIAL_LOOPS[loop]] *= int(size)
    array = ComputeArray(
        name="unrolled",
        element="mac",
        rows=sizes[N],
        columns=sizes[R],
        lanes=sizes[T],
        depthwise="channels_across_array",
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
    with (ORACLES / "scalesim" / "cycles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
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
    options = parser.parse_args()
    print(f"{'ZigZag 3.9.1':52} {'uJ':>9} {'ours':>9} {'total':>8}  worst layer")
    for run in zigzag_runs():
        compared = compare_zigzag(run)
        theirs = sum(each.theirs_pj for each in compared)
        ours = sum(each.ours_pj for each in compared)
        worst = max(compared, key=lambda each: abs(each.error))
        print(
            f"{run.stem:52} {theirs * 1e-6:9.3f} {ours * 1e-6:9.3f} {ours / theirs - 1:+8.2%}  "
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
    for run in zigzag_runs():
        compared = compare_zigzag(run)
        low, high = (sum(each.cycles[end] for each in compared) for end in (0, 1))
        theirs = sum(each.theirs_cycles for each in compared)
        port = sum(each.port_cycles for each in compared)
        below = sum(each.theirs_cycles < each.port_cycles for each in compared)
        print(
            f"{run.stem:52} {low:9,.0f} {high:9,.0f} {theirs:9,.0f} {port:9,.0f}  "
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
