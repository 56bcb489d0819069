import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dse.training.batches
import dse.training.devices
import dse.training.run
import dse.training.scoring
import dse.training.steps
from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.errors import (
    InvalidCheckpoint,
    InvalidData,
    InvalidDesign,
    InvalidField,
    InvalidFile,
    InvalidInput,
    TrainingFailed,
)
from dse.processor import Processor
from dse.speech.features import FeatureSplit, SpeechFeatures
from dse.speech.mfcc import normalise
from dse.speech.task import FeatureSpec, Task
from dse.ternary.generators import Generator
from dse.training.batches import Batch, batch_sizes, class_weights
from dse.training.best_scores import read_best_scores
from dse.training.checkpoint import load_checkpoint, load_network
from dse.training.clipwise import pack
from dse.training.devices import (
    choose_computation,
    choose_device,
    describe_device,
    set_threads,
    uses_bfloat16,
)
from dse.training.fast import fast_scores
from dse.training.history import EpochRecord, best_record, read_history
from dse.training.integer import quantise_network
from dse.training.recipe import NO_AUGMENTATION, Augmentation, Recipe
from dse.training.run import evaluate, train
from dse.training.source import calibration_clips, trained
from tests.dse.training.one_clip import score_clip

COEFFICIENTS, FRAMES, CLASSES = 8, 12, 3
RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    learning_rate=0.01,
    precision="float32",
    augmentation=Augmentation(frequency_width=3),  # wider ones can hide all rows, and are told
)
POINT = DesignPoint(
    in_channels=COEFFICIENTS,
    blocks=(
        Block(name="Conv1", out_channels=8, kernel_size=3, dropout=0.1),
        Block(
            name="B1",
            out_channels=8,
            kernel_size=3,
            mixer=Mixer(kind="ternary", density=0.25, generator=Generator()),
            skip=Mixer(),
        ),
    ),
)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine make these tests ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def split(clips, variants, seed):
    """Noise, and a bright row that tells the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips, dtype=np.int64) % CLASSES
    pictures = random.normal(size=(clips, variants, COEFFICIENTS, FRAMES))
    pictures[np.arange(clips), :, 2 * labels] += 2
    return FeatureSplit(pictures.astype(np.float16), labels, tuple(map(str, range(clips))))


@pytest.fixture
def features():
    return SpeechFeatures(
        task=Task(silence=False),
        spec=FeatureSpec(coefficients=COEFFICIENTS, frames=FRAMES),
        training=split(37, 2, seed=1),
        validation=split(15, 1, seed=2),
        testing=split(15, 1, seed=3),
        classes=("yes", "no", "_unknown_"),
        key="0123456789abcdef",
        mean=np.full(COEFFICIENTS, 0.25, np.float32),
        deviation=np.full(COEFFICIENTS, 1.5, np.float32),
        skipped=(),
    )


def timeless(history):
    return [dataclasses.replace(record, seconds=0.0) for record in history]


def weights(path):
    return load_checkpoint(path).network


def assert_same_tensors(first, second):
    assert list(first) == list(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


# --- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=15, batch_size=8, learning_rate=0.02, precision="float32"),
        Recipe(epochs=15, batch_size=8, optimiser="sgd", learning_rate=0.1, betas=(0.9, 0.0)),
        Recipe(epochs=15, batch_size=8, optimiser="novograd", betas=(0.9, 0.5), learning_rate=0.02),
        Recipe(
            epochs=15,
            batch_size=8,
            learning_rate=0.02,
            class_weights="balanced",
            gradient_clip=1.0,
            precision="bfloat16",
            label_smoothing=0.0,
        ),
        Recipe(epochs=15, batch_size=8, learning_rate=0.02, precision="float32", kept_share=0.1),
    ],
    ids=["adamw", "sgd", "novograd", "bfloat16", "kept_share"],
)
def test_every_optimiser_learns_what_is_easy(features, recipe):
    recipe = dataclasses.replace(recipe, augmentation=NO_AUGMENTATION)
    result = train(POINT, features, recipe, seed=1, folder=None, device="cpu")
    assert result.history[0].validation_error > 0 or result.history[0].validation_loss > 0.1
    assert result.validation_error == 0
    assert result.history[-1].training_error < 0.1
    assert result.history[-1].training_loss < 0.7 * result.history[0].training_loss


def test_the_result_is_that_of_the_best_epoch(features):
    result = train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert result.epochs == len(result.history) == 4
    assert [record.epoch for record in result.history] == [1, 2, 3, 4]
    assert result.validation_error == min(record.validation_error for record in result.history)
    assert result.history[result.best_epoch - 1].validation_error == result.validation_error
    assert result.seconds == sum(record.seconds for record in result.history) > 0
    assert (result.device, result.note) == ("cpu", "")


def test_of_equal_errors_the_lower_loss_is_better():
    def record(epoch, error, loss):
        return EpochRecord(
            epoch=epoch,
            learning_rate=1,
            training_loss=1,
            training_error=1,
            validation_loss=loss,
            validation_error=error,
            seconds=1,
        )

    history = [
        record(1, 0.5, 1.0),
        record(2, 0.25, 2.0),
        record(3, 0.25, 1.5),
        record(4, 0.25, 1.5),
    ]
    assert best_record(history).epoch == 3


def test_callers_are_told_of_every_batch_and_epoch(features):
    records, batches = [], []
    result = train(
        POINT,
        features,
        RECIPE,
        seed=1,
        folder=None,
        device="cpu",
        report=records.append,
        progress=lambda done, total: batches.append((done, total)),
    )
    assert tuple(records) == result.history
    # 37 clips in batches of at most 8 are 5 batches an epoch, 20 in 4 epochs.
    assert batches == [(done, 20) for done in range(1, 21)]
    assert result.history[-1].learning_rate == pytest.approx(
        # Steps 0 and 1 are the warm-up; the last is 17/18 through the cosine.
        0.01 * (1 + math.cos(math.pi * 17 / 18)) / 2
    )


# --- the same numbers -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers(features, tmp_path):
    first = train(POINT, features, RECIPE, seed=7, folder=tmp_path / "a", device="cpu")
    torch.rand(3)  # whatever else a program does with torch's generator
    again = train(POINT, features, RECIPE, seed=7, folder=tmp_path / "b", device="cpu")
    other = train(POINT, features, RECIPE, seed=8, folder=None, device="cpu")
    assert timeless(first.history) == timeless(again.history)
    assert timeless(first.history) != timeless(other.history)
    assert_same_tensors(weights(tmp_path / "a/last.pt"), weights(tmp_path / "b/last.pt"))


def test_training_leaves_the_callers_random_numbers_alone(features):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert torch.equal(torch.rand(4), expected)


class Stop(BaseException):
    """As KeyboardInterrupt, which would end the tests if it got out."""


def train_until(epoch, features, recipe, folder):
    def report(record):
        if record.epoch == epoch:
            raise Stop

    with pytest.raises(Stop):
        train(POINT, features, recipe, seed=3, folder=folder, device="cpu", report=report)


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "adamw"},
        {"optimiser": "sgd"},
        {"optimiser": "novograd"},
        {"kept_share": 0.3},
    ],
    ids=str,
)
def test_a_resumed_training_ends_where_an_undisturbed_one_does(features, tmp_path, change):
    recipe = dataclasses.replace(RECIPE, epochs=5, **change)
    straight = train(POINT, features, recipe, seed=3, folder=tmp_path / "a", device="cpu")
    train_until(1, features, recipe, tmp_path / "b")
    train_until(3, features, recipe, tmp_path / "b")
    records = []
    resumed = train(
        POINT,
        features,
        recipe,
        seed=3,
        folder=tmp_path / "b",
        device="cpu",
        report=records.append,
    )
    assert [record.epoch for record in records] == [4, 5]
    assert timeless(resumed.history) == timeless(straight.history)
    assert resumed.best_epoch == straight.best_epoch
    for name in ("best.pt", "last.pt"):
        assert_same_tensors(weights(tmp_path / "a" / name), weights(tmp_path / "b" / name))


def test_a_kill_between_the_files_of_an_epoch_does_no_harm(features, tmp_path):
    straight = train(POINT, features, RECIPE, seed=3, folder=tmp_path / "a", device="cpu")
    train_until(2, features, RECIPE, tmp_path / "b")
    last, history = tmp_path / "b/last.pt", tmp_path / "b/history.csv"
    of_epoch_2 = last.read_bytes(), history.read_text()
    train_until(3, features, RECIPE, tmp_path / "b")
    # As if the kill had come after best.pt of epoch 3 and before last.pt.
    last.write_bytes(of_epoch_2[0])
    history.write_text(of_epoch_2[1])
    resumed = train(POINT, features, RECIPE, seed=3, folder=tmp_path / "b", device="cpu")
    assert timeless(resumed.history) == timeless(straight.history)
    assert_same_tensors(weights(tmp_path / "a/best.pt"), weights(tmp_path / "b/best.pt"))


def test_a_finished_training_is_not_repeated(features, tmp_path):
    first = train(POINT, features, RECIPE, seed=3, folder=tmp_path, device="cpu")
    records = []
    again = train(
        POINT, features, RECIPE, seed=3, folder=tmp_path, device="cpu", report=records.append
    )
    assert again == first and records == []


def test_the_best_network_is_scored_in_floats_and_as_int8(features, tmp_path):
    result = train(POINT, features, RECIPE, seed=3, folder=tmp_path, device="cpu")
    found = read_best_scores(tmp_path)
    assert found.labels == features.classes and found.epoch == result.best_epoch
    assert found.error == result.validation_error
    assert found.quantised_error == result.quantised_error
    # Clip by clip, with the reference of the exports and the calibration of `dse export header`.
    source = trained(tmp_path / "best.pt")
    checkpoint = source.checkpoint
    chosen = normalise(calibration_clips(features.training), checkpoint.mean, checkpoint.deviation)
    assert len(chosen) == 37  # all there are
    network = quantise_network(source, chosen)
    expected = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    wrong = np.zeros((2, 15), dtype=np.bool_)
    clips = torch.from_numpy(np.array(features.validation.features[:, 0]))
    pictures = normalise(clips, checkpoint.mean, checkpoint.deviation)
    with torch.inference_mode():
        floats = source.network.eval()(pictures).argmax(1).numpy()
    labelled = zip(pictures.numpy(), features.validation.labels, strict=True)
    for place, (picture, label) in enumerate(labelled):
        told = score_clip(network, network.quantise(picture)).argmax()
        expected[label, told] += 1
        wrong[:, place] = floats[place] != label, told != label
    np.testing.assert_array_equal(found.wrong, wrong[0])
    np.testing.assert_array_equal(found.int8_wrong, wrong[1])
    np.testing.assert_array_equal(found.int8, expected)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == {
        "schema_version": 1,
        "split": "validation",
        "labels": ["yes", "no", "_unknown_"],
        "clips": 15,
        "epoch": result.best_epoch,
        "reason": "",
        "findings": [],
        "float": {
            "error": result.validation_error,
            "confusion": found.floats.tolist(),
            "wrong": pack(wrong[0]),
        },
        "int8": {
            "error": result.quantised_error,
            "confusion": expected.tolist(),
            "wrong": pack(wrong[1]),
        },
    }


def test_a_kill_before_the_scores_costs_nothing_but_the_scores(features, tmp_path):
    straight = train(POINT, features, RECIPE, seed=3, folder=tmp_path / "a", device="cpu")
    train_until(4, features, RECIPE, tmp_path / "b")
    assert not (tmp_path / "b/evaluation.json").exists()
    records = []
    again = train(
        POINT, features, RECIPE, seed=3, folder=tmp_path / "b", device="cpu", report=records.append
    )
    assert records == [] and again.quantised_error == straight.quantised_error is not None
    written = [(tmp_path / name / "evaluation.json").read_text() for name in ("a", "b")]
    assert written[0] == written[1]


def test_scores_of_a_rung_are_replaced_by_those_of_the_next(features, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=15, learning_rate=0.02)
    first = train(POINT, features, recipe, seed=3, folder=tmp_path, device="cpu", until=1)
    assert read_best_scores(tmp_path).epoch == first.best_epoch == 1
    last = train(POINT, features, recipe, seed=3, folder=tmp_path, device="cpu")
    assert read_best_scores(tmp_path).epoch == last.best_epoch > 1


def test_a_network_without_a_form_in_whole_numbers_says_why(features, tmp_path, monkeypatch):
    def too_large(source, pictures):
        raise InvalidDesign("B1.0.pw: its gain of 1e+12 is too large for whole numbers")

    monkeypatch.setattr(dse.training.scoring, "quantise_network", too_large)
    result = train(POINT, features, RECIPE, seed=3, folder=tmp_path, device="cpu")
    assert result.quantised_error is None
    plain = json.loads((tmp_path / "evaluation.json").read_text())
    assert plain["int8"] is None and "too large for whole numbers" in plain["reason"]
    assert read_best_scores(tmp_path).quantised_error is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"schema_version": 2}',
        '{"schema_version": 1, "labels": ["a", "b"], "epoch": 1, "reason": "", "int8": null,'
        ' "float": {"confusion": [[1]]}}',
    ],
)
def test_damaged_scores_are_refused(tmp_path, text):
    assert read_best_scores(tmp_path) is None
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(InvalidFile, match=r"evaluation\.json cannot be read"):
        read_best_scores(tmp_path)


def test_a_fresh_training_forgets_the_one_before(features, tmp_path):
    train(POINT, features, RECIPE, seed=3, folder=tmp_path, device="cpu")
    shorter = dataclasses.replace(RECIPE, epochs=2)

    def stop(record):
        assert not (tmp_path / "evaluation.json").exists()  # of the training before

    result = train(
        POINT, features, shorter, seed=4, folder=tmp_path, device="cpu", resume=False, report=stop
    )
    assert result.epochs == 2
    assert load_checkpoint(tmp_path / "best.pt").seed == 4
    assert len(read_history(tmp_path)) == 2


# --- what is kept -------------------------------------------------------------------------------


def test_the_folder_holds_best_last_and_history(features, tmp_path):
    result = train(POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu")
    names = {"best.pt", "evaluation.json", "history.csv", "last.pt"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert read_history(tmp_path) == result.history
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert (best.epoch, last.epoch) == (result.best_epoch, 4)
    assert best.optimiser is None and last.optimiser is not None
    assert (last.task, last.features) == (features.task, features.spec)
    assert (last.seed, last.recipe) == (1, RECIPE)
    assert (last.classes, last.data_key) == (features.classes, features.key)
    network, checkpoint = load_network(tmp_path / "best.pt")
    scores = evaluate(network, features.validation, checkpoint.mean, checkpoint.deviation)
    assert scores.error == result.validation_error
    assert scores.loss == pytest.approx(result.history[result.best_epoch - 1].validation_loss)


def test_history_is_a_table_that_anything_reads(features, tmp_path):
    result = train(POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == (
        "epoch,learning_rate,training_loss,training_error,validation_loss,validation_error,seconds"
    )
    assert len(lines) == 5
    assert float(lines[4].split(",")[5]) == result.history[3].validation_error


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"point": dataclasses.replace(POINT, ternary_seed=2)},
            "last.pt is of design {before}, and this training of design {now}: choose another "
            "folder, or start afresh (--fresh)",
        ),
        ({"seed": 2}, "last.pt is of seed 1, and this training of seed 2: "),
        (
            {"recipe": dataclasses.replace(RECIPE, epochs=9)},
            "last.pt is of recipe with epochs 4, and this training of recipe with epochs 9: ",
        ),
        ({"key": "fedcba9876543210"}, "is of data 0123456789abcdef, and this training of data fed"),
    ],
    ids=["design", "seed", "recipe", "data"],
)
def test_a_checkpoint_of_another_training_is_refused(features, tmp_path, change, message):
    train(POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu")
    before = (tmp_path / "last.pt").read_bytes()
    point, key = change.get("point", POINT), change.get("key", features.key)
    with pytest.raises(InvalidCheckpoint) as error:
        train(
            point,
            dataclasses.replace(features, key=key),
            change.get("recipe", RECIPE),
            seed=change.get("seed", 1),
            folder=tmp_path,
            device="cpu",
        )
    assert message.format(before=POINT.key, now=point.key) in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_a_damaged_checkpoint_is_noted_and_the_training_starts_afresh(features, tmp_path, name):
    first = train(POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:1000])
    again = train(POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu")
    assert again.note == f"{path} is damaged; the training started afresh"
    assert timeless(again.history) == timeless(first.history)
    load_network(path)


def test_a_loss_that_is_no_number_fails_with_a_remedy(features, tmp_path):
    recipe = Recipe(
        epochs=3, batch_size=8, optimiser="sgd", learning_rate=1e30, warmup_fraction=0.0
    )
    with pytest.raises(TrainingFailed) as error:
        train(POINT, features, recipe, seed=1, folder=tmp_path, device="cpu")
    message = str(error.value)
    assert "loss is nan in epoch 1 at learning rate" in message
    assert message.endswith(": lower learning_rate, or set gradient_clip")
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("could not create a primitive"),  # oneDNN
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_full_memory_fails_with_a_remedy(features, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(dse.training.batches, "augment", fail)
    with pytest.raises(TrainingFailed) as error:
        train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert str(error.value) == (
        "out of memory in epoch 1 on cpu with batches of 8 clips: lower batch_size"
    )


def test_other_errors_of_torch_are_not_hidden(features, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("something else")

    monkeypatch.setattr(dse.training.batches, "augment", fail)
    with pytest.raises(RuntimeError, match="something else"):
        train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")


def test_a_design_that_does_not_fit_is_refused(features):
    wide = dataclasses.replace(POINT, in_channels=64, name="wide")
    with pytest.raises(InvalidDesign, match="design wide takes 64 features per frame, and the dat"):
        train(wide, features, RECIPE, seed=1, folder=None)
    framewise = dataclasses.replace(POINT, head="framewise", name="fw")
    with pytest.raises(InvalidDesign, match="design fw has a framewise head, which gives scores"):
        train(framewise, features, RECIPE, seed=1, folder=None)


def test_too_few_clips_are_refused(features):
    one = dataclasses.replace(features, training=split(1, 2, seed=1))
    with pytest.raises(InvalidData, match="the training split needs at least two clips"):
        train(POINT, one, RECIPE, seed=1, folder=None)
    none = dataclasses.replace(features, validation=split(0, 1, seed=1))
    with pytest.raises(InvalidData, match="the validation split needs at least one clip"):
        train(POINT, none, RECIPE, seed=1, folder=None)


def test_a_negative_seed_is_refused(features):
    with pytest.raises(InvalidField, match="seed must be 0 or more, not -1"):
        train(POINT, features, RECIPE, seed=-1, folder=None)


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "xpu"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InvalidField) as error:
        choose_device(name)
    assert str(error.value) == (
        f"device must be auto, cpu, or a device that this machine has, not '{name}'"
    )


def test_auto_is_cuda_where_there_is_one():
    assert choose_device("cpu").type == "cpu"
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected


@pytest.fixture
def processor(monkeypatch):
    """Pretend that this is another processor: units that it names, and what a trial would find."""

    def pretend(*units, float32_ms=10.0, bfloat16_ms=None, isa=""):
        found = Processor(
            float32_ms=float32_ms, onednn_ms=float32_ms, bfloat16_ms=bfloat16_ms, isa=isa
        )
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(units, True))
        monkeypatch.setattr(dse.training.devices, "try_processor", lambda: found)
        monkeypatch.setattr(dse.training.devices, "bfloat16_works", lambda: bfloat16_ms is not None)

    return pretend


def test_auto_is_bfloat16_where_a_trial_found_it_faster(processor, monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    processor("avx512_bf16", bfloat16_ms=8.0)
    assert uses_bfloat16(Recipe(), cpu)
    processor("amx_bf16", bfloat16_ms=2.0)
    assert uses_bfloat16(Recipe(), cpu)
    processor("avx512_bf16", bfloat16_ms=8.1)  # named, and hardly faster
    assert not uses_bfloat16(Recipe(), cpu)
    assert uses_bfloat16(Recipe(precision="bfloat16"), cpu)
    assert uses_bfloat16(Recipe(), cuda)
    assert not uses_bfloat16(Recipe(precision="float32"), cuda)
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # torch 2.4 has none
    assert not uses_bfloat16(Recipe(), cpu)


def test_a_processor_without_units_for_bfloat16_is_not_tried(monkeypatch):
    def tried():
        raise AssertionError

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setattr(dse.training.devices, "try_processor", tried)
    assert not uses_bfloat16(Recipe(), torch.device("cpu"))


def test_bfloat16_that_would_end_the_process_is_refused(features, processor):
    processor("amx_bf16")
    assert not uses_bfloat16(Recipe(), torch.device("cpu"))
    with pytest.raises(InvalidInput) as error:
        train(POINT, features, Recipe(precision="bfloat16"), seed=1, folder=None, device="cpu")
    assert str(error.value) == (
        "precision bfloat16 cannot be computed here: its products end the process with an illegal "
        "instruction (docs/evidence/performance.md); set precision to auto or float32"
    )


def test_the_device_is_described():
    recipe = Recipe(precision="float32")
    assert describe_device("cpu", recipe) == "cpu, 1 thread, float32, fast path"
    set_threads(2)
    assert describe_device("cpu", recipe, "plain") == "cpu, 2 threads, float32, plain path"


# --- paths ----------------------------------------------------------------------------------------


def test_both_paths_train_to_the_same_numbers(features, tmp_path):
    """Without dropout, whose random numbers differ; after a few steps, rounding has not grown."""
    point = dataclasses.replace(
        POINT, blocks=tuple(dataclasses.replace(block, dropout=0.0) for block in POINT.blocks)
    )
    results = {
        path: train(
            point,
            features,
            dataclasses.replace(RECIPE, epochs=2),
            seed=1,
            folder=tmp_path / path,
            device="cpu",
            path=path,
        )
        for path in ("fast", "plain")
    }
    for fast, plain in zip(*(result.history for result in results.values()), strict=True):
        assert fast.training_loss == pytest.approx(plain.training_loss, rel=1e-4)
        assert fast.validation_loss == pytest.approx(plain.validation_loss, rel=1e-4)
    assert results["fast"].computed == "cpu, 1 thread, float32, fast path"
    assert results["plain"].computed == "cpu, 1 thread, float32, plain path"


@pytest.mark.parametrize("path", ["fast", "plain"])
def test_both_paths_keep_the_share_of_the_recipe(features, path):
    first, again, exact = (
        train(
            POINT,
            features,
            dataclasses.replace(RECIPE, epochs=1, kept_share=share),
            seed=1,
            folder=None,
            device="cpu",
            path=path,
        )
        .history[0]
        .training_loss
        for share in (0.2, 0.2, 1.0)
    )
    assert first == again != exact


def test_path_and_numbers_are_chosen_by_device():
    """A GPU takes the plain network in bfloat16, as its own convolutions are; nothing needs one."""
    cuda = choose_computation(Recipe(), torch.device("cuda"))
    assert cuda.label == "cuda, bfloat16, plain path"
    assert choose_computation(Recipe(), torch.device("cpu")).fast
    assert choose_computation(Recipe(precision="float32"), torch.device("cuda"), "fast").label == (
        "cuda, float32, fast path"
    )


def test_a_checkpoint_of_one_path_goes_on_by_the_other_and_says_so(features, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=3)

    def stop(record):
        if record.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(
            POINT,
            features,
            recipe,
            seed=3,
            folder=tmp_path,
            device="cpu",
            path="plain",
            report=stop,
        )
    assert load_checkpoint(tmp_path / "last.pt").computed == "cpu, 1 thread, float32, plain path"
    result = train(POINT, features, recipe, seed=3, folder=tmp_path, device="cpu")
    assert result.epochs == 3
    assert result.note == (
        "epochs 1 to 2 were computed on cpu, 1 thread, float32, plain path; from there on cpu, "
        "1 thread, float32, fast path"
    )


def test_an_unknown_path_is_refused(features):
    with pytest.raises(InvalidField, match="path must be auto, fast or plain, not 'quick'"):
        train(POINT, features, RECIPE, seed=1, folder=None, path="quick")


# --- short memory ---------------------------------------------------------------------------------


@pytest.fixture
def room_for(monkeypatch):
    """Make memory run out for more than so many clips at a time."""

    def limit(clips):
        def scores(network, pictures, dtype=torch.float32, sampling=None, lengths=None):
            if network.training and len(pictures) > clips:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
            return fast_scores(network, pictures, dtype, sampling)

        monkeypatch.setattr(dse.training.steps, "fast_scores", scores)

    return limit


def test_a_batch_that_memory_is_too_short_for_is_computed_in_parts(features, room_for):
    room_for(3)
    recipe = dataclasses.replace(
        RECIPE, epochs=15, learning_rate=0.02, augmentation=NO_AUGMENTATION
    )
    result = train(POINT, features, recipe, seed=1, folder=None, device="cpu")
    # 37 clips are batches of 8, 8, 7, 7, 7: halves have four clips, quarters two or, of 7, three.
    assert result.note == (
        "out of memory in epoch 1: batches of 8 clips are computed in 4 parts, and batch norm "
        "compares the clips of a part"
    )
    assert result.history[-1].training_loss < 0.8 * result.history[0].training_loss
    assert result.validation_error < 0.2


def test_freed_memory_is_kept_only_where_whole_batches_fit(features, room_for, monkeypatch):
    done = []
    monkeypatch.setattr(dse.training.steps, "keep_freed_memory", lambda: done.append("keep"))
    monkeypatch.setattr(
        dse.training.steps, "give_back_freed_memory", lambda: done.append("give back")
    )
    room_for(8)
    train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert done[0] == "give back" and set(done[1:]) == {"keep"}
    done.clear()
    room_for(3)
    train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert done == ["give back"] * 3  # at first, and twice: halves do not fit, quarters do


def test_parts_have_the_gradient_of_the_whole(features):
    """In evaluation mode, where batch norm does not compare; with weights that differ by class."""
    run = run_of(features, dataclasses.replace(RECIPE, class_weights="balanced"))
    network, steps = run.network.eval(), run.steps
    pictures, labels = next(iter(run.objective.batches.epoch(run._seed(1))))
    found = []
    for steps.parts in (1, 3):
        network.zero_grad()
        loss, wrong = steps._gradients(Batch(pictures, labels))
        found.append((loss, wrong, [weight.grad.clone() for weight in network.parameters()]))
    torch.testing.assert_close(found[0], found[1])
    assert found[0][1] == (network(pictures).argmax(1) != labels).sum() > 0


def test_memory_too_short_for_two_clips_fails_with_a_remedy(features, room_for):
    room_for(1)
    with pytest.raises(TrainingFailed) as error:
        train(POINT, features, RECIPE, seed=1, folder=None, device="cpu")
    assert str(error.value) == (
        "out of memory on cpu even with 2 of 8 clips at a time: take a smaller design, or free "
        "memory"
    )


# --- batches --------------------------------------------------------------------------------------


def test_batch_sizes_by_hand():
    assert batch_sizes(8, 8) == [8]
    assert batch_sizes(9, 8) == [5, 4]  # not 8 and 1
    assert batch_sizes(3, 2) == [3]
    assert batch_sizes(5, 2) == [3, 2]
    sizes = batch_sizes(1823, 64)
    assert len(sizes) == 29 and set(sizes) == {62, 63}


@given(st.integers(2, 500), st.integers(2, 64))
def test_batches_take_every_clip_and_leave_none_alone(clips, limit):
    sizes = batch_sizes(clips, limit)
    assert sum(sizes) == clips
    assert min(sizes) >= 2
    assert max(sizes) <= limit + (1 if limit == 2 else 0)
    assert max(sizes) - min(sizes) <= 1


def run_of(features, recipe, seed=1):
    how = choose_computation(recipe, torch.device("cpu"))
    run = dse.training.run._Run(POINT, features, recipe, seed, None, how)
    run.prepare(resume=False)
    return run


def epoch_values(run, epoch):
    """(value of the picture, label) of each clip, in the order of the epoch."""
    values = []
    for pictures, labels in run.objective.batches.epoch(run._seed(epoch)):
        assert (pictures == pictures[:, :1, :1]).all()
        values += zip(pictures[:, 0, 0].tolist(), labels.tolist(), strict=True)
    return values


@pytest.fixture
def marked(features):
    """Clip c's variant v is a picture of the value 1 + 2 c + v, which its label follows."""
    clips = 20
    values = 1 + 2 * np.arange(clips)[:, None] + np.arange(2)
    pictures = np.broadcast_to(values[:, :, None, None], (clips, 2, COEFFICIENTS, FRAMES))
    labels = np.arange(clips, dtype=np.int64) % CLASSES
    return dataclasses.replace(
        features,
        training=FeatureSplit(pictures.astype(np.float16), labels, ()),
        mean=np.zeros(COEFFICIENTS, np.float32),
        deviation=np.ones(COEFFICIENTS, np.float32),
    )


def test_an_epoch_shows_every_clip_once_with_its_label(marked):
    holes = dataclasses.replace(NO_AUGMENTATION, varied=True)
    run = run_of(marked, dataclasses.replace(RECIPE, augmentation=holes))
    epochs = [epoch_values(run, epoch) for epoch in (1, 2)]
    for values in epochs:
        clips = [int(value - 1) // 2 for value, _ in values]
        assert sorted(clips) == list(range(20))
        assert all(label == clip % CLASSES for clip, (_, label) in zip(clips, values, strict=True))
        assert {int(value - 1) % 2 for value, _ in values} == {0, 1}  # both variants
    assert epochs[0] != epochs[1]
    assert epoch_values(run, 1) == epochs[0]


def test_without_variation_only_clean_clips_are_shown(marked):
    run = run_of(marked, dataclasses.replace(RECIPE, augmentation=NO_AUGMENTATION))
    assert {int(value - 1) % 2 for value, _ in epoch_values(run, 1)} == {0}


def test_the_training_pictures_are_cut(features):
    # One stretch of at most 6 of 12 columns: 0 to 6 columns, 3 on average.
    holes = dataclasses.replace(NO_AUGMENTATION, time_masks=1, time_width=6)
    run = run_of(features, dataclasses.replace(RECIPE, augmentation=holes))
    empty = torch.cat(
        [(pictures == 0).all(1).sum(1) for pictures, _ in run.objective.batches.epoch(run._seed(1))]
    )
    assert len(empty) == 37 and empty.max() <= 6
    assert 2 < empty.double().mean() < 4


def test_class_weights_by_hand():
    # 6 clips, 3 classes: 6 / (3 * 3), 6 / (3 * 1), 6 / (3 * 2).
    labels = np.array([0, 0, 0, 1, 2, 2])
    assert class_weights(labels, 3).tolist() == pytest.approx([2 / 3, 2, 1])


# --- evaluation -----------------------------------------------------------------------------------


class Lookup(torch.nn.Module):
    """Scores log(p) for probabilities p that the pictures hold in their first row."""

    def forward(self, pictures):
        return pictures[:, 0, :3].log()


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_scores_by_hand(batch_size):
    probabilities = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75], [0.5, 0.25, 0.25]]
    labels = np.array([0, 0, 2, 1])
    pictures = np.ones((4, 1, 2, 3), dtype=np.float16)
    pictures[:, 0, 0] = probabilities
    scores = evaluate(
        Lookup(),
        FeatureSplit(pictures, labels, ()),
        np.zeros(2, np.float32),
        np.ones(2, np.float32),
        batch_size=batch_size,
    )
    assert scores.confusion.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert (scores.clips, scores.errors, scores.error) == (4, 2, 0.5)
    # -ln of the probability of each true class: 1/2, 1/4, 3/4, 1/4.
    assert scores.loss == pytest.approx(-math.log(0.5 * 0.25 * 0.75 * 0.25) / 4, rel=1e-5)
