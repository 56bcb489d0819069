"""Training on sentences: learning, the same numbers again, what is kept, what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import dse.training.steps
from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidData, InvalidDesign, TrainingFailed
from dse.networks.network import build_network
from dse.ternary.generators import Generator
from dse.training.best_scores import read_best_scores
from dse.training.best_sentences import HYPOTHESES, read_best_sentences
from dse.training.checkpoint import BLANK, load_checkpoint, load_network
from dse.training.decoding import greedy
from dse.training.devices import choose_computation
from dse.training.edits import character_edits
from dse.training.fast import fast_scores
from dse.training.history import read_history
from dse.training.recipe import NO_AUGMENTATION, Augmentation, Recipe
from dse.training.run import train
from dse.training.sentence_scoring import evaluate_sentences, said, score_best_sentences
from tests.dse.training.spoken import (
    CHARACTERS,
    COEFFICIENTS,
    TASK,
    features_of,
    split_of,
    texts_of,
)

POINT = DesignPoint(
    in_channels=COEFFICIENTS,
    head="framewise",
    blocks=(
        Block(name="C1", out_channels=16, kernel_size=5, stride=2),
        Block(
            name="B1",
            out_channels=16,
            kernel_size=5,
            mixer=Mixer(kind="ternary", density=0.25, generator=Generator()),
            skip=Mixer(),
            dropout=0.1,
        ),
    ),
)
RECIPE = Recipe(
    epochs=3,
    batch_size=8,
    precision="float32",
    augmentation=Augmentation(time_masks=1, time_width=3, frequency_masks=1, frequency_width=1),
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def features():
    training = split_of(texts_of(40, seed=1), seed=1, variants=2)
    return features_of(training, split_of(texts_of(12, seed=2), seed=2))


def timeless(history):
    return [dataclasses.replace(record, seconds=0.0) for record in history]


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_four_utterances_are_learned_by_heart(precision):
    few = split_of(["a b", "cab", "bb a", "abc ca"], seed=1)
    recipe = Recipe(
        epochs=60,
        optimiser="novograd",
        learning_rate=0.05,
        betas=(0.95, 0.5),
        weight_decay=0.001,
        precision=precision,
        augmentation=NO_AUGMENTATION,
    )
    point = dataclasses.replace(
        POINT, blocks=tuple(dataclasses.replace(block, dropout=0.0) for block in POINT.blocks)
    )
    result = train(point, features_of(few, few), recipe, seed=1, folder=None, device="cpu")
    assert result.validation_error == 0
    assert result.history[-1].training_error == 0
    assert (result.history[-1].validation_cer, result.history[-1].validation_wer) == (0, 0)


def test_unheard_sentences_are_far_better_than_a_constant_or_an_untrained_network(features):
    recipe = dataclasses.replace(RECIPE, epochs=15, learning_rate=0.02)
    result = train(POINT, features, recipe, seed=1, folder=None, device="cpu")
    references = said(features.validation, CHARACTERS)
    constants = [
        character_edits(references, [text] * len(references)).rate
        for text in ("", "a", "a b", "abc", "a b c", "ab ca bc")
    ]
    torch.manual_seed(1)
    untrained = evaluate_sentences(
        build_network(POINT, len(CHARACTERS) + 1), POINT, features.validation, CHARACTERS
    ).heard.cer
    assert min(*constants, untrained) > 0.6
    assert result.validation_error < 0.2
    assert result.history[-1].validation_loss < 0.5 * result.history[0].validation_loss


def test_an_epoch_is_told_in_characters(features, tmp_path):
    records = []
    result = train(
        POINT, features, RECIPE, seed=1, folder=tmp_path, device="cpu", report=records.append
    )
    assert tuple(records) == result.history == read_history(tmp_path)
    for record in records:
        assert record.validation_error == min(1.0, record.validation_cer)
    assert (
        (tmp_path / "history.csv")
        .read_text()
        .splitlines()[0]
        .endswith(",seconds,validation_cer,validation_wer")
    )
    # The loss of the untrained network is about the logarithm of how many texts there could be.
    assert 0.5 < records[0].validation_loss < 20


def test_a_study_may_minimise_words(features, tmp_path):
    by_words = dataclasses.replace(features, task=dataclasses.replace(TASK, error="wer"))
    result = train(POINT, by_words, RECIPE, seed=1, folder=tmp_path, device="cpu")
    for record in result.history:
        assert record.validation_error == min(1.0, record.validation_wer)
    assert read_best_sentences(tmp_path).error == result.validation_error


def test_the_fast_path_trains_as_the_plain_one(features):
    """A first epoch of few steps; later, rounding has grown."""
    recipe = dataclasses.replace(RECIPE, epochs=1, batch_size=20, augmentation=NO_AUGMENTATION)
    point = dataclasses.replace(
        POINT, blocks=tuple(dataclasses.replace(block, dropout=0.0) for block in POINT.blocks)
    )
    losses = [
        train(point, features, recipe, seed=1, folder=None, device="cpu", path=path)
        .history[0]
        .training_loss
        for path in ("fast", "plain")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# --- the same numbers -----------------------------------------------------------------------------


def test_a_training_that_was_interrupted_ends_bit_for_bit_the_same(features, tmp_path):
    whole = train(POINT, features, RECIPE, seed=1, folder=tmp_path / "whole", device="cpu")

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(POINT, features, RECIPE, seed=1, folder=tmp_path / "cut", device="cpu", report=stop)
    rung = train(POINT, features, RECIPE, seed=1, folder=tmp_path / "cut", device="cpu", until=2)
    assert rung.epochs == 2
    resumed = train(POINT, features, RECIPE, seed=1, folder=tmp_path / "cut", device="cpu")
    assert timeless(resumed.history) == timeless(whole.history)
    for name in ("last.pt", "best.pt"):
        first, second = (load_checkpoint(tmp_path / each / name) for each in ("whole", "cut"))
        for key, tensor in first.network.items():
            assert torch.equal(tensor, second.network[key]), key
    for name in ("evaluation.json", HYPOTHESES):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "cut" / name).read_text()


def test_parts_have_the_gradient_of_the_whole(features):
    """In evaluation mode, where batch norm does not compare."""
    how = choose_computation(RECIPE, torch.device("cpu"))
    run = dse.training.run._Run(POINT, features, RECIPE, 1, None, how)
    run.prepare(resume=False)
    network, steps = run.network.eval(), run.steps
    batch = next(run.objective.epoch(run._seed(1)).batches)
    found = []
    for steps.parts in (1, 3):
        network.zero_grad()
        loss, wrong = steps._gradients(batch)
        found.append((loss, wrong, [weight.grad.clone() for weight in network.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


# --- what is kept ---------------------------------------------------------------------------------


def test_the_best_network_is_loaded_and_writes_down_what_was_counted(features, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=8, learning_rate=0.02)
    result = train(POINT, features, recipe, seed=1, folder=tmp_path, device="cpu")
    network, checkpoint = load_network(tmp_path / "best.pt")
    assert checkpoint.task == TASK
    assert checkpoint.classes == (*CHARACTERS, BLANK)
    split = features.validation
    heard = []
    for index in range(len(split)):
        picture = torch.from_numpy(split.utterance(index).T.astype(np.float32))[None]
        scores = network(picture)
        heard += greedy(scores, torch.tensor([scores.shape[2]]), checkpoint.task.characters)
    table = [line.split(",") for line in (tmp_path / HYPOTHESES).read_text().splitlines()]
    assert table[0] == ["name", "reference", "hypothesis", "int8_hypothesis"]
    assert [line[0] for line in table[1:]] == list(split.names)
    assert [line[1] for line in table[1:]] == list(said(split, CHARACTERS))
    assert [line[2].strip() for line in table[1:]] == [text.strip() for text in heard]
    best = read_best_sentences(tmp_path)
    edits = character_edits([line[1] for line in table[1:]], heard)
    assert best.floats.characters == edits
    assert (best.error, best.floats.cer) == (result.validation_error, edits.rate)
    assert best.int8.characters == character_edits(
        [line[1] for line in table[1:]], [line[3] for line in table[1:]]
    )
    assert result.quantised_error == best.quantised_error
    assert abs(best.quantised_error - best.error) < 0.1  # whole numbers are near to floats
    assert read_best_scores(tmp_path) is None  # of words
    tested = score_best_sentences(
        tmp_path / "best.pt",
        features,
        choose_computation(recipe, torch.device("cpu")),
        split="testing",
    )
    assert tested.error == best.error  # the splits are the same here


def test_counts_of_the_file_come_back(features, tmp_path):
    train(POINT, features, dataclasses.replace(RECIPE, epochs=1), seed=1, folder=tmp_path)
    best = read_best_sentences(tmp_path)
    plain = json.loads((tmp_path / "evaluation.json").read_text())
    assert best.to_dict() | {"utterances": 12} == plain
    assert plain["float"]["characters"]["units"] == len(features.validation.labels)


# --- what cannot be learned -----------------------------------------------------------------------


def test_utterances_with_more_characters_than_frames_are_named_and_left_out(features):
    # Two frames a character are one of scores, and equal ones need a blank between them.
    fast = split_of(["abc", "aaaa", "bbbb", "cab", "cccc", "aabbcc"], seed=3, frames=(2, 3))
    mixed = features_of(fast, features.validation)
    recipe = dataclasses.replace(RECIPE, epochs=1)
    result = train(POINT, mixed, recipe, seed=1, folder=None, device="cpu")
    assert result.note == (
        "4 of 6 training utterances are left out, as their characters, with a blank between equal "
        "ones, are more than the network's frames: 3/1.flac, 3/2.flac, 3/4.flac and 1 more"
    )
    hopeless = features_of(split_of(["aaaa"], seed=3, frames=(2, 3)), features.validation)
    with pytest.raises(InvalidData, match="none of 1 training utterances has as many frames"):
        train(POINT, hopeless, recipe, seed=1, folder=None, device="cpu")


def test_a_network_that_hears_only_blanks_is_given_up(features, tmp_path):
    """Taught that nobody speaks, it soon writes down nothing."""
    none = np.zeros(len(features.training) + 1, np.int64)
    silent = dataclasses.replace(features.training, label_starts=none)
    deaf = dataclasses.replace(features, training=silent)
    recipe = dataclasses.replace(
        RECIPE, epochs=22, batch_size=4, learning_rate=0.05, schedule="constant", warmup_fraction=0
    )
    with pytest.raises(TrainingFailed) as error:
        train(POINT, deaf, recipe, seed=1, folder=tmp_path, device="cpu")
    assert str(error.value) == (
        "after 11 of 22 epochs the network has heard only blanks in all 12 validation utterances "
        "for 10 epochs: lower learning_rate, take a longer warm-up, or more epochs"
    )
    history = read_history(tmp_path)
    assert len(history) == 11
    assert {record.validation_cer for record in history[1:]} == {1.0}
    with pytest.raises(TrainingFailed, match="after 11 of 22 epochs"):  # and stays so
        train(POINT, deaf, recipe, seed=1, folder=tmp_path, device="cpu")
    short = dataclasses.replace(recipe, epochs=1)
    result = train(POINT, deaf, short, seed=1, folder=tmp_path / "short", device="cpu")
    assert result.validation_error == 1
    assert "even the best network hears only blanks" in result.note


def test_memory_that_is_too_short_halves_batches_of_sentences(features, monkeypatch):
    def scores(network, pictures, dtype=torch.float32, sampling=None, lengths=None):
        if network.training and len(pictures) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
        return fast_scores(network, pictures, dtype, sampling, lengths)

    monkeypatch.setattr(dse.training.steps, "fast_scores", scores)
    recipe = dataclasses.replace(RECIPE, epochs=1)
    result = train(POINT, features, recipe, seed=1, folder=None, device="cpu")
    assert result.note == (
        "out of memory in epoch 1: batches of up to 16000 frames are computed in 2 parts, and "
        "batch norm compares the clips of a part"
    )


def test_a_head_of_the_other_task_is_refused(features):
    pooled = dataclasses.replace(POINT, head="pooled")
    with pytest.raises(InvalidDesign, match="set head to framewise to write down sentences"):
        train(pooled, features, RECIPE, seed=1, folder=None)


def test_a_split_without_utterances_is_refused(features):
    none = dataclasses.replace(
        features.validation, starts=np.zeros(1, int), label_starts=np.zeros(1, int), names=()
    )
    with pytest.raises(InvalidData, match="the validation split needs at least one utterance"):
        train(POINT, features_of(features.training, none), RECIPE, seed=1, folder=None)
