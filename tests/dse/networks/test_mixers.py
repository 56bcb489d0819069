"""Every kind of mixing layer: counts by hand, both views, the faster path, whole numbers."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.equal_budget import PAGE, lines, read_rows, with_table
from benchmarks.mixers import WIDTHS, tables
from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import dump_yaml, parse_yaml
from cost_models.workload import Layer, LayerKind
from dse.design.families.matchboxnet import matchboxnet
from dse.design.mixer import KINDS, NEEDS, Mixer, MixerKind
from dse.design.places import Place, check_kinds, places
from dse.design.point import Block, DesignPoint, point_from_node
from dse.design.policies import is_dense, is_ternary, make_dense
from dse.design.published import published
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile, InvalidInput
from dse.export.c_code import build_and_check, c_files, compiler
from dse.export.onnx import export_onnx
from dse.files import write_together
from dse.networks.lowering import lower
from dse.networks.made_matrices import BlockCirculant, LearnedTernary
from dse.networks.mixed_convolution import Factors, MixedConv1d
from dse.networks.mixers import MIXERS
from dse.networks.network import build_network
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.ternary.generators import Generator
from dse.training.fast import fast_scores
from dse.training.integer import quantise_network
from dse.training.integer_scores import scores_of_clips
from dse.training.source import Source, untrained

SIZES = {
    "density": 0.25,
    "generator": Generator(),
    "trained_share": 0.25,
    "groups": 4,
    "rank": 3,
    "blocks": 4,
    "block_size": 8,
    "code_length": 4,
    "code_bits": 3,
}
RIVALS = tuple(kind for kind in KINDS if kind != "identity")
FRAMES = 12


def mixer(kind: MixerKind) -> Mixer:
    return Mixer(kind=kind, **{field: SIZES[field] for field in NEEDS[kind]})


def place(kind: MixerKind, inputs: int, outputs: int, stride: int = 1) -> Place:
    return Place(
        name="B1.0.pw",
        in_channels=inputs,
        out_channels=outputs,
        mixer=mixer(kind),
        ternary_seed=3,
        stride=stride,
    )


def lowered(at: Place) -> tuple[Layer, ...]:
    frames = -(-FRAMES // at.stride)
    return MIXERS[at.mixer.kind].lower(at, FRAMES, frames, "before")


# (inputs n, outputs m, stride) -> trained, MACs a frame that is made, stored bits of the matrices.
# A generator's start state of 127 bits and its threshold of 8 are three records of 48.
BY_HAND: dict[str, Callable[[int, int], tuple[int, int, int]]] = {
    "dense": lambda n, m: (m * n, m * n, 8 * m * n),
    "ternary": lambda n, m: (0, 0, 144),
    "scaled_ternary": lambda n, m: (m, 0, 144),
    "partly_ternary": lambda n, m: (m // 4 * n, m // 4 * n, 8 * (m // 4) * n + 144),
    "frozen_dense": lambda n, m: (0, m * n, 8 * m * n),
    "grouped": lambda n, m: (m * n // 4, m * n // 4, 2 * m * n),
    "low_rank": lambda n, m: (3 * (m + n), 3 * (m + n), 24 * (m + n)),
    "monarch": lambda n, m: ((m + n) * min(m, n) // 4,) * 2 + ((m + n) * min(m, n) * 2,),
    "block_circulant": lambda n, m: (m * n // 8, m * n, m * n),
    "trained_ternary": lambda n, m: (m * n, 0, 2 * m * n),
    "ttq": lambda n, m: (m * n + 2, m * n, 2 * m * n + 16),
    "bitnet": lambda n, m: (m * n, 0, 2 * m * n),
    # Residual, table of 8 entries of 4, two thin matrices; 3 bits for 4 weights.
    "codebook": lambda n, m: (
        m * n + 32 + 3 * (m + n),
        m * n + 3 * (m + n),
        m * n // 4 * 3 + 32 * 8 + 24 * (m + n),
    ),
}


@pytest.mark.parametrize("shape", [(16, 16, 1), (8, 32, 2), (32, 8, 1)])
@pytest.mark.parametrize("kind", RIVALS)
def test_counts_by_hand_and_in_torch(kind: MixerKind, shape: tuple[int, int, int]) -> None:
    inputs, outputs, stride = shape
    at = place(kind, inputs, outputs, stride)
    layers = lowered(at)
    frames = -(-FRAMES // stride)
    trained = sum(layer.trained_parameters for layer in layers)
    macs = sum(layer.macs for layer in layers)
    if kind == "butterfly":
        # Doubling from n: 2n + 4n + ..., then log2 n factors of 2 m; mirrored where it halves.
        low, high = sorted((inputs, outputs))
        steps = sum(2 * low << step for step in range(int(math.log2(high // low))))
        entries = steps + 2 * high * int(math.log2(low))
        expected = entries, entries, 8 * entries
    else:
        expected = BY_HAND[kind](inputs, outputs)
    bits = sum(layer.stored_matrix_bits + layer.start_bits for layer in layers)
    assert (trained, macs // frames, bits) == expected
    assert layers[-1].out_frames == frames

    module = MIXERS[kind].build(at)
    assert sum(each.numel() for each in module.parameters()) == trained
    clip = torch.randn(2, inputs, FRAMES)
    assert module(clip).shape == (2, outputs, frames)
    # What torch multiplies: a made matrix is whole there, and so are trits; factors are as priced.
    with FlopCounterMode(display=False) as counter:
        module.eval()(clip[:1])
    multiplied = counter.get_total_flops() // 2
    if isinstance(module, Factors):
        assert multiplied == macs
    else:
        made = SIZES["rank"] * inputs * outputs if kind == "codebook" else 0  # U V itself
        assert multiplied == inputs * outputs * frames + made


@pytest.mark.parametrize("kind", ["monarch", "butterfly"])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (16, 64), (64, 16)])
def test_every_output_of_a_product_hears_every_input(
    kind: MixerKind, inputs: int, outputs: int
) -> None:
    module = MIXERS[kind].build(place(kind, inputs, outputs))
    assert isinstance(module, Factors)
    module.reset()
    whole = module.product().matrix()
    assert whole.shape == (outputs, inputs) and bool((whole != 0).all())
    clip = torch.randn(2, inputs, FRAMES)
    torch.testing.assert_close(module(clip), whole @ clip)


def test_a_shuffle_lets_two_grouped_layers_hear_all() -> None:
    module = MIXERS["grouped"].build(place("grouped", 16, 16))
    assert isinstance(module, Factors)
    one = module.product().matrix()
    assert int((one != 0).sum()) == 16 * 16 // 4
    assert bool(((one @ one) != 0).all())


def test_rows_of_a_circulant_block_are_one_row_turned() -> None:
    module = BlockCirculant(6, 3, 3)
    matrix = module.matrix().detach().numpy()
    for column in (0, 3):
        block = matrix[:, column : column + 3]
        for row in range(3):
            np.testing.assert_array_equal(block[row], np.roll(block[0], row))


def test_learned_scales_get_the_gradient_of_their_entries() -> None:
    module = LearnedTernary(2, 2, 0.05)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -0.5], [0.01, 0.2]]))
        module.scales.copy_(torch.tensor([0.6, 0.3]))
    matrix = module.matrix()
    assert matrix.tolist() == torch.tensor([[0.6, -0.3], [0.0, 0.6]]).tolist()
    (matrix * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()  # type: ignore[no-untyped-call]
    # p: entries (0, 0) and (1, 1); q, which is taken off: (0, 1). Latent: the gradient times the
    # entry's scale, and as it is where the entry is zero.
    assert module.scales.grad is not None and module.weight.grad is not None
    torch.testing.assert_close(module.scales.grad, torch.tensor([5.0, -2.0]))
    expected = torch.tensor([[0.6, 0.6], [3.0, 2.4]])
    torch.testing.assert_close(module.weight.grad, expected)


def network_point(kind: MixerKind) -> DesignPoint:
    """A small network of one kind at every place, skips included, by the axes of the family."""
    axes = {
        "rank": ("rank", 3),
        "mixer_groups": ("groups", 4),
        "monarch_blocks": ("blocks", 4),
        "circulant_size": ("block_size", 8),
        "code_bits": ("code_bits", 3),
        "code_length": ("code_length", 4),
    }
    kept = {axis: size for axis, (field, size) in axes.items() if field in NEEDS[kind]}
    return matchboxnet(
        {
            "blocks": 1,
            "channels": 16,
            "kernel": 3,
            "prologue_channels": 32,
            "prologue_kernel": 3,
            "epilogue_channels": 32,
            "epilogue_kernel": 3,
            "final_channels": 32,
            "prologue_stride": 2,
            "block_mixer": kind,
            "skip": kind,
            "prologue_mixer": kind,
            "epilogue_mixer": kind,
            "final_mixer": kind,
            **kept,
        },
        in_channels=16,
    )


@pytest.mark.parametrize("kind", RIVALS)
def test_a_network_of_one_kind_everywhere(kind: MixerKind, tmp_path: Path) -> None:
    point = network_point(kind)
    assert {at.mixer.kind for at in places(point).values()} == {kind}
    # The file says all of it, and the two views agree.
    text = dump_yaml(point.to_dict())
    assert point_from_node(parse_yaml(text, "design.yaml")) == point
    workload = lower(point, frames=FRAMES, outputs=3)
    torch.manual_seed(1)
    network = build_network(point, 3)
    assert sum(each.numel() for each in network.parameters()) == workload.trained_parameters
    assert is_dense(point) == (kind == "dense")
    assert is_ternary(point) == ("generator" in NEEDS[kind])
    assert is_dense(make_dense(point))

    # The faster path gives the same scores and gradients.
    clips = torch.randn(6, 16, FRAMES)
    ways = []
    for scores_by in (network, lambda values: fast_scores(network, values)):
        network.zero_grad()
        scores = scores_by(clips)
        scores.square().sum().backward()
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        ways.append([scores.detach(), *(each.clone() for each in gradients)])
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)

    # It learns a few random clips by heart.
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(clips), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.3

    # In whole numbers it says nearly the same, with trits where a row has one magnitude.
    network.eval()
    source = Source(network=network, point=point, outputs=3, checkpoint=None)
    whole = quantise_network(source, clips)
    scores = scores_of_clips(whole, whole.quantise(clips.numpy())) / 65_536
    wanted = network(clips).detach().numpy()
    assert np.abs(scores - wanted).max() < 0.15 * np.abs(wanted).max()
    if kind in ("trained_ternary", "bitnet", "scaled_ternary"):
        mixed = [path for stage in whole.stages for path in stage.paths if path.name.endswith("pw")]
        entries = [path.weights for path in mixed if path.weights is not None]
        assert entries and all(np.abs(each).max() == 1 for each in entries)


@pytest.fixture(scope="module")
def all_kinds() -> Source:
    """One network with a block of each kind, the skips of the kind before it; untrained."""
    blocks = [
        Block(
            name=f"B{number}",
            out_channels=16,
            kernel_size=3,
            mixer=mixer(kind),
            skip=mixer(RIVALS[number - 1]),
        )
        for number, kind in enumerate(RIVALS)
    ]
    torch.manual_seed(2)
    return untrained(DesignPoint(blocks=tuple(blocks), in_channels=16), 3)


def test_all_kinds_in_onnx(all_kinds: Source, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "all.onnx"
    export_onnx(all_kinds.network, path, in_channels=16)
    clips = torch.randn(2, 16, FRAMES)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [name] = [each.name for each in session.get_inputs()]
    [found] = session.run(None, {name: clips.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, all_kinds.network(clips), rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
def test_all_kinds_in_c(all_kinds: Source, tmp_path: Path) -> None:
    clips = torch.randn(2, 16, FRAMES)
    network = quantise_network(all_kinds, clips)
    write_together(tmp_path / "c", c_files(network, network.quantise(clips.numpy())))
    assert build_and_check(tmp_path / "c").startswith("PASS")


@pytest.mark.parametrize("kind", RIVALS)
def test_a_sweep_prices_it_as_an_estimate_does(kind: MixerKind) -> None:
    point = network_point(kind)
    machine = load_accelerator("kws_ternary_stored")
    technology = load_technology(machine.technology)
    cost = estimate(lower(point, frames=FRAMES, outputs=3), machine, technology)
    pricing = Pricing([Machine(machine, technology)], frames=FRAMES, outputs=3)
    offer = pricing.best(point)
    assert offer.columns["energy_pj"] == pytest.approx(cost.energy_pj)
    assert offer.columns["trained_parameters"] == cost.workload.trained_parameters
    assert offer.columns["stored_bits"] == cost.stored_bits
    assert offer.columns["latency_cycles"] == cost.latency_cycles


@pytest.mark.parametrize(
    ("kind", "fields", "inputs", "outputs", "message"),
    [
        (
            "monarch",
            {"blocks": 6},
            48,
            64,
            "blocks of a monarch mixer must divide 48 input and 64 output channels, and 6 does "
            "not: use 1, 2, 4, 8 or 16",
        ),
        (
            "low_rank",
            {"rank": 65},
            64,
            128,
            "rank 65 of a low_rank mixer is above the narrower of 64 input and 128 output "
            "channels: use at most 64",
        ),
        (
            "butterfly",
            {},
            64,
            48,
            "a butterfly mixer needs widths that are powers of two, not 48: use 32 or 64",
        ),
        (
            "codebook",
            {"rank": 2, "code_length": 5, "code_bits": 4},
            16,
            16,
            "code_length 5 does not divide 16 input channels: use 1, 2, 4, 8 or 16",
        ),
    ],
)
def test_widths_that_do_not_fit_are_told_with_those_that_would(
    kind: MixerKind, fields: dict[str, int], inputs: int, outputs: int, message: str
) -> None:
    block = published("matchboxnet-1x1x16").blocks[1]
    wanted = dataclasses.replace(
        block, mixer=Mixer(kind=kind, **fields), skip=None, out_channels=outputs
    )
    with pytest.raises(InvalidDesign) as caught:
        DesignPoint(blocks=(wanted,), in_channels=inputs)
    assert str(caught.value) == f"B1.0.pw: {message}"


def test_sizes_belong_to_their_kinds() -> None:
    with pytest.raises(InvalidDesign, match="a codebook mixer needs rank, code_length and"):
        Mixer(kind="codebook", rank=3)
    with pytest.raises(InvalidInput, match="rank must be left out for kind monarch, not 3"):
        Mixer(kind="monarch", blocks=4, rank=3)


def test_a_published_network_with_other_matrices() -> None:
    point = published("matchboxnet-3x1x64-P3:monarch")
    # P3 of 3x1x64 has 28,062 trained parameters (paper.md 5.4), and monarch matrices in the places
    # of the generated ones: three of (64, 64) and Conv2's (64, 128), 8 blocks each, and Conv1's;
    # B1's skip is (128, 64), and so is its 1x1.
    matrices = 2 * (64 * 64 * 2 // 8) + 2 * (192 * 64 // 8) + 2 * (192 * 64 // 8)
    assert lower(point, frames=128, outputs=30).trained_parameters == 28_062 + matrices
    with pytest.raises(InvalidDesign, match="-P3:KIND for matrices of another kind"):
        published("matchboxnet-3x1x64-P3:monark")


def test_a_space_of_kinds_and_sizes() -> None:
    text = """\
policy: P3
policy_mixer: [ternary, monarch, low_rank]
monarch_blocks: [4, 12]
rank: [4, 8]
density: [0.25, 0.5]
channels: 64
"""
    space = space_from_node(parse_yaml(text, "space.yaml"))
    assert space.size == 2 + 2 + 2  # each kind has its own size, and none of the others'
    built = [values for values in space.enumerate() if values.get("monarch_blocks") != 12]
    assert {space.point(values).summary for values in built} == {
        "3x1x64 P3 0.25",
        "3x1x64 P3 0.5",
        "3x1x64 P3 monarch 4",
        "3x1x64 P3 low_rank 4",
        "3x1x64 P3 low_rank 8",
    }
    with pytest.raises(InvalidFile, match="'rank' changes no design"):
        space_from_node(parse_yaml("block_mixer: monarch\nrank: [4, 8]\n", "space.yaml"))


def test_what_cannot_be_built_is_refused_by_name() -> None:
    point = published("matchboxnet-1x1x16-P1:low_rank")
    with pytest.raises(InvalidDesign, match=r"B1\.0\.pw of .* is a low_rank matrix, and the chip"):
        check_kinds(point, ("dense", "ternary", "identity"), "the chip")


def test_products_on_a_machine_are_rows_of_convolutions() -> None:
    workload = lower(published("matchboxnet-1x1x16-P1:low_rank"), frames=FRAMES, outputs=3)
    names = [layer.name for layer in workload.layers if layer.kind is LayerKind.POINTWISE]
    assert names == ["Conv1.0.pw", "B1.0.pw.0", "B1.0.pw.1", "B1.skip", "Conv2.0.pw", "Conv3.0.pw"]
    norm = next(layer for layer in workload.layers if layer.name == "B1.0.pw.bn")
    assert norm.folded


def test_made_matrices_are_those_of_their_modules() -> None:
    for kind in RIVALS:
        module = MIXERS[kind].build(place(kind, 16, 16))
        if isinstance(module, MixedConv1d):
            clip = torch.randn(2, 16, FRAMES)
            torch.testing.assert_close(module(clip), module.matrix() @ clip)


def test_the_tables_of_the_documents_are_what_the_command_prints() -> None:
    text = (Path(__file__).parents[3] / "docs" / "concepts" / "mixers.md").read_text()
    assert "python -m benchmarks.mixers" in text and text.endswith(f"{tables(list(WIDTHS))}\n")


def test_the_page_of_equal_budgets_is_what_was_measured() -> None:
    """Its tables come from the rows of the benchmark and from today's prices."""
    text = PAGE.read_text()
    assert with_table(text, "\n".join(lines(read_rows()))) == text
