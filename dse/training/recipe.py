"""How a network is trained, as data: optimiser, schedule, regularisation. Loads without torch.

The default is meant for a search on a small or medium data set; `RECIPES` holds it, those with
which MatchboxNet and QuartzNet were published, and one for an hour of sentences
(docs/how-to/training.md).
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cost_models.allowed import Allowed, Count, Share, check_fields
from cost_models.reading import build
from cost_models.strict_yaml import Node, dump_yaml, join, parse_yaml, read_yaml
from dse.errors import InvalidInput, require, short

OptimiserName = Literal["adamw", "sgd", "novograd"]
ScheduleName = Literal["warmup_hold_decay", "cosine", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
Whole = Annotated[int, Allowed(ge=0)]
FromZero = Annotated[float, Allowed(ge=0, words="a finite number from 0 up")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How many holes are cut into each picture of a training batch, and how large they may be.

    The defaults are MatchboxNet's SpecAugment without its SpecCutout (arXiv 2004.08531, section 3).
    """

    time_masks: Whole = 2
    """Stretches of columns set to zero."""
    time_width: Whole = 25
    """Columns of each at most; the width is drawn from 0 to this."""
    frequency_masks: Whole = 2
    """Stretches of rows set to zero."""
    frequency_width: Whole = 15
    """Rows of each at most."""
    rectangles: Whole = 0
    """Rectangles set to zero; MatchboxNet has 5, too many for 40 epochs of 2,000 clips."""
    rectangle_time: Whole = 25
    """Columns of each at most."""
    rectangle_frequency: Whole = 15
    """Rows of each at most."""
    varied: bool = True
    """Draw one of the cached variants of a clip anew in each epoch; otherwise always the clean."""

    def __post_init__(self) -> None:
        """Check the counts."""
        check_fields(self)


NO_AUGMENTATION = Augmentation(time_masks=0, frequency_masks=0, rectangles=0, varied=False)
"""Clean clips without holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All choices of a training but the data, the network and the seed."""

    epochs: Count = 40
    batch_size: Annotated[int, Allowed(ge=2, words="at least 2, as batch norm compares clips")] = 32
    """Clips of a batch at most; the clips of an epoch are shared out evenly."""
    batch_frames: Count = 16_000
    """Sentences only: frames of a batch at most, padding included; a longer utterance is alone.
    Memory goes by it: 160 s of sound at a frame every 10 ms."""
    optimiser: OptimiserName = "adamw"
    learning_rate: Annotated[float, Allowed(gt=0, words="a finite number above 0")] = 0.01
    """The highest of the schedule."""
    min_learning_rate: FromZero = 0.0
    """The last of the schedule (`constant` does not use it)."""
    weight_decay: FromZero = 0.1
    """Per step the weights shrink by this times the learning rate; of all parameters."""
    betas: tuple[float, ...] = (0.9, 0.999)
    """Decay of the first and second moment; `sgd` takes the first as its Nesterov momentum."""
    schedule: ScheduleName = "cosine"
    warmup_fraction: Share = 0.1
    """Share of the steps in which the learning rate rises linearly."""
    hold_fraction: FromZero = 0.0
    """Share of the steps at the highest learning rate, after the warm-up (not with `constant`)."""
    label_smoothing: Share = 0.1
    """Share of the target that is spread evenly over all classes; of words only."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: a clip of class c counts clips / (classes * clips of c); of words only."""
    rounded_share: Annotated[float, Allowed(ge=0.0, le=1.0)] = 0.25
    """Share of the epochs, the last ones, that compute with weights and activations rounded: of
    designs with fewer than eight bits; all others never do (`dse.training.rounded`)."""
    kept_share: Annotated[float, Allowed(gt=0.0, le=1.0)] = 1.0
    """Share of the frames of a batch whose inputs to mixing layers are kept for the gradient of
    their weights. Below 1 it saves memory and makes that gradient an estimate, right in the mean
    (`dse.training.sampled`)."""
    gradient_clip: Annotated[float, Allowed(gt=0, words="more than 0, or null")] | None = None
    """Longer gradients (2-norm over all parameters) are cut to this length."""
    precision: Precision = "auto"
    """`bfloat16` runs matrix products of the training in 16 bits (autocast); `auto` does so on CUDA
    and on CPUs that have instructions for it, as without it costs a factor of 3."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_fields(self)
        require(
            self.min_learning_rate <= self.learning_rate,
            "min_learning_rate",
            f"at most learning_rate, {self.learning_rate:g}",
            self.min_learning_rate,
        )
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "betas",
            "two numbers in [0, 1)",
            list(self.betas),
        )
        limit = 1 - self.warmup_fraction
        require(
            0 <= self.hold_fraction <= limit,
            "hold_fraction",
            f"in [0, {limit:g}], what the warm-up leaves",
            self.hold_fraction,
        )

    @property
    def float_epochs(self) -> int:
        """Epochs before those that round, of a design with few bits."""
        return self.epochs - round(self.rounded_share * self.epochs)

    @property
    def key(self) -> str:
        """Eight hex digits that are the same for the same recipe."""
        plain = self.to_dict()
        if self.rounded_share == 0.25:  # results from before this field are found by the key
            del plain["rounded_share"]
        if self.kept_share == 1:  # likewise
            del plain["kept_share"]
        if self.batch_frames == 16_000:  # likewise
            del plain["batch_frames"]
        text = json.dumps(plain, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data; `recipe_from_node` reads them back from YAML."""
        return dataclasses.asdict(self) | {"betas": list(self.betas)}


RECIPES: dict[str, Recipe] = {
    "default": Recipe(),
    # NovoGrad, schedule and augmentation of arXiv 2004.08531, section 3; what it leaves open as in
    # NeMo's matchboxnet_3x1x64_v1.yaml. It had 85,000 clips: on 2,000 it takes far fewer steps.
    "matchboxnet": Recipe(
        epochs=200,
        batch_size=128,
        optimiser="novograd",
        learning_rate=0.05,
        min_learning_rate=0.001,
        weight_decay=0.001,
        betas=(0.95, 0.5),
        schedule="warmup_hold_decay",
        warmup_fraction=0.05,
        hold_fraction=0.45,
        label_smoothing=0.0,
        augmentation=Augmentation(rectangles=5),
    ),
    # NovoGrad, decay, batch of 32 a device, cosine to 0, masks and 400 epochs of QuartzNet-15x5 as
    # OpenSeq2Seq's quartznet15x5_LibriSpeech.py has them (arXiv 1910.10261, section 3.1). Its 1,000
    # steps of warm-up are 0.23 % of 400 epochs of 281,241 utterances on eight devices; a hundred
    # hours have a tenth of the steps, so a share that suits both. Batches go to 32 x 16.7 s.
    "quartznet": Recipe(
        epochs=400,
        batch_size=32,
        batch_frames=53_440,
        optimiser="novograd",
        learning_rate=0.01,
        weight_decay=0.001,
        betas=(0.95, 0.5),
        warmup_fraction=0.005,
        label_smoothing=0.0,
        augmentation=Augmentation(time_width=6, frequency_width=6),
    ),
    # Ours, for an hour of sentences (docs/evidence/results/speech-recognition.md): small batches,
    # as CTC needs some thousand steps before it hears more than blanks.
    "sentences": Recipe(
        epochs=30,
        batch_size=8,
        batch_frames=4_000,
        optimiser="novograd",
        learning_rate=0.02,
        weight_decay=0.001,
        betas=(0.95, 0.5),
        warmup_fraction=0.05,
        label_smoothing=0.0,
        augmentation=Augmentation(time_masks=0, frequency_masks=0),
    ),
}
"""Recipes by name."""


def recipe_from_node(node: Node) -> Recipe:
    """Read a recipe from YAML: a mapping of fields, or the name of one of `RECIPES`.

    In a study file, for example:

        recipe: matchboxnet
        recipe: {base: matchboxnet, epochs: 100}
        recipe: {epochs: 100, optimiser: sgd}

    With the key `base`, what the mapping leaves out is taken from the recipe of that name; without
    it, from the default.

    Raises:
        InvalidFile: a key or value is wrong, or there is no recipe of that name.
    """
    return build(Recipe, spelled_out(node))


def spelled_out(node: Node) -> Node:
    """A recipe's name, or the `base` that it goes out from, as a mapping of fields.

    Raises:
        InvalidFile: there is no recipe of that name.
    """
    if isinstance(node.value, str):
        return dataclasses.replace(node, value=_named(node, node.key))
    if not isinstance(node.value, dict) or "base" not in node.value:
        return node
    given = {key: child for key, child in node.value.items() if key != "base"}
    return dataclasses.replace(node, value=_named(node.value["base"], node.key) | given)


def _named(node: Node, key: str) -> dict[str, Node]:
    """The fields of the recipe that `node` names, all at its place; `key` leads to the recipe."""
    name = node.value
    if not isinstance(name, str) or name not in RECIPES:
        raise node.error(f"there is no recipe {short(name)}: recipes are {', '.join(RECIPES)}")
    fields: dict[str, Node] = parse_yaml(dump_yaml(RECIPES[name].to_dict()), name).value
    return {
        field: dataclasses.replace(node, value=child.value, key=join(key, field))
        for field, child in fields.items()
    }


def load_recipe(name_or_file: str) -> Recipe:
    """A recipe by the name of `RECIPES` or of a YAML file.

    Raises:
        InvalidInput: neither a name nor a YAML file; or a key or value in the file is wrong.
    """
    if name_or_file in RECIPES:
        return RECIPES[name_or_file]
    if not name_or_file.endswith((".yaml", ".yml")):
        raise InvalidInput(
            f"there is no recipe {short(name_or_file)}: use {', '.join(RECIPES)}, or a YAML file"
        )
    return recipe_from_node(read_yaml(name_or_file))
