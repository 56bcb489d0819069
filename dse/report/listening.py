"""While listening: what designs of a study cost on its stream, hop after hop in real time.

The figures are those of the study's columns (`listening_power_uw` and the others), priced by
today's model, with their bands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cost_models import Band, Cost
from cost_models.application import Use, average_power_uw, battery_days
from cost_models.streaming import Stream
from cost_models.units import bits_to_kib
from dse.errors import InvalidInput
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.priced import Priced
from dse.report.content import Cell, Column, Section, Table, make_table
from dse.report.cost_tables import DESIGN, MACHINE, TOO_SLOW, place_words
from dse.report.lengths import MS_PER_S
from dse.studies.study import Study


@dataclass(frozen=True, slots=True)
class Listener:
    """A design as it listens: the cost of a hop."""

    of: Priced
    """One inference of the design."""
    cost: Cost
    stream: Stream
    listening: Listening

    @property
    def power(self) -> Band | None:
        """Average in microwatts, which is microjoules for a second of audio; None if too slow."""
        cost, rate = self.cost, self.listening.hops_per_second
        try:
            return average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate)
        except InvalidInput:
            return None

    @property
    def wait_ms(self) -> float:
        """For frames to come that kernels look at."""
        return self.stream.wait_frames * self.listening.frame_ms

    @property
    def lag_ms(self) -> float:
        """From a sound to its answer at most: wait, until the hop is full, its computing."""
        return self.wait_ms + (self.listening.hop_us + self.cost.latency_us) / MS_PER_S


def listening_section(results: Study, priced: Sequence[Priced], use: Use) -> Section:
    """Power, energy, wait and state of designs of a study that listens to a stream.

    Args:
        results: a study with a `stream`.
        priced: its designs, as single inferences on their machines.
        use: the battery; its rate plays no part, as hops come in real time.
    """
    listening = results.asked.listening
    assert listening is not None  # who else listens
    found = []
    for each in priced:
        machine = Machine(each.cost.accelerator.as_asked, each.cost.technology)
        hop = results.price_hop(each.design, machine)
        if hop is not None:
            found.append(Listener(each, *hop, listening))
    left_out = len(priced) - len(found)
    sentences = (
        f"Listening by {listening.words}, frames of {listening.frame_ms:g} ms: each hop computes "
        "the new frames alone, and keeps the history that later ones need.",
        *((f"The hop does not fit {left_out} of these designs.",) if left_out else ()),
    )
    tables = (_table(found, use),) if found else ()
    return Section(name="listening", title="While listening", sentences=sentences, tables=tables)


def _table(found: Sequence[Listener], use: Use) -> Table:
    cells: tuple[tuple[Column, Callable[[Listener], Cell]], ...] = (
        (DESIGN, lambda each: each.of.named()),
        (MACHINE, lambda each: place_words(each.of)),
        (
            Column(name="power", heading="power", unit="µW", band=True),
            lambda each: each.power or TOO_SLOW,
        ),
        (
            Column(name="energy", heading="energy a second of audio", unit="µJ", band=True),
            lambda each: each.power,
        ),
        (
            Column(name="battery", heading=f"{use.battery_mwh:g} mWh last", unit="days", band=True),
            lambda each: battery_days(each.power, use.battery_mwh) if each.power else None,
        ),
        (
            Column(name="hop_energy", heading="energy a hop", unit="µJ", band=True),
            lambda each: each.cost.energy.scaled(1e-6),
        ),
        (
            Column(name="busy", heading="busy", unit="%", form="percent"),
            lambda each: 100 * each.cost.latency_us / each.listening.hop_us,
        ),
        (Column(name="wait", heading="wait", unit="ms"), lambda each: each.wait_ms),
        (Column(name="lag", heading="answer lags, at most", unit="ms"), lambda each: each.lag_ms),
        (
            Column(name="state", heading="kept between hops", unit="KiB"),
            lambda each: bits_to_kib(each.stream.state_bits),
        ),
        (
            Column(name="hop_activations", heading="activations of a hop", unit="KiB"),
            lambda each: bits_to_kib(each.cost.activation_bits),
        ),
    )
    return make_table(
        found,
        cells,
        name="listening",
        title="On the stream",
        note="Always powered, in real time; a microwatt is a microjoule a second. Wait: for frames "
        "to come that kernels look at; an answer lags by that, until its hop is full, and by its "
        "computing. Microphone, regulator and features are not part of it.",
    )
