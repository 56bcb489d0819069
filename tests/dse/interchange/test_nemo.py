"""Files written here, in all four layouts of NeMo; and the published files, where they are at hand.

Expected counts are those of the published architectures, as in test_golden.py.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cost_models.errors import InvalidFile, InvalidInput
from cost_models.strict_yaml import dump_yaml, parse_yaml, read_yaml
from dse.design.families.family import Values
from dse.design.families.quartznet import QUARTZNET
from dse.design.mixer import DENSE, Mixer
from dse.design.point import Block, point_from_node
from dse.design.published import published
from dse.errors import InvalidDesign
from dse.export.onnx import to_onnx
from dse.interchange.nemo import ImportedNetwork, import_nemo
from dse.interchange.nemo_export import nemo_yaml
from dse.networks.lowering import lower
from dse.networks.network import build_network
from dse.pricing.book import DesignBook
from dse.speech.transcription import Transcription
from dse.training.fast.forward import fast_scores
from dse.training.run import check_design
from dse_cli.importing import command

CONFIGS = Path(
    os.environ.get("DSE_NEMO_CONFIGS", Path(__file__).parents[4] / "shared" / "nemo_configs")
)
needs_configs = pytest.mark.skipif(
    not CONFIGS.is_dir(), reason="set DSE_NEMO_CONFIGS to a folder of NeMo's example files"
)

Row = tuple[int, int, int, int, int, bool, bool]  # filters, repeat, kernel, stride, dilation, ...

MATCHBOXNET: list[Row] = [
    (128, 1, 11, 1, 1, False, True),
    (64, 1, 13, 1, 1, True, True),
    (64, 1, 15, 1, 1, True, True),
    (64, 1, 17, 1, 1, True, True),
    (128, 1, 29, 1, 2, False, True),
    (128, 1, 1, 1, 1, False, False),
]


def quartznet(copies: int) -> list[Row]:
    groups = [(256, 33), (256, 39), (512, 51), (512, 63), (512, 75)]
    return [
        (256, 1, 33, 2, 1, False, True),
        *((width, 5, kernel, 1, 1, True, True) for width, kernel in groups for _ in range(copies)),
        (512, 1, 87, 1, 2, False, True),
        (1024, 1, 1, 1, 1, False, False),
    ]


def jasper(rows: Iterable[Row], indent: int) -> str:
    """The list of blocks, as NeMo writes it."""
    pad = " " * indent
    items = []
    for filters, repeat, kernel, stride, dilation, residual, separable in rows:
        items.append(
            f"{pad}- filters: {filters}\n{pad}  repeat: {repeat}\n{pad}  kernel: [{kernel}]\n"
            f"{pad}  stride: [{stride}]\n{pad}  dilation: [{dilation}]\n{pad}  dropout: 0.0\n"
            f"{pad}  residual: {str(residual).lower()}\n"
            + (f"{pad}  separable: true\n" if separable else "")
        )
    return "".join(items)


LETTERS = (
    "[' ', a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, \"'\"]"
)
WORDS = f"[{', '.join(f'word{number}' for number in range(30))}]"

LAYOUT_A0 = f"""\
model: Little
labels: &labels {LETTERS}
AudioToMelSpectrogramPreprocessor:
    header: {{full_spec: nemo.collections.asr.AudioToMelSpectrogramPreprocessor}}
    init_params: {{features: &n_mels 64, window_size: 0.02}}
JasperEncoder:
    header:
        full_spec: nemo.collections.asr.JasperEncoder
    init_params:
        feat_in: *n_mels
        activation: relu
        jasper:
{jasper(quartznet(1), 8)}
JasperDecoderForCTC:
    header:
        full_spec: nemo.collections.asr.JasperDecoderForCTC
    init_params:
        feat_in: 1024
"""

LAYOUT_A = f"""\
model: QuartzNet
dropout: &drop 0.0
AudioToTextDataLayer: {{train: {{shuffle: true}}}}
AudioToMelSpectrogramPreprocessor: {{features: 64, normalize: per_feature}}
JasperEncoder:
    activation: relu
    conv_mask: true
    jasper:
{jasper(quartznet(1), 4)}
labels: {LETTERS}
"""

LAYOUT_A_WORDS = f"""\
model: QuartzNet
AudioToMFCCPreprocessor: {{n_mfcc: 64}}
JasperEncoder:
    activation: relu
    jasper:
{jasper(MATCHBOXNET, 4)}
JasperDecoderForClassification:
    return_logits: true
    pooling_type: avg
labels: {WORDS}
"""

LAYOUT_B = f"""\
name: &name Words
model:
  timesteps: 128
  labels_full: {WORDS}
  labels_subset: [yes, no]
  labels: ${{model.labels_full}}
  train_ds: {{manifest_filepath: "???", labels: "${{model.labels}}"}}
  crop_or_pad_augment:
    cls: nemo.collections.asr.modules.CropOrPadSpectrogramAugmentation
    params: {{audio_length: "${{model.timesteps}}"}}
  encoder:
    cls: nemo.collections.asr.modules.ConvASREncoder
    params:
      feat_in: 64
      activation: relu
      conv_mask: true
      jasper:
{jasper(MATCHBOXNET, 6)}
  decoder:
    cls: nemo.collections.asr.modules.ConvASRDecoderClassification
    params: {{feat_in: 128, return_logits: true, pooling_type: avg}}
"""

LAYOUT_C = f"""\
name: &name Words
model:
  repeat: 1
  dropout: 0.0
  kernel_size_factor: 1.0
  timesteps: &frames 128
  labels_full: {WORDS}
  labels_subset: [yes, no, on, off]
  labels: ${{model.labels_full}}
  train_ds:
    manifest_filepath: ???
    labels: ${{model.labels}}
  preprocessor:
    _target_: nemo.collections.asr.modules.AudioToMFCCPreprocessor
    n_mels: &n_mels 64
    n_mfcc: *n_mels
  crop_or_pad_augment:
    _target_: nemo.collections.asr.modules.CropOrPadSpectrogramAugmentation
    audio_length: *frames
  encoder:
    _target_: nemo.collections.asr.modules.ConvASREncoder
    feat_in: *n_mels
    activation: relu
    conv_mask: true
    jasper:
      - &first {{filters: 128, repeat: 1, kernel: [11], stride: [1], dilation: [1],
          dropout: "${{model.dropout}}", residual: false, separable: true,
          kernel_size_factor: "${{model.kernel_size_factor}}"}}
      - {{filters: 64, repeat: "${{model.repeat}}", kernel: [13], stride: [1], dilation: [1],
          dropout: "${{model.dropout}}", residual: true, separable: true,
          kernel_size_factor: "${{model.kernel_size_factor}}"}}
      - {{filters: 64, repeat: "${{model.repeat}}", kernel: [15], stride: [1], dilation: [1],
          dropout: "${{model.dropout}}", residual: true, separable: true,
          kernel_size_factor: "${{model.kernel_size_factor}}"}}
      - {{filters: 64, repeat: "${{model.repeat}}", kernel: [17], stride: [1], dilation: [1],
          dropout: "${{model.dropout}}", residual: true, separable: true,
          kernel_size_factor: "${{model.kernel_size_factor}}"}}
      - {{filters: 128, repeat: 1, kernel: [29], stride: [1], dilation: [2],
          dropout: "${{model.dropout}}", residual: false, separable: true,
          kernel_size_factor: "${{model.kernel_size_factor}}"}}
      - filters: &enc_final_filters 128
        repeat: 1
        kernel: [1]
        stride: [1]
        dilation: [1]
        dropout: ${{model.dropout}}
        residual: false
  decoder:
    _target_: nemo.collections.asr.modules.ConvASRDecoderClassification
    feat_in: *enc_final_filters
    return_logits: true
    pooling_type: 'avg'
  optim: {{name: novograd, lr: "${{unknown:thing}}"}}
trainer:
  max_epochs: ???
"""


def quartznet_now(copies: int, letters: str = LETTERS, classes: int = 28) -> str:
    """The current layout, for speech recognition."""
    return f"""\
name: QuartzNet
model:
  labels: &labels {letters}
  encoder:
    _target_: nemo.collections.asr.modules.ConvASREncoder
    feat_in: 64
    activation: relu
    jasper:
{jasper(quartznet(copies), 4)}
  decoder:
    _target_: nemo.collections.asr.modules.ConvASRDecoder
    feat_in: 1024
    num_classes: {classes}
    vocabulary: *labels
"""


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    def read(text: str, *, outputs: int | None = None, **changes: str) -> ImportedNetwork:
        path = tmp_path / "net.yaml"
        path.write_text(text, encoding="utf-8")
        overrides = {key.replace("__", "."): value for key, value in changes.items()}
        return import_nemo(path, overrides, outputs=outputs)

    return read


def counts(network: ImportedNetwork, frames: int = 100) -> tuple[int, int]:
    workload = lower(network.point, frames=network.frames or frames, outputs=network.outputs)
    return workload.trained_parameters, workload.macs


# --- what is read


@pytest.mark.parametrize("text", [LAYOUT_A_WORDS, LAYOUT_B, LAYOUT_C], ids=["a", "b", "c"])
def test_matchboxnet_in_every_layout(read, text: str) -> None:  # type: ignore[no-untyped-def]
    network = read(text)
    assert network.point == published("matchboxnet-3x1x64")
    assert network.outputs == 30 and network.labels[:2] == ("word0", "word1")
    assert network.frames == (None if text is LAYOUT_A_WORDS else 128)
    assert counts(network, 128) == (77_214, 9_195_264)


@pytest.mark.parametrize("text", [LAYOUT_A0, LAYOUT_A, quartznet_now(1)], ids=["a0", "a", "c"])
def test_quartznet_in_every_layout(read, text: str) -> None:  # type: ignore[no-untyped-def]
    network = read(text)
    assert network.point == published("quartznet-5x5")
    assert network.outputs == 29 and len(network.labels) == 28 and network.frames is None
    assert counts(network) == (6_713_181, 334_249_600)


@pytest.mark.parametrize(
    ("copies", "trained_parameters", "macs"),
    [
        (1, 6_713_181, 334_249_600),
        (2, 12_818_781, 638_300_800),
        (3, 18_924_381, 942_352_000),
    ],
)
def test_quartznet_has_the_published_counts(  # type: ignore[no-untyped-def]
    read, copies: int, trained_parameters: int, macs: int
) -> None:
    assert counts(read(quartznet_now(copies))) == (trained_parameters, macs)


def test_a_larger_alphabet_has_a_larger_head(read) -> None:  # type: ignore[no-untyped-def]
    # 33 characters and the blank: 5 outputs more, each of 1024 weights and a bias.
    letters = f"[{', '.join(f'c{number}' for number in range(33))}]"
    assert counts(read(quartznet_now(3, letters, 33)))[0] == 18_924_381 + 5 * 1025 == 18_929_506


@pytest.mark.parametrize(
    ("changes", "trained_parameters", "macs"),
    [
        ({"model__repeat": "2"}, 92_766, 11_136_768),
        # 35 instead of 30 words, 128 weights and a bias each.
        ({"model__labels": str([f"w{n}" for n in range(35)])}, 77_859, 9_195_904),
        # Marblenet-3x2x64: two words.
        ({"model__repeat": "2", "model__labels": "[background, speech]"}, 89_154, None),
        # Its 20 ms variant: 80 features; 16 more in Conv1, of 11 taps and 128 outputs each.
        (
            {
                "model__repeat": "2",
                "model__labels": "[background, speech]",
                "model__encoder__feat_in": "80",
            },
            91_378,
            None,
        ),
    ],
)
def test_values_can_be_changed(  # type: ignore[no-untyped-def]
    read, changes: dict[str, str], trained_parameters: int, macs: int | None
) -> None:
    network = read(LAYOUT_C, **changes)
    assert counts(network)[0] == trained_parameters
    assert macs is None or counts(network)[1] == macs
    assert network.point.label.startswith("Words model.repeat=2") == ("model__repeat" in changes)


def test_labels_stay_words(read) -> None:  # type: ignore[no-untyped-def]
    network = read(LAYOUT_C, model__labels="${model.labels_subset}")
    assert network.labels == ("yes", "no", "on", "off") and network.outputs == 4


@pytest.mark.parametrize(
    ("factor", "kernels"),
    [
        # int(11 * 0.5) = 5, int(13 * 0.5) = 6 -> 7, 7, 8 -> 9, 14 -> 15.
        ("0.5", [5, 7, 7, 9, 15, 1]),
        # 11 * 0.05 = 0.55: at least 1.
        ("0.05", [1, 1, 1, 1, 1, 1]),
        ("1", [11, 13, 15, 17, 29, 1]),
    ],
)
def test_kernels_are_scaled_as_nemo_does(  # type: ignore[no-untyped-def]
    read, factor: str, kernels: list[int]
) -> None:
    network = read(LAYOUT_C, model__kernel_size_factor=factor)
    assert [block.kernel_size for block in network.point.blocks] == kernels


def test_a_linear_layer_at_every_frame_is_a_framewise_head(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_C.replace("modules.ConvASRDecoderClassification", "parts.MultiLayerPerceptron")
    text = text.replace("    feat_in: *enc", "    num_layers: 1\n    hidden_size: *enc")
    text = text.replace(
        "    return_logits: true\n    pooling_type: 'avg'", "    log_softmax: false"
    )
    network = read(text)
    assert (network.point.head, network.outputs) == ("framewise", 30)
    assert network.point.blocks[0].name == "C1"
    with pytest.raises(InvalidFile, match="num_layers 2 is not supported; supported is num_layers"):
        read(text, model__decoder__num_layers="2")


def test_outputs_can_be_given(read) -> None:  # type: ignore[no-untyped-def]
    network = read(quartznet_now(1), outputs=40)
    assert network.outputs == 40 and network.labels == ()
    text = quartznet_now(1, "[]", -1)
    with pytest.raises(InvalidFile, match="the number of outputs is not known: the file has neit"):
        read(text)
    assert read(text, outputs=1025).outputs == 1025


@pytest.mark.parametrize(("groups", "count"), [(2, 12_108_637), (4, 8_700_765)])
def test_groups_are_those_of_the_1x1_with_a_shuffle(  # type: ignore[no-untyped-def]
    read, groups: int, count: int
) -> None:
    # Only the blocks' items say so: C1, C2 and skips are in one group.
    text = quartznet_now(3).replace("residual: true\n", f"residual: true\n      groups: {groups}\n")
    network = read(text)
    assert counts(network)[0] == count
    values: Values = {"block_repeats": 3, "block_mixer": "grouped", "mixer_groups": groups}
    assert network.point == QUARTZNET.build(values)
    # And what is written is read again.
    assert read(nemo_yaml(network.point, outputs=29)).point == network.point


def test_groups_of_the_last_1x1_are_groups_of_its_matrix(read) -> None:  # type: ignore[no-untyped-def]
    network = read(LAYOUT_C, model__encoder__jasper__5__groups="4")
    assert network.point.blocks[5].mixer == Mixer(kind="grouped", groups=4)
    assert counts(network)[0] == 77_214 - 128 * 128 * 3 // 4


def _dense_residuals() -> str:
    rows: list[Row] = [
        (4, 1, 3, 2, 1, False, False),
        (6, 2, 3, 1, 1, True, False),
        (6, 1, 5, 1, 1, True, False),
        (5, 1, 7, 1, 1, True, False),
        (9, 1, 1, 1, 1, False, False),
    ]
    text = jasper(rows, 6)
    return text.replace("residual: true\n", "residual: true\n        residual_dense: true\n")


DENSE_RESIDUALS = f"""\
model:
  encoder:
    _target_: nemo.collections.asr.modules.ConvASREncoder
    feat_in: 8
    activation: relu
    jasper:
{_dense_residuals()}
  decoder:
    _target_: nemo.collections.asr.modules.ConvASRDecoder
    feat_in: 9
    num_classes: 2
"""
"""As in Jasper 10x5dr: a block adds what all blocks before it in the row have read."""


def test_dense_residuals_are_skips_from_all_blocks_of_the_row(read) -> None:  # type: ignore[no-untyped-def]
    network = read(DENSE_RESIDUALS)
    skips = [(block.name, block.skips_from) for block in network.point.blocks if block.skip]
    assert skips == [("B1", ()), ("B2", ("B1",)), ("B3", ("B1", "B2"))]
    # Kernels x inputs x outputs, and two numbers a channel for each batch norm; B1 reads 4
    # channels, B2 and B3 six; B2 has one skip more, B3 two.
    convolutions = 3 * 8 * 4 + 3 * (4 + 6) * 6 + 5 * 6 * 6 + 7 * 6 * 5 + 5 * 9
    skips_of = 4 * 6 + (6 + 4) * 6 + (6 + 4 + 6) * 5
    norms = 4 + 2 * 6 + 6 + 5 + 9 + (6 + 2 * 6 + 3 * 5)
    assert counts(network)[0] == convolutions + skips_of + 2 * norms + (9 + 1) * 3
    assert counts(network, 100)[1] == 50 * (convolutions + skips_of + 9 * 3)
    assert read(nemo_yaml(network.point, outputs=3)).point == network.point
    text = dump_yaml(network.point.to_dict())
    assert point_from_node(parse_yaml(text, "design.yaml")) == network.point
    with pytest.raises(InvalidDesign, match="B2 has skips from blocks before it"):
        DesignBook(frames=100, outputs=3).cut([network.point])
    with pytest.raises(InvalidDesign, match="has skips from blocks before it"):
        check_design(network.point, 8, Transcription())
    built = build_network(network.point, 3)
    refused = "skips from the input of B1 .dense residuals. are priced, and neither trained nor"
    with pytest.raises(InvalidDesign, match=refused):
        fast_scores(built, torch.zeros(1, 8, 10))
    with pytest.raises(InvalidDesign, match=refused):
        to_onnx(built, in_channels=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"2__residual_dense": "false"}, "residual_dense false is not supported behind B1, which"),
        ({"3__residual": "false"}, "residual_dense true is not supported without residual"),
        (
            {"2__residual": "false", "2__residual_dense": "false"},
            "residual_dense true is not supported after C2, which has none",
        ),
    ],
)
def test_dense_residuals_that_nemo_would_not_add_are_refused(  # type: ignore[no-untyped-def]
    read, changes: dict[str, str], message: str
) -> None:
    begun = "model__encoder__jasper__"
    with pytest.raises(InvalidFile) as caught:
        read(DENSE_RESIDUALS, **{begun + key: value for key, value in changes.items()})
    assert message in str(caught.value)


def test_a_strided_skip_is_that_of_a_design(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_C.replace(
        'repeat: "${model.repeat}", kernel: [13], stride: [1]',
        ("repeat: 1, residual_mode: stride_add, kernel: [13], stride: [2]"),
    )
    assert read(text).point.blocks[1] == Block(
        name="B1", out_channels=64, kernel_size=13, stride=2, skip=DENSE
    )


def test_blocks_are_named_by_their_skips(read) -> None:  # type: ignore[no-untyped-def]
    rows = [MATCHBOXNET[index] for index in (1, 0, 2, 5)]
    text = LAYOUT_A_WORDS.replace(jasper(MATCHBOXNET, 4), jasper(rows, 4))
    assert [block.name for block in read(text).point.blocks] == ["B1", "Conv1", "B2", "Conv2"]


# --- what is refused

FIRST = "model__encoder__jasper__0__"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {FIRST + "se": "true"},
            "model.encoder.jasper[0]: se true is not supported (squeeze and excitation); supported "
            "is se false",
        ),
        (
            {FIRST + "groups": "2", FIRST + "separable": "false"},
            "model.encoder.jasper[0]: groups 2 is not supported of a convolution over 11 frames "
            "(NeMo shuffles channels behind it); supported is groups 1",
        ),
        (
            {FIRST + "groups": "48"},
            "model.encoder.jasper[0]: Conv1.0.pw: groups of a grouped mixer must divide 64 input "
            "and 128 output channels, and 48 does not: use 1, 2, 4, 8, 16, 32 or 64",
        ),
        (
            {FIRST + "groups": "0"},
            "model.encoder.jasper.0.groups must be at least 1, not 0",
        ),
        (
            {FIRST + "heads": "4"},
            "model.encoder.jasper[0]: heads 4 is not supported (shared depthwise kernels); "
            "supported is heads -1",
        ),
        (
            {FIRST + "future_context": "3"},
            "model.encoder.jasper[0]: future_context 3 is not supported (one-sided padding); "
            "supported is future_context -1",
        ),
        (
            {FIRST + "residual": "true", FIRST + "residual_mode": "max"},
            "model.encoder.jasper[0]: residual_mode max is not supported; supported is "
            "residual_mode add",
        ),
        (
            {FIRST + "residual": "true", FIRST + "stride": "[2]"},
            "model.encoder.jasper[0]: stride 2 is not supported with residual_mode add (the skip "
            "would keep all frames); supported is stride 1, or residual_mode stride_add",
        ),
        (
            {FIRST + "repeat": "3", FIRST + "stride": "2"},
            "model.encoder.jasper[0]: stride 2 is not supported with repeat 3 (NeMo strides in "
            "each sub-block, a design in the first); supported is stride 1, or repeat 1",
        ),
        (
            {FIRST + "repeat": "3", FIRST + "stride": "2", FIRST + "stride_last": "true"},
            "model.encoder.jasper[0]: stride 2 is not supported with repeat 3 (NeMo strides in "
            "the last sub-block, a design in the first); supported is stride 1, or repeat 1",
        ),
        (
            {FIRST + "stride": "2", FIRST + "dilation": "2"},
            "model.encoder.jasper[0]: stride 2 is not supported with dilation, nor by NeMo; "
            "supported is stride 1, or dilation 1",
        ),
        (
            {FIRST + "kernel": "[3, 5]"},
            "model.encoder.jasper[0]: kernel [3, 5] is not supported; supported is kernel a list "
            "of one number",
        ),
        (
            {"model__encoder__activation": "swish"},
            "model.encoder: activation swish is not supported; supported is activation relu",
        ),
        (
            {"model__encoder__normalization_mode": "instance"},
            "model.encoder: normalization_mode instance is not supported; supported is "
            "normalization_mode batch",
        ),
        (
            {"model__decoder__pooling_type": "max"},
            "model.decoder: pooling_type max is not supported; supported is pooling_type avg",
        ),
        (
            {"model__decoder___target_": "a.b.LSTMDecoder"},
            "the decoder LSTMDecoder is not supported: ConvASRDecoderClassification, "
            "JasperDecoderForClassification, ConvASRDecoder, JasperDecoderForCTC, "
            "MultiLayerPerceptron are",
        ),
        (
            {"model__encoder___target_": "a.b.ConformerEncoder"},
            "the encoder ConformerEncoder is not supported: ConvASREncoder and JasperEncoder are",
        ),
        (
            {"model__decoder__feat_in": "64"},
            "model.decoder.feat_in is 64, but the encoder's last block has 128 filters",
        ),
        (
            {"model__decoder__num_classes": "12"},
            "model.decoder.num_classes is 12, but there are 30 labels: correct one, or give the "
            "number of outputs with --outputs",
        ),
        (
            {"model__encoder__jasper": "[]"},
            "'model.encoder.jasper' must list at least one block",
        ),
        (
            {FIRST + "filters": "0"},
            "model.encoder.jasper[0]: out_channels must be from 1 to 16,384, not 0",
        ),
        ({"model__repeat": "two"}, "model.repeat must be a whole number, not 'two'"),
        (
            {"model__repeat": "???"},
            "'model.repeat' is left open (???): give it with --set model.repeat=VALUE",
        ),
        (
            {"model__repeat": "${model.repeats}"},
            "'model.repeat' refers to 'model.repeats', which does not exist",
        ),
        (
            {"model__repeat": "${model.repeat}"},
            "references to 'model.repeat' go round in a circle",
        ),
        (
            {"model__repeat": "${oc.env:R}"},
            "'model.repeat' cannot be read: of '${oc.env:R}' only plain references such as "
            "${model.repeat} are followed; give a value with --set model.repeat=VALUE",
        ),
        (
            {"model__optim__lr": "1"},
            "--set model.optim.lr changes nothing: no part of the network refers to this key; a "
            "YAML alias (*name) is a copy, so set the key that holds it, such as "
            "JasperEncoder.jasper[1].repeat",
        ),
        ({"model__repeat": " "}, "--set model.repeat has no value: write model.repeat=VALUE, or"),
        (
            {"modell__repeat": "1"},
            "--set modell.repeat: there is no 'modell' in the file (",
        ),
    ],
)
def test_what_a_design_cannot_say_is_refused(  # type: ignore[no-untyped-def]
    read, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(LAYOUT_C, **changes)
    assert str(caught.value).startswith(message)


def refusal(read, text: str) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidFile) as caught:
        read(text)
    return str(caught.value)


def test_a_key_that_is_not_known_is_never_ignored(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_A.replace("stride: [2]", "stride: [2]\n      strides: [2]", 1)
    line = 1 + text[: text.index("strides:")].count("\n")
    message = refusal(read, text)
    assert message.startswith(
        "unknown key 'JasperEncoder.jasper[0].strides': did you mean 'stride'? known keys here are"
    )
    assert message.endswith(f"net.yaml:{line})")
    text = LAYOUT_C.replace("    conv_mask: true", "    causal: true")
    assert "unknown key 'model.encoder.causal'" in refusal(read, text)


def test_errors_name_the_line_in_the_file(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_A.replace("stride: [2]", "stride: [2]\n      se: true", 1)
    line = 1 + text[: text.index("se: true")].count("\n")
    assert refusal(read, text).endswith(f"net.yaml:{line})")


def test_a_missing_key_of_a_block(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_A.replace("      stride: [2]\n", "", 1)
    assert "missing key 'JasperEncoder.jasper[0].stride'" in refusal(read, text)


def test_a_single_dense_residual_is_an_ordinary_skip(read) -> None:  # type: ignore[no-untyped-def]
    # Of the last block with a skip; behind one before it NeMo would add the wrong input.
    begun, found, rest = LAYOUT_A_WORDS.rpartition("residual: true")
    once = f"{begun}{found}\n      residual_dense: true{rest}"
    assert read(once).point == published("matchboxnet-3x1x64")
    first = LAYOUT_A_WORDS.replace(
        "residual: true", "residual: true\n      residual_dense: true", 1
    )
    assert refusal(read, first).startswith(
        "JasperEncoder.jasper[2]: residual_dense false is not supported behind B1, which has it "
        "(NeMo adds the input of B1 then); supported is residual_dense true"
    )


def test_a_file_without_an_encoder(read) -> None:  # type: ignore[no-untyped-def]
    assert refusal(read, "a: 1\n").startswith(
        "no encoder found: a NeMo file has 'model.encoder', or 'JasperEncoder' before 1.0"
    )
    assert refusal(read, "model: {encoder: 3}\n").startswith(
        "'model.encoder' must be a mapping of keys"
    )
    assert refusal(read, "[1]\n").startswith("no encoder found")


def test_features_must_be_known(read) -> None:  # type: ignore[no-untyped-def]
    text = LAYOUT_A.replace("{features: 64, normalize: per_feature}", "{normalize: per_feature}")
    assert refusal(read, text).startswith("missing key 'JasperEncoder.feat_in': features per frame")


def test_references_that_multiply_are_refused(read) -> None:  # type: ignore[no-untyped-def]
    bomb = "".join(f"b{n}: ['${{b{n + 1}}}', '${{b{n + 1}}}']\n" for n in range(30)) + "b30: 1\n"
    text = bomb + LAYOUT_A.replace("stride: [2]", "stride: ${b0}", 1)
    assert "is too large once its references are followed" in refusal(read, text)
    text = LAYOUT_A.replace("stride: [2]", "stride: ${JasperEncoder}", 1)
    assert "is too large once its references are followed" in refusal(read, text)


# --- the command


def test_the_command_prints_counts_and_writes_the_design(tmp_path: Path) -> None:
    source, design = tmp_path / "words.yaml", tmp_path / "out" / "design.yaml"
    source.write_text(LAYOUT_C)
    result = CliRunner().invoke(
        command, ["nemo", str(source), "--set", "model.repeat=2", "--out", str(design)]
    )
    assert result.exit_code == 0, result.output
    for text in ("92,766 trained parameters", "11,136,768 MACs for 128 frames", "30 outputs"):
        assert text in result.output
    assert f"design written to {design}" in result.output
    point = point_from_node(read_yaml(design))
    assert point == published("matchboxnet-3x2x64")
    assert point.name == "Words model.repeat=2"


def test_the_command_takes_frames_and_outputs(tmp_path: Path) -> None:
    source = tmp_path / "words.yaml"
    source.write_text(LAYOUT_C)
    result = CliRunner().invoke(command, ["nemo", str(source), "--frames", "1", "--outputs", "12"])
    assert "74,892 trained parameters" in result.output
    # Every 1x1 and every tap once: all weights but batch norms (1,536) and 12 biases.
    assert f"{74_892 - 1_536 - 12:,} MACs for 1 frames, 12 outputs" in result.output
    assert "design not written: add --out design.yaml" in result.output


def test_a_change_must_be_key_and_value(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["nemo", "x.yaml", "--set", "model.repeat"])
    assert result.exit_code == 2
    assert "'model.repeat' must be KEY=VALUE" in result.output


# --- NeMo's own files


@needs_configs
@pytest.mark.parametrize(
    ("name", "trained_parameters", "macs"),
    [
        ("matchboxnet_3x1x64_v1.yaml", 77_214, 9_195_264),
        ("matchboxnet_3x1x64_v2.yaml", 77_859, 9_195_904),
        ("marblenet_3x2x64.yaml", 89_154, None),
        ("quartznet_15x5.yaml", 18_924_381, 942_352_000),
        # Dense residuals: 333 M in Jasper's paper (arXiv 1904.03288).
        ("jasper_10x5dr.yaml", 332_632_349, None),
        ("quartznet_15x5_aug.yaml", 18_924_381, 942_352_000),
        ("quartznet_15x5_ru.yaml", 18_929_506, None),
        ("legacy/matchboxnet_3x1x64_v1.nemo-v1.0.0b1.yaml", 77_214, 9_195_264),
        ("legacy/quartznet5x5.yaml", 6_713_181, 334_249_600),
        ("legacy/quartznet10x5.yaml", 12_818_781, 638_300_800),
        ("legacy/quartznet15x5.yaml", 18_924_381, 942_352_000),
        ("legacy/quartznet_an4.yaml", 860_509, None),
        ("legacy/quartznet_speech_commands_3x1_v1.yaml", 77_214, None),
        ("legacy/quartznet_speech_commands_3x1_v2.yaml", 77_859, None),
    ],
)
def test_nemos_files_have_the_published_counts(
    name: str, trained_parameters: int, macs: int | None
) -> None:
    if not (CONFIGS / name).is_file():
        pytest.skip(f"{name} is not in the folder of NeMo's files")
    parameters, ours = counts(import_nemo(CONFIGS / name))
    assert parameters == trained_parameters
    assert macs is None or ours == macs


@needs_configs
def test_every_other_file_of_nemo_is_read_or_refused_in_one_sentence() -> None:
    for path in sorted(CONFIGS.rglob("*.yaml")):
        try:
            network = import_nemo(path)
        except InvalidInput as error:
            assert "\n" not in str(error) and f"({path}:" in str(error)
        else:
            assert counts(network)[0] > 0
