"""Sounds of examples that are not in the folder as they are: varied clips, and silence.

Training on a few copies of each clip, shifted and noisy, is the cheapest remedy against learning a
small corpus by heart. The copies are made once, before training (`FeatureSpec.variants`), and kept
with the clean ones.

Each sound draws its random numbers from a generator of its own, seeded by what it is (seed, name of
the clip without ending, number of the variant). So a clip's copies stay the same when files are
added, threads change or WAV becomes FLAC, and features are repeatable to the bit without any order.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from dse.speech.audio import Samples
from dse.speech.task import FeatureSpec


def _generator(*parts: object) -> np.random.Generator:
    """Random numbers that depend on nothing but `parts`: not on order, batch or process."""
    text = " ".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest()))


def _cut_out(noises: Sequence[Samples], samples: int, random: np.random.Generator) -> Samples:
    noise = noises[int(random.integers(len(noises)))]
    if len(noise) <= samples:
        return np.resize(noise, samples)
    start = int(random.integers(len(noise) - samples + 1))
    return noise[start : start + samples]


def silence(noises: Sequence[Samples], samples: int, seed: int, identity: str) -> Samples:
    """A piece of background noise at a volume drawn from [0, 1); zeros where there is no noise.

    Noises shorter than the clip are repeated. Volumes near 0 are wanted: a quiet room is silence,
    too.

    Args:
        noises: (samples,) each, those that the split may use.
        samples: length of the clip.
        seed: `Task.seed`.
        identity: of the example, `_silence_/training/0007`.
    """
    if not noises:
        return np.zeros(samples, dtype=np.float32)
    random = _generator("silence", seed, identity)
    return _cut_out(noises, samples, random) * np.float32(random.random())


def vary(
    clip: Samples, noises: Sequence[Samples], spec: FeatureSpec, identity: str, variant: int
) -> Samples:
    """A copy of `clip`, shifted and noisy, the same for the same seed, identity and variant.

    Shift by a whole number of samples (zeros come in); with `background_noise_probability` a piece
    of noise at a signal-to-noise ratio over the whole second; white noise.

        noise gain   = rms(clip) / rms(noise) / 10^(SNR / 20)
        white noise  = 10^(level / 20) * N(0, 1)          level in dB of full scale, an RMS

    Args:
        clip: (samples,).
        noises: pieces to mix in; none: white noise alone.
        spec: ranges of shift, ratio and level, and the seed.
        identity: what the random numbers are drawn by, beside seed and variant.
        variant: 1 and up; 0 is the clean clip, which no caller varies.

    Returns:
        (samples,), not limited to full scale.

    Source for shift and white noise: MatchboxNet (arXiv 2004.08531, section 3), NeMo
    `ShiftPerturbation` and `WhiteNoisePerturbation`.
    """
    random = _generator("vary", spec.seed, identity, variant)
    limit = round(spec.time_shift_ms * spec.sample_rate_hz / 1000)
    shift = int(random.integers(-limit, limit + 1))
    varied = np.zeros_like(clip)
    if abs(shift) < len(clip):
        varied[max(0, shift) : len(clip) + min(0, shift)] = clip[
            max(0, -shift) : len(clip) - max(0, shift)
        ]
    mixes = random.random() < spec.background_noise_probability
    snr_db = _between(spec.background_noise_snr_db, random)
    if mixes and noises:
        noise = _cut_out(noises, len(clip), random)
        signal_rms, noise_rms = _rms(varied), _rms(noise)
        if signal_rms > 0 and noise_rms > 0:
            varied += noise * np.float32(signal_rms / noise_rms / 10 ** (snr_db / 20))
    level = 10 ** (_between(spec.white_noise_db, random) / 20)
    varied += random.standard_normal(len(clip), dtype=np.float32) * np.float32(level)
    return varied


def _between(bounds: tuple[float, ...], random: np.random.Generator) -> float:
    lowest, highest = bounds
    return float(random.uniform(lowest, highest))


def _rms(sound: Samples) -> float:
    return math.sqrt(float(np.mean(np.square(sound, dtype=np.float64))))
