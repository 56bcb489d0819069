"""What the data say against errors goes with a study: terminal, record, report."""

import json
import shutil

from dse.report import study_report
from dse.report.markdown import markdown_page
from dse.studies.study import open_study
from dse_cli import main
from tests.conftest import write_study_file


def test_a_voice_in_two_splits_is_told_by_search_record_and_report(
    tones, tmp_path, capfd, monkeypatch
):
    data = tmp_path / "tones"
    shutil.copytree(tones, data)
    heard = sorted((data / "left").iterdir())[0]  # validation, by the lists
    shutil.copy(heard, heard.with_name(heard.name.replace("_0.wav", "_1.wav")))
    (tmp_path / "caches").mkdir()
    study = write_study_file(tmp_path, data, tmp_path / "caches")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "study"
    options = ["--cache", "caches", "--trainings", "1", "--out", str(folder), "--workers", "1"]
    try:
        main(["search", str(study), *options])
    except SystemExit as ended:
        assert not ended.code
    out = capfd.readouterr().out
    voice = f"1 speaker is in more than one split (such as '{heard.name[:8]}')"
    recording = f"1 recording is in more than one split (such as left/{heard.name} in"
    recording += f" validation and left/{heard.stem[:-1]}1.wav in training)"
    few = "3 classes have fewer than 10 clips in a split"  # eight each in validation and testing
    assert f"caution: {voice}" in out and f"caution: {few}" in out
    found = open_study(folder)
    assert [voice in found.begun.findings[0], few in found.begun.findings[1]] == [True, True]
    assert recording in found.begun.findings[2] and len(found.begun.findings) == 3
    assert found.begun.clips == {"training": 73, "validation": 24, "testing": 24}
    assert found.clips == 24
    text = markdown_page(study_report(folder))
    assert f"* {voice}" in text
    assert text.index("Frontier") > text.index("What the data say against these errors")
    (evaluation,) = {path.read_text() for path in folder.glob("designs/*/evaluation.json")}
    assert json.loads(evaluation)["findings"] == list(found.begun.findings)
