"""A study about sentences: the same loop, with the features and networks of its task."""

from pathlib import Path

import pytest

from dse.errors import InvalidStudy
from dse.speech.sentence_features import load_sentences
from dse.studies.rows import read_rows
from dse.studies.spec import read_study
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


def test_a_study_about_sentences_is_searched(study_file: Path, tmp_path: Path) -> None:
    spec, folder, cache = read_study(study_file), tmp_path / "talk", tmp_path / "cache"
    outcome = run_study(spec, study_file.read_text(), folder, Watcher(), cache=cache)
    rows = [row for row in read_rows(folder) if row.error is not None]
    assert len(rows) == 2 and len(outcome.state.frontier) >= 1
    # One epoch of CTC: most is blank, so nearly all characters of the references are deleted.
    assert all(0.5 < row.error <= 1 for row in rows)
    features = load_sentences(spec.data_folder, spec.task, spec.features, cache)
    begun = open_study(folder).begun
    assert begun.data_key == features.key == load_data(spec, cache).key
    assert begun.outputs == features.outputs == 29
    assert begun.clips == {"training": 16, "validation": 8, "testing": 8}
    with pytest.raises(InvalidStudy, match=r"talk is about sentences .* dse confirm cannot test"):
        confirm_study(open_study(folder).asked, folder, seeds=1, cache=cache)
