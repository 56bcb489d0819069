"""What the dashboard shows of a cost is what `dse report` and `dse estimate` say of it."""

from pathlib import Path

import pandas as pd
import pytest
import streamlit
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from cost_models import Band
from cost_models.application import Use
from dashboard.contents import BETTER, WORSE, _change, _tint
from dse.columns import COST_COLUMNS
from dse.report.breakdowns import design_sections
from dse.report.content import Column, Table, middle
from dse.report.cost_tables import totals_table
from dse.report.estimate import estimate_sections
from dse.report.priced import price_row
from dse.studies.study import open_study
from tests.dashboard.conftest import DESIGNS, FRAMES, OUTPUTS, STUDY, Opened, write_study
from tests.studies import read

DENSE, TERNARY = DESIGNS[1], DESIGNS[3]
NEVER_ON_THE_PAGE = {"totals", "blocks_1"}
"""One stands there on its side; the other is drawn as the network."""


def drawn_tables(app: AppTest) -> list[tuple[list[str], list[list[str]], list[list[object]]]]:
    """Titles of columns, texts, and the values that are sorted by, of each table of the page."""
    found = []
    for frame in app.dataframe:
        shown = frame.proto.arrow_data.styler.display_values
        if shown:
            texts = convert_arrow_bytes_to_pandas_df(shown)
            rows = texts.to_numpy().tolist()
            found.append((list(texts.columns), rows, frame.value.to_numpy(object).tolist()))
    return found


def same_value(column: Column, value: object, cell: object) -> bool:
    if cell is None:
        return bool(pd.isna(value))
    if isinstance(cell, str) or column.form == "text":
        return value == cell
    return float(str(value)) == pytest.approx(float(str(cell)), rel=1e-15)


def assert_drawn(table: Table, drawn: list[tuple[list[str], list[list[str]], list[list[object]]]]):
    titles = [column.title for column in table.columns]
    rows = [list(row) for row in table.shown_rows]
    [values] = [values for columns, texts, values in drawn if (columns, texts) == (titles, rows)]
    for line, cells in zip(values, table.rows, strict=True):
        for column, value, cell in zip(table.columns, line, cells, strict=True):
            assert same_value(column, value, middle(cell)), (table.name, column.title)


@pytest.mark.parametrize("machine, design", [("kws_ternary", TERNARY), ("kws_int8_dram", DENSE)])
def test_the_page_of_a_design_has_the_tables_of_the_report(
    tmp_path: Path,
    open_page: Opened,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    design: tuple[dict[str, object], float],
) -> None:
    hardware = read(f"{STUDY}machine: {machine}\n").hardware
    folder = write_study(tmp_path / "studies" / "small", designs=(design,), hardware=hardware)
    study = open_study(folder)
    [row] = study.rows
    priced, use = price_row(study, row), Use(inferences_per_second=1.0)
    assert priced is not None
    reported = design_sections([priced], use)
    estimated = estimate_sections([priced], FRAMES, OUTPUTS, use, mapping=True, roofline=True)
    # A page draws the tab that is open; here all are.
    tabs = streamlit.tabs
    monkeypatch.setattr(streamlit, "tabs", lambda titles, **_: tabs(titles))
    app = open_page("design", folder.parent, design=row.key)
    drawn = drawn_tables(app)
    estimates = [t for each in estimated for t in each.tables if t.rows]
    # The two have their layers in common, but one says how they are mapped; all else is the same.
    shorter = {"layers_1"}
    reports = [t for each in reported for t in each.tables if t.name not in shorter]
    tables = [t for t in (*estimates, *reports) if t.name not in NEVER_ON_THE_PAGE]
    for table in tables:
        assert_drawn(table, drawn)
    assert len(drawn) == len({t.title for t in tables})  # and none of its own
    wide = next(t for t in estimates if t.name == "layers")
    layers = next(t for each in reported for t in each.tables if t.name == "layers_1")
    assert wide.columns[:-1] == layers.columns
    assert [line[:-1] for line in wide.rows] == [line for line in layers.rows]
    # All totals, on their side, as a terminal prints them.
    totals = totals_table([priced], use)
    lines = next(f.value for f in app.dataframe if len(f.value) > 20 and len(f.value.columns) == 2)
    assert lines.to_numpy().tolist() == [
        [column.title, column.show(cell)] for column, (cell,) in totals.sideways[1]
    ]


def test_the_comparison_has_the_totals_of_the_estimate(tmp_path: Path, open_page: Opened) -> None:
    folder = write_study(tmp_path / "studies" / "small", designs=(DENSE, TERNARY))
    study = open_study(folder)
    priced = [each for row in study.rows if (each := price_row(study, row)) is not None]
    table = totals_table(priced, Use(inferences_per_second=1.0))
    lines = open_page("compare", folder.parent).dataframe[0].value
    names, figures = table.sideways
    assert list(lines.columns) == ["", *(name.replace("\n", ", ") for name in names)]
    # The objectives' lines come first; all others are in the order of the estimate.
    assert lines.iloc[:2, 0].tolist() == ["error (%)", "energy (µJ)"]
    figures = sorted(figures, key=lambda line: line[0].name not in ("error", "energy"))
    for line, (column, cells) in zip(lines.to_numpy().tolist(), figures, strict=True):
        assert line[0] == column.title
        # Behind all but the first stands how far it is from that, in percent.
        said = [text.partition("  (")[0] for text in line[1:]]
        assert said == [column.show(cell) for cell in cells]
    energies = next(cells for column, cells in figures if column.name == "energy")
    change = middle(energies[1]) / middle(energies[0]) - 1  # type: ignore[operator]
    energy = next(line for line in lines.to_numpy().tolist() if line[0] == "energy (µJ)")
    assert energy[2].endswith(f"  ({change:+.1%})")
    assert {name for each in priced for name in each.recorded} == set(COST_COLUMNS)


def test_better_and_worse_are_tinted_by_what_a_figure_means() -> None:
    def column(name: str) -> Column:
        return Column(name=name, heading=name)

    assert BETTER in _tint(column("energy"), 2.0, 1.0)
    assert WORSE in _tint(column("energy"), 1.0, Band(low=1.0, mid=2.0, high=3.0))
    assert BETTER in _tint(column("battery"), 1.0, 2.0)
    for name, after in (("energy", 1.0), ("clock_mhz", 2.0), ("bound_sram", 2.0), ("energy", None)):
        assert _tint(column(name), 1.0, after) == ""


def test_a_change_that_is_tinted_is_not_said_to_be_none() -> None:
    power = Column(name="power", heading="power", unit="µW", band=True)
    assert _change(power, 75.10, 75.13) == "  (+0.04%)" and _tint(power, 75.10, 75.13)
    assert _change(power, 75.1, 75.1) == _tint(power, 75.1, 75.1) == ""
    assert _change(power, 2.0, 1.0) == "  (-50.0%)"
