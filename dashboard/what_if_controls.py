"""The machine of the what-if page, put together from pickers and sliders.

A slider stands at the value of the machine that is varied, and steps are ratios, as what they do to
energy and time mostly is: the clock by factors of sqrt(2), sizes by factors of 2. Its key holds the
name of that machine: Streamlit keeps a widget's value under its key, and a value of one machine
would otherwise be carried over to the next.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from cost_models import Accelerator, Technology, load_technology, technology_names
from cost_models.accelerator import (
    READ_ONLY,
    ComputeArray,
    MemoryKind,
    MemoryLevel,
    ZeroHandling,
)
from cost_models.energy import memory_prices
from cost_models.units import bits_to_kib, with_prefix
from dashboard.links import choose_one
from dashboard.machines import load_machine, machine_names
from dashboard.studies import StudyFrame
from dashboard.texts import amount
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.what_if import ArrayChange, MemoryChange, varied
from dse.ternary.generators import FAMILIES

STUDYS = "the study's own"
MACHINES_OWN = "the machine's own"
OWN_DRAM = "the technology's own"
DRAM_KINDS = {
    "LPDDR5": "asap7_7nm",
    "HBM2": "tpuv4i_7nm",
    "LPDDR4": "low_leakage_45nm",
    "DDR3 or DDR4": "horowitz_45nm",
}
"""Kind of DRAM -> technology whose file has its energy a bit, with the source."""
WIDTHS = (4, 6, 8, 10, 12, 16, 24, 32)  # bits of an operand
SUMS = (12, 16, 20, 24, 28, 32, 40, 48)  # bits of an accumulator
AS_TRAINED = "as trained"
NO_STREAM = "no stream"
HOPS = (1, 2, 4, 8, 16, 32, 64)
"""Frames: strides are mostly powers of two, and a hop must be a multiple of them."""
WEIGHT_KINDS: tuple[MemoryKind, ...] = ("sram", *READ_ONLY)
"""Of a memory that holds weights and nothing else."""
FIRST_BITS = 2**18
"""Where the slider stands of a memory whose size was that of each design."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the designs are priced on."""

    base: Accelerator
    """The machine that it was varied from."""
    machine: Accelerator
    technology: Technology
    own: Machine
    """The study's machine that it is held against."""
    family: str | None = None
    """Generator that makes the matrices instead of the designs' own."""
    listening: Listening | None = None
    """How a stream is taken in; None where single inferences alone are priced."""


def choose_machine(study: StudyFrame) -> Chosen:
    """The machine of the controls: draws them, and puts together what they say.

    A matrix that is stored needs no generator, so that the family is asked for only where the base
    machine has one, and means nothing once matrices are stored.

    Args:
        study: whose machines and technologies are offered first.

    Raises:
        InvalidInput: its parts do not fit each other.
    """
    owns = own_machines(study)
    base = choose_one(st, "Machine", [*owns, *machine_names()], "machine")
    tech = st.selectbox(
        "Technology",
        [MACHINES_OWN, *technology_names()],
        key="technology",
        bind="query-params",
        help=_classes(),
    )
    own = owns.get(base, next(iter(owns.values())))
    machine, technology = (own.accelerator, own.technology) if base in owns else load_machine(base)
    if tech != MACHINES_OWN:
        technology = load_technology(tech)
    # Other sliders for another machine; their keys stand in the address.
    mark = _mark(study, own) if base in owns else base
    clock_mhz = _factor("Clock (MHz)", machine.clock_mhz, f"{mark}.clock")
    lanes = _powers("Vector lanes", machine.vector_lanes, f"{mark}.vector")
    trits = family = None
    stored = False
    if machine.generator is not None:
        family = st.selectbox(
            "Generator family",
            [AS_TRAINED, *FAMILIES],
            key="family",
            bind="query-params",
            help="matrices of the same density, made by another circuit: other networks than those "
            "that were trained, so their errors are taken for the same, not known",
        )
        trits = _powers(
            "Generator: trits a cycle", machine.generator.trits_per_cycle, f"{mark}.trits"
        )
        stored = st.toggle(
            "Store matrices",
            key=f"{mark}.stored",
            bind="query-params",
            help="in memory, two bits an entry; no generator",
        )
    listening = _listening(study)
    arrays = {each.name: _array(each, mark) for each in machine.arrays}
    memories = {each.name: _memory(each, mark, technology) for each in machine.memories}
    changed = varied(
        machine,
        clock_mhz=clock_mhz,
        vector_lanes=lanes,
        trits_per_cycle=trits,
        ternary_weights="stored" if stored else None,
        arrays=arrays,
        memories=memories,
    )
    if technology.name in technology_names():  # so that a file of the machine has it, too
        changed = dataclasses.replace(changed, technology=technology.name)
    chosen = family if family in FAMILIES and not stored else None
    return Chosen(machine, changed, technology, own, chosen, listening)


def _listening(study: StudyFrame) -> Listening | None:
    """The hop of the stream that designs listen to; of a study without one, none unless asked."""
    features, own = study.asked.features, study.asked.listening
    hops = {hop for hop in HOPS if hop <= features.frames}
    options = [*([] if own else [0]), *sorted(hops | ({own.hop_frames} if own else set()))]
    hop = st.select_slider(
        "Hop (frames)",
        options,
        value=own.hop_frames if own else 0,
        key="hop",
        format_func=lambda frames: str(frames) if frames else NO_STREAM,
        bind="query-params",
        help="new frames that a machine takes in at a time when it listens to a stream; designs "
        "whose strides a hop is no multiple of do not run",
    )
    return Listening(int(hop), features.hop_ms) if hop else None


def own_machines(study: StudyFrame) -> dict[str, Machine]:
    """Words -> machine of the study; of several the one first that most of the frontier is on.

    It is what a reader compares with: as long as nothing is moved, nothing has changed.
    """
    machines = study.asked.machines
    if len(machines) == 1:
        return {STUDYS: machines[0]}
    chosen = study.frame.loc[study.frame["frontier"], "accelerator"].value_counts()
    ordered = sorted(machines, key=lambda each: -int(chosen.get(each.accelerator.name, 0)))
    return {f"{STUDYS}: {each.accelerator.name}": each for each in ordered}


def _mark(study: StudyFrame, own: Machine) -> str:
    machines = study.asked.machines
    return "own" if len(machines) == 1 else f"own{machines.index(own)}"


@st.cache_data
def _classes() -> str:
    """What leaks in each technology, a line each."""
    lines = []
    for name in technology_names():
        technology = load_technology(name)
        logic, memories = technology.logic_class.level, technology.memory_class.level
        lines.append(f"`{name}`: logic `{logic}`, memories `{memories}`")
    return "Leakage classes:\n\n" + "\n\n".join(lines)


def _factor(title: str, value: float, key: str) -> float:
    """A slider from a sixteenth to sixteen times the value, two steps a factor of two."""
    options = [round(value * 2.0 ** (step / 2), 6) for step in range(-8, 9)]
    return float(
        st.select_slider(
            title, options, value=options[8], key=key, format_func=_short, bind="query-params"
        )
    )


def _kib(bits: float) -> str:
    return amount(bits_to_kib(bits), "sram_bits")


def _powers(title: str, value: int, key: str, written: Callable[[float], str] | None = None) -> int:
    """A slider over whole numbers, doubled and halved from the value."""
    options = sorted({max(1, round(value * 2.0**step)) for step in range(-4, 5)})
    return int(
        st.select_slider(
            title,
            options,
            value=value,
            key=key,
            format_func=written or _short,
            bind="query-params",
        )
    )


def _bits(title: str, value: int, usual: tuple[int, ...], key: str) -> int:
    """A slider over usual widths; what is too narrow for a design does not run it."""
    options = sorted({*usual, value})
    return int(st.select_slider(title, options, value=value, key=key, bind="query-params"))


def _short(value: float) -> str:
    return with_prefix(value).strip() if value >= 1000 else f"{value:.4g}"


def _array(array: ComputeArray, mark: str) -> ArrayChange:
    """The sliders of one array; what to do with zero trits is asked of ternary elements alone."""
    with st.expander(f"Array {array.name}: {array.rows} x {array.columns} {array.element}"):
        rows = _powers("Rows", array.rows, f"{mark}.{array.name}.rows")
        columns = _powers("Columns", array.columns, f"{mark}.{array.name}.columns")
        lanes = _powers("Lanes", array.lanes, f"{mark}.{array.name}.lanes")
        width = _bits(
            "Operand width (bit)", array.operand_bits, WIDTHS, f"{mark}.{array.name}.operand"
        )
        total = _bits(
            "Accumulator width (bit)", array.accumulator_bits, SUMS, f"{mark}.{array.name}.sum"
        )
        zero: ZeroHandling = array.zero_handling
        if array.element != "mac":
            handlings: list[ZeroHandling] = ["dense", "gated", "skipped"]
            key = f"{mark}.{array.name}.zero"
            word = choose_one(st, "Zero trits", handlings, key, index=handlings.index(zero))
            zero = next(each for each in handlings if each == word)
    return ArrayChange(
        rows=rows,
        columns=columns,
        lanes=lanes,
        operand_bits=width,
        accumulator_bits=total,
        zero_handling=zero,
    )


def _memory(memory: MemoryLevel, mark: str, technology: Technology) -> MemoryChange:
    """The sliders of one memory: a DRAM has a kind with an energy a bit, any other a capacity.

    The energy of an SRAM is not asked for: it follows from the capacity by the technology's table.
    """
    fits = memory.capacity_bits == "fit"
    size = "as large as a design needs" if fits else f"{_kib(memory.bits)} KiB"
    with st.expander(f"Memory {memory.name}: {size}, {memory.kind}"):
        capacity = memory.capacity_bits
        energy = None
        if memory.kind == "dram":
            own = memory_prices(memory, technology)[0].mid
            prices = {OWN_DRAM: own} | {
                kind: load_technology(name).dram_pj_per_bit.value
                for kind, name in DRAM_KINDS.items()
            }
            made = choose_one(
                st,
                "DRAM kind",
                list(prices),
                f"{mark}.{memory.name}.kind",
                format_func=lambda kind: f"{kind}: {prices[kind]:.3g} pJ/bit",
            )
            if made in DRAM_KINDS:
                energy = prices[made]
        elif st.toggle(
            "Fit",
            value=fits,
            key=f"{mark}.{memory.name}.fit",
            bind="query-params",
            help="as large as each design needs, rounded up to a macro that can be built",
        ):
            capacity = "fit"
        else:
            begin = FIRST_BITS if fits else memory.bits
            capacity = _powers("Capacity (KiB)", begin, f"{mark}.{memory.name}.capacity", _kib)
        kind = memory.kind
        if memory.holds == ("weights",) and memory.kind in WEIGHT_KINDS:
            word = choose_one(
                st,
                "Kind",
                WEIGHT_KINDS,
                f"{mark}.{memory.name}.kind",
                index=WEIGHT_KINDS.index(memory.kind),
                format_func=lambda kind: kind.replace("_", " "),
                help="all but sram hold weights without supply, and are not written",
            )
            kind = next(each for each in WEIGHT_KINDS if each == word)
        width = _powers(
            "Port (bits a cycle)", memory.bandwidth_bits_per_cycle, f"{mark}.{memory.name}.width"
        )
    return MemoryChange(
        kind=kind,
        capacity_bits=capacity,
        bandwidth_bits_per_cycle=width,
        access_pj_per_bit=energy,
    )
