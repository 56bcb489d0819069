"""A study of networks over bins, from its file to trained designs, a report and an export."""

from pathlib import Path
from typing import Any

import pytest

import dse
from dse.design.families.dscnn import DSCNN
from dse.errors import InvalidDesign, InvalidFile
from dse.studies.reading import read_study
from dse.training.integer import quantise_network
from dse.training.source import calibration_pictures, trained

STUDY = """
name: bins
data:
  folder: {data}
  task: {{kind: words, words: [left, right, stop], unknown: false, silence: false}}
  features: {{coefficients: 10, frames: 49, window_ms: 32, hop_ms: 20, variants: 1}}
space:
  family: dscnn
  blocks: 1
  channels: [8, 12]
  policy: [P0, P3]
  density: 0.5
  prologue_channels: 8
  prologue_stride: 4
recipe: {{epochs: 4, batch_size: 32}}
trainings: 2
baselines: [{{policy: P3, channels: 12, density: 0.5}}]
"""


def test_it_is_searched_trained_reported_and_exported(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bins.yaml"
    path.write_text(STUDY.format(data=tones))
    study = dse.run_study(path, tmp_path / "study", bars=False)
    assert len(study.trained) == 2
    assert all(row.quantised_error is None for row in study.trained)
    assert all("moves over 10 bins" in row.reason for row in study.trained)
    assert all(row.computed.endswith("plain path") for row in study.trained)
    # The recipe's masks are for pictures of 64 rows.
    said = "a frequency mask of up to 15 rows can cover all 10: lower augmentation.frequency_width"
    assert all(said in row.reason for row in study.trained)
    # Three tones: a network that heard nothing would miss two thirds of them.
    assert min(row.error for row in study.trained if row.error is not None) < 0.5
    page, *_ = dse.make_report(study, tmp_path / "report.html")
    assert "of bins" in page.read_text()
    best, *_ = sorted((tmp_path / "study").rglob("best.pt"))
    source = trained(best)
    assert source.point.has_bins and source.point.features == 10
    with pytest.raises(InvalidDesign, match="moves over 10 bins of a frame"):
        quantise_network(source, calibration_pictures(source, tones))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("objectives: [quantised_error, energy_pj]\n", "the networks of family dscnn move over bi"),
        ("recipe: {epochs: 4, kept_share: 0.5}\n", "recipe.kept_share 0.5 keeps a share of frames"),
    ],
)
def test_what_knows_one_dimension_is_refused_when_the_study_is_read(
    more: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bins.yaml"
    text = STUDY.format(data="speech")
    if more.startswith("recipe"):
        text = text.replace("recipe: {epochs: 4, batch_size: 32}\n", "")
    path.write_text(text + more)
    with pytest.raises(InvalidFile) as caught:
        read_study(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_one_feature_has_no_bins(tmp_path: Path) -> None:
    assert DSCNN.over_bins
    path = tmp_path / "bins.yaml"
    text: Any = STUDY.format(data="speech").replace("coefficients: 10", "coefficients: 1")
    path.write_text(text)
    with pytest.raises(InvalidFile, match="must be at least 2, not 1"):
        read_study(path)


@pytest.mark.real_speech
def test_recorded_words_are_told_apart(
    real_speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    point = DSCNN.build({"blocks": 2, "channels": 24, "prologue_channels": 24, "policy": "P3"})
    data = {
        "folder": str(real_speech / "speech_commands"),
        "task": {"kind": "words", "words": ["yes", "no"], "unknown": False, "silence": False},
        "features": {"frames": 49, "window_ms": 32, "hop_ms": 20, "variants": 1},
    }
    masks = {"time_width": 10, "frequency_width": 2}
    recipe = {"epochs": 6, "augmentation": masks}
    found = dse.train(point, data, out=tmp_path / "out", recipe=recipe, bars=False)
    assert found.validation_error < 0.25  # of two words, half are told by chance
