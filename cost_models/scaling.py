"""Node scaling: a technology as it might be at another node and voltage, and how wrong that may be.

    energy factor = E(to node, to voltage) / E(from node, from voltage)
    E(node, V)    = a V^2 + b V + c                       polynomial of the node
    area factor   = table[from node][to node]
    error         = (coarser node / finer node) ** exponent, as a factor both ways

Between two nodes of the table, as at 22 or 28 nm, both factors are the weighted geometric mean of
theirs, a straight line of logarithms over the logarithm of the node.

Polynomials and table: A. Stillmaker, B. Baas, Scaling equations for the accurate prediction of CMOS
device performance from 180 nm to 7 nm, Integration 58 (2017) 74-81, DOI 10.1016/j.vlsi.2017.02.002,
as in Accelergy's hwcomponents (commit e67d7f1, techscaling.py); 32 nm from the corrigendum.

The exponents are measured: the smallest that keep every case we know within the band. The nodes of
45 and 7 nm are a factor of 6.4 apart, so an energy is taken to be off by up to 6.4^1.2 = 9.3, and
by 1.05 more for the voltage; a logic area by 6.4^0.3 = 1.7.

| scaled                                          | predicted | published or measured | off by |
|-------------------------------------------------|-----------|-----------------------|--------|
| 45 -> 7 nm, 8-bit multiplication (TPUv4i)       | x 0.057   | x 0.35                | 6.2    |
| 45 -> 7 nm, 8-bit addition (TPUv4i)             | x 0.057   | x 0.23                | 4.1    |
| 45 -> 7 nm, 32-bit float addition (TPUv4i)      | x 0.057   | x 0.42                | 7.5    |
| 45 -> 7 nm, flip-flop's clock (ASAP7)           | x 0.057   | x 0.10                | 1.8    |
| 45 -> 130 nm, 1.8 V, flip-flop's clock (sky130) | x 16.7    | x 7.0                 | 0.42   |
| 45 -> 130 nm, 1.8 V, 24-bit addition (sky130)   | x 16.7    | x 4.7                 | 0.28   |
| 130 -> 45 nm, 2 KB SRAM (IHP; CACTI 7)          | x 0.163   | x 0.047               | 0.29   |
| area, 45 -> 130 nm, adder (sky130)              | x 6.4     | x 4.7                 | 0.74   |
| area, 45 -> 7 nm, flip-flop (ASAP7)             | x 0.059   | x 0.085               | 1.43   |
| area, 45 -> 130 nm, 2 KB SRAM (IHP; CACTI 7)    | x 6.4     | x 12.3                | 1.93   |

A voltage of the same node slows gates and lowers leakage by the laws of `cost_models.timing`, down
to a lowest one. A wire's energy per length follows the voltage alone. Across nodes, leakage follows
the class of the device, not its size, so its density is kept, delays are unknown, and the band says
how little that means: SkyWater's cells leak 1 / 50,000 of Nangate's per area, ASAP7's 1 / 26. DRAM
is another chip and stays as it is.
"""

import math
from dataclasses import replace

from cost_models.errors import InvalidInput
from cost_models.leakage_class import LeakageClass
from cost_models.sram import Spread, SramRow, SramTable
from cost_models.technology import Constant, Technology
from cost_models.timing import Timing, leakage_factor

NODES_NM = (130, 90, 65, 45, 32, 20, 16, 14, 10, 7)

ENERGY_POLYNOMIALS = {
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.2767),
    32: (0.8367, -0.4341, 0.1701),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}
"""a, b, c of each node, for V in volts."""

AREA_FACTORS = {
    130: (1, 0.44, 0.23, 0.16, 0.072, 0.033, 0.03, 0.027, 0.016, 0.0092),
    90: (2.3, 1, 0.53, 0.35, 0.16, 0.075, 0.067, 0.061, 0.036, 0.021),
    65: (4.3, 1.9, 1, 0.66, 0.31, 0.14, 0.13, 0.12, 0.068, 0.039),
    45: (6.4, 2.8, 1.5, 1, 0.46, 0.21, 0.19, 0.17, 0.1, 0.059),
    32: (14, 6.1, 3.3, 2.2, 1, 0.46, 0.41, 0.38, 0.22, 0.13),
    20: (30, 13, 7.1, 4.7, 2.2, 1, 0.89, 0.82, 0.48, 0.28),
    16: (34, 15, 7.9, 5.3, 2.4, 1.1, 1, 0.91, 0.54, 0.31),
    14: (37, 16, 8.7, 5.8, 2.7, 1.2, 1.1, 1, 0.59, 0.34),
    10: (63, 28, 15, 9.8, 4.5, 2.1, 1.9, 1.7, 1, 0.58),
    7: (110, 48, 25, 17, 7.8, 3.6, 3.2, 2.9, 1.7, 1),
}
"""From the node of the row to those of `NODES_NM`."""

HIGHEST_VOLTAGE_V = 1.8
"""Of the nodes that the publication covers."""

LOWEST_VOLTAGE_V = 0.6
"""Of technologies that say nothing else: 0.2 V above a usual threshold."""

ENERGY_ERROR_EXPONENT = 1.2
LOGIC_AREA_ERROR_EXPONENT = 0.3
SRAM_AREA_ERROR_EXPONENT = 0.62
VOLTAGE_ERROR = 1.05
"""45 nm, 1.1 to 0.9 V: predicted x 0.696, Torng's layouts (WCAE 2023) x 0.667."""
LEAKAGE_LOW = 1e-5

UNSCALED = frozenset({"dram_pj_per_bit", "control_share"})


def energy_factor(from_node_nm: int, from_v: float, to_node_nm: int, to_v: float) -> float:
    """Predicted energy of a gate over that at the first node and voltage.

    Raises:
        InvalidInput: a node or voltage is outside the published table.
    """
    return _energy(to_node_nm, to_v) / _energy(from_node_nm, from_v)


def area_factor(from_node_nm: int, to_node_nm: int) -> float:
    """Predicted area of a gate over that at the first node. Raises like `energy_factor`."""
    factor = 1.0
    for start, start_share in _published(from_node_nm):
        for end, end_share in _published(to_node_nm):
            step = AREA_FACTORS[start][NODES_NM.index(end)]
            factor *= step ** (start_share * end_share)
    return factor if from_node_nm != to_node_nm else 1.0


def scale_technology(technology: Technology, node_nm: int, voltage_v: float) -> Technology:
    """A technology scaled to another node and voltage, its bands widened by the error of scaling.

    Energies are multiplied by `energy_factor`, areas by `area_factor`; leakage per area, the share
    of control and the DRAM stay. Mid figures are the prediction, and what the prediction has been
    wrong by goes into the bands: a comparison across nodes is only worth what they leave of it.

    Args:
        technology: any; its own node must be in the table too.
        node_nm: from the finest of `NODES_NM` to the coarsest.
        voltage_v: above the minimum of the node's polynomial, at most `HIGHEST_VOLTAGE_V`.

    Returns:
        The technology itself where neither node nor voltage changes.

    Raises:
        InvalidInput: a node or voltage is outside the published table.
    """
    same_node = node_nm == technology.node_nm
    # Before the return below: what is outside the table is refused even where nothing changes.
    energy = energy_factor(technology.node_nm, technology.voltage_v, node_nm, voltage_v)
    area = area_factor(technology.node_nm, node_nm)
    _check_lowest(technology, node_nm, voltage_v)
    if same_node and voltage_v == technology.voltage_v:
        return technology
    # How far apart the nodes are, in either direction: 1 where only the voltage changes.
    timing = technology.timing
    slower, leaks = 1.0, 1.0
    if not same_node:
        timing = Timing(
            unknown=f"scaled from {technology.node_nm} nm, which says nothing of delays"
        )
    elif not timing.unknown:
        slower = timing.delay_factor(technology.voltage_v, voltage_v)
        timing = timing.slowed(slower)
    if same_node:
        leaks = leakage_factor(technology.voltage_v, voltage_v)
    distance = max(node_nm, technology.node_nm) / min(node_nm, technology.node_nm)
    energy_error = distance**ENERGY_ERROR_EXPONENT * VOLTAGE_ERROR
    logic_error = distance**LOGIC_AREA_ERROR_EXPONENT
    sram_error = distance**SRAM_AREA_ERROR_EXPONENT
    leakage_low = 1.0 if same_node else LEAKAGE_LOW
    ends = (
        f"from {technology.node_nm} nm, {technology.voltage_v:g} V to {node_nm} nm, {voltage_v:g} V"
    )

    def constant(name: str, old: Constant) -> Constant:
        if name in UNSCALED:
            return old
        if name == "logic_leakage_nw_per_um2":
            text = f"Density kept {ends}, a guess."
            if same_node:
                text = f"Scaled {ends} by {leaks:.3g}, the law of cost_models.timing."
            return _scaled(old, leaks, leakage_low, 1.0, text)
        if name == "wire_pj_per_bit_mm":  # a length's capacitance is nearly that of all nodes
            squared = (voltage_v / technology.voltage_v) ** 2
            text = f"Scaled {ends} by {squared:.3g}, the voltage squared."
            return _scaled(old, squared, 1 / VOLTAGE_ERROR, VOLTAGE_ERROR, text)
        if "_pj" in name:
            text = f"Scaled {ends} by {energy:.3g} (Stillmaker and Baas); measured error up to"
            return _scaled(
                old, energy, 1 / energy_error, energy_error, f"{text} {energy_error:.2g}x."
            )
        text = f"Area scaled {ends} by {area:.3g} (Stillmaker and Baas); measured error up to"
        return _scaled(old, area, 1 / logic_error, logic_error, f"{text} {logic_error:.2g}x.")

    constants = {
        name: constant(name, old)
        for name in Technology.__dataclass_fields__
        if isinstance(old := getattr(technology, name), Constant)
    }
    return replace(
        technology,
        name=f"{technology.name}_at_{node_nm}nm",
        description=f"{technology.description}; scaled {ends}",
        node_nm=node_nm,
        voltage_v=voltage_v,
        sram=_scaled_sram(
            technology.sram,
            energy,
            area,
            energy_error,
            sram_error,
            leakage_low,
            ends,
            leaks,
            slower,
        ),
        timing=timing,
        logic_class=_scaled_class(technology.logic_class, technology, node_nm, voltage_v),
        memory_class=_scaled_class(technology.memory_class, technology, node_nm, voltage_v),
        **constants,
    )


def _check_lowest(technology: Technology, node_nm: int, voltage_v: float) -> None:
    lowest = LOWEST_VOLTAGE_V
    if node_nm == technology.node_nm and technology.timing.lowest_voltage_v is not None:
        lowest = technology.timing.lowest_voltage_v
    if voltage_v < lowest:
        raise InvalidInput(
            f"cannot scale {technology.name} to {voltage_v:g} V: at least {lowest:g} V, below "
            "which memory cells do not hold and delays grow without bound; raise the voltage"
        )


def _scaled(old: Constant, factor: float, low: float, high: float, text: str) -> Constant:
    band = old.band.scaled(factor)
    return Constant(
        value=band.mid, low=band.low * low, high=band.high * high, source=f"{text} {old.source}"
    )


def _scaled_sram(
    old: SramTable,
    energy: float,
    area: float,
    energy_error: float,
    area_error: float,
    leakage_low: float,
    ends: str,
    leaks: float,
    slower: float,
) -> SramTable:
    rows = tuple(
        SramRow(
            capacity_bits=row.capacity_bits,
            read_pj_per_bit=row.read_pj_per_bit * energy,
            write_pj_per_bit=row.write_pj_per_bit * energy,
            area_um2=row.area_um2 * area,
            leakage_uw=row.leakage_uw * area * leaks,  # of a macro: its density is kept
            access_ns=None if row.access_ns is None else row.access_ns * slower,
        )
        for row in old.rows
    )
    text = f"Scaled {ends}: energies by {energy:.3g}, areas by {area:.3g} (Stillmaker and Baas)."
    return SramTable(
        source=f"{text} {old.source}",
        word_bits=old.word_bits,
        port_law=old.port_law,
        rows=rows,
        energy_spread=_widened(old.energy_spread, 1 / energy_error, energy_error),
        area_spread=_widened(old.area_spread, 1 / area_error, area_error),
        leakage_spread=_widened(old.leakage_spread, leakage_low, 1.0),
    )


def _scaled_class(
    old: LeakageClass, technology: Technology, node_nm: int, voltage_v: float
) -> LeakageClass:
    """The same devices: at another voltage, or with their density taken to another node."""
    if node_nm == technology.node_nm:
        return replace(old, voltage_v=old.voltage_v * voltage_v / technology.voltage_v)
    return replace(old, devices=f"{old.devices}; density kept from {technology.node_nm} nm")


def _widened(old: Spread, low: float, high: float) -> Spread:
    text = f"Error of scaling, x {low:.2g} to x {high:.2g}."
    return Spread(low=old.low * low, high=old.high * high, source=f"{text} {old.source}")


def _energy(node_nm: int, voltage_v: float) -> float:
    """Energy of a gate in units that cancel: only ratios mean something."""
    energy = 1.0
    for node, share in _published(node_nm):
        energy *= _energy_of(node, voltage_v) ** share
    return energy


def _energy_of(node_nm: int, voltage_v: float) -> float:
    a, b, c = ENERGY_POLYNOMIALS[node_nm]
    # The parabola's least value: to the left of it the fit would have energy rise as the voltage
    # falls, which no gate does.
    lowest = -b / (2 * a)
    if not lowest < voltage_v <= HIGHEST_VOLTAGE_V:
        raise InvalidInput(
            f"cannot scale to or from {voltage_v:g} V at {node_nm} nm: the published polynomial "
            f"holds above {lowest:.2f} V, where it is least, to {HIGHEST_VOLTAGE_V:g} V"
        )
    return a * voltage_v**2 + b * voltage_v + c


def _published(node_nm: int) -> tuple[tuple[int, float], ...]:
    """The published nodes that a node lies between, with their shares; itself where it is one."""
    if node_nm in ENERGY_POLYNOMIALS:
        return ((node_nm, 1.0),)
    coarse = [node for node in NODES_NM if node > node_nm]
    fine = [node for node in NODES_NM if node < node_nm]
    if not coarse or not fine:
        raise InvalidInput(
            f"cannot scale to or from {node_nm} nm: the published table has "
            f"{', '.join(map(str, NODES_NM))} nm; take a node within it, or describe the "
            "technology in a file of its own"
        )
    upper, lower = coarse[-1], fine[0]
    share = math.log(node_nm / lower) / math.log(upper / lower)
    return ((upper, share), (lower, 1 - share))
