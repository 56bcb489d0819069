"""What inputs of other lengths cost: energy and time per second of audio, memory by length.

An inference over T frames computes each layer at its T_l = ceil(T / strides) frames. So

    MACs, energy of them      grow with T, and per second of audio stay the same
    weights                   are read again for each tile of frames, or once an inference: per
                              second of audio they cost the less, the longer the input is
    activations               grow with T: beyond a length they do not fit any more

    real-time factor          latency / length of the audio: below 1, the machine keeps up

An answer that must not wait for the end of an utterance is a stream (`cost_models.streaming`); its
cost a hop does not depend on a length, and it lags behind by the frames that kernels look ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.application import US_PER_S
from cost_models.streaming import Stream
from cost_models.units import bits_to_kib
from dse.columns import significant
from dse.pricing.priced import Priced
from dse.report.content import Column, Table, make_table

MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class Length:
    """One inference over so much audio."""

    seconds: float
    frames: int
    priced: Priced

    @property
    def real_time_factor(self) -> float:
        """Time to compute, as a share of the time to speak."""
        return self.priced.cost.latency_us / US_PER_S / self.seconds

    @property
    def weight_bits(self) -> float:
        """Of weights that move during the inference."""
        return float(self.priced.cost.traffic_bits("weights"))


def lengths_table(lengths: Sequence[Length]) -> Table:
    """A row a length: energy, latency and traffic of a second of audio, memory that is taken."""
    return make_table(
        lengths,
        (
            (Column(name="audio", heading="audio", unit="s"), lambda each: each.seconds),
            (Column(name="frames", heading="frames", form="count"), lambda each: each.frames),
            (
                Column(name="energy_per_second", heading="energy a second", unit="µJ", band=True),
                lambda each: each.priced.cost.energy.scaled(1e-6 / each.seconds),
            ),
            (
                Column(name="macs_per_second", heading="MACs a second", unit="M"),
                lambda each: each.priced.cost.workload.macs * 1e-6 / each.seconds,
            ),
            (
                Column(name="weights_per_second", heading="weights read a second", unit="KiB"),
                lambda each: bits_to_kib(each.weight_bits) / each.seconds,
            ),
            (
                Column(name="latency", heading="latency", unit="ms"),
                lambda each: each.priced.cost.latency_us / MS_PER_S,
            ),
            (
                Column(name="real_time_factor", heading="real-time factor"),
                lambda each: each.real_time_factor,
            ),
            (
                Column(name="activations", heading="activations", unit="KiB"),
                lambda each: bits_to_kib(each.priced.cost.activation_bits),
            ),
            (
                Column(name="fits", heading="fits", form="text"),
                lambda each: "no" if each.priced.misfits else "yes",
            ),
        ),
        name="lengths",
        title="By length of the input",
        note="A second is one of audio; energies without what leaks while the machine waits.",
    )


def look_ahead_ms(stream: Stream, frame_ms: float) -> float:
    """How far behind the sound an answer of a stream is before anything is computed.

    Args:
        stream: whose kernels look ahead so many frames.
        frame_ms: from one frame to the next.
    """
    return stream.wait_frames * frame_ms


def look_ahead_words(priced: Priced, frame_ms: float) -> str:
    """`An answer lags ... ms behind its sound`: look-ahead, a hop, and its computing."""
    stream = priced.stream
    if stream is None:
        return ""
    ahead, hop = look_ahead_ms(stream, frame_ms), stream.hop_frames * frame_ms
    computing = priced.cost.latency_us / MS_PER_S
    return (
        f"{priced.named()} on {priced.cost.accelerator.name}: an answer lags "
        f"{significant(ahead + hop + computing)} ms behind its sound: {significant(ahead)} of "
        f"look-ahead, up to {significant(hop)} until the hop is full, {significant(computing)} of "
        f"computing; real-time factor {significant(computing / hop)}."
    )
