"""Price very many networks that share their parts: each distinct part once, then sums of columns.

A network is a row of parts (blocks), each a list of layers that shares only its input and output
with the parts beside it. A part has a few variants: its input, its output and the weights are on
the chip or not. The cost of a network is the sum over its parts, of the variant that its neighbours
and the size of all weights decide; sums of counts are exact, so this gives to the last bit what
`estimate` gives for the network as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator
from cost_models.cost import stage_latencies
from cost_models.energy import Component
from cost_models.errors import InvalidInput
from cost_models.pricing import LayerPricer, Placed
from cost_models.residency import Borders, border_fits, flow_of, place_within
from cost_models.workload import IN_LINE, Layer

VARIANTS = tuple(
    Borders(bool(variant & 1), bool(variant & 2), bool(variant & 4)) for variant in range(8)
)

EXACT_COLUMNS = (
    "trained_parameters",
    "stored_bits",
    "generated_weights",
    "macs",
    "multiplications",
    "additions",
    "dense_additions",
)
"""Sums over layers that do not depend on where operands are."""


@dataclass(slots=True)
class _Parts:
    counts: npt.NDArray[np.float64]
    """Shape (parts, variants, entries)."""
    latency: npt.NDArray[np.float64]
    """Shape (parts, variants)."""
    trits: npt.NDArray[np.float64]
    exact: npt.NDArray[np.float64]
    """Shape (parts, EXACT_COLUMNS)."""
    alive: npt.NDArray[np.float64]
    """Most bits of activations alive at a time."""
    input_fits: npt.NDArray[np.bool_]
    output_fits: npt.NDArray[np.bool_]


class PartPricer:
    """Prices parts on one machine, and sums them to networks."""

    def __init__(self, pricer: LayerPricer) -> None:
        self.pricer = pricer
        machine = pricer.machine
        activations = [False, True] if machine.activation_home else [False]
        weights = [False, True] if machine.weight_home else [False]
        self._used = [
            number
            for number, borders in enumerate(VARIANTS)
            if borders.input_on_chip in activations
            and borders.output_on_chip in activations
            and borders.weights_on_chip in weights
        ]
        entries = len(pricer.prices.entries)
        self._parts = _Parts(
            counts=np.zeros((0, len(VARIANTS), entries)),
            latency=np.zeros((0, len(VARIANTS))),
            trits=np.zeros((0, len(VARIANTS))),
            exact=np.zeros((0, len(EXACT_COLUMNS))),
            alive=np.zeros(0),
            input_fits=np.zeros(0, dtype=np.bool_),
            output_fits=np.zeros(0, dtype=np.bool_),
        )

    def add(self, parts: Sequence[Sequence[Layer]]) -> list[int | str]:
        """Price parts; their numbers, or why the machine cannot execute one.

        All layers of all parts are priced together: that is what makes it fast.
        """
        try:
            return list(self._add(parts))
        except InvalidInput:
            pass
        # One of them cannot be executed: say which, and price the others.
        answers: list[int | str] = []
        for part in parts:
            try:
                answers += self._add([part])
            except InvalidInput as error:
                answers.append(str(error))
        return answers

    def _add(self, parts: Sequence[Sequence[Layer]]) -> range:
        if not parts:
            return range(0)
        machine = self.pricer.machine
        placed: list[Placed] = []
        flows = [flow_of(part) for part in parts]
        for part, flow in zip(parts, flows, strict=True):
            for number in self._used:
                placed += place_within(part, flow, machine, VARIANTS[number])
        rows = self.pricer.rows(placed)
        table = self.pricer.table
        latency = table.latency
        found, at = self._empty(len(parts)), 0
        for index, (part, flow) in enumerate(zip(parts, flows, strict=True)):
            in_line = [layer.kind in IN_LINE for layer in part]
            for number in self._used:
                mine = rows[at : at + len(part)]
                at += len(part)
                found.counts[index, number] = table.counts[mine].sum(axis=0)
                found.latency[index, number] = sum(stage_latencies(latency[mine], in_line))
                found.trits[index, number] = table.trits[mine].sum()
            found.exact[index] = _exact(part, machine)
            found.alive[index] = max(flow.alive_bits)
            found.input_fits[index], found.output_fits[index] = border_fits(flow, machine)
        first = len(self._parts.alive)
        self._parts = _Parts(
            *(
                np.concatenate([getattr(self._parts, name), getattr(found, name)])
                for name in _Parts.__slots__
            )
        )
        return range(first, first + len(parts))

    def _empty(self, parts: int) -> _Parts:
        variants, entries = len(VARIANTS), len(self.pricer.prices.entries)
        return _Parts(
            counts=np.zeros((parts, variants, entries)),
            latency=np.zeros((parts, variants)),
            trits=np.zeros((parts, variants)),
            exact=np.zeros((parts, len(EXACT_COLUMNS))),
            alive=np.zeros(parts),
            input_fits=np.zeros(parts, dtype=np.bool_),
            output_fits=np.zeros(parts, dtype=np.bool_),
        )

    def price(self, networks: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[np.float64]]:
        """Costs of networks, by the names of `Cost.columns` that depend on the execution.

        Args:
            networks: numbers of their parts in order, shape (networks, parts).

        Returns:
            column -> one figure per network.
        """
        parts, machine = self._parts, self.pricer.machine
        exact = sum(parts.exact[networks[:, place]] for place in range(networks.shape[1]))
        assert not isinstance(exact, int)
        variant = self._variants(networks, exact[:, EXACT_COLUMNS.index("stored_bits")])
        entries = parts.counts.shape[2]
        counts = np.zeros((len(networks), entries))
        latency, trits = np.zeros(len(networks)), np.zeros(len(networks))
        flat = parts.counts.reshape(-1, entries)
        for place in range(networks.shape[1]):
            row = networks[:, place] * len(VARIANTS) + variant[:, place]
            counts += flat[row]
            latency += parts.latency.reshape(-1)[row]
            trits += parts.trits.reshape(-1)[row]
        prices = self.pricer.prices
        energy = prices.energy_pj(prices.with_leakage(counts, latency))
        columns = {name: exact[:, at] for at, name in enumerate(EXACT_COLUMNS)}
        columns["activation_bits"] = parts.alive[networks].max(axis=1)
        columns["trits"] = trits
        columns |= self._traffic(counts)
        columns["energy_pj"] = energy[:, 1]
        columns["energy_low_pj"] = energy[:, 0]
        columns["energy_high_pj"] = energy[:, 2]
        columns["latency_cycles"] = latency
        columns["latency_us"] = latency / machine.clock_mhz
        return columns

    def _variants(
        self, networks: npt.NDArray[np.intp], stored_bits: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.intp]:
        parts, machine = self._parts, self.pricer.machine
        inside = parts.output_fits[networks[:, :-1]] & parts.input_fits[networks[:, 1:]]
        edge = np.zeros((len(networks), 1), dtype=np.bool_)
        if machine.input_arrives_on_chip:
            first, last = networks[:, :1], networks[:, -1:]
            edge = parts.input_fits[first] & parts.output_fits[last]
        coming = np.concatenate([edge, inside], axis=1)
        going = np.concatenate([inside, edge], axis=1)
        home = machine.weight_home
        resident = np.zeros(len(networks), dtype=np.bool_)
        if home is not None:
            resident = stored_bits <= home.capacity_bits
        variant: npt.NDArray[np.intp] = coming + 2 * going + 4 * resident[:, None]
        return variant

    def _traffic(self, counts: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        memories = (Component.BUFFER, Component.SRAM, Component.DRAM)
        wanted = {
            "weight_traffic_bits": (("weights",), memories),
            "activation_traffic_bits": (("inputs", "outputs"), memories),
            "dram_traffic_bits": (("weights", "inputs", "outputs"), (Component.DRAM,)),
        }
        columns = {}
        for name, (operands, components) in wanted.items():
            total = np.zeros(len(counts))
            for row, entry in enumerate(self.pricer.prices.entries):
                if entry.component in components and entry.operand in operands:
                    total = total + counts[:, row]
            columns[name] = total
        return columns


def _exact(part: Sequence[Layer], machine: Accelerator) -> list[float]:
    return [
        sum(layer.trained_parameters for layer in part),
        sum(machine.stored_bits(layer) for layer in part),
        sum(layer.generated_weights for layer in part if machine.generates(layer)),
        sum(layer.macs for layer in part),
        sum(layer.multiplications for layer in part),
        sum(layer.additions for layer in part),
        sum(layer.dense_additions for layer in part),
    ]
