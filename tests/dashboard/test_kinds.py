"""The kind of a network is the network's, on whatever machine: in tables, plots and the report."""

from pathlib import Path

import pandas as pd
import pytest

from dashboard.charts import KINDS
from dashboard.studies import StudyFrame, read_study
from dashboard.views.what_if import _frame
from dse.design.space import Choice, SearchSpace
from dse.report import study_report
from dse.studies.kinds import Kinds, deciding_axes, kind_of
from dse.studies.rows import Evaluation
from tests.dashboard.conftest import Opened
from tests.dashboard.test_app import drawn, tables_of

TERNARY = [False, False, True, True, True]
"""Of the designs of `DESIGNS`, by their policies."""


def load(studies: Path, name: str) -> StudyFrame:
    return read_study(name, studies / name)


@pytest.mark.parametrize("name", ["generated", "stored", "six"])
def test_kind_is_of_the_network(studies: Path, name: str) -> None:
    study = load(studies, name)
    kinds = study.scaled.drop_duplicates("trial").sort_values("trial")["kind"]
    assert kinds.tolist() == [KINDS[ternary] for ternary in TERNARY]
    assert study.scaled.groupby("key")["kind"].nunique().eq(1).all()  # on each machine the same


def test_a_machine_that_stores_counts_no_generated_weights(studies: Path) -> None:
    """What the pages took the kind from: it says nothing there."""
    assert load(studies, "stored").frame["generated_weights"].eq(0).all()


@pytest.mark.parametrize("page", ["frontier", "watch", "what_if"])
def test_pages_draw_ternary_networks_of_a_machine_that_stores_them(
    studies: Path, open_page: Opened, page: str
) -> None:
    app = open_page(page, studies, study="stored", watched="stored")
    option, tables = drawn(app), tables_of(app)
    for kind, trials in zip(KINDS[:2], ((0, 1), (2, 3)), strict=True):
        places = [
            each["datasetIndex"] for each in option["series"] if each["name"].startswith(kind)
        ]
        names = sorted(name for place in places for name in tables[place]["design"])
        assert names == [f"design {trial}" for trial in trials]


def test_mixing_layers_are_compared_on_a_machine_that_stores_them(
    studies: Path, open_page: Opened
) -> None:
    app = open_page("compare", studies, study="stored", compare="mixing layers")
    columns = set(app.dataframe[0].value.columns)
    assert {"dense", "ternary, P2", "ternary, P4"} <= columns


def test_the_report_knows_dense_and_ternary_on_a_machine_that_stores_them(studies: Path) -> None:
    report = study_report(studies / "stored")
    assert set(KINDS[:2]) <= {each.name for each in report.plots[0].series}
    said = " ".join(text for section in report.sections for text in section.sentences)
    assert "no dense design" not in said.lower()


def test_storing_the_matrices_makes_no_network_dense(studies: Path) -> None:
    study = load(studies, "generated")
    places = study.networks.to_numpy().nonzero()[0]
    rows = study.frame.iloc[places]
    trained = type("T", (), {"frame": rows.reset_index(drop=True), "places": places})
    columns = {name: rows[name].to_numpy() for name in ("energy_pj", "trained_parameters")}
    columns["generated_weights"] = 0 * columns["energy_pj"]
    frame = _frame(study, trained, columns, rows["energy_pj"].notna().to_numpy())  # type: ignore[arg-type]
    assert frame["kind"].tolist() == [KINDS[TERNARY[trial]] for trial in rows["trial"]]


def test_an_unknown_network_has_no_kind() -> None:
    row = Evaluation(trial=0, status="trained", source="search", key="abc", values={"blocks": 1})
    space = SearchSpace((Choice("blocks", (1, 2)),))
    assert Kinds(space, lambda _: None).of(row) is None


def test_widths_decide_where_a_skip_does() -> None:
    space = SearchSpace((Choice("blocks", (1, 2)),))
    names = ("blocks", "skip_b2", "channels_b2", "prologue_channels", "kernel", "nonsense")
    assert deciding_axes(space, names, ["dense"]) == ["blocks", "skip_b2"]
    with_widths = ["blocks", "skip_b2", "channels_b2", "prologue_channels"]
    assert deciding_axes(space, names, ["identity_or_ternary"]) == with_widths


def test_kinds_agree_with_each_network_alone() -> None:
    """All values of two axes of mixers: one of each combination stands for the others."""
    space = SearchSpace(
        (
            Choice("blocks", (1, 2)),
            Choice("block_mixer", ("dense", "ternary", "low_rank")),
            Choice("skip", ("dense", "identity_or_ternary")),
            Choice("channels", (16, 32)),
            Choice("prologue_channels", (16,)),
        )
    )
    rows = []
    for number, values in enumerate(space.enumerate()):
        row = Evaluation(trial=number, status="trained", source="search", values=values)
        rows.append(row)
    kinds = Kinds(space, lambda row: space.point(row.values))
    found = pd.Series([kinds.of(row) for row in rows])
    assert found.tolist() == [kind_of(space.point(row.values)) for row in rows]
    assert set(found) == {"dense", "ternary", "other"}
