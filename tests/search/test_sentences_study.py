"""A study about sentences: the same loop, with the features and networks of its task."""

from pathlib import Path

import pytest

from dse.report import answer, study_report
from dse.speech.sentence_features import load_sentences
from dse.studies.confirmed import write_confirmed
from dse.studies.mistakes import find_mistakes
from dse.studies.reading import read_study
from dse.studies.repeats import stack_mistakes
from dse.studies.rows import read_rows
from dse.studies.study import open_study
from search.check import check_data
from search.confirm import confirm_study
from search.study import load_data, run_study
from tests.search.test_study import Watcher

STUDY = """
name: talk
data:
  folder: {data}
  task: {{kind: transcription}}
  features: {{variants: 1, coefficients: 16}}
space:
  family: quartznet
  blocks: 1
  repeats: 1
  channels: [8, 16]
  kernel: 5
  policy: [P0, P2]
  prologue_channels: 16
  prologue_kernel: 5
  epilogue_channels: 16
  epilogue_kernel: 5
  final_channels: 16
  matrix_order: 4x32
recipe: {{epochs: 1, batch_size: 8, batch_frames: 4000}}
hardware:
  machine: [kws_ternary]
  memories: {{weight_sram: {{capacity_bits: fit}}, activation_sram: {{capacity_bits: fit}}}}
trainings: 2
"""


@pytest.fixture
def study_file(synthetic_sentences: Path, tmp_path: Path) -> Path:
    pytest.importorskip("jiwer", reason="pip install 'ternary-dse[asr]'")
    path = tmp_path / "talk.yaml"
    path.write_text(STUDY.format(data=synthetic_sentences))
    return path


def test_data_of_sentences_are_looked_at_by_transcripts(study_file: Path) -> None:
    found = check_data(read_study(study_file))
    assert found.outputs == 29
    assert found.words == "28 characters and blank; utterances"
    assert found.counts == {"training": 16, "validation": 8, "testing": 8}
    assert found.findings == ()


def test_sentences_are_heard_as_fast_as_they_are_said(study_file: Path) -> None:
    text = study_file.read_text()
    frames = 250  # of 10 ms: an inference every two and a half seconds
    study_file.write_text(text.replace("variants: 1", f"variants: 1, frames: {frames}"))
    assert read_study(study_file).rate is None  # nothing is limited by it
    assert read_study(study_file).inferences_per_second == pytest.approx(0.4)
    study_file.write_text(study_file.read_text() + "objectives: [error, average_power_uw]\n")
    assert read_study(study_file).rate == pytest.approx(0.4)
    study_file.write_text(study_file.read_text() + "rate: 3\n")
    assert read_study(study_file).inferences_per_second == 3


def test_a_study_about_sentences_is_searched(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder, cache = read_study(study_file), tmp_path / "talk", tmp_path / "cache"
    outcome = run_study(spec, study_file.read_text(), folder, Watcher(), cache=cache)
    rows = [row for row in read_rows(folder) if row.error is not None]
    assert len(rows) == 2 and outcome.state.frontier >= 1
    # One epoch of CTC: most is blank, so nearly all characters of the references are deleted.
    assert all(0.5 < row.error <= 1 for row in rows)
    features = load_sentences(spec.data_folder, spec.task, spec.features, cache)
    begun = open_study(folder).begun
    assert begun.data_key == features.key == load_data(spec, cache).key
    assert begun.outputs == features.outputs == 29
    assert begun.clips == {"training": 16, "validation": 8, "testing": 8}
    _confirmed_and_reported(folder, cache, monkeypatch)


def _confirmed_and_reported(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh seeds on the test split, edits of each utterance kept, and a report of it all."""
    found = confirm_study(open_study(folder).asked, folder, seeds=1, cache=cache)
    write_confirmed(found, folder)
    study = open_study(folder)
    for repeat in study.repeats:
        told = stack_mistakes([repeat], "error")
        assert told is not None and told.counts.shape == (1, 8)
        assert min(1.0, told.rates[0]) == pytest.approx(repeat.test_error)
    assert all(one.test_band is not None and one.test_band.mid > 50 for one in found)
    for row in study.trained:
        band, clips = study.find_error_band(row), study.find_clips(row)
        assert band is not None and band.low <= 100 * row.column("error") <= band.high
        told = find_mistakes(study.find_folder(row), row, "error")
        assert told is not None and clips is not None and 1 <= clips <= told.units.sum()
    report = study_report(folder)
    words = report.sections[0].points[0]
    edits, units = (int(array.sum()) for array in (told.counts, told.units))
    assert f" of {units:,} characters, 8 utterances)" in words and edits > 0
    assert "no design has learnt to write yet" not in words
    monkeypatch.setattr(answer, "SILENT", 0.5)
    assert "no design has learnt to write yet" in study_report(folder).sections[0].points[0]
    table = report.table("confirmed")
    assert table.note.count("utterances") == 2 and "clips" not in table.note
