"""Always-on listening: what a design costs on a stream, hop after hop, in real time.

An inference over a window computes all of its frames; a machine that listens computes only those
that are new, and keeps the history that later ones need (`cost_models.streaming`). A study that
says `stream` has both: the columns of one inference, as ever, and

    hop_energy_pj         one hop, leakage meanwhile included
    hop_latency_us        must be below the duration of a hop: a limit that every such study has
    listening_power_uw    energy of a hop without leakage * hops a second + leakage
    stream_state_bits     kept between hops; with hop_activation_bits it must fit where activations
                          are at home
    wait_us               frames to come that an answer waits for * duration of a frame

A microwatt is a microjoule a second, so the power while listening is also the energy for a second
of audio. A part of a network is streamed by itself, as it is priced by itself: states and waits of
parts add up to those of the network, exactly (`cost_models.streaming.stream_part`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models import Cost, estimate
from cost_models.batch import PartBook
from cost_models.errors import InvalidInput
from cost_models.streaming import Stream, stream, stream_part
from cost_models.workload import Layer, Workload
from dse.pricing.machine import Machine

Numbers = npt.NDArray[np.int64]

US_PER_MS = 1e3
MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class Listening:
    """How a stream is taken in."""

    hop_frames: int
    """New frames that each hop computes."""
    frame_ms: float
    """From one frame to the next: `hop_ms` of the features."""

    @property
    def hop_us(self) -> float:
        """Duration of a hop: the time that there is to compute it."""
        return self.hop_frames * self.frame_ms * US_PER_MS

    @property
    def frame_us(self) -> float:
        """From one frame to the next."""
        return self.frame_ms * US_PER_MS

    @property
    def hops_per_second(self) -> float:
        """In real time."""
        return MS_PER_S / self.frame_ms / self.hop_frames

    @property
    def words(self) -> str:
        """`4 frames a hop, 25 hops a second`."""
        frames = f"{self.hop_frames:,} frame{'' if self.hop_frames == 1 else 's'} a hop"
        return f"{frames}, {self.hops_per_second:,.6g} hops a second"


def price_hop(workload: Workload, machine: Machine, hop_frames: int) -> tuple[Cost, Stream]:
    """The cost of one hop by layer, and what the machine keeps from hop to hop.

    The figures are those of `StreamedParts`; this way is slower, and knows all layers.

    Args:
        workload: one inference over the window.
        machine: executes it; memories that fit have room for the state, too.
        hop_frames: new input frames a hop.

    Raises:
        InvalidInput: the hop does not fit the design, or the machine cannot execute it.
    """
    found = stream(workload, hop_frames)
    on = (machine.accelerator, machine.technology, machine.objective)
    return estimate(found.workload, *on, kept_bits=found.state_bits), found


def hop_figures(cost: Cost, found: Stream, listening: Listening) -> dict[str, float]:
    """The columns of `STREAM_COLUMNS` of a hop that was priced by layer (`price_hop`).

    Args:
        cost: of the hop.
        found: the stream that it is a hop of.
        listening: how long a hop lasts.
    """
    hop = cost.columns(listening.hops_per_second)
    return {
        "hop_energy_pj": hop["energy_pj"],
        "hop_energy_low_pj": hop["energy_low_pj"],
        "hop_energy_high_pj": hop["energy_high_pj"],
        "hop_latency_us": hop["latency_us"],
        "hop_activation_bits": hop["activation_bits"],
        "stream_state_bits": found.state_bits,
        "wait_us": found.wait_frames * listening.frame_us,
        "listening_power_uw": hop["average_power_uw"],
    }


class StreamedParts:
    """Parts of a book as they run each hop; their numbers are those of the book."""

    def __init__(self, hop_frames: int) -> None:
        """Begin without any.

        Args:
            hop_frames: new input frames of the network a hop.
        """
        self.hop_frames = hop_frames
        self.parts = PartBook()
        """One hop of each."""
        self._figures: list[tuple[int, float, bool]] = []
        """Of each part: state in bits, wait in frames, and whether it has a form for this hop."""
        self._states = np.zeros(0, dtype=np.int64)
        self._waits = np.zeros(0)
        self._fit = np.zeros(0, dtype=np.bool_)

    def add(self, layers: Sequence[Layer], strides: Sequence[int]) -> None:
        """Write the next part of the book.

        One that the hop does not fit stands there as it was: its price means nothing, and `fit`
        says so.

        Args:
            layers: one inference of it over the window.
            strides: of the parts before it; none of the first part of a network.
        """
        rate = int(np.prod(strides, dtype=np.int64)) if strides else 1
        try:
            part = stream_part(layers, self.hop_frames, rate)
        except InvalidInput:
            self.parts.add(layers)
            self._figures.append((0, 0.0, False))
            return
        # The first layer of all takes its history with it when the features arrive; between parts
        # goes what is new.
        first = layers[0]
        new_bits = self.hop_frames // rate * first.in_channels * first.in_bins * first.input_bits
        self.parts.add(part.layers, new_bits if strides else None)
        self._figures.append((part.state_bits, part.wait_frames, True))

    def fit(self, networks: Numbers) -> npt.NDArray[np.bool_]:
        """Which networks have a form for this hop, shape (designs,).

        Args:
            networks: numbers of their parts, shape (designs, parts).
        """
        self._refresh()
        found: npt.NDArray[np.bool_] = np.logical_and.reduce(self._fit[networks], axis=1)
        return found

    def state_bits(self, networks: Numbers) -> Numbers:
        """What networks keep between hops, shape (designs,)."""
        self._refresh()
        found: Numbers = self._states[networks].sum(axis=1)
        return found

    def wait_frames(self, networks: Numbers) -> npt.NDArray[np.float64]:
        """Frames to come that answers wait for, shape (designs,)."""
        self._refresh()
        found: npt.NDArray[np.float64] = np.round(self._waits[networks].sum(axis=1))
        return found

    def _refresh(self) -> None:
        """The figures as arrays, where parts have been added since."""
        if len(self._fit) < len(self._figures):
            states, waits, fit = zip(*self._figures, strict=True)
            self._states = np.array(states, dtype=np.int64)
            self._waits = np.array(waits, dtype=np.float64)
            self._fit = np.array(fit, dtype=np.bool_)
