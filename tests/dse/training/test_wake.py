"""Wake words: events, misses and alarms counted by hand, and a network that hears its own clips."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dse.design.families.matchboxnet import matchboxnet
from dse.errors import InvalidData, InvalidInput
from dse.networks.network import build_network
from dse.speech.audio import read_clip
from dse.speech.features import load_features
from dse.speech.long_recordings import record_long
from dse.speech.mfcc import compute_features, normalise
from dse.speech.speech_commands import scan
from dse.speech.task import FeatureSpec, Task
from dse.training.recipe import Recipe
from dse.training.run import train
from dse.training.spotting import hear_stream, window_seconds
from dse.training.wake import (
    Listening,
    Spoken,
    find_events,
    judge,
    rejections_at,
    smooth,
    trade_off,
)
from dse_cli import main

HOW = Listening(hop_s=1.0, smoothed_s=1.0, refractory_s=3.0, grace_s=1.0)


def test_scores_are_smoothed_over_what_is_past() -> None:
    assert smooth(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist() == [0.0, 1.5, 3.0, 3.0]
    assert smooth(np.array([1.0, 2.0]), 1).tolist() == [1.0, 2.0]


def test_a_network_that_woke_sleeps_for_a_while() -> None:
    scores = np.array([0.9, 0.9, 0.1, 0.9, 0.9, 0.2, 0.5])
    assert find_events(scores, 0.5, 1) == [0, 1, 3, 4, 6]
    assert find_events(scores, 0.5, 3) == [0, 3, 6]
    assert find_events(scores, 0.95, 3) == []


def test_events_find_words_or_are_alarms() -> None:
    spoken = [Spoken(2, 3, "yes"), Spoken(10, 11, "yes")]
    # 1.9 is too early; 2.5 and 4.0 (3 and a grace of 1) are one word; 4.1 is too late.
    woken = judge([1.9, 2.5, 4.0, 4.1], spoken, 0.5, HOW, 0.7)
    assert (woken.found, woken.rejected, woken.alarms) == (1, 1, 2)
    assert woken.rejection_rate == 0.5 and woken.alarms_per_hour == 4


def test_the_curve_trades_misses_for_alarms() -> None:
    #                    0    1    2    3    4    5    6    7    8    9
    scores = np.array([0.0, 0.9, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.4])
    spoken = [Spoken(1, 1, "yes"), Spoken(9, 9, "yes")]
    curve = trade_off(scores, spoken, HOW, [0.3, 0.5, 0.8, 0.95])
    assert [(each.threshold, each.rejected, each.alarms) for each in curve] == [
        (0.95, 2, 0),
        (0.8, 1, 0),
        (0.5, 1, 1),
        (0.3, 0, 1),
    ]
    assert rejections_at(curve, 0).threshold == 0.8  # type: ignore[union-attr]
    assert rejections_at(curve, 360).rejected == 0  # type: ignore[union-attr]  # 1 alarm in 10 s
    assert rejections_at(curve[2:], 0) is None
    # Of its own thresholds the highest never wakes, and one finds both words. The lowest does not:
    # it wakes at once, and sleeps while the first word is said.
    own = trade_off(scores, spoken, HOW)
    assert own[0].alarms + own[0].found == 0
    assert min(each.rejected for each in own) == 0 and own[-1].rejected == 1


@pytest.fixture(scope="module")
def trained(synthetic_speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network of all words of the synthesised corpus, half trained."""
    folder = tmp_path_factory.mktemp("spotter")
    spec = FeatureSpec(variants=2, coefficients=32)
    task = Task(kind="all_words", unknown=False, silence=False)
    features = load_features(synthetic_speech, task, spec, folder / "cache")
    point = matchboxnet(
        {"blocks": 1, "channels": 16, "prologue_channels": 16, "prologue_stride": 4}, in_channels=32
    )
    recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.02)
    train(point, features, recipe, seed=1, folder=folder)
    return folder / "best.pt"


def test_a_window_over_a_clip_hears_the_clip(synthetic_speech: Path) -> None:
    """Where a recording is one clip, its only window scores as the clip in its split does."""
    spec = FeatureSpec(coefficients=32)
    corpus = scan(synthetic_speech)
    samples = read_clip(synthetic_speech / corpus.clips[0].path, 16_000, 16_000)
    torch.manual_seed(1)
    network = build_network(matchboxnet({"blocks": 1, "channels": 8}, in_channels=32), 3).eval()
    mean, deviation = torch.linspace(-1, 1, 32), torch.linspace(1, 2, 32)
    told = type("Told", (), {})()
    told.task, told.features, told.mean, told.deviation = Task(), spec, mean, deviation
    [heard] = hear_stream(network, told, samples, 10)
    picture = compute_features(torch.from_numpy(samples)[None], spec)
    with torch.no_grad():
        wanted = torch.softmax(network(normalise(picture, mean, deviation)), dim=1)[0]
    np.testing.assert_allclose(heard, wanted.numpy(), atol=1e-5)
    assert window_seconds(spec) == pytest.approx(1.0)
    # Shifted by ten columns, the second window of a longer recording hears the same clip.
    longer = np.concatenate([np.zeros(1_600, np.float32), samples, np.zeros(400, np.float32)])
    both = hear_stream(network, told, longer, 10)
    np.testing.assert_allclose(both[1], heard, atol=0.05)
    with pytest.raises(InvalidInput, match="a recording of 51 frames is shorter than a window"):
        hear_stream(network, told, samples[:8_000], 10)


def test_long_recordings_are_made_of_one_split(synthetic_speech: Path) -> None:
    corpus = scan(synthetic_speech)
    word = corpus.words[0]
    first, again = (record_long(corpus, [word], minutes=0.5, wake_share=0.3) for _ in range(2))
    assert np.array_equal(first.samples, again.samples) and first.placed == again.placed
    assert 5 <= first.seconds <= 45
    words = [each for _, _, each in first.placed]
    assert word in words and len(set(words)) > 1
    begins = [begin for begin, _, _ in first.placed]
    assert begins == sorted(begins)
    assert all(end - begin == pytest.approx(1.0) for begin, end, _ in first.placed)
    assert np.abs(first.samples[: int(0.4 * 16_000)]).max() > 0  # noise before the first word
    with pytest.raises(InvalidData, match="no clip of another word in its testing split"):
        record_long(corpus, corpus.words)


def test_the_command_says_how_often_it_wakes(
    synthetic_speech: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    word = scan(synthetic_speech).words[0]
    asked = ["wake", str(trained), "--data", str(synthetic_speech), "--words"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, word, "--minutes", "0.5", "--csv", str(tmp_path / "curve.csv")])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "minutes: " in said and "at most 1 false alarms an hour: " in said
    assert "one false alarm in this recording is" in said
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert rows[0] == "threshold,alarms_per_hour,rejection_rate,alarms,rejected"
    assert 2 < len(rows) <= 102  # a head, a hundred thresholds, and one where nothing wakes
    misses = [float(row.split(",")[2]) for row in rows[1:]]
    assert misses[0] >= misses[-1] and all(0 <= each <= 1 for each in misses)
    with pytest.raises(SystemExit) as ended:
        main([*asked, "nothing"])
    assert ended.value.code == 2
    assert "the network knows no word 'nothing': its classes are" in capsys.readouterr().err
