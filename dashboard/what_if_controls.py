"""The machine of the what-if page, put together from pickers and sliders."""

from dataclasses import dataclass

import streamlit as st

from cost_models import (
    Accelerator,
    Technology,
    accelerator_names,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.accelerator import ComputeArray, MemoryLevel, ZeroHandling
from cost_models.energy import memory_prices
from cost_models.units import with_prefix
from dashboard.studies import Study
from dse.study_designs import accelerator_of, technology_of
from dse.what_if import ArrayChange, MemoryChange, varied

STUDYS = "the study's own"
DRAM_KINDS = {"as the technology has it": 1.0, "half the energy": 0.5, "twice the energy": 2.0,
              "four times the energy": 4.0}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the designs are priced on."""

    base: Accelerator
    """The machine that it was varied from."""
    machine: Accelerator
    technology: Technology


def choose_machine(study: Study) -> Chosen:
    """The machine of the controls.

    Raises:
        InvalidInput: its parts do not fit each other.
    """
    base = st.selectbox("Machine", [STUDYS, *accelerator_names()], key="machine",
                        bind="query-params")  # fmt: skip
    tech = st.selectbox("Technology", ["the machine's own", *technology_names()],
                        key="technology", bind="query-params")  # fmt: skip
    machine = accelerator_of(study.record) if base == STUDYS else load_accelerator(base)
    technology = _technology(study, machine, base, tech)
    mark = f"{study.label}/{base}"  # other sliders for another machine
    clock_mhz = _factor("Clock (MHz)", machine.clock_mhz, f"{mark}/clock")
    lanes = _powers("Vector lanes", machine.vector_lanes, f"{mark}/vector")
    trits = None
    stored = False
    if machine.generator is not None:
        trits = _powers("Generator: trits a cycle", machine.generator.trits_per_cycle,
                        f"{mark}/trits")  # fmt: skip
        stored = st.toggle(
            "Store matrices",
            key=f"{mark}/stored",
            help="in memory, two bits an entry; no generator",
        )
    arrays = {each.name: _array(each, mark) for each in machine.arrays}
    memories = {each.name: _memory(each, mark, technology) for each in machine.memories}
    changed = varied(
        machine, clock_mhz=clock_mhz, vector_lanes=lanes, trits_per_cycle=trits,
        ternary_weights="stored" if stored else None, arrays=arrays, memories=memories,
    )  # fmt: skip
    return Chosen(machine, changed, technology)


def _technology(study: Study, machine: Accelerator, base: str, name: str) -> Technology:
    if name != "the machine's own":
        return load_technology(name)
    return technology_of(study.record) if base == STUDYS else load_technology(machine.technology)


def _factor(title: str, value: float, key: str) -> float:
    """A slider from a sixteenth to sixteen times the value."""
    options = [round(value * 2.0 ** (step / 2), 6) for step in range(-8, 9)]
    return float(st.select_slider(title, options, value=options[8], key=key, format_func=_short))


def _powers(title: str, value: int, key: str) -> int:
    """A slider over whole numbers, doubled and halved from the value."""
    options = sorted({max(1, round(value * 2.0**step)) for step in range(-4, 5)})
    return int(st.select_slider(title, options, value=value, key=key, format_func=_short))


def _short(value: float) -> str:
    return with_prefix(value).strip() if value >= 1000 else f"{value:.4g}"


def _array(array: ComputeArray, mark: str) -> ArrayChange:
    with st.expander(f"Array {array.name}: {array.rows} x {array.columns} {array.element}"):
        rows = _powers("Rows", array.rows, f"{mark}/{array.name}/rows")
        columns = _powers("Columns", array.columns, f"{mark}/{array.name}/columns")
        zero: ZeroHandling = array.zero_handling
        if array.element != "mac":
            handlings: list[ZeroHandling] = ["dense", "gated", "skipped"]
            zero = st.selectbox("Zero trits", handlings, index=handlings.index(zero),
                                required=True, key=f"{mark}/{array.name}/zero")  # fmt: skip
    return ArrayChange(rows=rows, columns=columns, zero_handling=zero)


def _memory(memory: MemoryLevel, mark: str, technology: Technology) -> MemoryChange:
    size = with_prefix(float(memory.capacity_bits), "bit")
    with st.expander(f"Memory {memory.name}: {size}, {memory.kind}"):
        capacity = memory.capacity_bits
        energy = None
        if memory.kind == "dram":
            kind = st.selectbox("DRAM", list(DRAM_KINDS), key=f"{mark}/{memory.name}/kind")
            if DRAM_KINDS[kind] != 1.0:
                read, _ = memory_prices(memory, technology)
                energy = read.mid * DRAM_KINDS[kind]
        else:
            capacity = _powers("Capacity (bit)", capacity, f"{mark}/{memory.name}/capacity")
        width = _powers("Port (bits a cycle)", memory.bandwidth_bits_per_cycle,
                        f"{mark}/{memory.name}/width")  # fmt: skip
    return MemoryChange(
        capacity_bits=capacity, bandwidth_bits_per_cycle=width, access_pj_per_bit=energy
    )
