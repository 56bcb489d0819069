"""What an estimate returns: layers x events; every total is derived from them.

    energy[band] = sum over layers l, events e of  counts[l, e] * prices_pj[e, band]

                       events of the machine (`cost_models.energy.Entry`)
                       MAC   ...   sram weights read   sram inputs write   ...   leakage
        layer 1         .                 .                   .                     .
        layer 2         .                 .     counts        .                     .
        ...
        pJ per count    .                 .     prices        .                     .

A component's energy, the traffic of a memory or of an operand, the total of a layer or of the
network: all are sums over some rows and columns of that table, so that no total can disagree with
its breakdown. Counts are bits for what moves, and operations or bits of operands for arithmetic;
those of leakage are the cycles that a layer adds to the network's latency. Area and leakage power
belong to the machine and are no sums over layers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, MemoryLevel
from cost_models.application import UW_PER_PJ_PER_S
from cost_models.band import Band
from cost_models.energy import MEMORIES, Component, PriceList
from cost_models.latency import Bound
from cost_models.machine_area import sum_bands
from cost_models.pricing import PricedLayers
from cost_models.residency import alive_bits
from cost_models.technology import Technology
from cost_models.tile_search import Mapping
from cost_models.units import cycles_to_us
from cost_models.workload import Layer, Workload


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerCost:
    """Cost of one layer in one inference."""

    layer: Layer
    counts: npt.NDArray[np.float64]
    """Of each event of the price list, leakage included."""
    prices: PriceList
    busy_cycles: dict[str, int]
    """Of each part of the machine: `compute`, `fill and drain`, `generator`, `vector unit`, and the
    memories by name."""
    two_ports: tuple[MemoryLevel, ...]
    """Memories of the machine with one port to read and one to write."""
    latency_cycles: int
    """That it adds to the network's: in-line layers only what the layer before does not hide."""
    exposed_cycles: int
    """What the layer takes longer if no transfer overlaps with computing, nor with another."""
    utilisation: float
    """Useful operations over those that the array could have done meanwhile; 0 for others."""
    mapping: Mapping | None
    """None for what is not a convolution."""
    generated_weights: int
    """Made by the machine's generator, each counted once."""
    trits: int
    """Made by the generator, as often as it makes them."""
    stored_bits: int
    """On this machine: with ternary entries where it stores them."""
    inputs_on_chip: bool
    output_on_chip: bool

    @property
    def energy(self) -> Band:
        """Of the layer, with its band."""
        return _band(self.prices.energy_pj(self.counts))

    @property
    def energy_pj(self) -> float:
        """Of the layer, mid figure."""
        return self.energy.mid

    @property
    def energies_pj(self) -> dict[Component, float]:
        """Mid figures by component; those that the layer does not use are left out."""
        return {part: pj for part, pj in by_component(self.prices, self.counts).items() if pj}

    def sum_component(self, component: Component) -> Band:
        """Energy of one component in pJ, with its band.

        Bands of components add up to the band of the layer: all their low figures are taken to be
        low together (`cost_models.band`).
        """
        spent = [each.component is component for each in self.prices.entries]
        return _band(self.prices.energy_pj(np.where(spent, self.counts, 0.0)))

    @property
    def bound(self) -> str:
        """The part that takes longest: a `Bound`, or the name of a memory.

        Making any other part faster does not shorten the layer.
        """
        return find_bound(self.busy_cycles, self.latency_cycles)

    @property
    def regenerations(self) -> float:
        """Times that the generator makes each weight; 0 without one.

        1 where weights stay still while all frames pass (weight stationary); otherwise up to the
        number of tiles of frames (`cost_models.tiles`).
        """
        return self.trits / self.generated_weights if self.generated_weights else 0.0

    @property
    def port_cycles(self) -> dict[str, int]:
        """Of each port of the memories that have two: `sram read`, `sram write`.

        `busy_cycles` has the busier of the two; this tells which one that is.
        """
        cycles = {}
        for memory in self.two_ports:
            for action in ("read", "write"):
                rows = [self.prices.memory_row(memory.name, each, action) for each in memory.holds]
                bits = self.counts[rows].sum()
                cycles[f"{memory.name} {action}"] = int(-(-bits // memory.bandwidth_bits_per_cycle))
        return cycles

    @property
    def stall_cycles(self) -> int:
        """Cycles in which the array waits for a memory, the generator, or the vector unit."""
        array = self.busy_cycles[Bound.COMPUTE] + self.busy_cycles[Bound.FILL]
        return max(self.latency_cycles - array, 0)

    def traffic_bits(self, part: str, operand: str = "") -> int:
        """Bits read from and written to a memory or the registers of an array.

        Args:
            part: name of the memory or array.
            operand: `weights`, `inputs` or `outputs`; all together where it is empty.
        """
        return int(
            sum(
                self.counts[row]
                for row, entry in enumerate(self.prices.entries)
                if entry.part == part
                and entry.action in ("read", "write")
                and operand in ("", entry.operand)
            )
        )

    def row(self) -> dict[str, str | float | int]:
        """One row of the breakdown, with unit-suffixed names; components not used are 0."""
        counts: dict[str, str | float | int] = {
            "layer": self.layer.name,
            "kind": str(self.layer.kind),
            "trained_parameters": self.layer.trained_parameters,
            "stored_bits": self.stored_bits,
            "generated_weights": self.generated_weights,
            "trits": self.trits,
            "macs": self.layer.macs,
            "multiplications": self.layer.multiplications,
            "additions": self.layer.additions,
            "dense_additions": self.layer.dense_additions,
        }
        energies = by_component(self.prices, self.counts)
        band = self.energy
        return (
            counts
            | {f"{part}_pj": pj for part, pj in energies.items()}
            | {
                "energy_pj": band.mid,
                "energy_low_pj": band.low,
                "energy_high_pj": band.high,
                **{f"{name.replace(' ', '_')}_cycles": c for name, c in self.busy_cycles.items()},
                **{
                    f"{name.replace(' ', '_')}_port_cycles": c
                    for name, c in self.port_cycles.items()
                },
                "stall_cycles": self.stall_cycles,
                "exposed_cycles": self.exposed_cycles,
                "latency_cycles": self.latency_cycles,
                "utilisation": self.utilisation,
                "bound": self.bound,
                "mapping": str(self.mapping) if self.mapping else "",
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cost:
    """Cost of one inference of a workload on a machine.

    Counts of operations and parameters are the network's. Stored bits, generated weights and
    traffic are those on this machine: one without a generator stores the ternary entries.
    """

    workload: Workload
    accelerator: Accelerator
    technology: Technology
    prices: PriceList
    layers: tuple[LayerCost, ...]
    areas_um2: dict[str, Band]
    """Of the machine, by part."""
    leakages_uw: dict[str, Band]
    """Of the machine, by part."""

    def total(self, count: Callable[[LayerCost], int]) -> int:
        """Sum of a count over the layers."""
        return sum(count(layer) for layer in self.layers)

    @property
    def counts(self) -> npt.NDArray[np.float64]:
        """Of each event of the price list, over all layers."""
        total: npt.NDArray[np.float64] = np.sum([layer.counts for layer in self.layers], axis=0)
        return total

    @property
    def energy(self) -> Band:
        """Of one inference, with its band."""
        return _band(self.prices.energy_pj(self.counts))

    @property
    def energy_pj(self) -> float:
        """Of one inference, mid figure."""
        return self.energy.mid

    @property
    def energies_pj(self) -> dict[Component, float]:
        """Mid figures by component; every component is named."""
        return by_component(self.prices, self.counts)

    @property
    def latency_cycles(self) -> int:
        """Cycles of one inference: layer after layer, in-line layers beside the one before them."""
        return self.total(lambda cost: cost.latency_cycles)

    @property
    def latency_high_cycles(self) -> int:
        """Cycles of one inference if nothing overlaps: computing waits for each transfer.

        `latency_cycles` lets all transfers of a layer overlap with its computing: the lower end.
        """
        return self.latency_cycles + self.total(lambda cost: cost.exposed_cycles)

    @property
    def latency_us(self) -> float:
        """Microseconds of one inference at the machine's clock."""
        return cycles_to_us(self.latency_cycles, self.accelerator.clock_mhz)

    @property
    def bounds_cycles(self) -> dict[str, int]:
        """Cycles of the layers that each part bounds; they sum to `latency_cycles`."""
        bounds: dict[str, int] = {}
        for layer in self.layers:
            if layer.latency_cycles:
                bounds[layer.bound] = bounds.get(layer.bound, 0) + layer.latency_cycles
        return dict(sorted(bounds.items(), key=lambda item: -item[1]))

    @property
    def utilisation(self) -> float:
        """Share of the operations that the arrays could have done which they did.

        The mean over the layers, weighted by their latency. While the vector unit works alone the
        arrays do nothing, so cycles of other layers count with 0.
        """
        cycles = self.latency_cycles
        done = sum(layer.utilisation * layer.latency_cycles for layer in self.layers)
        return done / cycles if cycles else 0.0

    @property
    def area(self) -> Band:
        """Of the machine, with its band."""
        return sum_bands(self.areas_um2.values())

    @property
    def leakage(self) -> Band:
        """Power of the idle machine in microwatts, with its band.

        The machine is always powered, so this is what average power tends to at low rates.
        """
        return sum_bands(self.leakages_uw.values())

    @property
    def stored_bits(self) -> int:
        """Bits of weight memory taken."""
        return self.total(lambda cost: cost.stored_bits)

    @property
    def activation_bits(self) -> int:
        """Most bits of activations that are alive at a time: the memory that they need."""
        return max(alive_bits(self.workload.layers))

    def traffic_bits(self, operand: str, *kinds: Component) -> int:
        """Bits that move through the ports of memories for an operand; all memories by default.

        A bit that passes an SRAM on its way from the DRAM counts three times: read from the DRAM,
        written to the SRAM, read from it. Registers are not memories here.

        Args:
            operand: `weights`, `inputs` or `outputs`; all together where it is empty.
            kinds: of memory, of `MEMORIES`.
        """
        wanted = kinds or MEMORIES
        return int(
            sum(
                count
                for entry, count in zip(self.prices.entries, self.counts, strict=True)
                if entry.component in wanted and operand in ("", entry.operand)
            )
        )

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit the machine's memories, one sentence each; empty if all fits.

        The estimate is computed all the same, as if the memory were large enough.
        """
        return misfits(self.stored_bits, self.activation_bits, self.accelerator)

    @property
    def breakdown(self) -> list[dict[str, str | float | int]]:
        """One row a layer: counts, energy by component, cycles and what bounds them."""
        return [layer.row() for layer in self.layers]

    @property
    def energy_table(self) -> list[dict[str, str | float]]:
        """One row per layer, component, part, operand and action: accesses and their energy."""
        rows: list[dict[str, str | float]] = []
        for layer in self.layers:
            for row, entry in enumerate(self.prices.entries):
                if count := float(layer.counts[row]):
                    low, mid, high = (count * price for price in self.prices.prices_pj[row])
                    rows.append(
                        {
                            "layer": layer.layer.name,
                            "component": str(entry.component),
                            "part": entry.part,
                            "operand": entry.operand,
                            "action": entry.action,
                            "count": count,
                            "energy_pj": mid,
                            "energy_low_pj": low,
                            "energy_high_pj": high,
                        }
                    )
        return rows

    @property
    def dynamic_energy(self) -> Band:
        """Of one inference without leakage, with its band."""
        return _band(self.prices.energy_pj(self.prices.without_leakage(self.counts)))

    def columns(self, rate: float = 1.0) -> dict[str, float | int]:
        """Totals by the names that they have in the results table.

        Args:
            rate: inferences a second, of the average power (always powered:
                `cost_models.application`). A rate that the machine cannot keep is not refused
                here: a limit on `latency_us` does that.
        """
        energy, area = self.energy, self.area
        return {
            "trained_parameters": self.workload.trained_parameters,
            "stored_bits": self.stored_bits,
            "activation_bits": self.activation_bits,
            "generated_weights": self.total(lambda cost: cost.generated_weights),
            "trits": self.total(lambda cost: cost.trits),
            "macs": self.workload.macs,
            "multiplications": self.total(lambda cost: cost.layer.multiplications),
            "additions": self.workload.additions,
            "dense_additions": self.total(lambda cost: cost.layer.dense_additions),
            "weight_traffic_bits": self.traffic_bits("weights"),
            "activation_traffic_bits": self.traffic_bits("inputs") + self.traffic_bits("outputs"),
            "dram_traffic_bits": self.traffic_bits("", Component.DRAM),
            "energy_pj": energy.mid,
            "energy_low_pj": energy.low,
            "energy_high_pj": energy.high,
            "latency_cycles": self.latency_cycles,
            "latency_us": self.latency_us,
            "area_um2": area.mid,
            "area_low_um2": area.low,
            "area_high_um2": area.high,
            "leakage_uw": self.leakage.mid,
            "average_power_uw": self.dynamic_energy.scaled(rate * UW_PER_PJ_PER_S).mid
            + self.leakage.mid,
            "sram_bits": self.accelerator.sram_bits,
        }


def misfits(stored_bits: int, activation_bits: int, machine: Accelerator) -> tuple[str, ...]:
    """What of a network does not fit the backing memories of a machine, one sentence each.

    Backing memories must hold all of an operand; where weights and activations share one, they must
    fit side by side. What does not fit a memory further in is no misfit: tiles of it come and go.

    Args:
        stored_bits: of all weights, as `Accelerator.stored_bits` counts them.
        activation_bits: most that are alive at a time.
        machine: its backing memories decide.
    """
    sentences = []
    for what, bits, operand in (
        ("weights", stored_bits, "weights"),
        ("activations that are alive at a time", activation_bits, "inputs"),
    ):
        memory = machine.chain(operand)[-1]  # type: ignore[arg-type]
        if memory.capacity_bits != "fit" and bits > memory.bits:
            sentences.append(
                f"{what} take {bits:,} bits, and '{memory.name}' of {machine.name} has "
                f"{memory.bits:,}"
            )
    weights, inputs = machine.chain("weights")[-1], machine.chain("inputs")[-1]
    together = stored_bits + activation_bits
    shared = weights is inputs and inputs.capacity_bits != "fit"
    if shared and not sentences and together > inputs.bits:
        sentences.append(
            f"weights and activations that are alive at a time take {together:,} bits together, "
            f"and '{inputs.name}' of {machine.name} has {inputs.bits:,}"
        )
    return tuple(sentences)


def stream_misfits(
    stored_bits: int, activation_bits: int, state_bits: int, machine: Accelerator
) -> tuple[str, ...]:
    """What of a network on a stream does not fit a machine, one sentence each.

    As `misfits`, and the state: it stays where activations are at home, beside those that are alive
    during a hop, and beside the weights where that memory is the last one of theirs, too.

    Args:
        stored_bits: of all weights.
        activation_bits: most that are alive at a time during a hop.
        state_bits: kept between hops.
        machine: its memories decide.
    """
    sentences = misfits(stored_bits, activation_bits, machine)
    kept = state_home(machine)
    if kept.capacity_bits == "fit":  # it is as large as the design needs
        return sentences
    bits, what = activation_bits + state_bits, "activations of a hop and what is kept between hops"
    if kept is machine.chain("weights")[-1] and bits <= kept.bits:
        bits, what = bits + stored_bits, f"weights, {what}"
    if bits <= kept.bits:
        return sentences
    return (
        *sentences,
        f"{what} take {bits:,} bits, and '{kept.name}' of {machine.name} has {kept.bits:,}",
    )


def state_home(machine: Accelerator) -> MemoryLevel:
    """Where the state of a stream is kept: the home of activations, else their last memory."""
    return machine.activation_home or machine.chain("inputs")[-1]


def by_component(prices: PriceList, counts: npt.NDArray[np.float64]) -> dict[Component, float]:
    """Mid energy of counts in pJ by component; every component is named, at 0 where not used."""
    energies = dict.fromkeys(Component, 0.0)
    for entry, count, price in zip(prices.entries, counts, prices.prices_pj[:, 1], strict=True):
        energies[entry.component] += float(count * price)
    return energies


def count_busy_cycles(table: PricedLayers, row: int, machine: Accelerator) -> dict[str, int]:
    """Cycles that each part of a machine is busy with a layer, by the names of the parts."""
    parts = {
        Bound.COMPUTE: table.array_cycles,
        Bound.FILL: table.fill_cycles,
        Bound.WAITING: table.waiting_cycles,
        Bound.GENERATOR: table.generator_cycles,
        Bound.VECTOR_UNIT: table.vector_cycles,
    }
    busy = {str(part): int(cycles[row]) for part, cycles in parts.items()}
    ports = zip(machine.memories, table.memory_cycles[row], strict=True)
    return busy | {memory.name: int(cycles) for memory, cycles in ports}


def find_bound(busy_cycles: dict[str, int], latency_cycles: int) -> str:
    """The part that takes longest; the array before others among equals.

    An array computes and fills one after the other, so their sum is compared with the generator and
    the vector unit; waiting for tiles is added to the slowest of them, and the ports of memories
    are compared with that. The longest part of what comes out longest names the bound.

    Args:
        busy_cycles: as `count_busy_cycles` returns them.
        latency_cycles: that the layer adds; nothing bounds one that adds none.
    """
    if not latency_cycles:
        return Bound.NOTHING
    compute, fill, waiting = (
        busy_cycles.get(part, 0) for part in (Bound.COMPUTE, Bound.FILL, Bound.WAITING)
    )
    found, most = (Bound.FILL if fill > compute else Bound.COMPUTE), compute + fill
    for part in (Bound.GENERATOR, Bound.VECTOR_UNIT):
        if busy_cycles.get(part, 0) > most:
            found, most = part, busy_cycles[part]
    if waiting > most:
        found = Bound.WAITING
    ports = {name: cycles for name, cycles in busy_cycles.items() if name not in set(Bound)}
    slowest = max(ports, key=lambda name: ports[name], default="")
    return slowest if slowest and ports[slowest] > most + waiting else found


def stage_latencies(latencies: Iterable[float], in_line: Iterable[bool]) -> list[int]:
    """What each layer adds to the network's latency.

    In-line layers run while the layer before them does: they add what they take beyond it.

        layer         cycles   in line   adds
        convolution      100              100
        batch norm        30   yes          0    done while the convolution computes
        ReLU              90   yes         20    30 + 90 is 20 more than 100
        convolution       50               50

    Each stage adds up to max(its main layer, its in-line layers together): here 120 and 50.

    Args:
        latencies: cycles of each layer by itself, in order.
        in_line: of each layer, whether it runs beside the one before it.
    """
    added: list[int] = []
    main = beside = 0.0
    for latency, beside_main in zip(latencies, in_line, strict=True):
        if beside_main:
            before = max(beside - main, 0.0)
            beside += latency
            added.append(int(max(beside - main, 0.0) - before))
        else:
            main, beside = latency, 0.0
            added.append(int(latency))
    return added


def _band(energy: npt.NDArray[np.float64]) -> Band:
    low, mid, high = (float(figure) for figure in energy)
    return Band(low=low, mid=mid, high=high)
