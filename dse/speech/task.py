"""What the network has to tell apart, and what it hears: the task and its features, as data."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cost_models.allowed import Allowed, check_fields
from dse.errors import require

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""The ten command words of the Speech Commands task (Warden, arXiv 1804.03209, section 5.1)."""

UNKNOWN = "_unknown_"
"""Class of words that are none of the chosen ones; no folder of words can have its name, as those
begin without `_`."""
SILENCE = "_silence_"
"""Class of clips in which nobody speaks."""


Part = Annotated[float, Allowed(gt=0.0, le=1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """What makes the error of a task the share of its wake words that are missed.

    An error of clips asks which word a second holds. A product that always listens is asked: at so
    many false alarms an hour, how many calls does it miss? So the best network of a training
    listens to a long recording of the split's own clips and noises (`dse.speech.long_recordings`),
    and its error is the false rejection rate at the threshold of the fewest misses that keeps the
    rate of false alarms (`dse.training.wake_words`).
    """

    words: tuple[str, ...]
    """That shall wake: classes of the task."""
    false_alarms_per_hour: Annotated[float, Allowed(ge=1e-3, le=1e5)] = 1.0
    """At most, at the threshold that misses are counted at."""
    minutes: Annotated[float, Allowed(ge=0.1, le=600.0)] = 120.0
    """Of the recording, about; it ends earlier where clips end, as none is heard twice."""
    hop_frames: Annotated[int, Allowed(ge=1, le=50)] = 10
    """Frames from one window that the network scores to the next."""
    smoothed_s: Annotated[float, Allowed(ge=0.0, le=60.0)] = 0.3
    """Scores are the mean of those of the last so many seconds."""
    refractory_s: Annotated[float, Allowed(ge=0.0, le=60.0)] = 2.0
    """After an alarm there is no other for so long."""
    seed: Annotated[int, Allowed(ge=0, lt=2**32, words="from 0 to 2^32 - 1")] = 1
    """Of the order of the clips, the pauses between them, and the noise."""

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        check_fields(self)
        require(len(self.words) >= 1, "words", "a list of at least one word", [])
        require(len(set(self.words)) == len(self.words), "words", "distinct", list(self.words))
        least = 60 / self.minutes
        require(
            self.false_alarms_per_hour >= least,
            "false_alarms_per_hour",
            f"at least {least:.3g}, which is one false alarm in {self.minutes:g} minutes (or set "
            "more minutes)",
            self.false_alarms_per_hour,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A keyword-spotting task: the classes and how they are drawn from a folder of words."""

    kind: Literal["commands", "all_words", "words"] = "commands"
    """The ten command words, every word of the folder, or the words listed in `words`."""
    words: tuple[str, ...] = ()
    """The classes, in order, when `kind` is `words`; empty otherwise."""
    unknown: bool = True
    """One more class of clips of all other words; not with `all_words`."""
    unknown_fraction: Part = 0.1
    """Unknown clips per clip of the chosen words, in each split (at most what the folder has)."""
    silence: bool = True
    """One more class of cut-outs of `_background_noise_` (digital silence where there is none)."""
    silence_fraction: Part = 0.1
    """Silence clips per clip of the chosen words, in each split."""
    seed: int = 1
    """Draws unknown and silence clips; the same seed gives the same clips."""
    wake: Wake | None = None
    """Errors are wake words that are missed at a rate of false alarms, not clips told wrongly."""

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        check_fields(self)
        if self.kind == "words":
            require(len(self.words) >= 2, "words", "a list of at least two words", list(self.words))
        else:
            require(
                not self.words, "words", f"left out when kind is '{self.kind}'", list(self.words)
            )
        require(len(set(self.words)) == len(self.words), "words", "distinct", list(self.words))
        known = {"commands": COMMANDS, "words": self.words, "all_words": None}[self.kind]
        if self.wake is not None and known is not None:
            others = [word for word in self.wake.words if word not in known]
            require(
                not others,
                "wake.words",
                f"words that the task tells apart, {', '.join(known)}",
                ", ".join(others),
            )

    @property
    def usual_classes(self) -> int:
        """Classes where nobody has looked at the data: of all words, the 35 of Speech Commands."""
        if self.kind == "all_words":
            return 35 + self.silence
        words = COMMANDS if self.kind == "commands" else self.words
        return len(words) + self.unknown + self.silence

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data, for a resolved study or a checkpoint."""
        plain = dataclasses.asdict(self) | {"words": list(self.words)}
        if self.wake is not None:
            plain["wake"]["words"] = list(self.wake.words)
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """How sound becomes a picture of `coefficients` x `frames`.

    The defaults are those of MatchboxNet (arXiv 2004.08531, section 3; NeMo's
    `AudioToMFCCPreprocessor`): 64 MFCC of 64 mel bands, windows of 25 ms every 10 ms, 128 frames.
    The upper limits are far beyond any features of a second: a slip of the keyboard must not fill
    memory or disk.
    """

    kind: Literal["mfcc", "log_mel"] = "mfcc"
    coefficients: Annotated[int, Allowed(ge=1, le=1_024)] = 64
    """Rows of the picture: mel bands, and as many cepstral coefficients."""
    frames: Annotated[int, Allowed(ge=1, le=16_384)] = 128
    """Columns; a clip of one second has 101, padded with zeros on both sides. Utterances have as
    many as they are long; for them it is the length that designs are priced at."""
    sample_rate_hz: Annotated[int, Allowed(ge=1, le=384_000)] = 16_000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    fft_size: Annotated[int, Allowed(ge=1, le=65_536)] = 512
    normalisation: Literal["training_set", "utterance", "none"] = "training_set"
    """Subtract the mean of each coefficient over the training split and divide by its deviation;
    or both over each utterance by itself, which is for transcription."""
    variants: Annotated[int, Allowed(ge=1, le=1_000)] = 8
    """Copies of each training clip in the cache: the first clean, the others shifted and noisy. Of
    utterances: the first as recorded, the others at the first of `speeds`."""
    speeds: tuple[float, ...] = (0.9, 1.1)
    """Of the varied copies of an utterance: 1.1 is 10 % faster and higher. Not used for words."""
    time_shift_ms: Annotated[float, Allowed(ge=0.0, le=1000.0)] = 100.0
    """A varied copy is shifted by up to this much either way. MatchboxNet, with 85,000 clips, used
    5 ms; on 1,823 clips 100 ms gave several points more (docs/evidence/results/first-search.md)."""
    white_noise_db: tuple[float, ...] = (-90.0, -46.0)
    """Lowest and highest level of the white noise of a varied copy, relative to full scale."""
    background_noise_probability: Annotated[float, Allowed(ge=0.0, le=1.0)] = 0.5
    """Share of the varied copies that get a piece of `_background_noise_` mixed in."""
    background_noise_snr_db: tuple[float, ...] = (5.0, 30.0)
    """Lowest and highest signal-to-noise ratio of that mix."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_fields(self)
        for name in ("window_ms", "hop_ms"):
            value = getattr(self, name)
            samples = value * self.sample_rate_hz / 1000
            require(
                value <= 1000 and samples > 0.5,
                name,
                f"from one sample ({1000 / self.sample_rate_hz:g} ms) to 1000",
                value,
            )
        window_samples = self.window_ms * self.sample_rate_hz / 1000
        require(
            window_samples <= self.fft_size,
            "fft_size",
            f"at least the window of {window_samples:.0f} samples",
            self.fft_size,
        )
        require(
            len(set(self.speeds)) == len(self.speeds)
            and all(0.5 <= speed <= 2.0 and speed != 1.0 for speed in self.speeds),
            "speeds",
            "different numbers from 0.5 to 2, without 1",
            list(self.speeds),
        )
        for name in ("white_noise_db", "background_noise_snr_db"):
            bounds = getattr(self, name)
            require(
                len(bounds) == 2 and -300 <= bounds[0] <= bounds[1] <= 300,
                name,
                "two numbers from -300 to 300, the lower first",
                list(bounds),
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data, for a resolved study or a checkpoint."""
        plain = dataclasses.asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }
