"""A study whose error is wake words missed at a rate of false alarms, on long recordings."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cost_models.errors import InvalidFile
from dse.errors import InvalidData, InvalidInput, InvalidStudy
from dse.report.study import study_report
from dse.speech.features import load_features
from dse.speech.long_recordings import plan_long, record_long
from dse.speech.speech_commands import scan
from dse.speech.task import FeatureSpec, Task, Wake
from dse.speech.wake_recordings import check_recordings
from dse.studies.differences import find_difference
from dse.studies.resolved import parse_resolved, resolved_yaml
from dse.studies.rows import read_rows
from dse.studies.study import open_study
from dse.training.best_scores import read_best_scores
from dse.training.checkpoint import load_network
from dse.training.recipe import Recipe
from dse.training.run import train
from dse.training.scores import wilson_interval
from dse.training.spotting import hear_stream
from dse.training.wake_scoring import timing_of
from dse.training.wake_words import detection_trade_off, false_rejections_at
from dse_cli import main
from search.confirm import confirm_study
from tests.search.test_workers import Watcher, run
from tests.studies import open_optuna_study, read

STUDY = """
name: wakes
data:
  folder: speech
  task: {kind: words, words: [a, b], wake: WAKE}
space: {blocks: 1, channels: [8, 16], prologue_channels: 16}
"""
APP = Path(__file__).parents[2] / "dashboard" / "app.py"
WAKE = "{words: [left, right], false_alarms_per_hour: 100, minutes: 5}"


def wakes(wake: str) -> str:
    return STUDY.replace("WAKE", wake)


def refused(wake: str) -> str:
    with pytest.raises(InvalidFile) as error:
        read(wakes(wake))
    return str(error.value).rpartition(" (")[0]


def test_the_section_is_read_recorded_and_named() -> None:
    spec = read(wakes("{words: [a], false_alarms_per_hour: 0.5}"))
    assert spec.wake == Wake(words=("a",), false_alarms_per_hour=0.5)
    assert spec.name_column("error") == "false rejection rate at 0.5 alarms/h"
    assert (
        spec.name_column("quantised_error")
        == "false rejection rate at 0.5 alarms/h in whole numbers"
    )
    assert spec.samples == "wake words"
    study = open_optuna_study(wakes("{words: [a]}"))
    again, _ = parse_resolved(resolved_yaml(study.asked, study.begun), "resolved.yaml")
    assert again.resolved() == read(wakes("{words: [a]}")).resolved()
    plain = read(wakes("null"))
    assert (plain.wake, plain.error_name, plain.samples) == (None, "error", "clips")


def test_what_no_recording_can_tell_is_refused() -> None:
    assert refused("{words: [c]}") == (
        "data.task.wake.words must be words that the task tells apart, a, b, not 'c'"
    )
    assert refused("{words: [a], minutes: 30}") == (
        "data.task.wake.false_alarms_per_hour must be at least 2, which is one false alarm in 30 "
        "minutes (or set more minutes), not 1.0"
    )
    assert "wake.words must be a list of at least one word" in refused("{words: []}")
    sentences = "{kind: transcription, wake: {words: [a]}}"
    with pytest.raises(InvalidFile, match=r"data\.task\.wake: wake words are of a task that tells"):
        read(STUDY.replace("{kind: words, words: [a, b], wake: WAKE}", sentences))


def test_a_folder_of_few_clips_is_refused(tones: Path, tmp_path: Path) -> None:
    corpus = scan(tones)
    # Eight validation speakers say left once each.
    with pytest.raises(InvalidData) as error:
        check_recordings(corpus, Wake(words=("left",), false_alarms_per_hour=100))
    assert str(error.value) == (
        f"a recording of {tones}'s validation clips has 8 of left, and at least 10 are needed to "
        "tell misses from luck: add clips, name more wake.words, or set more wake.minutes"
    )
    both = Wake(words=("left", "right"), false_alarms_per_hour=100)
    plans = check_recordings(corpus, both)
    assert [plan.waking for plan in plans.values()] == [16, 16]
    seconds = plans["validation"].seconds
    with pytest.raises(InvalidData, match=r"minutes long, in which one false alarm is"):
        check_recordings(
            corpus, dataclasses.replace(both, false_alarms_per_hour=3590 / (seconds - 1))
        )
    task = Task(kind="all_words", unknown=False, silence=False, wake=Wake(words=("lef",)))
    with pytest.raises(InvalidData, match=r"wake\.words: 'lef' is no word of the task, which"):
        load_features(tones, task, FeatureSpec(variants=1), tmp_path)


def test_a_plan_is_what_is_recorded(tones: Path) -> None:
    corpus, words = scan(tones), ("left", "right")
    plan = plan_long(corpus, words, split="validation", minutes=0.4, seed=3)
    made = record_long(corpus, words, split="validation", minutes=0.4, seed=3)
    assert [clip.word for clip in plan.clips] == [word for _, _, word in made.placed]
    assert made.seconds == pytest.approx(plan.seconds, abs=0.01)
    another = record_long(corpus, words, split="validation", minutes=0.4, seed=4)
    assert made.digest != another.digest


def test_recordings_have_a_cache_of_their_own(tones: Path, tmp_path: Path) -> None:
    spec = FeatureSpec(variants=1)
    task = Task(kind="words", words=("left", "right", "stop"), unknown=False, silence=False)
    wake = Wake(words=("left", "right"), false_alarms_per_hour=100, minutes=5)
    clips = load_features(tones, task, spec, tmp_path)
    judged = dataclasses.replace(task, wake=wake)
    heard = load_features(tones, judged, spec, tmp_path)
    assert clips.key != heard.key
    assert (clips.count("validation"), heard.count("validation")) == (24, 16)
    assert heard.count("training") == clips.count("training") == len(clips.training)
    [place] = tmp_path.glob("wake-*")
    assert len(list(tmp_path.iterdir())) == 2  # the clips are those of the task without it
    damaged = bytearray((place / "validation.npy").read_bytes())
    damaged[-5] ^= 1
    (place / "validation.npy").write_bytes(damaged)
    again = load_features(tones, judged, spec, tmp_path)
    assert again.key == heard.key
    sizes = [len(each.recordings["validation"].columns) for each in (heard, again)]
    assert sizes[0] == sizes[1] == int(again.recordings["validation"].seconds * 100) + 1
    stricter = dataclasses.replace(judged, wake=dataclasses.replace(wake, smoothed_s=0.0))
    assert load_features(tones, stricter, spec, tmp_path).key != heard.key
    assert len(list(tmp_path.glob("wake-*"))) == 1  # the same sound
    space = read(wakes("null")).space
    with pytest.raises(InvalidInput, match="a training without a folder does not keep"):
        train(space.point(next(space.enumerate())), heard, Recipe(), seed=1, folder=None)


@pytest.fixture(scope="module")
def searched(tones: Path, tones_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tones.yaml` and `study`, which looked at designs after one epoch, too."""
    from tests.conftest import write_study_file

    folder = tmp_path_factory.mktemp("wakes")
    file = write_study_file(folder, tones, tones_cache)
    text = file.read_text().replace("silence: false}", f"silence: false, wake: {WAKE}}}")
    text = text.replace("baselines: [matchboxnet-3x1x64]\n", "").replace(
        "trainings: 4", "trainings: 2"
    )
    file.write_text(text + "rungs: {first: 1, factor: 2}\n")
    run(file, folder / "study", Watcher(), workers=1)
    return folder


def test_errors_of_a_study_are_wake_words_missed(searched: Path, tones: Path) -> None:
    study = open_study(searched / "study")
    trained = [row for row in study.rows if row.status == "trained" and row.full]
    assert len(trained) >= 2
    assert study.clips == 16
    recording = record_long(scan(tones), ("left", "right"), split="validation", minutes=5)
    for row in trained:
        best = read_best_scores(study.find_folder(row))
        assert best is not None and best.wake is not None and best.wake.int8 is not None
        missed = best.wake.floats.missed
        assert row.error == best.error == missed.sum() / 16
        assert row.quantised_error == best.quantised_error == best.wake.int8.error
        band = study.find_error_band(row)
        assert band is not None
        low, high = wilson_interval(int(missed.sum()), 16)
        assert [band.low, band.high] == pytest.approx([100 * low, 100 * high])
        hours = (best.wake.seconds - 1.0) / 3600
        assert best.wake.floats.false_alarms <= 100 * hours
        # As `dse wake` does it, but for columns in float16, which may move a score.
        network, found = load_network(study.find_folder(row) / "best.pt")
        wake = study.asked.wake
        assert wake is not None
        timing = timing_of(wake, found.features)
        heard = hear_stream(network, found, recording.samples, 10)[:, :2].sum(axis=1)
        words = [(begin, end) for begin, end, word in recording.placed if word in wake.words]
        curve = detection_trade_off(
            [(heard, timing.place(words))],
            hops_per_second=10,
            smoothing_hops=3,
            pause_hops=19,
            late_hops=8,
        )
        assert row.error == pytest.approx(false_rejections_at(curve, 100), abs=1.01 / 16)
    first, second = trained[:2]
    difference = find_difference(study, first, second)
    assert difference is not None
    assert "over the same wake words, McNemar's exact test" in difference.words


def test_what_a_study_says_of_its_errors(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["frontier", str(searched / "study")])
    assert ended.value.code == 0
    assert "missed at 100 alarms/h" in " ".join(capsys.readouterr().out.split())
    text = str(study_report(searched / "study"))
    assert "of 16 wake words missed" in text
    assert "Errors are false rejection rates: shares of 16 wake words (left, right)" in text
    assert "clips wrong" not in text


def test_the_pages_call_errors_so(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(APP), str(searched / "study")])
    study = open_study(searched / "study")
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("views/design.py")
    app.query_params["design"] = study.frontier[0].key
    app.query_params["tab"] = "Mistakes"
    app.run()
    assert not app.exception, app.exception
    metrics = [each.label for each in app.metric]
    assert "false rejection rate at 100 alarms/h" in metrics
    assert "error of clips in float" in metrics
    said = "\n".join(each.value for each in app.text)
    assert "with 16 x left, right among 8 other words" in said
    assert "false alarms, threshold" in said


def test_fresh_seeds_are_judged_on_test_speakers(searched: Path) -> None:
    spec = open_study(searched / "study").asked
    assert confirm_study(spec, searched / "study", seeds=1, cache=searched / "cache")
    for repeat in open_study(searched / "study").repeats:
        assert repeat.test_clips == 16
        assert (16 * repeat.test_error).is_integer() and repeat.test_wrong


def test_a_study_goes_on_and_keeps_its_rate(searched: Path) -> None:
    file, folder = searched / "tones.yaml", searched / "study"
    rows = [json.dumps(row.to_dict()) for row in read_rows(folder)]
    run(file, folder, Watcher(), workers=1)
    assert [json.dumps(row.to_dict()) for row in read_rows(folder)] == rows
    text = file.read_text()
    file.write_text(text.replace("per_hour: 100", "per_hour: 200"))
    with pytest.raises(InvalidStudy, match=r"task\.wake\.false_alarms_per_hour 100"):
        run(file, folder, Watcher(), workers=1)
    file.write_text(text)
