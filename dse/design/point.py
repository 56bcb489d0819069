"""A design point: one network, fully described, as data.

A network is a row of blocks, then a head. A block repeats depthwise -> pointwise -> batch norm ->
ReLU -> dropout (or convolution -> batch norm -> ... where it is not separable); its skip, where it
has one, is mixed, normalised and added before the last ReLU. These are the blocks of MatchboxNet
(arXiv 2004.08531) and QuartzNet (arXiv 1910.10261).

Features of a frame are its channels, or its *bins*: a second dimension of space, over which kernels
move as they do over frames. Then the network reads (channels, frames, bins), 1 x 49 x 10 of ten
MFCC, as DS-CNN does (arXiv 1711.07128): `in_bins`, and `kernel_bins` and `bin_stride` of blocks.

Wherever channels are mixed by a 1x1 matrix, a `Mixer` says how: it is the choice that this project
is about.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args

from cost_models.allowed import Allowed, Count, Share, check_fields
from cost_models.reading import build
from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node
from dse.design.mixer import DENSE, NEEDS, OWN_BITS, Mixer, check_widths
from dse.design.replacement import POLICIES, replaced_places
from dse.errors import InvalidDesign, require, short, steers
from dse.ternary.order import order_name

SCHEMA_VERSION = 2

INPUT_BITS = 8
"""Of a feature."""
WeightBits = Literal[8, 4, 2]
ActivationBits = Literal[8, 4]
_BITS: dict[str, tuple[int, ...]] = {
    "weight_bits": get_args(WeightBits),
    "activation_bits": get_args(ActivationBits),
}
"""Fields of a block and what they may be."""

Head = Literal["pooled", "framewise"]
"""Average over time, then a linear layer; or a 1x1 with bias at every frame (CTC)."""


class Sizes(NamedTuple):
    """What an inference is about, and no design says: it belongs to the task."""

    frames: int
    """Of the input, 10 ms each."""
    outputs: int
    """Classes, or characters and blank."""


USUAL: dict[Head, Sizes] = {"pooled": Sizes(128, 12), "framewise": Sizes(1000, 29)}
"""Where nobody says: a word of 1.28 s, one of ten, unknown or silence; ten seconds of English
speech, written with 28 characters and blank. (Utterances of LibriSpeech's training set are 12 s on
average: 961 h in 281,241, Panayotov et al., ICASSP 2015, and openslr.org/12.)"""


# Far beyond any network for speech: a slip of the keyboard must not fill the memory.
Channels = Annotated[int, Allowed(ge=1, le=16_384)]
Frames = Annotated[int, Allowed(ge=1, le=1_024)]

LONGEST_NAME = 200
"""Characters of a design's name."""

USUAL_GENERATOR = "lfsr_threshold"
"""The family that a name leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of `repeats` sub-blocks of equal shape."""

    name: Annotated[
        str,
        # Dots separate parts of layer names; torch's own attributes start with small letters.
        Allowed(
            pattern="[A-Z][A-Za-z0-9]*",
            words="a capital letter, then letters and digits, such as Conv1",
        ),
    ]
    """Distinct in its network, a capital letter first; ternary matrices are a function of it
    (`B2.0.pw`)."""
    out_channels: Channels
    kernel_size: Annotated[int, Allowed(ge=1, le=4_095)]
    """Frames of the kernel; odd, but for a kernel that moves over bins, too."""
    kernel_bins: Annotated[int, Allowed(ge=1, le=255)] = 1
    """Bins of the kernel, in a network whose frames have any."""
    repeats: Annotated[int, Allowed(ge=1, le=100)] = 1
    stride: Frames = 1
    """Applied by the first sub-block, and by the skip."""
    bin_stride: Annotated[int, Allowed(ge=1, le=255)] = 1
    """Of bins, applied by the first sub-block."""
    dilation: Frames = 1
    dropout: Share = 0.0
    separable: bool = True
    """Depthwise then 1x1; otherwise one convolution over all channels (1x1 if the kernel is 1)."""
    depthwise_norm: bool = False
    """Batch norm and ReLU between depthwise and 1x1, too, in a network whose frames have bins."""
    groups: Count = 1
    """Groups of the dense 1x1 matrix or the convolution."""
    mixer: Mixer = DENSE
    """Of every 1x1 in the block's main path."""
    skip: Mixer | None = None
    """Of the path around the block; no skip where it is None."""
    skip_norm: bool = True
    """Batch norm on the skip, also where it is the identity (NeMo and the published counts)."""
    skips_from: tuple[str, ...] = ()
    """Blocks before it whose inputs are added to its sum, too, each through a dense 1x1 and a batch
    norm like its skip's: dense residuals (Jasper DR, arXiv 1904.03288; NeMo's residual_dense)."""
    weight_bits: WeightBits = 8
    """Of trained and constant weights; trits have two, codes their own."""
    activation_bits: ActivationBits = 8
    """Of the tensors that the block makes."""

    @property
    def mixes(self) -> bool:
        """Whether channels are mixed by 1x1 matrices in its main path."""
        return self.separable or self.kernel_size == self.kernel_bins == 1

    def out_bins(self, in_bins: int) -> int:
        """Bins of a frame that it makes of so many: ceil(bins / stride), as of frames."""
        return -(-in_bins // self.bin_stride)

    @property
    def replaced_from(self) -> int | None:
        """The policy from which on its 1x1 matrices are replaced: 1 to 4 (`dse.design.policies`).

        None where it has none: a convolution that is wider than 1 and not separable.
        """
        if not self.mixes:
            return None
        if self.skip is not None:
            return 1
        return 3 if self.separable else 4

    def keeps_shape(self, in_channels: int) -> bool:
        """Whether it makes as many channels and frames as it reads, so that an identity fits."""
        return in_channels == self.out_channels and self.stride == 1

    def bits_of(self, mixer: Mixer) -> int:
        """Bits of the weights of a mixing layer in it: eight where its form has bits of its own."""
        return 8 if mixer.kind in OWN_BITS else self.weight_bits

    def __post_init__(self) -> None:
        """Check what can be checked without knowing the block's input."""
        check_fields(self)
        for name, bits in _BITS.items():
            held = getattr(self, name)
            if held not in bits or isinstance(held, bool):
                words = ", ".join(map(str, bits[:-1])) + f" or {bits[-1]}"
                require(False, name, words, held)
        require(
            self.kernel_size % 2 == 1 or self.kernel_bins > 1,
            "kernel_size",
            "odd, so that padding keeps the number of frames",
            self.kernel_size,
        )
        if self.skips_from and self.skip is None:
            raise InvalidDesign(
                f"block {self.name} has skips from {', '.join(self.skips_from)} and none of its "
                "own: give it a skip"
            )
        if self.mixer.kind != "dense":
            require(self.groups == 1, "groups", f"1 for a {self.mixer.kind} mixer", self.groups)
            if not self.mixes:
                raise InvalidDesign(
                    f"block {self.name}: a convolution over {self.kernel_size} frames cannot be "
                    f"{self.mixer.kind}; make the block separable, or its kernel 1"
                )
        self._check_bins()

    def _check_bins(self) -> None:
        if self.depthwise_norm and not self.separable:
            raise InvalidDesign(
                f"block {self.name} has depthwise_norm and no depthwise layer: make it separable"
            )
        # A 1x1 that strides over bins would skip those that nobody else reads.
        strides = self.bin_stride > 1
        if strides and (self.skip is not None or (self.mixes and not self.separable)):
            what = "a skip" if self.skip is not None else "no kernel but a 1x1"
            raise InvalidDesign(
                f"block {self.name} has bin_stride {self.bin_stride} and {what}: stride over bins "
                "in a separable block, or a wider convolution, without skip"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignPoint:
    """A network: what a search chooses, what is trained, and what is priced."""

    blocks: tuple[Block, ...]
    in_channels: Channels = 64
    """Of the input: features per frame where it has one bin."""
    in_bins: Annotated[int, Allowed(ge=1, le=1_024)] = 1
    """Of each frame and channel of the input: features per frame where it has one channel."""
    head: Head = "pooled"
    ternary_seed: int = 1
    """All ternary matrices of the network follow from it and their layers' names."""
    name: str = dataclasses.field(default="", compare=False)
    """For people; not part of the design's identity."""

    def __post_init__(self) -> None:
        """Check that each block fits its input."""
        require(len(self.blocks) >= 1, "blocks", "a list of at least one block", [])
        check_fields(self)
        plain = len(self.name) <= LONGEST_NAME and not steers(self.name)
        most = f"a text of at most {LONGEST_NAME} characters, none of them a control character"
        require(plain, "name", most, self.name[: LONGEST_NAME + 1])
        names = [block.name for block in self.blocks]
        require(len(set(names)) == len(names), "blocks", "distinct in their names", names)
        channels = self.in_channels
        for index, block in enumerate(self.blocks):
            check_block(block, channels)
            channels = block.out_channels
            if block.skips_from:
                _check_skips_from(block, self.blocks[:index])
        check_dimensions(self)

    @property
    def features(self) -> int:
        """Per frame, whether its network reads them as channels or as bins."""
        return self.in_channels * self.in_bins

    @property
    def has_bins(self) -> bool:
        """Whether its convolutions move over bins of a frame, too."""
        return self.in_bins > 1

    @property
    def has_few_bits(self) -> bool:
        """Whether any weight or tensor of it has fewer than eight bits."""
        return any(min(block.weight_bits, block.activation_bits) < 8 for block in self.blocks)

    @property
    def key(self) -> str:
        """Twelve hex digits that are the same for the same network, whatever its name.

        The identity by which results, folders and duplicates are found: 48 bits of SHA-256, so that
        among a million networks any two share a key with a chance of 1 in 560. Everything that
        changes the network, its dropout included, is in it; the machine and the recipe are not.
        """
        content = {key: value for key, value in self.to_dict().items() if key != "name"}
        content |= {"schema_version": 1, "blocks": [_hashed(block) for block in content["blocks"]]}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The name, or the summary where there is none."""
        return self.name or self.summary

    @property
    def summary(self) -> str:
        """What a design is called where nobody named it, the same wherever it is met.

        3x1x64                      blocks with a skip x most sub-blocks x their channels
        2x2x32/48 P2 0.125          policy of its ternary matrices, and their density
        3x1x64 P3@4x32 0.25         ... which are made in tiles of 4 x 32
        1x1x16 ternary sobol 0.5    ... at places of no policy, by another generator
        3x1x64 P2 one_hot balanced 0.125
        3x1x64 P3 monarch 8         other kinds by their names, with their sizes
        3x1x64 w4 a4/8              weights of 4 bits, activations of 4 or 8, where some have fewer
        3x2x24/32/48 conv           convolutions over all channels; conv/sep where some blocks are
        5x1x64 conv/sep 10 bins     convolutions over ten bins of each frame, too
        """
        residual = [block for block in self.blocks if block.skip is not None] or self.blocks
        repeats = max(block.repeats for block in residual)
        widths = dict.fromkeys(block.out_channels for block in residual)
        words = [f"{len(residual)}x{repeats}x{'/'.join(map(str, widths))}"]
        forms = sorted({"conv" if _is_wide(block) else "sep" for block in residual})
        words += ["/".join(forms)] if forms != ["sep"] else []
        words += [f"{self.in_bins} bins"] if self.has_bins else []
        mixers = [mixer for block in self.blocks for mixer in (block.mixer, block.skip) if mixer]
        made = next((mixer for mixer in mixers if mixer.generator is not None), None)
        if made is not None and made.generator is not None:
            order = f"@{order_name(made.generator.tile)}" if made.generator.tile else ""
            words.append(f"{_policy(self) or 'ternary'}{order}")
            words += [made.generator.family] if made.generator.family != USUAL_GENERATOR else []
            words += ["balanced"] if made.generator.signs == "balanced" else []
            words.append(f"{made.density:.12g}")
        others = dict.fromkeys(mixer for mixer in mixers if mixer.kind not in PLAIN_KINDS)
        if others and made is None:
            words.append(_policy(self))
        words += [word for mixer in others for word in _mixer_words(mixer)]
        words += _bits_words(self.blocks)
        return " ".join(filter(None, words))

    def to_dict(self) -> dict[str, Any]:
        """All choices as plain data; `point_from_node` reads it back from YAML."""
        # As none had bins when the first designs were written, keys stay.
        bins = {"in_bins": self.in_bins} if self.has_bins else {}
        return {"schema_version": SCHEMA_VERSION, "name": self.name} | {
            "in_channels": self.in_channels,
            **bins,
            "head": self.head,
            "ternary_seed": self.ternary_seed,
            "blocks": [_block_to_dict(block) for block in self.blocks],
        }


def _is_wide(block: Block) -> bool:
    """Whether it has a convolution over all channels and several frames or bins."""
    return not block.mixes


PLAIN_KINDS = ("dense", "identity", "ternary")
"""Kinds that a summary does not name."""


def _mixer_words(mixer: Mixer) -> list[str]:
    """Its kind, and the sizes that it has beside density and generator."""
    sizes = {key: size for key, size in mixer.parameters.items() if key not in NEEDS["ternary"]}
    return [mixer.kind, *(f"{size:.12g}" for size in sizes.values())]


def _bits_words(blocks: tuple[Block, ...]) -> list[str]:
    """Bits of weights and of activations, each where not all have eight."""
    found: dict[str, list[int]] = {
        "w": sorted({block.weight_bits for block in blocks}),
        "a": sorted({block.activation_bits for block in blocks}),
    }
    return [f"{key}{'/'.join(map(str, bits))}" for key, bits in found.items() if bits != [8]]


def _policy(point: DesignPoint) -> str:
    """The first policy whose places are the replaced ones of a design; empty where none is."""
    return next((policy for policy in POLICIES[1:] if _follows(point, policy)), "")


def _follows(point: DesignPoint, policy: str) -> bool:
    channels = point.in_channels
    places = replaced_places(policy, point.blocks, channels)
    for block, (main, skip) in zip(point.blocks, places, strict=True):
        if (block.mixer.kind != "dense") != main:
            return False
        if block.skip is not None:
            wanted = "identity" if block.keeps_shape(channels) else "replaced"
            kind = block.skip.kind
            found = kind if kind in ("dense", "identity") else "replaced"
            if found != (wanted if skip else "dense"):
                return False
        channels = block.out_channels
    return True


def check_block(block: Block, in_channels: int) -> None:
    """Raise `InvalidDesign` if the block does not fit its input width.

    Asked are its mixers (`check_widths`; an identity keeps the frames) and its groups, which divide
    both widths.

    Args:
        block: checked by itself before.
        in_channels: that it reads.
    """
    # The first sub-block reads the block's input, all others its output: two widths at most, so the
    # third and later sub-blocks need no look.
    places = [
        (block.mixer, in_channels if repeat == 0 else block.out_channels, f"{repeat}.pw")
        for repeat in range(min(block.repeats, 2))
    ]
    if block.skip is not None:
        places.append((block.skip, in_channels, "skip"))
    for mixer, columns, place in places:
        try:
            check_widths(mixer, columns, block.out_channels)
        except InvalidDesign as error:
            raise InvalidDesign(f"{block.name}.{place}: {error}") from None
    if in_channels % block.groups or block.out_channels % block.groups:
        raise InvalidDesign(
            f"block {block.name}: {block.groups} groups do not divide {in_channels} input and "
            f"{block.out_channels} output channels"
        )
    strided = [("skip", block.skip)]
    if not block.separable:  # where it is, the depthwise convolution strides
        strided.append(("0.pw", block.mixer))
    for place, strided_mixer in strided:
        if block.stride > 1 and strided_mixer is not None and strided_mixer.kind == "identity":
            raise InvalidDesign(
                f"{block.name}.{place}: an identity cannot skip frames; use stride 1, or a dense "
                "or ternary mixer"
            )


def check_dimensions(point: DesignPoint) -> None:
    """Raise `InvalidDesign` unless what a design has over bins stands where there are any.

    A network without bins is built, exported and run as one of one dimension, which knows none of
    these; a head that scores every frame has none for its bins.
    """
    for block in point.blocks:
        if not point.has_bins and (
            max(block.kernel_bins, block.bin_stride) > 1 or block.depthwise_norm
        ):
            raise InvalidDesign(
                f"block {block.name} has kernel_bins {block.kernel_bins}, bin_stride "
                f"{block.bin_stride}, depthwise_norm {str(block.depthwise_norm).lower()}, and "
                "frames of one bin: give the design in_bins, with in_channels 1"
            )
        if point.has_bins and block.skips_from:
            raise InvalidDesign(
                f"block {block.name} has skips_from, and a design with in_bins has none: leave "
                "them out"
            )
    if point.has_bins and point.head != "pooled":
        raise InvalidDesign(
            f"head {point.head} has no answer for {point.in_bins} bins of a frame: use pooled"
        )


def _check_skips_from(block: Block, before: tuple[Block, ...]) -> None:
    """Raise `InvalidDesign` unless each is another block before it, with as many frames."""
    names = [each.name for each in before]
    for name in block.skips_from:
        if name not in names or block.skips_from.count(name) > 1:
            raise InvalidDesign(
                f"block {block.name}: skips_from must name blocks before it, each once, not "
                f"{short(name)}"
            )
        if strided := [each for each in (*before[names.index(name) :], block) if each.stride > 1]:
            raise InvalidDesign(
                f"block {block.name}: the input of {name} has other frames than its sum, as "
                f"{strided[0].name} has stride {strided[0].stride}: use stride 1 between them"
            )


_ALWAYS_WERE = {
    "weight_bits": 8,
    "activation_bits": 8,
    "kernel_bins": 1,
    "bin_stride": 1,
    "depthwise_norm": False,
}
_FIELDS = tuple(field.name for field in dataclasses.fields(Block))


def _block_to_dict(block: Block) -> dict[str, Any]:
    # Not `dataclasses.asdict`, which copies what two lines below replace: half the time of a key.
    plain = {name: getattr(block, name) for name in _FIELDS}
    if block.skips_from:
        plain["skips_from"] = list(block.skips_from)
    else:  # as none had when the first designs were written: keys stay
        del plain["skips_from"]
    for name, usual in _ALWAYS_WERE.items():
        if plain[name] == usual:  # as all were when the first designs were written: keys stay
            del plain[name]
    plain["mixer"] = _mixer_to_dict(block.mixer)
    plain["skip"] = None if block.skip is None else _mixer_to_dict(block.skip)
    return plain


def _mixer_to_dict(mixer: Mixer) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": mixer.kind} | mixer.parameters
    if mixer.generator is not None:
        generator = mixer.generator.to_dict()
        short = len(generator) == 1  # all parameters at their defaults
        plain["generator"] = mixer.generator.family if short else generator
    return plain


_HASHED_AS = {"lfsr_threshold": "iid", "one_hot": "one_hot"}


def _hashed(block: dict[str, Any]) -> dict[str, Any]:
    """A block's plain data as `DesignPoint.key` hashes it.

    Results are found by their key, so what is hashed never changes, whatever files are like: two
    generators, where all their parameters stand at the defaults, are hashed by a word of their own.
    """

    def mixer(plain: dict[str, Any] | None) -> dict[str, Any] | None:
        generator = None if plain is None else plain.get("generator")
        if plain is None or not isinstance(generator, str) or generator not in _HASHED_AS:
            return plain
        rest = {key: value for key, value in plain.items() if key != "generator"}
        return rest | {"fan_in": _HASHED_AS[generator]}

    return block | {"mixer": mixer(block["mixer"]), "skip": mixer(block["skip"])}


def point_from_node(node: Node) -> DesignPoint:
    """Read a design from YAML: what `DesignPoint.to_dict` wrote, or a person.

    Raises:
        InvalidFile: a key or value is wrong, or `schema_version` is of a later program.
    """
    check_kind(node, "design")
    if isinstance(node.value, dict) and "schema_version" in node.value:
        version = node.value["schema_version"]
        if isinstance(version.value, bool) or version.value != SCHEMA_VERSION:
            raise version.error(
                f"schema_version {short(version.value)} cannot be read: this program reads "
                f"{SCHEMA_VERSION}; use the program that wrote the file"
            )
        keys = {key: child for key, child in node.value.items() if key != "schema_version"}
        node = dataclasses.replace(node, value=keys)
    return build(DesignPoint, _spelled_out(node))


def _spelled_out(node: Node) -> Node:
    """The same with every generator that is a bare name as the mapping that it stands for."""
    if isinstance(node.value, list):
        return dataclasses.replace(node, value=[_spelled_out(child) for child in node.value])
    if not isinstance(node.value, dict):
        return node
    keys = {key: _spelled_out(child) for key, child in node.value.items()}
    generator = keys.get("generator")
    if generator is not None and isinstance(generator.value, str):
        keys["generator"] = dataclasses.replace(generator, value={"family": generator})
    return dataclasses.replace(node, value=keys)
