"""Wake words: long recordings, and a network that hears its own clips in them.

Their arithmetic is in tests/dse/training/test_wake_words.py.
"""

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
from dse_cli import main


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
    assert rows[0] == "thresholds,false_rejections,false_alarms_per_hour"
    assert 2 < len(rows) <= 201
    misses = [float(row.split(",")[1]) for row in rows[1:]]
    assert misses[0] >= misses[-1] and all(0 <= each <= 1 for each in misses)
    with pytest.raises(SystemExit) as ended:
        main([*asked, "nothing"])
    assert ended.value.code == 2
    assert "the network knows no word 'nothing': its classes are" in capsys.readouterr().err
