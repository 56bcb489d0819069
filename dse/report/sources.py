"""Where the numbers come from: every constant with its source, what is assumed, how wrong it is."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from cost_models import (
    Accelerator,
    Band,
    ComputeArray,
    Constant,
    MemoryLevel,
    Technology,
)
from cost_models.nonvolatile import NONVOLATILE
from dse.columns import typeset
from dse.pricing.comparable import leakage_words
from dse.report.content import Cell, Column, Section, Table

UNITS = {
    "_pj_per_bit2": "pJ per bit of each operand",
    "_pj_per_bit": "pJ per bit",
    "_pj_per_input": "pJ per input",
    "_pj_per_gate": "pJ per gate",
    "_um2_per_bit2": "µm² per bit of each operand",
    "_um2_per_bit": "µm² per bit",
    "_um2_per_input": "µm² per input",
    "_um2_per_gate": "µm² per gate",
    "_nw_per_um2": "nW per µm²",
    "_share": "share",
    "_um2": "µm²",
    "_pj": "pJ",
    "_uw": "µW",
}
"""End of a field's name -> unit in words; the longest end that fits comes first."""

SPREADS = ("energy_spread", "area_spread", "leakage_spread")

ASSUMPTIONS = (
    "Energy, latency and area are those of an analytic model, before layout. Left out: wires "
    "between blocks, the energy of clock tree and control, bank conflicts, DRAM pages and standby, "
    "microphone, features, regulator and wake-up.",
    "A band adds the lowest, or the highest, figures of all constants, as if all were wrong the "
    "same way; what the model leaves out comes on top. Designs of one report share nearly all "
    "constants, so ratios between them are better known than the bands say.",
    "Transfers overlap with computing within a layer; layers follow one after the other. Zeros "
    "among activations save nothing.",
    "Counts of operations and trained parameters are exact. Non-zeros of ternary matrices are "
    "counted on the matrices themselves.",
    "Area belongs to the machine: a network that needs less memory does not make it smaller.",
)

MEASURED_ERRORS: tuple[tuple[str, str, str, str], ...] = (
    ("cycles", "SCALE-Sim 3.0.0", "217 layer results, 7 arrays, three dataflows", "equal in all"),
    ("energy", "ZigZag 3.9.1", "MatchboxNet-3x2x64, tpu_like, 8-bit, through DRAM", "-0.16 %"),
    ("energy", "ZigZag 3.9.1", "MatchboxNet-3x2x64, tpu_like, 8-bit, on chip", "-0.60 %"),
    ("energy", "ZigZag 3.9.1", "MatchboxNet-3x2x64, eyeriss_like, 8-bit", "+0.32 %"),
    ("energy", "ZigZag 3.9.1", "QuartzNet 5x5, eyeriss_like", "-1.5 %"),
    ("energy", "ZigZag 3.9.1", "QuartzNet 5x5, edge_tpu_like (we map it better)", "-6.9 %"),
    ("energy", "ZigZag 3.9.1", "worst single layer of all runs", "-12.5 %"),
    ("cycles", "ZigZag 3.9.1", "what is loaded before and stored after a layer", "up to 22 % less"),
    ("area", "own synthesis, 45 nm", "multiplier, 9 anchors", "at most 4.3 %"),
    ("area", "own synthesis, 45 nm", "ternary tree, 3 anchors", "at most 1.5 %"),
    ("area", "own synthesis, 45 nm", "register file, 5 anchors", "at most 5.9 %"),
    ("area", "own synthesis, ASAP7", "8-bit adder, the worst of all anchors", "12.8 %"),
)
"""Quantity, against what, where, and how far off: figures of docs/evidence/model.md and
docs/evidence/technologies.md, which say how they were measured; a test holds them together."""


def sources_sections(
    machines: Sequence[tuple[Accelerator, Technology]], *, more: Sequence[str] = ()
) -> list[Section]:
    """Assumptions, constants with their sources, and the measured error of the model.

    Args:
        machines: all that the report has figures of; equal ones are told once.
        more: assumptions of this report, before those of the model: frames, rate, battery.
    """
    accelerators = list(dict.fromkeys(machine for machine, _ in machines))
    technologies = list(dict.fromkeys(technology for _, technology in machines))
    return [
        Section(
            name="assumptions",
            title="Assumptions",
            points=(*more, *ASSUMPTIONS),
        ),
        Section(
            name="sources",
            title="Constants and their sources",
            sentences=(
                *(f"Machine {each.name}: {each.description}." for each in accelerators),
                *(
                    f"Technology {each.name}: {each.description}; {leakage_words(each)}."
                    for each in technologies
                ),
            ),
            tables=(
                _machines_table(accelerators),
                _constants_table(accelerators, technologies),
                _sram_table(technologies),
            ),
        ),
        model_error_section(),
    ]


def model_error_section() -> Section:
    """How far the model was from other tools and from synthesis, where it was held against them.

    The same in each report: figures of validation runs, not of the designs reported.
    """
    columns = tuple(
        Column(name=name, heading=heading, form="text")
        for name, heading in (
            ("quantity", "quantity"),
            ("against", "against"),
            ("where", "where"),
            ("difference", "ours differs by"),
        )
    )
    return Section(
        name="model-error",
        title="Measured error of the model",
        sentences=(
            "The model ranks designs and machines; it is no sign-off figure, and no chip of these "
            "machines was laid out or measured; two published chips in 22FDX are priced within a "
            "factor of 3.3 of what their papers print (docs/silicon.md). How far it is from tools "
            "that simulate or search the same machines, and from synthesis of the same blocks:",
        ),
        tables=(
            Table(
                name="model_error",
                title="The model against others",
                columns=columns,
                rows=MEASURED_ERRORS,
                note="docs/evidence/model.md and docs/evidence/technologies.md have all runs, "
                "commands and reasons.",
            ),
        ),
    )


def _machines_table(machines: Sequence[Accelerator]) -> Table:
    columns = (
        Column(name="machine", heading="machine", form="text"),
        Column(name="part", heading="part", form="text"),
        Column(name="what", heading="what it is", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for machine in machines:
        rows.append((machine.name, "clock", f"{machine.clock_mhz:g} MHz"))
        for array in machine.arrays:
            sizes = " x ".join(str(size) for size in array.sizes if size > 1) or "1"
            words = array.element.replace("_", " ")
            rows.append(
                (
                    machine.name,
                    array.name,
                    f"{sizes} elements: {words}, zeros {array.zero_handling}",
                )
            )
        for memory in machine.memories:
            rows.append(
                (
                    machine.name,
                    memory.name,
                    f"{memory.kind.replace('_', ' ')} of {memory.size_words} for "
                    f"{', '.join(memory.holds)}; {memory.bandwidth_bits_per_cycle} bits a cycle",
                )
            )
        rows.append((machine.name, "vector unit", f"{machine.vector_lanes} lanes"))
        ternary = f"ternary weights {machine.ternary_weights}"
        if machine.generator is not None:
            saved = "; saves a state" if machine.generator.saved_states else ""
            ternary = f"{machine.generator.trits_per_cycle} trits a cycle{saved}; {ternary}"
        rows.append((machine.name, "generator", ternary))
        rows.append((machine.name, "source", typeset(machine.source.strip())))
    return Table(name="machines", title="Machines", columns=columns, rows=tuple(rows))


def _constants_table(machines: Sequence[Accelerator], technologies: Sequence[Technology]) -> Table:
    columns = (
        Column(name="of", heading="of", form="text"),
        Column(name="constant", heading="constant", form="text"),
        Column(name="value", heading="value", form="exact", band=True),
        Column(name="unit", heading="unit", form="text"),
        Column(name="source", heading="source", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for technology in technologies:
        for each in fields(technology):
            constant = getattr(technology, each.name)
            if isinstance(constant, Constant):
                rows.append((technology.name, *_constant(each.name, constant)))
        for name in SPREADS:
            spread = getattr(technology.sram, name)
            # A spread is a factor on the figures of the table: 0.7 to 1.4 times, say.
            band = Band(low=spread.low, mid=1.0, high=spread.high)
            rows.append(
                (technology.name, f"sram {_words(name)}", band, "times", typeset(spread.source))
            )
        rows.append((technology.name, "sram table", None, "", typeset(technology.sram.source)))
    rows += _kind_rows(machines)
    for machine in machines:
        parts: list[ComputeArray | MemoryLevel] = [*machine.arrays, *machine.memories]
        for part in parts:
            registers = [getattr(part, name, None) for name in ("weights", "inputs", "outputs")]
            for owner in (part, *(register for register in registers if register is not None)):
                for each in fields(owner):
                    constant = getattr(owner, each.name)
                    if isinstance(constant, Constant):
                        what, *rest = _constant(each.name, constant)
                        rows.append((machine.name, f"{part.name}: {what}", *rest))
    return Table(
        name="constants",
        title="Every constant with its source",
        columns=columns,
        rows=tuple(rows),
        note="Where sources disagree, the value has its lowest and highest figure in brackets.",
    )


def _kind_rows(machines: Sequence[Accelerator]) -> Iterator[tuple[Cell, ...]]:
    """Constants of the kinds of memory without supply that machines have."""
    used = dict.fromkeys(memory.kind for machine in machines for memory in machine.memories)
    for name in used:
        kind = NONVOLATILE.get(name)
        if kind is None:
            continue
        for what in ("read", "area", "leakage", "access"):
            constant = getattr(kind, what)
            if constant is not None:
                share = what == "leakage" or (kind.like_sram and what in ("read", "area"))
                units = {"read": "pJ per bit", "area": "F² per bit", "access": "ns"}
                unit = "times an SRAM's" if share else units[what]
                yield (kind.words, what, constant.band, unit, _source(constant))


def _constant(name: str, constant: Constant) -> tuple[Cell, ...]:
    """A field's name in words, its value, its unit in words, its source.

    The unit is read off the end of the name: `addition_pj_per_bit` is "addition", in pJ per bit.
    """
    end = next((end for end in UNITS if name.endswith(end)), "")
    what = _words(name.removesuffix(end))
    return (what, constant.band, UNITS.get(end, ""), _source(constant))


def _source(constant: Constant) -> str:
    return typeset(" ".join(constant.source.split()))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sram_table(technologies: Sequence[Technology]) -> Table:
    columns = (
        Column(name="technology", heading="technology", form="text"),
        Column(name="capacity", heading="capacity", unit="bit", form="count"),
        Column(name="read_pj_per_bit", heading="read, pJ per bit", form="exact"),
        Column(name="write_pj_per_bit", heading="write, pJ per bit", form="exact"),
        Column(name="area", heading="area", unit="µm²", form="count"),
        Column(name="leakage", heading="leakage", unit="µW", form="exact"),
    )
    rows = tuple(
        (
            technology.name,
            row.capacity_bits,
            row.read_pj_per_bit,
            row.write_pj_per_bit,
            row.area_um2,
            row.leakage_uw,
        )
        for technology in technologies
        for row in technology.sram.rows
    )
    return Table(
        name="sram",
        title="SRAM macros",
        columns=columns,
        rows=rows,
        note="Between two rows, logarithms of capacity and value are interpolated.",
    )
