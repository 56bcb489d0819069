"""Pictures of sound: mel-frequency cepstral coefficients, a batch at a time.

For a clip x of 16,000 samples, window w (Hann, periodic, 400 samples) and hop 160:

    X[k, t] = sum_n w[n] x~[160 t + n] exp(-2 pi i k n / 512)    x~: x reflected 256 samples far
    M[m, t] = sum_k B[m, k] |X[k, t]|^2                          B: triangles on the HTK mel scale
    L[m, t] = ln(M[m, t] + 1e-6)
    C[q, t] = sum_m D[q, m] L[m, t]                              D: DCT-II, orthonormal

`log_mel` keeps L, `mfcc` keeps C. A second has 101 columns, padded with zeros on both sides.
The window stands in the middle of the 512 samples of a transform, and with the reflection column t
is centred on sample 160 t: the first and last columns see half sound, half its mirror image. Bin k
is at 16,000 k / 512 = 31.25 k Hz.

Why the DCT: neighbouring mel bands overlap and rise and fall together; the DCT turns them into
coefficients that are correlated less (q = 0 is loudness, small q the envelope, large q the fine
structure). It is square and orthonormal here and all 64 are kept, so nothing is lost: L and C
differ in the basis alone, and a pointwise layer can undo it.

A trap in the sizes: mel bands narrow towards low frequencies. Of 64 bands the lowest is about 56 Hz
wide at the foot, less than two bins. With more bands or a shorter transform some triangle has no
bin inside: its row of L is ln(1e-6) in every column and tells nothing.

Source: NeMo `AudioToMFCCPreprocessor` as MatchboxNet uses it (arXiv 2004.08531, section 3), that is
torchaudio `MFCC(log_mels=True, norm="ortho")` with `MelSpectrogram(mel_scale="htk", norm=None,
power=2, center=True, pad_mode="reflect")`; in agreement with a direct sum to 1e-3
(tests/dse/speech/test_features.py).
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import require
from dse.processor import prepare
from dse.speech.speech_commands import CLIP_S
from dse.speech.task import FeatureSpec

LOG_OFFSET = 1e-6
"""Added before the logarithm, as torchaudio does; about -138 dB of full scale."""


def clip_samples(spec: FeatureSpec) -> int:
    """Samples of a clip of one second: what every clip is cropped or padded to before the STFT."""
    return round(CLIP_S * spec.sample_rate_hz)


def window_samples(spec: FeatureSpec) -> int:
    """Samples of the window, rounded to whole ones and at most `fft_size`.

    A window shorter than the transform is zero outside: the spectrum is interpolated, not sharper.
    """
    return min(round(spec.window_ms * spec.sample_rate_hz / 1000), spec.fft_size)


def hop_samples(spec: FeatureSpec) -> int:
    """Samples from one window to the next, rounded to whole ones."""
    return round(spec.hop_ms * spec.sample_rate_hz / 1000)


def real_frames(spec: FeatureSpec) -> slice:
    """The columns of a picture that show sound; the others are padding.

    Statistics are taken over these alone: zeros of padding would pull the mean towards 0 and make
    the deviation smaller or larger, by an amount that depends on `frames`.
    """
    # One column for each hop and one for the sample 0: the STFT is centred. The padding is split
    # as `_fit_frames` splits it, the odd column behind; the two must agree.
    computed = clip_samples(spec) // hop_samples(spec) + 1
    before = max(0, (spec.frames - computed) // 2)
    return slice(before, before + min(computed, spec.frames))


def mel_filters(spec: FeatureSpec) -> Tensor:
    """Triangles on the HTK mel scale, peak 1, (coefficients, fft_size // 2 + 1).

    mel(f) = 2595 log10(1 + f / 700); corners equally spaced in mel from 0 to half the sample rate.
    Triangle m rises from corner m to corner m + 1 and falls to corner m + 2, so neighbours cross at
    one half. Peaks are 1, not areas ("norm=None"): high bands, which are wider, collect more power.
    After the logarithm that is a constant, which the normalisation subtracts.

    Source: torchaudio `melscale_fbanks(norm=None, mel_scale="htk")`.
    """
    highest_hz = spec.sample_rate_hz / 2
    highest_mel = 2595 * math.log10(1 + highest_hz / 700)
    corners_mel = torch.linspace(0, highest_mel, spec.coefficients + 2, dtype=torch.float64)
    corners_hz = 700 * (10 ** (corners_mel / 2595) - 1)
    bins_hz = torch.linspace(0, highest_hz, spec.fft_size // 2 + 1, dtype=torch.float64)
    rising = (bins_hz - corners_hz[:-2, None]) / (corners_hz[1:-1] - corners_hz[:-2])[:, None]
    falling = (corners_hz[2:, None] - bins_hz) / (corners_hz[2:] - corners_hz[1:-1])[:, None]
    # Both lines go on without end; the lower one is the triangle where it is above zero.
    return torch.minimum(rising, falling).clamp(min=0).float()


def cosine_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix, (size, size): its transpose is its inverse.

    D[q, m] = sqrt(2 / size) cos(pi q (m + 1/2) / size), row 0 divided by sqrt(2): a constant
    spectrum of height h gives C[0] = h sqrt(size) and zeros.
    """
    index = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi / size * (index + 0.5) * index[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


@lru_cache(maxsize=8)
def _constants(spec: FeatureSpec) -> tuple[Tensor, Tensor]:
    """Window and, as one matrix product at the end, the DCT (the identity for `log_mel`)."""
    return torch.hann_window(window_samples(spec)), cosine_matrix(spec.coefficients)


@lru_cache(maxsize=8)
def _filters(spec: FeatureSpec) -> Tensor:
    return mel_filters(spec)


def compute_features(clips: Tensor, spec: FeatureSpec) -> Tensor:
    """Pictures of clips: STFT, power, mel bands, logarithm, and the DCT for `mfcc`.

    Args:
        clips: (clips, samples) float32, full scale at -1 and 1, at `spec.sample_rate_hz`.
        spec: kind and sizes.

    Returns:
        (clips, coefficients, frames) float32, cropped to the middle or padded with zeros on both
        sides; not normalised.

    Raises:
        InvalidField: a transform that a clip of this length cannot have.
    """
    return _fit_frames(compute_pictures(clips, spec), spec.frames)


def compute_pictures(clips: Tensor, spec: FeatureSpec) -> Tensor:
    """As `compute_features`, of any length: (clips, coefficients, samples // hop + 1).

    Raises:
        InvalidField: as `compute_features`.
    """
    require(
        clips.shape[-1] > spec.fft_size // 2,
        "fft_size",
        f"less than twice the {clips.shape[-1]} samples of a clip",
        spec.fft_size,
    )
    prepare()
    window, cosines = _constants(spec)
    spectrum = torch.stft(
        clips,
        n_fft=spec.fft_size,
        hop_length=hop_samples(spec),
        win_length=window_samples(spec),
        window=window,
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    # spectrum: (clips, fft_size // 2 + 1, columns), complex. Squares of the parts rather than
    # abs().square(), which would take a root first.
    power = spectrum.real.square() + spectrum.imag.square()
    picture = (_filters(spec) @ power + LOG_OFFSET).log()
    if spec.kind == "mfcc":
        picture = cosines @ picture
    return picture


def _fit_frames(picture: Tensor, frames: int) -> Tensor:
    excess = picture.shape[-1] - frames
    if excess >= 0:
        return picture[..., excess // 2 : excess // 2 + frames]
    before = -excess // 2
    return torch.nn.functional.pad(picture, (before, -excess - before))


def normalise(
    batch: Tensor, mean: Tensor | NDArray[np.float32], deviation: Tensor | NDArray[np.float32]
) -> Tensor:
    """(batch - mean) / deviation for each coefficient; padding stays zero.

    Zero is then the mean of a coefficient, so padding is neither loud nor quiet to the network, and
    what a convolution pads with at the edges looks the same. (Moved by -mean / deviation instead,
    padding would be a sound that no recording has.)

    A column is padding when it is exactly zero in every coefficient: sound never is, as even
    digital silence has ln(1e-6) in each mel band.

    Args:
        batch: (..., coefficients, frames), raw pictures; float16 is brought to float32.
        mean: (coefficients,).
        deviation: (coefficients,), more than 0.
    """
    batch = batch.float()
    mean = torch.as_tensor(mean, dtype=torch.float32, device=batch.device)[:, None]
    deviation = torch.as_tensor(deviation, dtype=torch.float32, device=batch.device)[:, None]
    # A column is all zero when its largest and smallest value are; two reductions, no copy.
    sound = (batch.amax(dim=-2, keepdim=True) != 0) | (batch.amin(dim=-2, keepdim=True) != 0)
    return ((batch - mean) / deviation).mul_(sound)


UTTERANCE_OFFSET = 1e-5
"""Added to the deviation of a coefficient over an utterance, so that a constant one becomes 0 and
not noise. Source: NeMo, `CONSTANT` of asr/parts/preprocessing/features.py."""


def normalise_utterance(picture: Tensor) -> Tensor:
    """Each coefficient with mean 0 and deviation 1 over the frames of the utterance.

    y[q, t] = (x[q, t] - m[q]) / (s[q] + 1e-5), s with frames - 1 in the denominator: NeMo's
    `normalize: per_feature`. Whatever multiplies a band of all frames alike, the microphone, the
    volume, a pre-emphasis, the area of a mel triangle, is a constant after the logarithm and
    vanishes here: which is why none of them is an option of ours. In 64 bits, as the mean is large
    beside the deviation.

    Args:
        picture: (..., coefficients, frames), one utterance without padding.
    """
    values = picture.double()
    frames = values.shape[-1]
    values = values - values.mean(dim=-1, keepdim=True)
    variance = values.square().sum(dim=-1, keepdim=True) / max(1, frames - 1)
    return (values / (variance.sqrt() + UTTERANCE_OFFSET)).float()
