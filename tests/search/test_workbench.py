"""A search as a notebook asks for it."""

from pathlib import Path

import pytest

import dse


def test_a_mapping_is_searched_and_goes_on(
    synthetic_speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = {f"{layer}_channels": 8 for layer in ("prologue", "epilogue", "final")}
    asked = {
        "name": "mine",
        "data": {"folder": str(synthetic_speech), "task": {"kind": "all_words"}},
        "space": {"blocks": 1, "channels": [8, 16, 24], "prologue_stride": 4, **small},
        "recipe": {"epochs": 1, "batch_size": 32},
        "trainings": 1,
    }
    study = dse.run_study(asked, bars=False)
    assert study.folder == Path("studies") / "mine"
    assert len(dse.load_results(study.folder)) == 1
    # The same call trains nothing anew; more trainings go on; its folder is as good as its text.
    assert dse.run_study(asked, bars=False).rows == study.rows
    more = dse.run_study("studies/mine", trainings=2, bars=False)
    assert more.rows[:1] == study.rows and len(more.trained) == 2
    front = dse.frontier(more)
    assert set(front["key"]) == {row.key for row in more.frontier}
    assert front["energy_pj"].is_monotonic_increasing
    with pytest.raises(dse.InvalidInput, match="unknown key 'trainigs'"):
        dse.run_study({**asked, "trainigs": 3}, bars=False)
