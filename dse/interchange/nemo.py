"""NeMo configuration files: read the network of a Jasper-style encoder as a design point.

Four layouts are read: `JasperEncoder: {header, init_params}` and `JasperEncoder: {jasper, ...}` of
NeMo 0.x, `model.encoder: {cls, params}` of the 1.0 beta, `model.encoder: {_target_, jasper, ...}`
since. Sections that do not change the network (data, optimiser, trainer) are ignored; within the
encoder, its blocks and the decoder, a key that is not known is refused, never ignored.

What NeMo does, and where a design says the same (nemo: modules/conv_asr.py, submodules/jasper.py):

* kernel = max(int(kernel * kernel_size_factor), 1), plus 1 where that is even;
* a skip is a 1x1 with batch norm, also where widths match: `kind: dense` and `skip_norm: true`;
* `stride` acts in every sub-block, or in the last one only (`stride_last`), a design's in the first
  one only: equal where `repeat` is 1, refused otherwise;
* `groups` is of the 1x1 of a separable block, and of a block's whole convolution where it is not;
  behind it NeMo shuffles channels, as our grouped mixing layer does; a wide convolution in groups
  has no such form here, and is refused. Skips are in one group;
* `residual_dense` adds the inputs of all blocks before it that have it, too, each through a 1x1 and
  a batch norm of its own: `skips_from`;
* `residual_mode` holds for later blocks, too; `stride_add` strides the skip, as a design does;
* `ConvASRDecoder` and `JasperDecoderForCTC` add a blank; classification decoders average over time;
  files of 0.x without a decoder are for speech recognition: their scripts add JasperDecoderForCTC.

Names, which NeMo's lists do not have: blocks with a skip are B1, B2, ...; the others are Conv1,
Conv2, ... before a pooled head and C1, C2, ... before a framewise one. So MatchboxNet and QuartzNet
get the names of their papers, and equal the designs of `dse.design.published`.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cost_models.reading import build, read_value
from cost_models.recognised import check_kind
from cost_models.strict_yaml import MAX_NODES, Node, parse_yaml, read_yaml
from dse.design.mixer import DENSE, Mixer
from dse.design.point import LONGEST_NAME, Block, DesignPoint, check_block
from dse.errors import InvalidFile, InvalidInput, short

MAX_INTERPOLATIONS = 32
"""References in a row; more are taken for a loop."""


@dataclass(frozen=True, slots=True)
class ImportedNetwork:
    """What a NeMo file says about a network, and about the clips that it takes.

    A design says neither how long its input is nor how many outputs its head has: both belong to
    the task, and the same design can be priced for another.
    """

    point: DesignPoint
    outputs: int
    """Classes, or characters and blank."""
    frames: int | None
    """Frames that clips are cropped or padded to; None where the file does not say."""
    labels: tuple[str, ...]
    """Without the blank; empty where the file lists none, or not as many as there are outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One entry of `jasper`, with NeMo's defaults."""

    filters: int
    repeat: int
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...]
    dilation: int | tuple[int, ...]
    dropout: float
    residual: bool
    separable: bool = False
    groups: int = 1
    heads: int | None = -1
    kernel_size_factor: float = 1.0
    stride_last: bool = False
    residual_mode: str | None = None
    residual_dense: bool = False
    future_context: int | None = -1
    se: bool = False
    # These say nothing where `se` is false, and where it is true the block is refused.
    se_reduction_ratio: Any = None
    se_context_size: Any = None
    se_interpolation_mode: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoder:
    """Arguments of ConvASREncoder and JasperEncoder."""

    jasper: tuple[_Item, ...]
    activation: str
    feat_in: int | None = None
    normalization_mode: str = "batch"
    residual_mode: str = "add"
    frame_splicing: int = 1
    quantize: bool = False
    # Masking of padding, groups of a group norm and initial weights leave the network as it is.
    conv_mask: Any = None
    norm_groups: Any = None
    init_mode: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoder:
    """Arguments of the decoders that are read."""

    feat_in: int | None = None
    hidden_size: int | None = None
    num_classes: int | None = None
    num_layers: int | None = None
    vocabulary: tuple[Any, ...] | None = None
    add_blank: bool = True
    pooling_type: str = "avg"
    # Softmax, and initial weights: not part of the design.
    return_logits: Any = None
    log_softmax: Any = None
    activation: Any = None
    init_mode: Any = None


@dataclass(frozen=True, slots=True)
class _Head:
    head: Literal["pooled", "framewise"]
    blank: bool


_ENCODERS = ("ConvASREncoder", "JasperEncoder")
_DECODERS = {
    "ConvASRDecoderClassification": _Head("pooled", blank=False),
    "JasperDecoderForClassification": _Head("pooled", blank=False),
    "ConvASRDecoder": _Head("framewise", blank=True),
    "JasperDecoderForCTC": _Head("framewise", blank=True),
    "MultiLayerPerceptron": _Head("framewise", blank=False),
}


def import_nemo(
    path: Path | str, overrides: Mapping[str, str] | None = None, *, outputs: int | None = None
) -> ImportedNetwork:
    """Read the network of a NeMo YAML file.

    Args:
        path: the file; it is read as data, nothing in it is executed.
        overrides: dotted key -> YAML value, put in before the file is read (`model.repeat` -> `2`).
        outputs: outputs of the head, blank included, where the file does not say or another number
            is wanted.

    Returns:
        The design, and the sizes that make it a workload: `lower(point, frames=, outputs=)`.

    Raises:
        InvalidFile: the file cannot be read, or its network is one that a design cannot describe.
        InvalidInput: an override that changes nothing.
    """
    overrides = overrides or {}
    root = read_yaml(path)
    check_kind(root, "nemo")
    tree = _Tree(root, overrides)
    scope, encoder_node, decoder_node = _find_sections(tree)
    class_name, arguments = _class_and_arguments(tree, encoder_node, "JasperEncoder")
    if class_name not in _ENCODERS:
        raise encoder_node.error(
            f"the encoder {class_name} is not supported: {' and '.join(_ENCODERS)} are"
        )
    arguments = tree.resolve_all(arguments)
    encoder = build(_Encoder, arguments)
    _check_encoder(encoder, arguments)
    decoder_name, decoder, decoder_place = _read_decoder(tree, decoder_node)
    head = _DECODERS[decoder_name]
    in_channels = _in_channels(tree, scope, encoder, arguments)
    prefix = "Conv" if head.head == "pooled" else "C"
    point = DesignPoint(
        blocks=_read_blocks(encoder, arguments.value["jasper"].value, prefix, in_channels),
        in_channels=in_channels,
        head=head.head,
        name=_name(tree, Path(path), overrides),
    )
    _check_decoder(decoder_name, decoder, decoder_place, point.blocks[-1].out_channels)
    labels = _labels(tree, scope, decoder)
    blank = int(head.blank and decoder.add_blank)
    if outputs is None:
        outputs = _classes(decoder, labels, decoder_place) + blank
    frames = _frames(tree, scope)
    tree.check_overrides_were_read()
    fitting = labels if len(labels) + blank == outputs else ()
    return ImportedNetwork(point, outputs, frames, fitting)


class _Tree:
    """The file with overrides put in; references (`${model.repeat}`) are followed where read.

    Lazily, because a NeMo file is full of references to what only a trainer has: data paths, a
    tokenizer, `???`. Only those that the network depends on need an answer.

    An override becomes a node whose file is `--set KEY`. That does two things: an error message
    names the option as its place, and a node with such a file that is read crosses its override off
    the list of those that nobody has read. What stays on the list changes nothing, which is nearly
    always a misspelled key, and is an error.
    """

    def __init__(self, root: Node, overrides: Mapping[str, str]) -> None:
        self.root = root
        self._unread: set[str] = set()
        # Nodes that `resolve_all` may copy, in all. A list of references to lists of references
        # doubles at each level: the depth alone does not bound that.
        self._budget = iter(range(MAX_NODES))
        for key, text in overrides.items():
            place = f"--set {key}"
            self._unread.add(place)
            if not text.strip():
                raise InvalidInput(f"{place} has no value: write {key}=VALUE, or {key}=null")
            value = dataclasses.replace(parse_yaml(text, place), key=key)
            self.root = _with_value(self.root, _path(key), value)

    def get(self, node: Node, key: str) -> Node | None:
        """The value of a key, references followed; None where it is missing or null."""
        child = node.value.get(key) if isinstance(node.value, dict) else None
        if child is None:
            return None
        child = self.resolve(child)
        return None if child.value is None else child

    def resolve(self, node: Node) -> Node:
        """Follow `${a.b}` until a value comes. Children stay as they are.

        Paths begin at the root of the file, wherever the reference stands. What OmegaConf knows
        besides (`${a}_${b}`, `${oc.env:HOME}`, resolvers) is refused: it would need an evaluator.

        Raises:
            InvalidFile: the value is left open (???), or the reference is no plain one, leads
                nowhere, or in a circle.
        """
        for _ in range(MAX_INTERPOLATIONS):
            if node.file.startswith("--set "):
                self._unread.discard(node.file)
            if not isinstance(node.value, str):
                return node
            if node.value == "???":
                raise node.error(
                    f"'{node.key}' is left open (???): give it with --set {node.key}=VALUE"
                )
            if "${" not in node.value:
                return node
            reference = re.fullmatch(r"\$\{([\w.\[\]-]+)\}", node.value)
            if reference is None:
                raise node.error(
                    f"'{node.key}' cannot be read: of {short(node.value)} only plain references "
                    "such as ${model.repeat} are followed; "
                    f"give a value with --set {node.key}=VALUE"
                )
            target = _find(self.root, _path(reference[1]))
            if target is None:
                raise node.error(f"'{node.key}' refers to '{reference[1]}', which does not exist")
            node = target
        raise node.error(f"references to '{node.key}' go round in a circle")

    def resolve_all(self, node: Node, depth: int = 0) -> Node:
        """The value with all references below it followed: what `build` can read.

        Raises:
            InvalidFile: as `resolve`, or the value grows without end.
        """
        if next(self._budget, None) is None or depth > MAX_INTERPOLATIONS:
            raise node.error(f"'{node.key}' is too large once its references are followed")
        node = self.resolve(node)
        value: Any = node.value
        if isinstance(value, dict):
            value = {key: self.resolve_all(child, depth + 1) for key, child in value.items()}
        elif isinstance(value, list):
            value = [self.resolve_all(child, depth + 1) for child in value]
        return dataclasses.replace(node, value=value)

    def check_overrides_were_read(self) -> None:
        """Raise `InvalidInput` for an override that the network does not depend on."""
        for place in sorted(self._unread):
            raise InvalidInput(
                f"{place} changes nothing: no part of the network refers to this key; a YAML alias "
                "(*name) is a copy, so set the key that holds it, such as "
                "JasperEncoder.jasper[1].repeat"
            )


def _path(key: str) -> list[str]:
    return [part for part in re.split(r"[.\[\]]+", key) if part]


def _find(node: Node, path: list[str]) -> Node | None:
    for part in path:
        if isinstance(node.value, dict) and part in node.value:
            node = node.value[part]
        elif isinstance(node.value, list) and _is_index(part, node.value):
            node = node.value[int(part)]
        else:
            return None
    return node


def _with_value(node: Node, path: list[str], value: Node) -> Node:
    """A copy of the tree with one value replaced or added."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    children: Any
    # Only the last part of a path may be new: files leave keys with defaults out.
    if isinstance(node.value, dict) and (part in node.value or not rest):
        child = node.value.get(part, value)
        children = node.value | {part: _with_value(child, rest, value)}
    elif isinstance(node.value, list) and _is_index(part, node.value):
        children = list(node.value)
        children[int(part)] = _with_value(children[int(part)], rest, value)
    else:
        raise InvalidInput(
            f"{value.file}: there is no '{part}' in {node.key or 'the file'} ({node.where})"
        )
    return dataclasses.replace(node, value=children)


def _is_index(part: str, items: list[Node]) -> bool:
    return part.lstrip("-").isdecimal() and -len(items) <= int(part) < len(items)


def _find_sections(tree: _Tree) -> tuple[Node, Node, Node | None]:
    """(where labels and preprocessors stand, encoder, decoder or None)."""
    model = tree.get(tree.root, "model")
    if model is not None and tree.get(model, "encoder") and tree.get(tree.root, "JasperEncoder"):
        raise tree.root.value["JasperEncoder"].error(
            "the file has two networks, 'model.encoder' and 'JasperEncoder': leave one out"
        )
    if model is not None and (encoder := tree.get(model, "encoder")) is not None:
        return model, encoder, tree.get(model, "decoder")
    encoder = tree.get(tree.root, "JasperEncoder")
    if encoder is None:
        raise tree.root.error(
            "no encoder found: a NeMo file has 'model.encoder', or 'JasperEncoder' before 1.0"
        )
    decoders = [key for key in tree.root.value if re.search("^Jasper.*Decoder|^.*Decoder$", key)]
    return tree.root, encoder, tree.get(tree.root, decoders[0]) if decoders else None


def _class_and_arguments(tree: _Tree, node: Node, name: str) -> tuple[str, Node]:
    """Class name and mapping of arguments, whichever layout they stand in."""
    if not isinstance(node.value, dict):
        raise node.error(f"'{node.key}' must be a mapping of keys")
    # Three generations:  header: {full_spec: nemo.X}, init_params: {...}      0.x
    #                     cls: nemo.X, params: {...}                           1.0 beta
    #                     _target_: nemo.X, and the arguments beside it        since (Hydra)
    # A section of 0.x may have none of them: then its key is the class.
    for wrapper, arguments, class_key in (
        ("header", "init_params", "full_spec"),
        ("cls", "params", None),
        ("_target_", None, None),
    ):
        if wrapper not in node.value:
            continue
        place = tree.get(node, wrapper)
        if place is not None and class_key is not None:
            place = tree.get(place, class_key)
        if place is None:
            raise node.error(f"'{node.key}.{wrapper}' does not name a class")
        name = str(place.value).rpartition(".")[2]
        if arguments is not None:
            return name, tree.get(node, arguments) or dataclasses.replace(node, value={})
        rest = {key: child for key, child in node.value.items() if key != wrapper}
        return name, dataclasses.replace(node, value=rest)
    return name, node


def _check_encoder(encoder: _Encoder, node: Node) -> None:
    for key, supported in (
        ("activation", "relu"),
        ("normalization_mode", "batch"),
        ("frame_splicing", 1),
        ("quantize", False),
    ):
        value = getattr(encoder, key)
        if value != supported:
            raise _unsupported(node, key, value, supported)
    if not encoder.jasper:
        raise node.value["jasper"].error(f"'{node.key}.jasper' must list at least one block")


def _unsupported(node: Node, key: str, value: Any, supported: Any, why: str = "") -> InvalidFile:
    """`<key>: <value> is not supported<why>: <key> must be <supported> (file:line)`."""
    place: Node = node.value.get(key, node)
    return place.error(
        f"{node.key}: {key} {_plain(value)} is not supported{why}; supported is "
        f"{key} {_plain(supported)}"
    )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_blocks(
    encoder: _Encoder, items: list[Node], prefix: str, channels: int
) -> tuple[Block, ...]:
    """Blocks in their order; the first one reads so many channels."""
    blocks: list[Block] = []
    chain: list[str] = []  # blocks with dense residuals
    skips = 0
    residual_mode = encoder.residual_mode
    for item, node in zip(encoder.jasper, items, strict=True):
        # As in NeMo's loop over the list, a block's own mode stays in force for those after it.
        residual_mode = item.residual_mode or residual_mode
        _check_item(item, node, residual_mode)
        _check_chain(item, node, chain, blocks[-1].name if blocks else "")
        skips += item.residual
        name = f"B{skips}" if item.residual else f"{prefix}{len(blocks) + 1 - skips}"
        try:
            blocks.append(
                Block(
                    name=name,
                    out_channels=item.filters,
                    kernel_size=_kernel(item),
                    repeats=item.repeat,
                    stride=_one(item.stride),
                    dilation=_one(item.dilation),
                    dropout=item.dropout,
                    separable=item.separable,
                    mixer=DENSE if item.groups == 1 else Mixer(kind="grouped", groups=item.groups),
                    skip=DENSE if item.residual else None,
                    skips_from=tuple(chain) if item.residual_dense else (),
                )
            )
            chain += [name] if item.residual_dense else []
            check_block(blocks[-1], channels)
            channels = item.filters
        except InvalidInput as error:
            raise node.error(f"{node.key}: {error}") from None
    return tuple(blocks)


def _check_chain(item: _Item, node: Node, chain: list[str], before: str) -> None:
    """Raise `InvalidFile` for dense residuals that NeMo itself would not add as they stand there.

    A block with them hands on the inputs of all of them with its output, any other its output
    alone. So they stand in one row: after a gap the list is short of inputs; and a block with an
    ordinary residual behind them would take the first one's input for its own.

    Args:
        item: one entry of the list.
        node: it.
        chain: names of the blocks with dense residuals before it.
        before: name of the block before it.
    """
    if item.residual_dense and not item.residual:
        why = " without residual"
    elif item.residual_dense and chain and before != chain[-1]:
        why = f" after {before}, which has none (NeMo hands inputs on from block to block)"
    elif item.residual and not item.residual_dense and chain and before == chain[-1]:
        why = f" behind {before}, which has it (NeMo adds the input of {chain[0]} then)"
    else:
        return
    raise _unsupported(node, "residual_dense", item.residual_dense, not item.residual_dense, why)


def _check_item(item: _Item, node: Node, residual_mode: str) -> None:
    """Raise `InvalidFile` for what a block of a design cannot say."""
    for key in ("kernel", "stride", "dilation"):
        value = getattr(item, key)
        if isinstance(value, tuple) and len(value) != 1:
            raise _unsupported(node, key, list(value), "a list of one number")
        if min(value if isinstance(value, tuple) else (value,)) < 1:
            place = node.value[key]
            raise place.error(f"{place.key} must be at least 1, not {_one(value)}")
    if item.kernel_size_factor <= 0:
        place = node.value["kernel_size_factor"]
        raise place.error(f"{place.key} must be above 0, not {item.kernel_size_factor:g}")
    if item.se:
        raise _unsupported(node, "se", True, False, " (squeeze and excitation)")
    if item.groups < 1:
        place = node.value["groups"]
        raise place.error(f"{place.key} must be at least 1, not {item.groups}")
    if item.groups > 1 and not (item.separable or _kernel(item) == 1):
        why = f" of a convolution over {_kernel(item)} frames (NeMo shuffles channels behind it)"
        raise _unsupported(node, "groups", item.groups, 1, why)
    if (item.heads or 0) > 0:
        raise _unsupported(node, "heads", item.heads, -1, " (shared depthwise kernels)")
    if item.future_context is not None and item.future_context >= 0:
        raise _unsupported(node, "future_context", item.future_context, -1, " (one-sided padding)")
    if item.residual and residual_mode not in ("add", "stride_add"):
        raise _unsupported(node, "residual_mode", residual_mode, "add")
    _check_stride(item, node, residual_mode)


def _check_stride(item: _Item, node: Node, residual_mode: str) -> None:
    stride = _one(item.stride)
    if stride == 1:
        return
    if item.repeat > 1:
        where = "the last" if item.stride_last else "each"
        why = (
            f" with repeat {item.repeat} (NeMo strides in {where} sub-block, a design in the first)"
        )
        raise _unsupported(node, "stride", stride, "1, or repeat 1", why)
    if item.residual and residual_mode == "add":
        why = " with residual_mode add (the skip would keep all frames)"
        raise _unsupported(node, "stride", stride, "1, or residual_mode stride_add", why)
    if _one(item.dilation) > 1:
        raise _unsupported(
            node, "stride", stride, "1, or dilation 1", " with dilation, nor by NeMo"
        )


def _one(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else value


def _kernel(item: _Item) -> int:
    return _kernel_size(_one(item.kernel), item.kernel_size_factor)


def _kernel_size(kernel_size: int, factor: float) -> int:
    """`compute_new_kernel_size` of NeMo."""
    scaled = max(int(kernel_size * factor), 1)
    return scaled + (scaled % 2 == 0)


def _read_decoder(tree: _Tree, node: Node | None) -> tuple[str, _Decoder, Node]:
    """(class, arguments, place); without a section, the decoder that scripts of 0.x add."""
    if node is None:
        return "JasperDecoderForCTC", _Decoder(), tree.root
    name, arguments = _class_and_arguments(tree, node, node.key)
    if name not in _DECODERS:
        raise node.error(f"the decoder {name} is not supported: {', '.join(_DECODERS)} are")
    arguments = tree.resolve_all(arguments)
    return name, build(_Decoder, arguments), arguments


def _check_decoder(name: str, decoder: _Decoder, node: Node, channels: int) -> None:
    if decoder.pooling_type != "avg":
        raise _unsupported(node, "pooling_type", decoder.pooling_type, "avg")
    if name == "MultiLayerPerceptron" and decoder.num_layers != 1:
        # NeMo's default is 2.
        raise _unsupported(node, "num_layers", decoder.num_layers or 2, 1)
    for key in ("feat_in", "hidden_size"):
        value = getattr(decoder, key)
        if value is not None and value != channels:
            raise node.value[key].error(
                f"{node.key}.{key} is {value}, but the encoder's last block has {channels} filters"
            )


def _labels(tree: _Tree, scope: Node, decoder: _Decoder) -> tuple[str, ...]:
    if decoder.vocabulary:
        return tuple(str(label) for label in decoder.vocabulary)
    node = tree.get(scope, "labels")
    return () if node is None else tuple(map(str, read_value(tuple[Any, ...], node)))


def _classes(decoder: _Decoder, labels: tuple[str, ...], node: Node) -> int:
    """Outputs without the blank."""
    classes = decoder.num_classes
    if classes is not None and classes > 0:
        if labels and len(labels) != classes:
            raise node.value["num_classes"].error(
                f"{node.key}.num_classes is {classes}, but there are {len(labels)} labels: "
                "correct one, or give the number of outputs with --outputs"
            )
        return classes
    if not labels:
        raise node.error(
            "the number of outputs is not known: the file has neither labels nor num_classes "
            "(a tokenizer makes them); give it with --outputs, blank included"
        )
    return len(labels)


def _in_channels(tree: _Tree, scope: Node, encoder: _Encoder, node: Node) -> int:
    """`feat_in`, or the features of the only preprocessor."""
    if encoder.feat_in is not None:
        return encoder.feat_in
    found = []
    for section, key in (
        ("preprocessor", "features"),
        ("AudioToMelSpectrogramPreprocessor", "features"),
        ("AudioToMFCCPreprocessor", "n_mfcc"),
    ):
        preprocessor = tree.get(scope, section)
        if preprocessor is not None:
            _, arguments = _class_and_arguments(tree, preprocessor, section)
            if (features := tree.get(arguments, key)) is not None:
                found.append(features)
    if len(found) != 1:
        raise node.error(f"missing key '{node.key}.feat_in': features per frame")
    features_per_frame: int = read_value(int, found[0])
    return features_per_frame


def _frames(tree: _Tree, scope: Node) -> int | None:
    section = tree.get(scope, "crop_or_pad_augment")
    if section is None:
        return None
    _, arguments = _class_and_arguments(tree, section, section.key)
    length = tree.get(arguments, "audio_length")
    if length is None:
        return None
    frames: int = read_value(int, length)
    if frames < 1:
        raise length.error(f"{length.key} must be at least 1 frame, not {frames}")
    return frames


def _name(tree: _Tree, path: Path, overrides: Mapping[str, str]) -> str:
    texts = (tree.root.value.get(key) for key in ("name", "model"))
    names = [str(node.value) for node in texts if node is not None and isinstance(node.value, str)]
    changes = [f"{key}={value}" for key, value in overrides.items()]
    whole = " ".join([*(names[:1] or [path.stem]), *changes])
    if len(whole) <= LONGEST_NAME:
        return whole
    return f"{(names[:1] or [path.stem])[0]} with {len(changes)} changed values"
