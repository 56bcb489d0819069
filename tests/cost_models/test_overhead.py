"""Clock, control and wires: what was measured, what the constants make of it, and that it scales.

`python tests/cost_models/test_overhead.py` prints the table that docs/evidence/technologies.md must
have.
"""

import csv
import dataclasses
import importlib.util
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from cost_models import (
    Component,
    GeneratorUnit,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.area import (
    adder_area_um2,
    mac_area_um2,
    register_area_um2,
    ternary_tree_area_um2,
)
from cost_models.energy import Entry, price_list
from cost_models.errors import InvalidInput
from cost_models.generator import GeneratorSpec
from cost_models.machine_area import generator_area_um2
from cost_models.overhead import BITS_A_GATE, find_overhead
from cost_models.technology import OVERHEAD
from dse.design.published import published
from dse.networks.lowering import lower
from dse.networks.mixers.ternary import generator_spec
from dse.rtl.area import synthesise
from dse.rtl.icarus import has_icarus
from dse.rtl.yosys import Circuit

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "benchmarks" / "clock_and_control.csv"
ENGINES = ROOT / "benchmarks" / "engine_area.csv"
LOOP_NEST = ROOT / "benchmarks" / "verilog" / "loop_nest.v"
DOCUMENT = ROOT / "docs" / "evidence" / "technologies.md"
LOW_LEAKAGE = load_technology("low_leakage_45nm")


def _benchmark(name: str) -> ModuleType:
    """A script of `benchmarks`, which is no package."""
    spec = importlib.util.spec_from_file_location(
        f"benchmarks_{name}", ROOT / "benchmarks" / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


engine_area = _benchmark("engine_area")
LIBRARIES = {"sky130": "sky130_130nm", "asap7": "asap7_7nm"}


def measured(library: str, circuit: str, gated: int = 1) -> dict[str, dict[str, float]]:
    """Group -> what was measured of it."""
    with MEASURED.open(encoding="utf-8") as file:
        return {
            row["group"]: {name: float(row[name]) for name in list(row)[5:]}
            for row in csv.DictReader(file)
            if (row["library"], row["circuit"]) == (library, circuit)
            and (circuit == "cell" or int(row["gated"]) == gated)
        }


def spent(row: dict[str, float]) -> float:
    return sum(row[name] for name in ("clock_fj", "gates_fj", "logic_fj", "nets_fj"))


def measured_constants(library: str) -> dict[str, float]:
    """pJ, as the sources of the technologies say that they follow from the file."""
    cells = measured(library, "cell")
    buffer, gate = cells["buffer"], cells["clock_gate"]
    three = (
        spent(measured(library, "loop_nest")["top"])
        + spent(measured(library, "mac_4x4")["control"])
    ) / 2
    two = spent(measured(library, "ternary_16x4")["control"])
    address = three - two
    return {
        "clock_gate_pj": gate["clock_fj"] + (buffer["clock_fj"] + buffer["gates_fj"]) / 16,
        "clock_branch_pj_per_bit": gate["gates_fj"] / 16,
        "control_pj_per_cycle": three - 3 * address,
        "address_pj_per_cycle": address,
    }


@pytest.mark.parametrize("library", LIBRARIES)
def test_constants_are_those_that_were_measured(library):
    technology = load_technology(LIBRARIES[library])
    for name, femtojoule in measured_constants(library).items():
        assert getattr(technology, name).value == pytest.approx(femtojoule * 1e-3, rel=0.01), name


@pytest.mark.parametrize("name", ["low_leakage_45nm", "synthesis_45nm", "low_leakage_22nm"])
def test_elsewhere_they_are_as_many_clock_pins(name):
    technology = load_technology(name)
    pin = technology.accumulator_pj_per_bit.value
    both = [
        {
            name: value / measured(library, "cell")["flip_flop"]["clock_fj"]
            for name, value in measured_constants(library).items()
        }
        for library in LIBRARIES
    ]
    for constant in both[0]:
        pins = math.sqrt(both[0][constant] * both[1][constant])
        found = getattr(technology, constant)
        assert found.value == pytest.approx(pins * pin, rel=0.02), constant
        assert found.low < found.value < found.high


def table_rows() -> Iterator[str]:
    yield "| library | machine | clock gates | arithmetic | clock pins | gates | control | in all |"
    yield "|---|---|---|---|---|---|---|---|"
    words = {"mac_4x4": "16 MAC units", "ternary_16x4": "4 trees of 16 lanes, generator"}
    for library in LIBRARIES:
        for circuit, machine in words.items():
            for gated, said in ((1, "yes"), (0, "no")):
                groups = measured(library, circuit, gated)
                control = spent(groups.pop("control"))
                parts = [
                    sum(row["logic_fj"] + row["nets_fj"] for row in groups.values()),
                    sum(row["clock_fj"] for row in groups.values()),
                    sum(row["gates_fj"] for row in groups.values()),
                    control,
                ]
                whole = sum(parts)
                figures = " | ".join(f"{part * 1e-3:.3g} ({part / whole:.1%})" for part in parts)
                yield f"| {library} | {machine} | {said} | {figures} | {whole * 1e-3:.3g} |"


def area_rows() -> Iterator[str]:
    """Whole machines that were synthesised, and what the model makes of their parts."""
    yield "| library | machine | clock gates | synthesised, µm² | model | band |"
    yield "|---|---|---|---|---|---|"
    for library, name in LIBRARIES.items():
        technology = load_technology(name)
        spec = GeneratorSpec(family="lfsr_threshold", state_bits=127, decision_bits=8)
        tree = (
            ternary_tree_area_um2(technology, 16, 8)
            + adder_area_um2(technology, 24)
            + register_area_um2(technology, 24)
        )
        macs = mac_area_um2(technology, 8, 8, 24).scaled(16) + register_area_um2(technology, 64)
        trees = (
            tree.scaled(4)
            + generator_area_um2(spec, GeneratorUnit(trits_per_cycle=16), technology)
            + register_area_um2(technology, 512)
        )
        share = technology.control_share.value
        for circuit, words, parts in (
            ("mac_4x4", "16 MAC units", macs),
            ("ternary_16x4", "4 trees of 16 lanes, generator", trees),
        ):
            for gated, said in ((1, "yes"), (0, "no")):
                found = sum(row["area_um2"] for row in measured(library, circuit, gated).values())
                low, mid, high = (figure * (1 + share) / found - 1 for figure in parts.as_tuple())
                yield (
                    f"| {library} | {words} | {said} | {found:,.0f} | {mid:+.0%} | "
                    f"{low:+.0%} to {high:+.0%} |"
                )


def engine_rows() -> Iterator[str]:
    """Engines that `dse export engine` writes, and what the model makes of their parts."""
    yield "| engine | sky130, µm² | model | asap7, µm² | model |"
    yield "|---|---|---|---|---|"
    with ENGINES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found_areas = {(row["library"], row["family"], row["lanes"]): row for row in rows}
    for generator, density, lanes in engine_area.ENGINES:
        figures = []
        for library, name in LIBRARIES.items():
            technology = load_technology(name)
            row = found_areas[library, generator.family, str(lanes)]
            frame = (
                ternary_tree_area_um2(technology, lanes, 8)
                + adder_area_um2(technology, 24)
                + register_area_um2(technology, 24)
            )
            spec = generator_spec(density, generator)
            made = generator_area_um2(spec, GeneratorUnit(trits_per_cycle=lanes), technology)
            parts = frame.scaled(int(row["frames"])) + made
            found, share = float(row["area_um2"]), technology.control_share.value
            figures += [f"{found:,.0f}", f"{parts.mid * (1 + share) / found - 1:+.0%}"]
        yield f"| `{generator.family}`, {lanes} lanes | {' | '.join(figures)} |"


def share_rows() -> Iterator[str]:
    """What a network spends on them, with and without clock gates; leakage left out."""
    yield "| MatchboxNet-3x1x64 | wires | clock | control | µJ | without clock gates, µJ |"
    yield "|---|---|---|---|---|---|"
    for policy, name, constants in SHARES:
        workload = lower(published(f"matchboxnet-3x1x64-{policy}"), frames=128, outputs=12)
        machine, technology = load_accelerator(name), load_technology(constants)
        cost = estimate(workload, machine, technology)
        free = estimate(workload, dataclasses.replace(machine, clock_gates=False), technology)
        dynamic = cost.dynamic_energy.mid
        parts = (Component.WIRES, Component.CLOCK, Component.CONTROL)
        shares = " | ".join(f"{cost.energies_pj[part] / dynamic:.1%}" for part in parts)
        energies = " | ".join(f"{each.dynamic_energy.mid * 1e-6:.3g}" for each in (cost, free))
        yield f"| {policy} on `{name}`, `{constants}` | {shares} | {energies} |"


SHARES = (
    ("P3", "kws_int8", "low_leakage_45nm"),
    ("P3", "kws_ternary_stored", "low_leakage_45nm"),
    ("P3@4x32", "kws_ternary", "low_leakage_45nm"),
    ("P3@4x32", "kws_ternary", "low_leakage_22nm"),
    ("P3@4x32", "kws_ternary", "asap7_7nm"),
    ("P3@4x32", "kws_ternary", "sky130_130nm"),
)

TABLES = {"energy": table_rows, "area": area_rows, "engines": engine_rows, "shares": share_rows}


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_the_document_has_the_table(rows):
    assert "\n".join(rows()) in DOCUMENT.read_text(encoding="utf-8")


# --- the circuit that was measured, again


def walk(limits: tuple[int, ...], steps: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Addresses cycle by cycle, with counters as a person would write them."""
    counts, addresses = [0] * len(limits), [0] * len(steps)
    while True:
        yield tuple(each % 2**16 for each in addresses)
        for loop, limit in enumerate(limits):
            if counts[loop] < limit:
                counts[loop] += 1
                addresses = [a + s[loop] for a, s in zip(addresses, steps, strict=True)]
                break
            counts[loop] = 0
        else:
            return


@pytest.mark.skipif(not has_icarus(), reason="needs Icarus Verilog")
def test_the_loop_nest_makes_the_addresses_of_its_loops(tmp_path):
    limits, steps = (3, 1, 2, 1), [(1, 5, -7, 100), (0, 1, 0, 9), (3, 0, 0, -2)]
    words = [*limits, *(step % 2**16 for unit in steps for step in unit)]
    writes = "\n".join(
        f"word = {at}; value = {value}; @(posedge clk); #1;" for at, value in enumerate(words)
    )
    (tmp_path / "bench.v").write_text(
        f"""
module bench;
reg clk = 0, set = 1, load = 0, enable = 0; reg [7:0] word; reg [15:0] value;
wire first, done; wire [47:0] addresses;
loop_nest dut (.clk(clk), .set(set), .word(word), .value(value), .load(load), .enable(enable),
    .first(first), .done(done), .addresses(addresses));
always #5 clk = !clk;
initial begin
{writes}
set = 0; load = 1; @(posedge clk); #1; load = 0; enable = 1; #1;
while (!done) begin
    $display("%0d %0d %0d", addresses[15:0], addresses[31:16], addresses[47:32]);
    @(posedge clk); #1;
end
$display("%0d %0d %0d", addresses[15:0], addresses[31:16], addresses[47:32]);
$finish;
end
endmodule
"""
    )
    for command in (
        ["iverilog", "-g2005", "-o", "bench", "bench.v", str(LOOP_NEST)],
        ["vvp", "-n", "bench"],
    ):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in result.stdout.splitlines() if line[:1].isdigit()]
    found = [tuple(map(int, line.split())) for line in lines]
    assert found == list(walk(limits, steps))


def test_the_loop_nest_has_the_flip_flops_that_were_measured():
    pytest.importorskip("pyosys")
    source = LOOP_NEST.read_text(encoding="utf-8")
    found = synthesise(Circuit(top="loop_nest", parameters={}, sources=(source,)))
    for library in LIBRARIES:
        assert found.flip_flops == measured(library, "loop_nest")["top"]["flip_flops"]


# --- it scales


def layer(channels: int = 16) -> Workload:
    return Workload(
        "one",
        (
            Layer(
                name="pw",
                kind=LayerKind.POINTWISE,
                in_channels=channels,
                out_channels=channels,
                in_frames=32,
                out_frames=32,
                weights=WeightSource.TRAINED,
            ),
        ),
    )


def test_more_flip_flops_more_area_and_more_addresses_cost_more():
    machine = load_accelerator("kws_ternary")
    base = find_overhead(machine, LOW_LEAKAGE)
    assert base is not None
    [macs, trees] = machine.arrays
    more = dataclasses.replace(macs, outputs=dataclasses.replace(macs.outputs, capacity_bits=48))
    wider = find_overhead(dataclasses.replace(machine, arrays=(more, trees)), LOW_LEAKAGE)
    assert wider is not None
    assert wider.flip_flops == base.flip_flops + 64 * 24
    assert wider.clock_pj_per_cycle.mid > base.clock_pj_per_cycle.mid
    assert all(wider.wire_pj_per_bit[n].mid > w.mid for n, w in base.wire_pj_per_bit.items())
    # small memories lie close: the buffer, the activations' 64 KiB, the weights' 128
    lengths = [base.wire_pj_per_bit[each.name].mid for each in machine.memories]
    assert lengths[0] < lengths[2] < lengths[1]
    # weights, activations in and out of the large SRAM; the buffer reads and is filled
    assert base.addresses == 5


def test_the_clock_by_hand():
    machine = load_accelerator("kws_int8")
    found = find_overhead(machine, LOW_LEAKAGE)
    assert found is not None
    # 64 units with 8 bits of a weight, 24 of a sum and 8 of an input's latch; 8 vector lanes
    # with two sums and a word twice; the collector has 64 sums; a pass's 512 bits of weights come
    # in words of 64, of inputs in words of 256, and those in words of 64; the last are not held
    lanes, collector, assembly = 8 * (24 + 24 + 8 + 8), 64 * 24, 512 - 64 + 512 - 64
    # a place of 21 bits, 32 bytes that may be padding, the number of a word of 14 bits, a word of
    # 64, and counts of 24 bits; a mean of 24, a score's 8, a record's 3, 9 flags; a record and 38
    fetch, vectors, loading = 21 + 32 + 14 + 64 + 24, 24 + 8 + 3 + 9, 48 + 38
    own = 64 * (8 + 24 + 8) + lanes + collector + assembly
    assert found.flip_flops == own + fetch + vectors + loading
    assert LOW_LEAKAGE.clock_gate_pj is not None
    closed = found.flip_flops / BITS_A_GATE * LOW_LEAKAGE.clock_gate_pj.value
    assert closed < found.clock_pj_per_cycle.mid < 2 * closed  # the rest is wire


def test_clock_and_control_run_as_long_as_the_machine_and_wires_as_bits_move():
    machine = load_accelerator("kws_int8")
    cost = estimate(layer(), machine, LOW_LEAKAGE)
    counts = dict(zip(cost.prices.entries, cost.counts, strict=True))
    cycles = cost.latency_cycles
    assert counts[Entry(Component.CLOCK, "gates", "", "cycle")] == cycles
    assert counts[Entry(Component.CONTROL, "loop nest", "", "cycle")] == cycles
    for memory in machine.memories:
        moved = cost.layers[0].traffic_bits(memory.name)
        assert counts[Entry(Component.WIRES, memory.name, "", "moved")] == moved > 0
    # what is paid for the time that an idle machine is on is leakage alone
    parts = cost.energies_pj
    assert cost.dynamic_energy.mid == pytest.approx(cost.energy_pj - parts[Component.LEAKAGE])
    assert min(parts[each] for each in (Component.CLOCK, Component.CONTROL, Component.WIRES)) > 0


def test_written_flip_flops_are_clocked_once():
    machine = load_accelerator("kws_ternary")
    adder = dataclasses.replace(
        machine.arrays[1],
        element="ternary_adder",
        rows=4,
        columns=4,
        weights=None,
        latched=(),
        outputs=dataclasses.replace(machine.arrays[1].outputs, capacity_bits=24),
    )
    prices = price_list(
        dataclasses.replace(machine, arrays=(machine.arrays[0], adder)), LOW_LEAKAGE
    )
    clocked = prices.position[Entry(Component.CLOCK, "registers", "", "written")]
    [followed] = [rows for row, rows in prices.follows if row == clocked]
    names = {(prices.entries[row].part, prices.entries[row].action) for row in followed}
    # an adder's sum is clocked with the adder: its register is not counted again
    assert names == {
        ("macs", "write"),
        ("trees", "position"),
        ("vector unit", "accumulation"),
        ("generator", "state_bits"),
        ("generator", "threshold_bits"),
    }


def test_without_clock_gates_all_flip_flops_run_and_writes_cost_their_data():
    gated = load_accelerator("kws_ternary")
    free = dataclasses.replace(gated, clock_gates=False)
    found = find_overhead(free, LOW_LEAKAGE)
    assert found is not None
    pin = LOW_LEAKAGE.accumulator_pj_per_bit.value
    assert found.clock_pj_per_cycle.mid > found.flip_flops * pin
    prices = {
        machine.clock_gates: dict(zip(listed.entries, listed.prices_pj[:, 1].tolist(), strict=True))
        for machine in (gated, free)
        for listed in (price_list(machine, LOW_LEAKAGE),)
    }
    for entry, price in prices[False].items():
        if entry.component is Component.REGISTER and entry.action == "write":
            assert price == pytest.approx(prices[True][entry] - pin, abs=1e-12), entry
    one, other = (estimate(layer(), each, LOW_LEAKAGE) for each in (gated, free))
    assert other.energy_pj > one.energy_pj + 0.5 * one.latency_cycles * found.flip_flops * pin
    with_control = one.energies_pj[Component.CONTROL]
    assert other.energies_pj[Component.CONTROL] == pytest.approx(2.9 * with_control, rel=1e-6)
    # studies begun before there was this key go on
    assert "clock_gates" not in gated.to_dict()
    assert free.to_dict()["clock_gates"] is False


def test_a_machine_with_figures_of_its_own_has_them_in_those():
    edge = load_accelerator("edge_tpu_like")
    found = find_overhead(edge, LOW_LEAKAGE)
    assert found is not None
    assert found.wire_pj_per_bit == {}
    assert found.flip_flops == edge.vector_lanes * (2 * edge.sum_bits + 2 * 8)
    assert found.control_pj_per_cycle.mid == 0


def test_a_technology_without_them_counts_none():
    bare = dataclasses.replace(LOW_LEAKAGE, **dict.fromkeys(OVERHEAD))
    assert find_overhead(load_accelerator("kws_int8"), bare) is None
    parts = estimate(layer(), load_accelerator("kws_int8"), bare).energies_pj
    assert parts[Component.CLOCK] == parts[Component.CONTROL] == parts[Component.WIRES] == 0
    with pytest.raises(InvalidInput, match="wire_pj_per_bit_mm"):
        dataclasses.replace(LOW_LEAKAGE, wire_pj_per_bit_mm=None)


if __name__ == "__main__":
    for each in TABLES.values():
        print("\n".join(each()), end="\n\n")
