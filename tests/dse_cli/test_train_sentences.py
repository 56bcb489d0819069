"""`dse train --task transcription` and `dse transcribe` on tones that stand for letters."""

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
import yaml

from dse.training.checkpoint import load_checkpoint, load_network
from dse.training.history import read_history
from dse_cli import main

DESIGN = """
in_channels: 16
head: framewise
blocks:
- {name: C1, out_channels: 16, kernel_size: 5, stride: 2}
- {name: B1, out_channels: 16, kernel_size: 5, skip: {kind: dense}}
"""
TONES_HZ = {"a": 300, "b": 900, "c": 2500}
TEXTS = ("ab c", "ca", "b ac", "cb a", "a b c", "bc", "ac ab", "cab", "b a", "c ba")


def sound_of(text: str, seed: int) -> np.ndarray:
    """A tone of 80 ms a letter, a pause between; a blank is silence but for noise."""
    random = np.random.default_rng(seed)
    time_s = np.arange(1_280) / 16_000
    pieces = []
    for letter in text:
        tone = np.sin(2 * np.pi * TONES_HZ.get(letter, 0) * time_s) * (letter != " ")
        pieces += [0.3 * tone, np.zeros(320)]
    sound = np.concatenate(pieces)
    return (sound + 0.003 * random.normal(size=len(sound))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """LibriSpeech's layout, one speaker a split."""
    folder = tmp_path_factory.mktemp("sentences")
    for speaker, (split, count) in enumerate(
        {"train-clean": 30, "dev-clean": 6, "test-clean": 6}.items()
    ):
        place = folder / split / str(speaker) / "1"
        place.mkdir(parents=True)
        lines = []
        for number in range(count):
            text = TEXTS[(number + 3 * speaker) % len(TEXTS)]
            name = f"{speaker}-1-{number:04d}"
            soundfile.write(place / f"{name}.flac", sound_of(text, 100 * speaker + number), 16_000)
            lines.append(f"{name} {text.upper()}\n")
        (place / f"{speaker}-1.trans.txt").write_text("".join(lines))
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    (tmp_path / "tiny.yaml").write_text(DESIGN)
    (tmp_path / "letters.txt").write_text(" \na\nb\nc\n")
    (tmp_path / "quick.yaml").write_text(
        "epochs: 12\nbatch_size: 6\nlearning_rate: 0.02\nprecision: float32\n"
        "augmentation: {time_masks: 0, frequency_masks: 0, varied: false}\n"
    )
    (tmp_path / "plain.yaml").write_text("variants: 1\n")
    yield tmp_path
    torch.set_num_threads(before)


def run(*arguments: str) -> int:
    try:
        main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


TRAIN = (
    "train",
    "tiny.yaml",
    "--task",
    "transcription",
    "--threads",
    "1",
    "--recipe",
    "quick.yaml",
)
LETTERS = ("--characters", "letters.txt", "--features", "plain.yaml", "--out", "out")


def test_a_network_is_trained_and_writes_down_recordings(corpus, place, capsys):
    assert run(*TRAIN, *LETTERS, "--data", str(corpus)) == 0
    said = capsys.readouterr().out
    assert "data        4 characters; sentences: 30 training (0.2 min), 6 validation" in said
    history = read_history(place / "out" / "seed-1")
    assert history[-1].validation_cer < 0.2
    assert "CER" in said and "taken for others" in said and "hypotheses.csv" in said
    assert "said        ac ab" in said
    checkpoint = load_checkpoint(place / "out" / "seed-1" / "best.pt")
    assert checkpoint.task.characters == (" ", "a", "b", "c")
    assert checkpoint.features.normalisation == "utterance"
    assert "--frames 1001 --outputs 5" in said  # how to price it

    soundfile.write(place / "one.wav", sound_of("cab", 7), 16_000)
    soundfile.write(place / "two.wav", sound_of("b a", 8), 16_000)
    best = "out/seed-1/best.pt"
    for more in ((), ("--beam", "20")):
        assert run("transcribe", best, "one.wav", "two.wav", *more) == 0
        assert capsys.readouterr().out == "one.wav\tcab\ntwo.wav\tb a\n"
    soundfile.write(place / "click.wav", np.ones(10, np.float32), 16_000)
    (place / "text.wav").write_text("hello")
    for arguments, sentence in (
        ((best, "click.wav"), "click.wav has 0.00 s: recordings of 0.02 to 120 s are heard"),
        ((best, "text.wav"), "text.wav cannot be heard"),
        ((best, "none.wav"), "none.wav does not exist: name WAV or FLAC"),
        ((best, "one.wav", "--lm", "x.arpa"), "--lm needs --beam"),
        ((best, "one.wav", "--beam", "5", "--lm", "x.arpa"), "x.arpa is no file"),
        (("none.pt", "one.wav"), "none.pt does not exist: name a best.pt or last.pt"),
    ):
        assert run("transcribe", *arguments) == 2
        assert sentence in capsys.readouterr().err

    # The same network as NeMo, C and ONNX: with its characters, at lengths of its own.
    assert run("export", "nemo", best, "--out", "nemo.yaml") == 0
    assert yaml.safe_load((place / "nemo.yaml").read_text())["model"]["labels"] == list(" abc")
    # Shorter and longer than the pieces that ranges are taken from, which make three of 300.
    for frames, clips in ((7, 4), (300, 3)):
        out = ("--data", str(corpus), "--frames", str(frames), "--out", "firmware")
        assert run("export", "header", best, *out) == 0
        said = capsys.readouterr().out
        assert f"memory for {frames} frames" in said
        assert f"PASS: {clips * 5 * -(-frames // 2)} scores" in said  # 5 outputs, stride 2
    assert run("export", "onnx", best, "--out", "model.onnx") == 0
    runtime = onnxruntime.InferenceSession(place / "model.onnx")
    network, _ = load_network(place / best)
    for frames in (11, 301):
        features = torch.randn(1, 16, frames)
        with torch.no_grad():
            scores = network(features).numpy()
        [heard] = runtime.run(None, {runtime.get_inputs()[0].name: features.numpy()})
        assert heard.shape == (1, 5, -(-frames // 2))
        np.testing.assert_allclose(heard, scores, atol=1e-4)


def test_what_does_not_fit_the_task_is_refused(corpus, place, capsys):
    pooled = DESIGN.replace("head: framewise", "head: pooled")
    (place / "pooled.yaml").write_text(pooled)
    for arguments, sentence in (
        ((*TRAIN, "--words", "yes,no"), "--words is not an option of this task"),
        (("train", "tiny.yaml", "--error", "wer"), "--error is not an option of this task"),
        (
            ("train", "pooled.yaml", "--task", "transcription"),
            "set head to framewise to write down sentences",
        ),
        ((*TRAIN, "--characters", "none.txt"), "none.txt"),
    ):
        assert run(*arguments, "--data", str(corpus)) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
