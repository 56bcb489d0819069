import re

import numpy as np
import pytest
import soundfile
import torch

import dse_cli.train
from dse.errors import TrainingFailed
from dse.training.checkpoint import load_checkpoint, load_network
from dse.training.history import read_history
from dse.training.scores import wilson_interval
from dse_cli import main
from dse_cli.train_briefly import say_hours

DESIGN = """
in_channels: 16
blocks:
- {name: Conv1, out_channels: 8, kernel_size: 3}
- {name: B1, out_channels: 8, kernel_size: 3, skip: {kind: dense}}
"""
TONES_HZ = {"yes": 300, "no": 900, "cat": 2500}


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A folder of words, each a tone of its own: 14 clips, 4 for validation and 4 for testing."""
    folder = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(1)
    lists = {"validation_list.txt": [], "testing_list.txt": []}
    time_s = np.arange(16_000) / 16_000
    for word, tone_hz in TONES_HZ.items():
        (folder / word).mkdir()
        for clip in range(14):
            name = f"{word}/{clip:08x}_nohash_0.wav"
            sound = 0.3 * np.sin(2 * np.pi * tone_hz * (1 + 0.02 * random.random()) * time_s)
            noise = 0.02 * random.normal(size=len(sound))
            soundfile.write(folder / name, (sound + noise).astype(np.float32), 16_000)
            if clip >= 6:
                lists["validation_list.txt" if clip < 10 else "testing_list.txt"].append(name)
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in an empty folder, with caches of its own and one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    (tmp_path / "tiny.yaml").write_text(DESIGN)
    (tmp_path / "quick.yaml").write_text(
        "epochs: 12\nbatch_size: 6\nlearning_rate: 0.05\nprecision: float32\n"
        "augmentation: {time_masks: 0, frequency_masks: 0, rectangles: 0}\n"
    )
    yield tmp_path
    torch.set_num_threads(before)


def run(*arguments):
    """Run `dse train`; returns the exit code."""
    try:
        main(["train", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code
    return 0


def train_tiny(data, *more):
    return run(
        "tiny.yaml",
        "--data",
        data,
        "--recipe",
        "quick.yaml",
        "--words",
        "yes,no",
        "--no-silence",
        "--threads",
        1,
        "--device",
        "cpu",
        *more,
    )


def test_a_training_says_what_it_does_and_what_came_out(tones, place, capsys):
    assert train_tiny(tones, "--out", "out", "--unknown-fraction", "1") == 0
    printed = capsys.readouterr().out
    point = load_network("out/seed-1/best.pt")[1].point
    parameters = sum(p.numel() for p in load_network("out/seed-1/best.pt")[0].parameters())
    assert (
        f"design      {point.label} (key {point.key}), {parameters} trained parameters" in printed
    )
    assert "3 classes; clips: 18 training, 12 validation, 12 testing" in printed
    assert "12 epochs of adamw, batches of 6, learning rate 0.05" in printed
    assert "device      cpu, 1 thread, float32" in printed
    assert re.search(
        r"^epoch 12/12  training error [\d.]+%  validation error [\d.]+%, lowest [\d.]+%  "
        r"[\d.]+ s$",
        printed,
        re.MULTILINE,
    )
    found = re.search(r"^test        ([\d.]+)% of 12 clips right .*$", printed, re.MULTILINE)
    right = round(float(found[1]) * 12 / 100)
    assert right >= 8
    low, high = wilson_interval(right, 12)
    assert found[0].endswith(f"(95 % interval {low:.1%} to {high:.1%})")
    assert (
        "files       out/seed-1: best.pt, last.pt, history.csv, evaluation.json, design.yaml"
        in printed
    )
    assert "next        dse estimate out/seed-1/design.yaml" in printed
    assert sorted(path.name for path in (place / "out/seed-1").iterdir()) == [
        "best.pt",
        "design.yaml",
        "evaluation.json",
        "history.csv",
        "last.pt",
    ]
    checkpoint = load_checkpoint("out/seed-1/best.pt")
    assert checkpoint.classes == ("yes", "no", "_unknown_")
    assert checkpoint.task.words == ("yes", "no")
    assert checkpoint.features.coefficients == 16


def test_mistakes_are_named(tones, capsys):
    assert train_tiny(tones, "--epochs", "1", "--no-unknown") == 0
    printed = capsys.readouterr().out
    errors = re.search(r"test        ([\d.]+)% of 8 clips right", printed)[1]
    if errors != "100.0":
        assert re.search(r"mistakes    (yes taken for no|no taken for yes) \dx", printed)
    assert "trained/" in printed


def test_several_seeds_go_to_folders_of_their_own(tones, place, capsys):
    assert train_tiny(tones, "--epochs", "2", "--seed", "5", "--seeds", "2", "--out", "o") == 0
    printed = capsys.readouterr().out
    assert sorted(path.name for path in (place / "o").iterdir()) == ["seed-5", "seed-6"]
    assert re.search(r"2 seeds     test [\d.]+% on average, [\d.]+% to [\d.]+%, deviation", printed)
    histories = [read_history(place / "o" / name) for name in ("seed-5", "seed-6")]
    assert histories[0][0].training_loss != histories[1][0].training_loss


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tones, monkeypatch, capsys):
    kept = dse_cli.train.train

    def interrupted(*arguments, report, **others):
        def stop(record):
            report(record)
            if record.epoch == 2:
                raise KeyboardInterrupt

        return kept(*arguments, report=stop, **others)

    with monkeypatch.context() as patch:
        patch.setattr(dse_cli.train, "train", interrupted)
        assert train_tiny(tones, "--epochs", "3") == 130
    error = capsys.readouterr().err
    assert error == "\ndse: stopped; the same command goes on from the last finished epoch\n"
    assert train_tiny(tones, "--epochs", "3") == 0
    printed = capsys.readouterr().out
    assert "epoch 3/3" in printed and "epoch 2/3" not in printed


def test_another_recipe_in_the_same_folder_is_refused_unless_fresh(tones, capsys):
    assert train_tiny(tones, "--epochs", "1", "--out", "o") == 0
    assert train_tiny(tones, "--epochs", "2", "--out", "o") == 2
    assert capsys.readouterr().err == (
        "dse: o/seed-1/last.pt is of recipe with epochs 1, and this training of recipe with epochs "
        "2: choose another folder, or start afresh (--fresh)\n"
    )
    assert train_tiny(tones, "--epochs", "2", "--out", "o", "--fresh") == 0


def test_a_failed_training_ends_with_1(tones, monkeypatch, capsys):
    def fail(*_, **__):
        raise TrainingFailed("the training loss is nan in epoch 1")

    monkeypatch.setattr(dse_cli.train, "train", fail)
    assert train_tiny(tones) == 1
    assert capsys.readouterr().err == "dse: the training loss is nan in epoch 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matchboxnet-3", "--data", "x"], "there is no published network 'matchboxnet-3'"),
        (["missing.yaml", "--data", "x"], "missing.yaml does not exist"),
        (["quartznet-5x5", "--data", "x"], "design quartznet-5x5 has a framewise head"),
        (["tiny.yaml", "--data", "nowhere"], "nowhere"),
        (
            ["tiny.yaml", "--data", "x", "--recipe", "fast"],
            "no recipe 'fast': use default, matchboxnet, quartznet, sentences, or a YAML file",
        ),
        (["tiny.yaml", "--data", "x", "--device", "tpu"], "device must be auto, cpu, or a device"),
        (["tiny.yaml", "--data", "x", "--task", "words"], "words must be a list of at least two"),
        (
            ["tiny.yaml", "--data", "x", "--unknown-fraction", "2"],
            "unknown_fraction must be in (0, 1], not 2.0",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_ends_with_2(arguments, message, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("dse: ") and error.count("\n") == 1


def test_more_threads_than_torch_survives_are_refused(capsys):
    assert run("tiny.yaml", "--data", "x", "--threads", "100000") == 2
    assert "100000 is not in the range 1<=x<=256" in capsys.readouterr().err


def test_help_names_the_recipes(capsys):
    assert run("--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "default, matchboxnet, quartznet, sentences, or a YAML file" in said


def test_a_few_steps_tell_the_pace_and_leave_nothing(tones, tmp_path, capsys):
    before = {path.name for path in tmp_path.iterdir()}
    assert train_tiny(tones, "--epochs", "50", "--max-steps", "3") == 0
    said = capsys.readouterr().out
    found = re.search(
        r"tried +3 steps, (\S+) s each after the first; all ([\d,]+) steps of 50", said
    )
    assert found is not None and float(found[1]) > 0
    steps = int(found[2].replace(",", ""))
    assert steps % 50 == 0 and steps > 3
    assert "nothing was kept" in said and "best epoch" not in said
    assert not (tmp_path / "trained").exists()
    assert {path.name for path in tmp_path.iterdir()} - before <= {"cache"}


def test_times_are_said_in_units_that_people_have():
    assert [say_hours(s) for s in (40, 720, 12_240, 1_814_400)] == [
        "40 s",
        "12 min",
        "3.4 h",
        "21 days",
    ]


def test_the_terminal_shows_a_bar_with_the_time_left(tones, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert train_tiny(tones, "--epochs", "2") == 0
    printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    assert "seed 1, epoch 2/2" in printed and " left" in printed


def test_features_may_be_set_in_a_file(tones, place, capsys):
    settings = place / "mel.yaml"
    settings.write_text("kind: log_mel\ncoefficients: 16\nvariants: 2\n")
    assert train_tiny(tones, "--features", settings, "--epochs", 1) == 0
    (checkpoint,) = place.glob("**/best.pt")
    features = load_checkpoint(checkpoint).features
    assert (features.kind, features.variants) == ("log_mel", 2)
    capsys.readouterr()
    settings.write_text("knd: log_mel\n")
    assert train_tiny(tones, "--features", settings) == 2
    assert "unknown key 'knd': did you mean 'kind'?" in capsys.readouterr().err
