"""Each format read by a program that is not ours, and the same numbers in all of them."""

import base64
import dataclasses
import hashlib
import io
import json
import math
import re
import sys
import time
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import openpyxl
import pandas as pd
import pypdf
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dse.columns import significant
from dse.errors import InvalidInput
from dse.report import FORMATS, Report, render, study_report
from dse.report.content import Part, Point, Scatter, Series, Table
from dse.report.figures import draw_plot
from dse.report.markdown import plain
from dse.report.svg import svg_inline
from dse.report.writing import render_files

from .conftest import DENSE, HOSTILE, TERNARY, StudyMaker

FORMULA = tuple("=+-@\t\r")


class Page(HTMLParser):
    """Tables, texts, scripts and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._rows: list[list[str]] | None = None
        self._cell: list[str] | None = None
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._within.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(str(attributes["id"]), [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None and self._rows is not None:
            self._rows[-1].append("".join(self._cell))
            self._cell = None
        if tag in self._within:
            while self._within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "script" in self._within:
            self.scripts[-1] += data
        elif "style" not in self._within:
            self.text += data
        if self._cell is not None:
            self._cell.append(data)


def page_of(report: Report) -> Page:
    return Page(render(report, "html").decode())


class Rendered:
    """Markdown as a program of GitHub's kind renders it (markdown-it-py)."""

    def __init__(self, text: str) -> None:
        self.tables: list[list[list[str]]] = []
        self.links: list[str] = []
        self.markup: list[str] = []
        for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
            if token.type == "table_open":
                self.tables.append([])
            elif token.type == "tr_open":
                self.tables[-1].append([])
            elif token.type == "html_block":
                self.markup.append(token.content)
            elif token.type == "inline":
                self._inline(token, within_table=token.level >= 4)

    def _inline(self, token: Token, *, within_table: bool) -> None:
        text = ""
        for child in token.children or []:
            text += child.content if child.type in ("text", "code_inline") else ""
            self.links += [
                str(child.attrs[name]) for name in ("href", "src") if name in child.attrs
            ]
            if child.type in ("html_inline", "code_inline", "em_open", "s_open"):
                self.markup.append(child.content)
        if within_table:
            self.tables[-1][-1].append(text)


def pdf_of(report: Report) -> bytes:
    """The PDF of a report, made once."""
    return _kept(report, "pdf", lambda: render(report, "pdf"))


def pdf_text(report: Report) -> str:
    def read() -> str:
        reader = pypdf.PdfReader(io.BytesIO(pdf_of(report)))
        return squeezed(" ".join(page.extract_text() for page in reader.pages))

    return _kept(report, "text", read)


_KEPT: dict[tuple[int, str], Any] = {}


def _kept(report: Report, what: str, make: Callable[[], Any]) -> Any:
    key = (id(report), what)  # reports of a session live as long as it
    if key not in _KEPT:
        _KEPT[key] = make()
    return _KEPT[key]


def squeezed(text: str) -> str:
    """Without spaces, which a PDF does not have."""
    return re.sub(r"\s+", "", text)


def frames_of(report: Report) -> dict[str, pd.DataFrame]:
    # Only an empty cell is nothing: "nan" or "None" would be names.
    return {
        name.split("/")[-1].split(".")[0]: pd.read_csv(
            io.BytesIO(content), keep_default_na=False, na_values=[""]
        )
        for name, content in render_files(report, "csv").items()
    }


def same(one: Any, other: Any) -> bool:
    if one in (None, "") or (isinstance(one, float) and math.isnan(one)):
        return other is None or (isinstance(other, float) and math.isnan(other)) or other == ""
    if isinstance(one, str):
        # `7` as a text is the number 7 to a reader of CSV.
        return str(other).removeprefix("'") == one or str(other) == one
    return float(one) == float(other)


def assert_rows(table: Table, read: list[list[Any]], form: str) -> None:
    assert len(read) == len(table.rows), (form, table.name)
    for row, found in zip(table.plain_rows, read, strict=True):
        for field, one, other in zip(table.fields, row, found, strict=True):
            assert same(one, other), (form, table.name, field.name, one, other)


def test_pandas_reads_every_table(report: Report) -> None:
    frames = frames_of(report)
    assert set(frames) == {table.name for table in report.tables}
    for table in report.tables:
        frame = frames[table.name]
        assert list(frame.columns) == [field.name for field in table.fields]
        assert_rows(table, frame.to_numpy(dtype=object).tolist(), "csv")


def test_json_has_all_tables_and_sentences(report: Report) -> None:
    plain = json.loads(render(report, "json"))
    sections = plain["sections"]
    assert [section["title"] for section in sections] == [s.title for s in report.sections]
    read = {table["name"]: table for section in sections for table in section["tables"]}
    for table in report.tables:
        assert_rows(table, [list(row.values()) for row in read[table.name]["rows"]], "json")
    assert sections[0]["points"] == list(report.sections[0].points)


def test_openpyxl_reads_every_sheet(report: Report) -> None:
    book = openpyxl.load_workbook(io.BytesIO(render(report, "xlsx")))
    assert book.sheetnames == ["answer", *(table.name[:31] for table in report.tables)]
    for table in report.tables:
        head, *rows = book[table.name[:31]].iter_rows(values_only=True)
        assert list(head) == [field.name for field in table.fields]
        assert_rows(table, [list(row) for row in rows], "xlsx")


def test_html_markdown_and_pdf_show_the_same_numbers(report: Report) -> None:
    page, pdf = page_of(report), pdf_text(report)
    markdown = iter(Rendered(render_markdown(report)).tables)
    for table in report.tables:
        head, *rows = page.tables[f"table-{table.name}"]
        assert head == [column.title for column in table.columns]
        assert [tuple(row) for row in rows] == table.shown_rows
        titles, *lines = next(markdown)
        assert titles == head
        for line, row in zip(lines, table.shown_rows, strict=True):
            assert line == [" ".join(cell.split()) for cell in row]
        for row in table.shown_rows:
            for column, cell in zip(table.columns, row, strict=True):
                if column.form != "text":
                    assert squeezed(cell) in pdf, (table.name, column.name, cell)


TYPED = re.compile(r"\b(uJ|uW|um2|mm2|F2)\b|\(us\)|\bus\b per")


def test_people_read_units_as_they_write_them_and_programs_read_ascii(report: Report) -> None:
    for text in (page_of(report).text, pdf_text(report), render_markdown(report)):
        assert TYPED.findall(text) == []
        assert all(unit in text for unit in ("µJ", "mm²", "µm²", "µW", "KiB"))
    names = [field.name for table in report.tables for field in table.fields]
    assert all(name.isascii() for name in names)
    assert {"energy_uj", "area_mm2", "stored_kib", "leakage_uw"} <= set(names)


def render_markdown(report: Report) -> str:
    return render_files(report, "md")[f"{report.name}.md"].decode()


def test_every_sentence_is_in_every_format_for_people(report: Report) -> None:
    page, pdf, text = squeezed(page_of(report).text), pdf_text(report), render_markdown(report)
    for section in report.sections:
        for sentence in (*section.sentences, *section.points):
            told = squeezed(sentence.replace("`", ""))  # commands are code there
            assert told in page and told in pdf
            assert plain(sentence) in text


def test_the_page_is_one_file_that_loads_nothing(report: Report) -> None:
    page = page_of(report)
    loads = ("src", "srcset", "action", "data", "poster")
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert not set(loads) & set(attributes), (tag, attributes)
        assert not (attributes.get("href") or "#").lstrip("#").startswith(("http", "java", "data"))
    raw = render(report, "html").decode()
    assert "@import" not in raw
    # A plot's axes clip what lies beyond them: a reference within the page.
    assert re.findall(r"url\((?!#)", raw) == []
    assert len(raw) < 600_000


def test_the_page_runs_one_script_by_its_hash(report: Report, hostile_report: Report) -> None:
    for each in (report, hostile_report):
        page = page_of(each)
        (script,) = page.scripts
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
        assert policy is not None
        assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
        handlers = [name for _, a in page.tags for name in a if name.startswith("on")]
        assert handlers == []
        assert not [a for _, a in page.tags if "style" in a]  # the policy would refuse them


def test_hostile_names_are_texts_in_html(hostile_report: Report) -> None:
    page = page_of(hostile_report)
    for name in HOSTILE:
        assert name.replace("\u0007", "") in page.text
    assert "alert" not in "".join(page.scripts)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "b"}
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_commands_in_sentences_are_code(report: Report) -> None:
    said = "Run `dse confirm A<B` & see `x`."
    section = dataclasses.replace(report.sections[0], sentences=(said,), points=(said,))
    page = render(dataclasses.replace(report, sections=(section,)), "html").decode()
    assert page.count("Run <code>dse confirm A&lt;B</code> &amp; see `x`.") == 2


def test_hostile_names_are_texts_in_markdown(hostile_report: Report) -> None:
    rendered = Rendered(render_markdown(hostile_report))
    assert set(rendered.links) == {
        f"{hostile_report.name}-{plot.name}.svg" for plot in hostile_report.plots
    }
    # Our own words only: the last line is set in italics, with a command in it.
    assert rendered.markup == ["", "dse report"]
    designs = rendered.tables[[table.name for table in hostile_report.tables].index("designs")]
    for name in HOSTILE[:5]:
        assert name.replace("\u0007", "") in [row[1] for row in designs]


def test_hostile_names_are_texts_in_csv(hostile_report: Report) -> None:
    for name, content in render_files(hostile_report, "csv").items():
        frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        for column in frame.columns:
            for cell in frame[column]:
                number = re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell) is not None
                assert number or not cell.startswith(FORMULA), (name, column, cell)
    designs = pd.read_csv(io.BytesIO(render_files(hostile_report, "csv")["csv/designs.csv"]))
    assert f"'{HOSTILE[1]}" in set(designs["design"])


def test_hostile_names_are_texts_in_a_workbook(hostile_report: Report) -> None:
    book = openpyxl.load_workbook(io.BytesIO(render(hostile_report, "xlsx")))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert [cell.coordinate for cell in cells if cell.data_type == "f"] == []
    formulas = [c for c in cells if isinstance(c.value, str) and c.value.startswith(FORMULA)]
    named = [cell for cell in formulas if cell.value in HOSTILE]
    assert named and all(cell.quotePrefix for cell in named)
    assert all(cell.hyperlink is None for cell in cells)


def test_hostile_names_are_texts_in_json(hostile_report: Report) -> None:
    assert HOSTILE[1] in render(hostile_report, "json").decode().replace('\\"', '"')


def test_hostile_names_are_texts_in_pdf(hostile_report: Report) -> None:
    content = pdf_of(hostile_report)
    text = pdf_text(hostile_report)
    for name in HOSTILE:
        assert squeezed(name.replace("\u0007", "")) in text
    reader = pypdf.PdfReader(io.BytesIO(content))
    assert not any("/Annots" in page for page in reader.pages)  # no link to anywhere
    assert b"/JavaScript" not in content and b"/OpenAction" not in content


def test_hostile_names_are_no_paths(hostile_report: Report) -> None:
    for form in FORMATS:
        for name in render_files(hostile_report, form):
            assert re.fullmatch(r"(csv/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*", name), name


@pytest.mark.parametrize("form", FORMATS)
def test_names_in_any_script_and_half_characters_are_written(form: str, tmp_path: Path) -> None:
    maker = StudyMaker(tmp_path / "small")
    maker.add(DENSE, 20, name="\u6f22\u5b57 \U0001f600 \u00e9\u03bc \u05d0 \ud800")
    maker.add(TERNARY, 16, name="a\nb\tc\u2028d\x00e")
    assert render(study_report(maker.folder), form)


def test_very_long_names_do_not_break_a_page(hostile_report: Report) -> None:
    long = "m" * 20_000
    table = hostile_report.table("designs")
    rows = tuple((row[0], long, *row[2:]) for row in table.rows)
    section = dataclasses.replace(
        hostile_report.sections[0],
        points=(long,),
        title=long[:300],
        tables=(dataclasses.replace(table, rows=rows),),
    )
    report = dataclasses.replace(hostile_report, title=long[:500], sections=(section,))
    for form in FORMATS:
        assert render(report, form)


SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def pictures_of(report: Report) -> dict[str, ElementTree.Element]:
    return {
        name: ElementTree.fromstring(content)
        for name, content in render_files(report, "md").items()
        if name.endswith(".svg")
    }


def test_pictures_are_well_formed_and_complete(report: Report, hostile_report: Report) -> None:
    harmless = {"svg", "title", "g", "path", "use", "text", "defs", "clipPath", "rect"}
    for each in (report, hostile_report):
        assert len(pictures_of(each)) == len(each.plots)
        for name, root in pictures_of(each).items():
            assert {element.tag.removeprefix(SVG) for element in root.iter()} <= harmless
            for element in root.iter():
                assert (element.get(f"{XLINK}href") or "#").startswith("#")
                assert "style" not in element.attrib
                assert not [attribute for attribute in element.attrib if attribute.startswith("on")]
            assert f"]({name})" in render_markdown(each)


def test_a_text_of_a_plot_is_no_formula(hostile_report: Report) -> None:
    root = next(root for name, root in pictures_of(hostile_report).items() if "frontier" in name)
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    # Forty letters, the last an ellipsis.
    assert f"{HOSTILE[3][:39]}…" in texts
    assert f"{HOSTILE[0][:39]}…" in texts


def test_ids_of_a_page_are_distinct_or_the_same_shape(report: Report) -> None:
    """A mark refers to its shape by an id, also where several plots stand on one page."""
    page = ElementTree.fromstring(f"<page>{''.join(svg_inline(p) for p in report.plots)}</page>")
    shapes: dict[str, set[bytes]] = {}
    for element in page.iter():
        if "id" in element.attrib:
            shapes.setdefault(element.attrib["id"], set()).add(ElementTree.tostring(element))
    assert shapes and all(len(same) == 1 for same in shapes.values())
    used = {(element.get(f"{XLINK}href") or "#")[1:] for element in page.iter(f"{SVG}use")}
    assert used <= set(shapes)


def test_a_plot_has_a_mark_for_every_trained_design(report: Report) -> None:
    frontier = next(plot for plot in report.plots if plot.name == "frontier")
    root = ElementTree.fromstring(svg_inline(frontier))
    marks = [mark for mark in root.iter(f"{SVG}use") if "tipped" in mark.get("class", "")]
    tips = [title.text or "" for mark in marks for title in mark]
    trained = report.table("designs").rows
    for row in trained:
        assert sum(tip.endswith(f"key {row[-1]}") for tip in tips) == 1
    # The designs over a limit take more than 1.4 times the energy of all others: they are counted.
    assert len(tips) == len(trained)
    assert "over a limit, not trained (2, 2 beyond the axis)" in [
        text.text for text in root.iter(f"{SVG}text")
    ]
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for mark in marks:
        assert 0 <= float(mark.attrib["x"]) <= width and 0 <= float(mark.attrib["y"]) <= height


def test_a_part_of_a_bar_says_what_it_is(report: Report) -> None:
    plot = next(plot for plot in report.plots if plot.name == "components")
    root = ElementTree.fromstring(svg_inline(plot))
    tips = [mark[0].text or "" for mark in root.iter(f"{SVG}path") if len(mark)]
    table = report.table("components")
    sram = [column.name for column in table.columns].index("sram")
    for row in table.rows:
        part = row[sram]
        assert isinstance(part, Part)
        share = f"SRAM: {significant(part.value)} of {significant(part.whole)}"
        assert f"{row[0]}\n{share}\nenergy per inference (µJ)" in tips


def test_a_design_far_over_a_limit_does_not_squeeze_the_others() -> None:
    def series(name: str, marker: Literal["circle", "tick"], *xs: float) -> Series:
        points = tuple(Point(x=x, y=10.0, tip=f"{x}") for x in xs)
        return Series(name=name, colour="#000000", marker=marker, points=points)

    plot = Scatter(
        name="plot",
        title="plot",
        x_title="µJ",
        y_title="%",
        series=(series("dense", "circle", 1.0, 2.0), series("over", "tick", 2.5, 5.0, 100.0)),
        limits=(5.0, 100.0),
    )
    (axes,) = draw_plot(plot).axes
    # From the cheapest to the limit that is near the others, with room.
    assert axes.get_xlim() == pytest.approx((1.0 / 1.4, 5.0 * 1.4))
    lines = {str(line.get_label()): list(line.get_xdata()) for line in axes.lines}
    assert lines["over (3, 1 beyond the axis)"] == [2.5, 5.0]
    assert [list(x) for x in lines.values() if x[0] == x[-1]] == [[5.0, 5.0]]  # the other is far


def test_pages_are_a4_numbered_and_bookmarked(report: Report) -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf_of(report)))
    count = len(reader.pages)
    for number, page in enumerate(reader.pages, start=1):
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx(
            (595.28, 841.89), abs=0.01
        )
        assert f"page {number} of {count}" in page.extract_text()
        assert not page.images  # plots are drawn, not painted
    titles = [item["/Title"] for item in reader.outline if not isinstance(item, list)]
    assert titles == [section.title for section in report.sections if section.level == 2]
    assert reader.metadata is not None and reader.metadata.title == report.title
    assert str(reader.metadata.creation_date) == "2026-11-20 10:00:05+00:00"


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_report_gives_the_same_bytes(
    report: Report, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pdf_of(report) if form == "pdf" else render(report, form)
    later = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: later)
    assert render(report, form) == first


def test_several_files_come_as_an_archive(report: Report) -> None:
    with zipfile.ZipFile(io.BytesIO(render(report, "csv"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"csv/{table.name}.csv" for table in report.tables]


def test_an_unknown_format_is_refused(report: Report) -> None:
    with pytest.raises(InvalidInput, match="no format 'docx': formats are html, pdf"):
        render(report, "docx")


@pytest.mark.parametrize(
    ("form", "module", "words"),
    [
        ("pdf", "reportlab", "PDF needs reportlab and pypdf"),
        ("pdf", "pypdf", "PDF needs reportlab and pypdf"),
        ("xlsx", "xlsxwriter", "XLSX needs XlsxWriter"),
    ],
)
def test_a_missing_library_is_one_sentence(
    report: Report, form: str, module: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInput, match=words + r": pip install 'ternary-dse\[report\]'"):
        render(report, form)
