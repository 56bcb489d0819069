"""A training and a report as a notebook asks for them, on speech that is synthesised."""

from pathlib import Path

import pytest

import dse
from dse.errors import InvalidDesign, InvalidInput

TINY = {"blocks": 1, "channels": 8, "prologue_channels": 8, "epilogue_channels": 8}


def test_a_training_goes_on_where_it_was_stopped(synthetic_speech: Path, tmp_path: Path) -> None:
    point = dse.read_space({**TINY, "final_channels": 8, "prologue_stride": 2}).point({})
    data = {"folder": str(synthetic_speech), "task": {"kind": "all_words"}}
    recipe = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01}
    first = dse.train(point, data, out=tmp_path, recipe=recipe, bars=False)
    assert first.epochs == 1 and 0 <= first.validation_error <= 1
    assert (tmp_path / "best.pt").is_file()
    again = dse.train(point, data, out=tmp_path, recipe=recipe, bars=False)
    assert again.history == first.history  # nothing was trained a second time
    with pytest.raises(InvalidDesign, match="head"):
        dse.train("quartznet-5x1", data, out=None, bars=False)
    with pytest.raises(InvalidInput, match="there is no recipe 'quick'"):
        dse.train(point, data, out=None, recipe="quick", bars=False)


def test_reports_are_of_designs_or_of_a_study(tmp_path: Path) -> None:
    page, *more = dse.make_report("matchboxnet-1x1x16-P2", tmp_path / "p2.html")
    assert page == tmp_path / "p2.html" and not more
    assert "matchboxnet-1x1x16-P2" in page.read_text()
    with pytest.raises(InvalidInput, match="make a report of each"):
        dse.make_report(["matchboxnet-1x1x16", "quartznet-5x1"], tmp_path / "both.html")
