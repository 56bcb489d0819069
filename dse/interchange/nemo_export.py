"""NeMo configuration files: write the network of a design, as `dse.interchange.nemo` reads it.

Only what both can say is written; a design with a mixer that NeMo does not have, such as a ternary
one, is refused. Preprocessor, encoder and decoder are in the file; data, optimiser and trainer are
the user's.
"""

from typing import Any

from cost_models.strict_yaml import dump_yaml
from dse.design.mixer import DENSE
from dse.design.places import check_one_dimension
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidDesign


def nemo_yaml(point: DesignPoint, *, outputs: int, labels: tuple[str, ...] = ()) -> str:
    """The design as a file of NeMo 1.x and later.

    Args:
        point: the design; names of its blocks are not in the file.
        outputs: of the head, blank included.
        labels: names of the classes, without the blank; numbers where they are left out.

    Raises:
        InvalidDesign: a block is one that NeMo's encoder does not have, or there are more or fewer
            labels than classes.
    """
    check_one_dimension(point, "NeMo's encoder")
    for block in point.blocks:
        _check(block)
    chain = _chain(point)
    # A framewise head is trained with CTC: NeMo adds the blank to the classes by itself.
    classes = outputs - (point.head == "framewise")
    if classes < 1:
        raise InvalidDesign("a framewise head needs 2 outputs, a class and the blank")
    if labels and len(labels) != classes:
        raise InvalidDesign(
            f"{len(labels)} labels were given for {classes} classes: name each class once, the "
            "blank not at all"
        )
    names = list(labels) or [str(number) for number in range(classes)]
    last = point.blocks[-1].out_channels
    decoder: dict[str, Any] = {"feat_in": last, "num_classes": classes}
    if point.head == "pooled":
        kind = "ConvASRDecoderClassification"
        decoder |= {"return_logits": True, "pooling_type": "avg"}
    else:
        kind = "ConvASRDecoder"
        decoder |= {"vocabulary": list(names)}
    collection = "nemo.collections.asr.modules"
    return dump_yaml(
        {
            "name": point.label,
            "model": {
                "labels": names,
                "preprocessor": {
                    "_target_": f"{collection}.AudioToMFCCPreprocessor",
                    "features": point.in_channels,
                    "n_mfcc": point.in_channels,
                }
                if point.head == "pooled"
                else {
                    "_target_": f"{collection}.AudioToMelSpectrogramPreprocessor",
                    "features": point.in_channels,
                },
                "encoder": {
                    "_target_": f"{collection}.ConvASREncoder",
                    "feat_in": point.in_channels,
                    "activation": "relu",
                    "conv_mask": True,
                    # "add" would leave the skip at all frames where the block has a stride;
                    # without a stride the two are the same.
                    "residual_mode": "stride_add",
                    "jasper": [
                        _item(block) | ({"residual_dense": True} if block.name in chain else {})
                        for block in point.blocks
                    ],
                },
                "decoder": {"_target_": f"{collection}.{kind}", **decoder},
            },
        }
    )


def _chain(point: DesignPoint) -> list[str]:
    """Blocks with dense residuals; of the first one that is its own skip.

    Raises:
        InvalidDesign: they are not all inputs of one row of blocks, as NeMo adds them.
    """
    first = next((block.skips_from[0] for block in point.blocks if block.skips_from), "")
    names = [block.name for block in point.blocks]
    chain: list[str] = []
    for block in point.blocks[names.index(first) :] if first else ():
        if block.skips_from != tuple(chain) or block.skip is None:
            break
        chain.append(block.name)
    for block in point.blocks:
        if block.skips_from and block.name not in chain:
            raise InvalidDesign(
                f"block {block.name} has skips from {', '.join(block.skips_from)}, and NeMo adds "
                f"those of all blocks in a row ({', '.join(chain)}): name all of them, or none"
            )
    return chain


def _item(block: Block) -> dict[str, Any]:
    return {
        "filters": block.out_channels,
        "repeat": block.repeats,
        "kernel": [block.kernel_size],
        "stride": [block.stride],
        "dilation": [block.dilation],
        "dropout": block.dropout,
        "residual": block.skip is not None,
        "separable": block.separable,
    } | ({} if block.mixer.groups is None else {"groups": block.mixer.groups})


def _check(block: Block) -> None:
    """Raise `InvalidDesign` for what NeMo's encoder cannot say."""
    if block.mixer.kind not in ("dense", "grouped"):
        what, remedy = f"a {block.mixer.kind} 1x1", "use a dense one"
    elif block.skip is not None and block.skip != DENSE:
        what, remedy = f"a skip that is {block.skip.kind}", "use a dense one, or none"
    elif block.skip is not None and not block.skip_norm:
        what, remedy = "a skip without batch norm", "set skip_norm to true"
    elif min(block.weight_bits, block.activation_bits) < 8:
        what, remedy = f"weights of {block.weight_bits} bits", "use 8 bits"
    elif block.groups != 1:
        what, remedy = f"{block.groups} groups", "use 1"
    elif block.stride > 1 and block.repeats > 1:
        what, remedy = "a stride with several repeats", "stride in a block of one"
    elif block.stride > 1 and block.dilation > 1:
        what, remedy = "stride with dilation", "use one of them"
    else:
        return
    raise InvalidDesign(f"block {block.name} has {what}, which NeMo does not have: {remedy}")
