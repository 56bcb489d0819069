"""The study file as a person writes it: its keys, what each may hold, and what is left out.

`dse.studies.reading` makes a `StudySpec` of it, together with the sections that have a reader of
their own; `dse.studies.spec` is what a study is, once it is read.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cost_models.allowed import Allowed, check_fields
from dse.columns import (
    MEASURED_COLUMNS,
    OBJECTIVE_COLUMNS,
)
from dse.errors import require
from dse.pricing.budget import Bound
from dse.pricing.hardware import HardwareSection
from dse.pricing.listening import Listening
from dse.speech.task import FeatureSpec
from dse.studies.data_section import DataSection
from dse.studies.effort import Amount, Patience
from dse.studies.rungs import Rungs
from dse.training.recipe import Recipe

SamplerName = Literal["known_cost", "tpe", "nsga2", "nsga3", "gp", "qmc", "random"]
Controls = Literal["none", "auto"]

Seed = Annotated[int, Allowed(ge=0, lt=2**32, words="from 0 to 2^32 - 1")]
Rate = Annotated[float, Allowed(ge=1e-9, le=1e9)]
Hours = Annotated[float, Allowed(gt=0, le=1e9)]
HopFrames = Annotated[int, Allowed(ge=1, le=1_000_000)]
StudyName = Annotated[
    str,
    Allowed(
        pattern="[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
        words="up to 64 letters, digits, '.', '_' and '-' (it names a folder)",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSection:
    """The `stream` section of a study file: designs are priced as they listen, too."""

    hop_frames: HopFrames
    """New frames that each hop computes: a multiple of all strides of a design together, and at
    most `data.features.frames`. Hops a second follow from it and `data.features.hop_ms`."""

    def __post_init__(self) -> None:
        """Check the number."""
        check_fields(self)


def listening_of(stream: StreamSection | None, features: FeatureSpec) -> Listening | None:
    """How a stream is taken in, with the duration of a frame; None where there is none."""
    return None if stream is None else Listening(stream.hop_frames, features.hop_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """The study file as it stands, with what it may leave out."""

    name: StudyName
    """Of the study's folder and its Optuna study."""
    data: DataSection
    """Recordings, and what is made of them."""
    space: Any
    """The axes of the design space."""
    machine: str = "kws_ternary"
    """Name of an accelerator (`dse estimate --help` lists them), or a YAML file."""
    technology: str | None = None
    """Name or YAML file; the machine's own where it is left out."""
    hardware: HardwareSection | None = None
    """Machines that are searched together with the network."""
    recipe: Recipe = field(default_factory=Recipe)
    """Name of a recipe, or its fields."""
    objectives: tuple[str, ...] = ("error", "energy_pj")
    """Two or more columns, all minimised: `error` or `quantised_error`, and at least one cost."""
    limits: dict[str, Bound] | None = None
    """`max_COLUMN` and `min_COLUMN` of costs, `error` and `quantised_error`."""
    fill: str | None = None
    """A column that has a `max_` limit: the width of each design (`channels`, or the family's own)
    is solved so that it uses the limit, not searched."""
    rate: Rate | None = None
    """Inferences a second, which a machine must keep. Where `average_power_uw` is an objective or
    limited and nothing is said: 1 of words; of sentences as many as it takes to hear all, one in
    `frames` hops."""
    stream: StreamSection | None = None
    """Designs are priced as they listen, hop after hop in real time, beside one inference of the
    whole window; then columns such as `listening_power_uw` may be objectives and limits."""
    baselines: tuple[str | dict[str, Any], ...] = ()
    """Designs that are evaluated first: names of published networks, or values of axes."""
    controls: Controls = "none"
    """`auto`: the last trainings are dense controls, one of like trained parameters for each
    ternary design of the frontier that has none."""
    warm_start: tuple[str, ...] = ()
    """Folders of earlier studies: the designs of their frontiers are tried, what they trained alike
    is not trained again, and known_cost learns from all their trainings."""
    prior: str = "none"
    """What known_cost knows of errors before the first training: `none`, `shape` (how much alike
    errors of like networks are), `shipped` (the tables that come with the program, too), or a JSON
    file of `benchmarks/prior.py`."""
    sampler: SamplerName = "known_cost"
    """What proposes designs."""
    rungs: Rungs | Literal["none"] | None = None
    """Epochs of the first look at a training, and the factor from one look to the next."""
    trainings: Amount = 20
    """The study ends when so many designs are trained."""
    candidates: Amount | None = None
    """... or when so many are priced; 50 per training where it is left out."""
    epochs: Amount | None = None
    """... or when so many epochs are trained, of all designs together."""
    hours: Hours | None = None
    """... or so many hours: of training, of all designs, divided by the workers."""
    patience: Patience | None = None
    """... or when the hypervolume has nearly stopped growing."""
    seed: Seed = 1
    """Of proposals and trainings."""
    device: Annotated[
        str, Allowed(pattern="auto|cpu|cuda(:[0-9]+)?", words="auto, cpu or cuda")
    ] = "auto"
    """What trainings compute on."""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_fields(self)
        if self.candidates is not None:
            require(
                self.candidates >= self.trainings,
                "candidates",
                f"at least trainings, {self.trainings}",
                self.candidates,
            )
        require(
            len(self.objectives) >= 2 and len(set(self.objectives)) == len(self.objectives),
            "objectives",
            "a list of two or more different columns",
            list(self.objectives),
        )
        for objective in self.objectives:
            require(
                objective in OBJECTIVE_COLUMNS,
                "objectives",
                f"columns out of {', '.join(OBJECTIVE_COLUMNS)}",
                objective,
            )
        for known, remedy in (
            (
                False,
                "a list with error or quantised_error (without it nothing needs training: "
                "use dse sweep)",
            ),
            (True, "a list with a cost such as energy_pj beside the error"),
        ):
            require(
                any((name not in MEASURED_COLUMNS) == known for name in self.objectives),
                "objectives",
                remedy,
                list(self.objectives),
            )
