"""Counts against the published ones and against an independent count of every network and policy.

The figures are facts of the published architectures: MatchboxNet (arXiv 2004.08531, table 1),
QuartzNet (arXiv 1910.10261, table 1), counted with batch norms and head and without running
statistics.
"""

import json
import os
from pathlib import Path

import pytest

from cost_models.workload import LayerKind, WeightSource, Workload
from dse.design.policies import apply_policy
from dse.design.published import PUBLISHED, published
from dse.design.replacement import LEVELS
from dse.networks.lowering import lower

GOLDEN = Path(
    os.environ.get(
        "DSE_GOLDEN_COUNTS", Path(__file__).parents[4] / "shared" / "reference" / "golden"
    )
)
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="set DSE_GOLDEN_COUNTS to the folder of golden counts"
)


def count(name: str, outputs: int) -> Workload:
    frames = {"matchboxnet": 128, "quartznet": 100, "tcresnet": 98}[name.partition("-")[0]]
    return lower(published(name), frames=frames, outputs=outputs)


@pytest.mark.parametrize(
    ("name", "outputs", "trained_parameters", "macs"),
    [
        ("matchboxnet-3x1x64", 30, 77_214, 9_195_264),
        ("matchboxnet-3x1x64", 12, 74_892, 9_192_960),
        ("matchboxnet-3x2x64", 30, 92_766, 11_136_768),
        ("matchboxnet-6x2x64", 30, 138_846, 16_887_552),
        ("matchboxnet-6x2x64", 35, 139_491, 16_888_192),
        ("matchboxnet-3x2x112", 35, 176_931, None),
        ("quartznet-5x5", 29, 6_713_181, 334_249_600),
        ("quartznet-10x5", 29, 12_818_781, 638_300_800),
        ("quartznet-15x5", 29, 18_924_381, 942_352_000),
        ("tcresnet-8", 12, 65_180, 98 * 1_920 + 49 * 9_024 + 25 * 16_896 + 13 * 36_096 + 576),
    ],
)
def test_published_networks_have_the_published_counts(
    name: str, outputs: int, trained_parameters: int, macs: int | None
) -> None:
    workload = count(name, outputs)
    assert workload.trained_parameters == trained_parameters
    assert macs is None or workload.macs == macs


def test_counts_round_to_what_the_papers_print() -> None:
    for name, entry in PUBLISHED.items():
        workload = count(name, entry.outputs)
        ours = workload.trained_parameters
        if entry.with_statistics:  # as many as gains and offsets
            norms = (each for each in workload.layers if each.kind is LayerKind.BATCH_NORM)
            ours += sum(layer.trained_parameters for layer in norms)
        assert abs(ours - entry.parameters) < 600, name


def test_3x1x64_splits_as_derived_by_hand() -> None:
    # dw: 64*11 + 128*13 + 64*15 + 64*17 + 64*29;  pw: 64*128 + 128*64 + 2*64*64 + 64*128
    # skip: 128*64 + 2*64*64;  Conv3: 128*128;  BN: 2*(128 + 2*(64+64+64) + 128 + 128)
    layers = count("matchboxnet-3x1x64", 30).layers

    def trained(ending: str) -> int:
        return sum(layer.trained_parameters for layer in layers if layer.name.endswith(ending))

    assert trained(".dw") == 704 + 1664 + 960 + 1088 + 1856
    assert trained(".pw") == 8192 + 8192 + 4096 + 4096 + 8192 + 128 * 128
    assert trained(".skip") == 8192 + 4096 + 4096
    assert trained(".bn") == 1536
    assert trained("head.linear") == 128 * 30 + 30


@pytest.mark.parametrize(
    ("name", "policy", "trained_parameters", "generated_weights", "macs"),
    [
        ("matchboxnet-3x1x64", "P1", 60_830, 16_384, 7_098_112),
        ("matchboxnet-3x1x64", "P2", 44_446, 24_576, 5_000_960),
        ("matchboxnet-3x1x64", "P3", 28_062, 40_960, 2_903_808),
        ("matchboxnet-3x1x64", "P4", 11_678, 57_344, 806_656),
        ("matchboxnet-6x2x64", "P4", 24_158, 94_208, 2_207_488),
        ("matchboxnet-3x2x256", "P4", 38_750, 450_560, 3_780_352),
    ],
)
def test_policies_leave_the_counts_derived_for_them(
    name: str, policy: str, trained_parameters: int, generated_weights: int, macs: int
) -> None:
    workload = count(f"{name}-{policy}", 30)
    assert workload.trained_parameters == trained_parameters
    assert workload.total(lambda layer: layer.generated_weights) == generated_weights
    assert workload.macs == macs


@needs_golden
def test_every_golden_count_is_met() -> None:
    golden = json.loads((GOLDEN / "golden_counts.json").read_text())
    assert len(golden) == 39
    for key, expected in golden.items():
        name, outputs = key.split("/")
        workload = count(name, int(outputs))
        assert workload.trained_parameters == expected["params"], key
        macs = {value for field, value in expected.items() if field.startswith("macs")}
        assert workload.macs in macs, key


@needs_golden
def test_every_golden_layer_is_met() -> None:
    golden = json.loads((GOLDEN / "golden_layers.json").read_text())
    for name, expected in golden.items():
        layers = [
            layer
            for layer in count(name, 30).layers
            if layer.kind is not LayerKind.LINEAR
            and layer.weights is WeightSource.TRAINED
            and layer.name != "head.linear"
        ]
        assert len(layers) == len(expected), name
        for layer, row in zip(layers, expected, strict=True):
            assert (layer.in_channels, layer.out_channels) == (row["cin"], row["cout"]), row
            assert (layer.kernel_size, layer.dilation) == (row["k"], row["dil"]), row
            assert (layer.out_frames, layer.macs) == (row["T"], row["macs"]), row


@needs_golden
def test_every_golden_policy_is_met() -> None:
    golden = json.loads((GOLDEN / "golden_policies.json").read_text())
    assert len(golden) == 43
    for key, policies in golden.items():
        name, outputs = key.split("/")
        frames = 128 if name.startswith("matchboxnet") else 100
        for policy in LEVELS:
            expected = policies[policy]
            # At density 1 every entry is an addition; one_hot makes other densities exact too.
            for density in (1.0, 0.5, 0.25):
                point = apply_policy(published(name), policy, density=density, generator="one_hot")
                workload = lower(point, frames=frames, outputs=int(outputs))
                generated = [
                    layer for layer in workload.layers if layer.weights is WeightSource.GENERATED
                ]
                assert workload.trained_parameters == expected["trained"], (key, policy)
                assert sum(la.generated_weights for la in generated) == expected["tern_elems"]
                assert sum(la.additions for la in generated) == expected["adds_tern"][f"{density}"]
                assert sum(la.dense_additions for la in generated) == expected["tern_full"]
                assert workload.macs == expected["mac"], (key, policy)
