"""Figures of docs/evidence/model.md: derived by hand, or what the model says today.

`python tests/cost_models/test_model_document.py` prints the tables that the document must have.
"""

import csv
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cost_models import (
    Accelerator,
    Component,
    ComputeArray,
    Cost,
    Layer,
    LayerKind,
    MemoryLevel,
    Register,
    WeightSource,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.accelerator import MemoryKind
from cost_models.application import Sleep, average_power_uw
from cost_models.break_even import break_even
from cost_models.nonvolatile import NONVOLATILE
from cost_models.pricing import LayerPricer
from cost_models.residency import Placed
from cost_models.sleep import sleep_between
from dse.design.point import DesignPoint
from dse.design.policies import apply_policy
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.what_if import MemoryChange, varied
from dse.ternary.generators import Generator, has

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "evidence" / "model.md"
ZIGZAG = Path(__file__).parent / "oracles" / "zigzag"


# --- a layer by hand


def example(interconnect: str = "broadcast") -> Cost:
    """4 inputs, 4 outputs, 3 frames on 2 x 2 MAC units with one weight and one sum each."""
    array = ComputeArray(
        name="macs",
        element="mac",
        rows=2,
        columns=2,
        interconnect=interconnect,  # type: ignore[arg-type]
        dataflow="weight_stationary",
        weights=Register(capacity_bits=8),
        outputs=Register(capacity_bits=24),
    )
    sram = MemoryLevel(
        name="sram",
        kind="sram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=65_536,
        bandwidth_bits_per_cycle=32,
    )
    machine = Accelerator(
        name="example",
        description="of docs/evidence/model.md",
        source="made up for the document",
        technology="low_leakage_45nm",
        clock_mhz=10.0,
        arrays=(array,),
        memories=(sram,),
        vector_lanes=1,
        ternary_weights="refused",
    )
    layer = Layer(
        name="pw",
        kind=LayerKind.POINTWISE,
        in_channels=4,
        out_channels=4,
        in_frames=3,
        out_frames=3,
        weights=WeightSource.TRAINED,
        rescaled=False,
    )
    return estimate(Workload("example", (layer,)), machine, load_technology("low_leakage_45nm"))


WORDS = {
    ("macs", "", "multiplication"): ("bits x bits of products", "48 MACs x 8 x 8"),
    ("macs", "", "addition"): ("bits of additions", "48 x 24"),
    ("macs", "weights", "write"): ("weights into registers, bits", "16 x 8"),
    ("macs", "outputs", "write"): ("sums into accumulators, bits", "48 x 24"),
    ("sram", "weights", "read"): ("weights from the SRAM", "4 tiles x 4 x 8"),
    ("sram", "inputs", "read"): ("inputs from the SRAM", "12 passes x 4 x 8"),
    ("sram", "outputs", "write"): ("outputs into the SRAM", "12 words of 32"),
    ("vector unit", "", "multiplication"): ("sums times factors of 16 bits", "12 x 24 x 16"),
    ("vector unit", "", "addition"): ("shifts of products, and offsets", "12 x (40 + 24)"),
    ("vector unit", "", "accumulation"): ("sums on their way to words", "12 x (3 x 24 + 2 x 8)"),
    ("sram", "", "moved"): ("bits on wires, from and to the SRAM", "128 + 384 + 384"),
    ("registers", "", "written"): ("clock of written registers, bits", "128 + 1,152 + 1,056"),
    ("gates", "", "cycle"): ("clock down to the gates of all registers, cycles", "28"),
    ("loop nest", "", "cycle"): ("control and 3 addresses, cycles", "28"),
    ("logic", "", "idle"): ("leakage of the logic, cycles", "28"),
    ("sram", "", "idle"): ("leakage of the SRAM, cycles", "28"),
}


def example_rows() -> Iterator[str]:
    cost = example()
    yield "| event | count | | pJ each | pJ |"
    yield "|---|---|---|---|---|"
    for row in cost.energy_table:
        words = WORDS.get((str(row["part"]), str(row["operand"]), str(row["action"])))
        if words is None:
            assert not row["energy_pj"], row  # a single register is read for nothing
            continue
        energy, count = float(row["energy_pj"]), float(row["count"])
        yield f"| {words[0]} | {words[1]} | {count:,.0f} | {energy / count:.4g} | {energy:.2f} |"
    band = cost.energy
    yield f"| together | | | | {band.mid:.1f} ({band.low:.1f} to {band.high:.1f}) |"


def test_the_example_is_what_its_derivation_says() -> None:
    cost = example()
    [layer] = cost.layers
    # All four inputs of an output at once; 3 frames pass, then the next output's weights come.
    assert str(layer.mapping) == "rows R, columns R; T 3, N 4"
    counts = {
        (row["part"], row["operand"], row["action"]): row["count"] for row in cost.energy_table
    }
    assert counts == {
        ("macs", "", "multiplication"): 48 * 8 * 8,
        ("macs", "", "addition"): 48 * 24,
        ("macs", "weights", "write"): 16 * 8,
        ("macs", "weights", "read"): 16 * 8,
        # Each MAC writes its sum and reads it; the four sums of each output are read once more.
        ("macs", "outputs", "write"): 48 * 24,
        ("macs", "outputs", "read"): (48 + 12 * 4) * 24,
        ("sram", "weights", "read"): 16 * 8,
        ("sram", "inputs", "read"): 12 * 4 * 8,
        # One output leaves at a time: 8 bits, for which a word of 32 is written.
        ("sram", "outputs", "write"): 12 * 32,
        ("vector unit", "", "multiplication"): 12 * 24 * 16,
        ("vector unit", "", "addition"): 12 * (40 + 24),
        ("vector unit", "", "accumulation"): 12 * (3 * 24 + 2 * 8),
        ("sram", "", "moved"): 16 * 8 + 12 * 4 * 8 + 12 * 32,
        ("registers", "", "written"): 16 * 8 + 48 * 24 + 12 * 88,
        ("gates", "", "cycle"): 28,
        ("loop nest", "", "cycle"): 28,
        ("logic", "", "idle"): 28,
        ("sram", "", "idle"): 28,
    }
    # 48 MACs on 4 units; 4 + 12 + 12 words through one port.
    assert layer.busy_cycles["compute"] == 48 // 4
    assert layer.busy_cycles["sram"] == 28
    assert cost.latency_cycles == 28
    # Nothing overlaps: 12 cycles of the array, 28 of the port, 12 sums on a lane.
    assert cost.latency_high_cycles == 12 + 28 + 12


def test_the_other_mapping_of_the_example_spills_sums() -> None:
    # A systolic array can only take inputs along rows and outputs along columns: sums of two
    # inputs leave, 12 * 24 bits, and come back; inputs come twice, not four times.
    cost = example("systolic")
    assert str(cost.layers[0].mapping) == "rows R, columns N; T 3, N 2, R 2"
    moved = {
        (row["operand"], row["action"]): row["count"]
        for row in cost.energy_table
        if row["part"] == "sram" and row["operand"]
    }
    assert moved == {
        ("weights", "read"): 16 * 8,
        # Two inputs of 8 bits a pass, for which a word of 32 is read.
        ("inputs", "read"): 12 * 32,
        # Two sums of 24 bits in two words of 32; two outputs of 8 in one.
        ("outputs", "read"): 6 * 64,
        ("outputs", "write"): 6 * 64 + 6 * 32,
    }
    assert sum(moved.values()) == 46 * 32


# --- cycles against ZigZag

RUNS = {
    "tpu_like__matchboxnet-3x2x64__w8": "tpu_like, MatchboxNet-3x2x64, through DRAM",
    "tpu_like__matchboxnet-3x2x64__w8_locality": "the same, activations on chip",
    "tpu_like__matchboxnet-3x2x64__pw0_locality": "the same, on chip, 0-bit 1x1 weights",
    "tpu_like__quartznet-5x5__w8": "tpu_like, QuartzNet 5x5",
    "edge_tpu_like__matchboxnet-3x2x64__w8": "edge_tpu_like, MatchboxNet-3x2x64, through DRAM",
    "edge_tpu_like__matchboxnet-3x2x64__w8_locality": "the same, activations on chip",
    "edge_tpu_like__quartznet-5x5__w8": "edge_tpu_like, QuartzNet 5x5",
    "eyeriss_like__matchboxnet-3x2x64__w8": "eyeriss_like, MatchboxNet-3x2x64, through DRAM",
    "eyeriss_like__quartznet-5x5__w8": "eyeriss_like, QuartzNet 5x5",
}


@dataclasses.dataclass(frozen=True)
class Cycles:
    ours: int
    apart: int
    """Ours, if nothing overlaps."""
    theirs: int
    port: int
    """What ZigZag's own accesses keep its DRAM port busy for."""
    below: int
    """Layers whose total lies below that."""
    layers: int


def cycles_of(run: str) -> Cycles:
    with (ZIGZAG / f"{run}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    on_chip = run.endswith("locality")
    machine = load_accelerator(run.split("__")[0])
    changed = {"input_memory": "activation_sram"} if on_chip else {"residency": "never"}
    machine = dataclasses.replace(machine, **changed)  # type: ignore[arg-type]
    pricer = LayerPricer(machine, load_technology(machine.technology))
    at = pricer.rows([Placed(layer_of(row), int(on_chip), on_chip) for row in rows])
    theirs = [float(row["cycles_total"]) for row in rows]
    port = [float(row["dram_port_cycles_lower_bound"]) for row in rows]
    return Cycles(
        ours=int(pricer.table.latency[at].sum()),
        apart=int(pricer.table.alone[at].sum()),
        theirs=round(sum(theirs)),
        port=round(sum(port)),
        below=sum(one < other for one, other in zip(theirs, port, strict=True)),
        layers=len(rows),
    )


def layer_of(row: dict[str, str]) -> Layer:
    kind = {"dw": LayerKind.DEPTHWISE, "pw": LayerKind.POINTWISE, "fc": LayerKind.LINEAR}
    channels = int(row["C"])
    return Layer(
        name=row["layer"],
        kind=kind[row["kind"]],
        in_channels=channels,
        out_channels=int(row["K"]),
        in_frames=int(row["T_in"]),
        out_frames=int(row["T_out"]),
        kernel_size=int(row["k"]),
        stride=int(row["stride"]),
        dilation=int(row.get("dil", 1)),
        groups=channels if row["kind"] == "dw" else 1,
        weights=WeightSource.TRAINED,
        weight_bits=max(int(row["W_bits"]), 1) if "W_bits" in row else 8,
        accumulator_bits=16,  # of partial sums, in all runs
        rescaled=False,
    )


def cycle_rows() -> Iterator[str]:
    yield (
        "| run | ours, what has room overlaps | nothing overlaps | ZigZag | "
        "its own accesses at its DRAM port | layers below those |"
    )
    yield "|---|---|---|---|---|---|"
    for run, words in RUNS.items():
        found = cycles_of(run)
        yield (
            f"| {words} | {found.ours:,} | {found.apart:,} | {found.theirs:,} | {found.port:,} | "
            f"{found.below} of {found.layers} |"
        )


def test_where_the_dram_bounds_cycles_are_those_of_its_port() -> None:
    found = cycles_of("tpu_like__matchboxnet-3x2x64__w8")
    # Accesses are the same in both models, so the port is busy as long; ours is never below it.
    assert found.ours == found.port == 36_541
    assert (found.theirs, found.below) == (31_706, 20)


# --- what generating is worth


def price(point: DesignPoint, machine: str, frames: int = 128) -> Cost:
    accelerator = load_accelerator(machine)
    workload = lower(point, frames=frames, outputs=12)
    return estimate(workload, accelerator, load_technology(accelerator.technology))


MATCHBOXNET = "matchboxnet-3x1x64"
COLUMNS = {
    "P3, generated in tiles of 4 x 32: `kws_ternary`": ("-P3@4x32", "kws_ternary"),
    "P3, generated row by row: `kws_ternary`": ("-P3", "kws_ternary"),
    "P3, stored, same trees: `kws_ternary_stored`": ("-P3", "kws_ternary_stored"),
    "P3, stored, int8 arithmetic: `kws_int8`": ("-P3", "kws_int8"),
    "P3, stored in DRAM: `kws_int8_dram`": ("-P3", "kws_int8_dram"),
    "P0, dense: `kws_ternary`": ("", "kws_ternary"),
    "P0, dense, in DRAM: `kws_int8_dram`": ("", "kws_int8_dram"),
}


def weight_energy_pj(cost: Cost) -> float:
    """Of all memories below the array, for weights, and of the generator."""
    return sum(
        float(row["energy_pj"])
        for row in cost.energy_table
        if row["component"] == Component.GENERATOR
        or (row["operand"] == "weights" and row["component"] in (Component.SRAM, Component.DRAM))
    )


def machine_rows() -> Iterator[str]:
    yield "| MatchboxNet-3x1x64 | energy, µJ | arithmetic | weights | leakage | ms | mm² |"
    yield "|---|---|---|---|---|---|---|"
    for words, (policy, machine) in COLUMNS.items():
        cost = price(published(MATCHBOXNET + policy), machine)
        parts = cost.energies_pj
        arithmetic = parts[Component.MULTIPLY_ACCUMULATE] + parts[Component.TERNARY_ADDITION]
        low, mid, high = (figure * 1e-6 for figure in cost.energy.as_tuple())
        yield (
            f"| {words} | {mid:.2f} ({low:.1f} to {high:.0f}) | {arithmetic * 1e-6:.2f} | "
            f"{weight_energy_pj(cost) * 1e-6:.2f} | {parts[Component.LEAKAGE] * 1e-6:.2f} | "
            f"{cost.latency_us * 1e-3:.1f} | {cost.area.mid * 1e-6:.3f} |"
        )


FAMILIES = ("one_hot", "lfsr_and", "lfsr_threshold", "sobol", "counter_arx")


def made_by(family: str) -> DesignPoint:
    """P3 by a family, in tiles of 4 x 32 where it makes one order alone."""
    generator = Generator(family=family, tile=(4, 32) if has(family, "tile") else ())
    return apply_policy(published(MATCHBOXNET), "P3", density=0.25, generator=generator)


def family_rows() -> Iterator[str]:
    """Each in an order that the trees take: tiles, or any."""
    yield "| generator | pJ a trit | costs as much as an SRAM of | µm² | share of energy |"
    yield "|---|---|---|---|---|"
    for family in FAMILIES:
        cost = price(made_by(family), "kws_ternary")
        panel = break_even(cost)
        assert panel is not None
        row = panel.layers[0]
        even = row.break_even_bits
        smallest = cost.technology.sram.rows[0].capacity_bits
        assert even is not None
        capacity = f"below {smallest:,} bits" if even == smallest else f"{even:,} bits"
        share = cost.energies_pj[Component.GENERATOR] / cost.energy_pj
        yield (
            f"| `{family}` | {row.generated_pj / row.trits:.3f} | {capacity} | "
            f"{panel.generator_um2:,.0f} | {share:.1%} |"
        )


def test_a_costly_generator_is_asked_less_often() -> None:
    """The search weighs the generator's energy: a dearer trit serves more frames."""
    reuse = {}
    for family in ("sobol", "counter_arx"):  # both make any order
        panel = break_even(price(made_by(family), "kws_ternary"))
        assert panel is not None
        reuse[family] = [row.reuse for row in panel.layers]
    # Not in all: where an order that serves more frames waits for tiles, it is not taken.
    pairs = list(zip(reuse["counter_arx"], reuse["sobol"], strict=True))
    assert (
        all(dear >= cheap for dear, cheap in pairs)
        and sum(dear > cheap for dear, cheap in pairs) >= 4
    )


# --- a cliff


def cliff_rows() -> Iterator[str]:
    yield "| frames | activations alive, bits | energy, µJ | DRAM, Mbit | cycles |"
    yield "|---|---|---|---|---|"
    for frames in (6_553, 6_554):
        cost = price(published(MATCHBOXNET), "tpu_like", frames)
        yield (
            f"| {frames:,} | {cost.activation_bits:,} | {cost.energy_pj * 1e-6:,.0f} | "
            f"{cost.traffic_bits('', Component.DRAM) * 1e-6:.1f} | {cost.latency_cycles:,} |"
        )


# --- memories that fit

FITTED = {
    "P3, generated: `kws_ternary`": ("P3@4x32", "kws_ternary"),
    "P3, stored: `kws_ternary_stored`": ("P3", "kws_ternary_stored"),
    "P4, generated": ("P4@4x32", "kws_ternary"),
    "P4, stored": ("P4", "kws_ternary_stored"),
    "P0, dense: `kws_ternary`": ("P0", "kws_ternary"),
}


def fit_rows() -> Iterator[str]:
    yield "| | weight SRAM, bits | energy, µJ | average power, µW | mm² |"
    yield "|---|---|---|---|---|"
    yield fit_row("P3, `kws_ternary` as it is", "P3@4x32", load_accelerator("kws_ternary"))
    for name, (policy, machine) in FITTED.items():
        fits = {each: MemoryChange(capacity_bits="fit") for each in ("weight_sram", KEPT)}
        yield fit_row(name, policy, varied(load_accelerator(machine), memories=fits))


KEPT = "activation_sram"


def fit_row(name: str, policy: str, machine: Accelerator) -> str:
    point = published(f"{MATCHBOXNET}-{policy}")
    workload = lower(point, frames=128, outputs=12)
    cost = estimate(workload, machine, load_technology(machine.technology))
    [weights] = [each for each in cost.accelerator.memories if each.name == "weight_sram"]
    power = cost.dynamic_energy.mid * 1e-6 + cost.leakage.mid
    return (
        f"| {name} | {weights.bits:,} | {cost.energy_pj * 1e-6:.2f} | {power:.1f} | "
        f"{cost.area.mid * 1e-6:.3f} |"
    )


# --- memories without supply


def kind_rows() -> Iterator[str]:
    yield "| kind | read, pJ a bit | area, F2 a bit | leakage | access, ns | bits | finest node |"
    yield "|---|---|---|---|---|---|---|"
    for name, kind in NONVOLATILE.items():
        of = " of an SRAM's" if kind.like_sram else ""
        read, area, leakage = (
            f"{each.value:g} ({each.low:g} to {each.high:g})"
            for each in (kind.read, kind.area, kind.leakage)
        )
        bits = f"{kind.smallest_bits:,} to {kind.largest_bits:,}"
        yield (
            f"| `{name}` | {read}{of} | {area}{of} | {leakage} of an SRAM's | "
            f"{f'{kind.access.value:g}' if kind.access else 'as an SRAM'} | "
            f"{bits if kind.smallest_bits else 'as an SRAM'} | "
            f"{f'{kind.smallest_node_nm} nm' if kind.smallest_node_nm > 1 else 'any'} |"
        )


def rival_rows() -> Iterator[str]:
    yield "| trits | all other weights | energy, µJ | average power, µW | mm² |"
    yield "|---|---|---|---|---|"
    for policy in ("P3", "P4"):
        for machine in ("kws_ternary", "kws_ternary_stored"):
            for kind in ("sram", "mask_rom", "eflash"):
                yield rival_row(policy, machine, kind)


def fitted_cost(policy: str, machine: str, kind: MemoryKind) -> Cost:
    fits = {
        "weight_sram": MemoryChange(kind=kind, capacity_bits="fit"),
        KEPT: MemoryChange(capacity_bits="fit"),
    }
    on = varied(load_accelerator(machine), memories=fits)
    order = "" if policy == "P0" else "@4x32"
    workload = lower(published(f"{MATCHBOXNET}-{policy}{order}"), frames=128, outputs=12)
    return estimate(workload, on, load_technology(on.technology))


def rival_row(policy: str, machine: str, kind: MemoryKind) -> str:
    cost = fitted_cost(policy, machine, kind)
    power = cost.dynamic_energy.mid * 1e-6 + cost.leakage.mid
    made = "generated" if cost.accelerator.generator else "stored there, too"
    return (
        f"| {policy}, {made} | `{kind}` | {cost.energy_pj * 1e-6:.2f} | {power:.1f} | "
        f"{cost.area.mid * 1e-6:.3f} |"
    )


# --- asleep between inferences


def sleep_rows() -> Iterator[str]:
    yield "| trits | all other weights | on, µW | in retention | gated |"
    yield "|---|---|---|---|---|"
    for policy in ("P3", "P4"):
        for machine in ("kws_ternary", "kws_ternary_stored"):
            for kind in ("sram", "mask_rom"):
                yield sleep_row(policy, machine, kind)


def sleep_row(policy: str, machine: str, kind: MemoryKind) -> str:
    cost = fitted_cost(policy, machine, kind)
    cells = []
    for mode in SLEEPS:
        asleep = sleep_between(cost, mode)
        power = average_power_uw(
            cost.dynamic_energy, cost.latency_us, cost.leakage, 1.0, asleep=asleep
        )
        lost = asleep is not None and bool(asleep.lost)
        cells.append("forgets" if lost else f"{power.mid:.1f}")
    made = "generated" if cost.accelerator.generator else "stored there, too"
    return f"| {policy}, {made} | `{kind}` | {' | '.join(cells)} |"


SLEEPS: tuple[Sleep, ...] = ("on", "retention", "gated")


def power_uw(cost: Cost, mode: Sleep) -> float:
    asleep = sleep_between(cost, mode)
    return average_power_uw(
        cost.dynamic_energy, cost.latency_us, cost.leakage, 1.0, asleep=asleep
    ).mid


def saved(kind: MemoryKind, figure: Callable[[Cost], float]) -> str:
    """What generating saves of a figure of P3 and P4, all other weights in memories of a kind."""
    shares = []
    for policy in ("P3", "P4"):
        made, stored = (
            figure(fitted_cost(policy, machine, kind))
            for machine in ("kws_ternary", "kws_ternary_stored")
        )
        shares.append(str(round(100 * (1 - made / stored))))
    return f"{' and '.join(shares)} %"


def saving_words() -> Iterator[str]:
    energy = saved("mask_rom", lambda cost: cost.energy_pj)
    power = saved("mask_rom", lambda cost: power_uw(cost, "on"))
    yield f"generating saves {energy} of the energy of P3 and P4, and {power} of the average power."


def asleep_words() -> Iterator[str]:
    sram = saved("sram", lambda cost: power_uw(cost, "retention"))
    rom = saved("mask_rom", lambda cost: power_uw(cost, "gated"))
    yield (
        f"Asleep, generating saves {sram} of the average power of P3 and P4 against SRAM, {rom} "
        "against mask ROM."
    )


def test_the_readme_says_what_the_table_says() -> None:
    generated, stored, dense, rows = (
        price(published(MATCHBOXNET + policy), machine).energy_pj * 1e-6
        for policy, machine in (
            ("-P3@4x32", "kws_ternary"),
            ("-P3@4x32", "kws_ternary_stored"),
            ("", "kws_ternary"),
            ("-P3", "kws_ternary"),
        )
    )
    said = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{1 - generated / stored:.0%} of its energy ({generated:.2f} against {stored:.2f} µJ; "
        f"dense {dense:.2f})"
    ).replace("%", " %") in said
    assert f"row by row it takes {rows:.2f}" in said


TABLES = (
    example_rows,
    cycle_rows,
    machine_rows,
    family_rows,
    cliff_rows,
    fit_rows,
    kind_rows,
    rival_rows,
    sleep_rows,
    saving_words,
    asleep_words,
)


@pytest.mark.parametrize("rows", TABLES, ids=lambda rows: rows.__name__)
def test_the_document_has_the_table(rows) -> None:
    assert "\n".join(rows()) in DOCUMENT.read_text(encoding="utf-8")


if __name__ == "__main__":
    for each in TABLES:
        print("\n".join(each()), end="\n\n")
