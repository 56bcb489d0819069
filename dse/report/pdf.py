"""A report as PDF: A4, page numbers, bookmarks, vector plots, letters that are embedded.

Laid out by reportlab, which leaves room for plots; each is a page of matplotlib's PDF, and pypdf
lays it into its room. Both libraries are optional dependencies. Letters are DejaVu Sans, which
matplotlib brings: Latin, Greek, Cyrillic and signs; what it lacks is shown as a box. Texts are
escaped before reportlab's own little markup language sees them.

Made in two passes, because reportlab cannot take in a page of another PDF:

    1  reportlab lays out texts and tables; a plot is an empty box (`Room`) that notes the page and
       the corner where the layout put it
    2  pypdf merges the plot's own page there, scaled and moved

Units are points, 1/72 inch, from the lower left corner of the page.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from dse.colours import FAINT, GRID, INK
from dse.errors import InvalidInput
from dse.report.content import Column, Plot, Report, Section, Table, printable
from dse.report.figures import draw_plot, saved

FONT, BOLD, MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"
CELL_SIZE = 6.2
NARROWEST = 26.0  # points, of a column of words that wrap
FLEXIBLE = 80.0
"""Wider columns of words wrap, so that all others need not."""
MOST_LINES = 40
"""Of one cell, if no line had room left: a row must fit a page."""
NO_BREAK = "\u00a0"


def pdf_document(report: Report) -> bytes:
    """The document: the same report gives the same bytes.

    Raises:
        InvalidInput: reportlab or pypdf is not installed.
    """
    try:
        import pypdf  # noqa: F401
        import reportlab  # noqa: F401
    except ImportError:
        raise InvalidInput(
            "PDF needs reportlab and pypdf: pip install 'ternary-dse[report]', or choose another "
            "format"
        ) from None
    return _Document(report).content()


def clean(words: str) -> str:
    """A text as reportlab's paragraphs take it: no markup, no control characters."""
    return escape(printable(words), quote=False)


def _commands(words: str) -> str:
    """A clean text with the commands between its backticks in the letters of code."""
    return re.sub(r"`(dse [^`]+)`", rf'<font face="{MONO}">\1</font>', words)


class _Document:
    """One making of a document: styles, letters, and the parts in order."""

    def __init__(self, report: Report) -> None:
        from reportlab.lib.enums import TA_LEFT, TA_RIGHT
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.lib.units import mm

        self.report = report
        self.rooms: list[_Room] = []
        self.page = A4
        self.margin = 13 * mm
        self.width = A4[0] - 2 * self.margin
        _register_fonts()

        def style(name: str, size: float, **more: Any) -> ParagraphStyle:
            settings = {"fontName": FONT, "leading": size * 1.35, "textColor": INK} | more
            # Long names without a space break anywhere, instead of leaving their column.
            return ParagraphStyle(name, fontSize=size, splitLongWords=1, **settings)

        bold = {"fontName": BOLD}
        self.styles = {
            "title": style("title", 18, fontName=BOLD),
            "subtitle": style("subtitle", 9, textColor=FAINT, spaceAfter=8),
            "h2": style("h2", 13, spaceBefore=14, spaceAfter=4, **bold),
            "h3": style("h3", 10.5, spaceBefore=10, spaceAfter=3, **bold),
            "caption": style("caption", 8.5, spaceBefore=8, spaceAfter=3, **bold),
            "text": style("text", 9, spaceAfter=3),
            "point": style("point", 9, leftIndent=11, bulletIndent=2, spaceAfter=3),
            "note": style("note", 7, textColor=FAINT, spaceBefore=2, spaceAfter=6),
            "code": style(
                "code",
                8,
                fontName=MONO,
                backColor="#f2f4f6",
                borderPadding=4,
                spaceBefore=6,
                spaceAfter=8,
            ),
            "left": style("left", CELL_SIZE, alignment=TA_LEFT),
            "right": style("right", CELL_SIZE, alignment=TA_RIGHT),
            "headleft": style("headleft", CELL_SIZE, fontName=BOLD, alignment=TA_LEFT),
            "headright": style("headright", CELL_SIZE, fontName=BOLD, alignment=TA_RIGHT),
        }

    def content(self) -> bytes:
        from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

        target = io.BytesIO()
        footer = 10.0
        document = BaseDocTemplate(
            target,
            pagesize=self.page,
            title=self.report.title,
            author="ternary-dse",
            subject=self.report.subtitle,
            creator=f"ternary-dse {self.report.version}",
            lang="en",
            # No time of making, no random name: the same report gives the same bytes.
            invariant=1,
        )
        frame = Frame(
            self.margin,
            self.margin + footer,
            self.width,
            self.page[1] - 2 * self.margin - footer,
            leftPadding=0,
            rightPadding=0,
            topPadding=0,
            bottomPadding=0,
        )
        document.addPageTemplates(PageTemplate("page", [frame]))
        document.build(self._story(), canvasmaker=_numbered_canvas(self.report, self.margin))
        return _with_plots(target.getvalue(), self.rooms)

    def _paragraph(self, words: str, style: str, **more: Any) -> Any:
        from reportlab.platypus import Paragraph

        return Paragraph(_commands(clean(words)), self.styles[style], **more)

    def _story(self) -> list[Any]:
        story = [
            self._paragraph(self.report.title, "title"),
            self._paragraph(self.report.subtitle, "subtitle"),
        ]
        for section in self.report.sections:
            story += self._section(section)
        return story

    def _section(self, section: Section) -> list[Any]:
        from reportlab.platypus import CondPageBreak, Preformatted

        parts: list[Any] = [
            CondPageBreak(self._together_with(section)),
            _bookmark(section.title, section.name, section.level),
            self._paragraph(section.title, f"h{section.level}"),
        ]
        parts += [self._paragraph(sentence, "text") for sentence in section.sentences]
        parts += [self._paragraph(p, "point", bulletText="\u2022") for p in section.points]
        if section.code:
            lines = "\n".join(_folded(line, 90) for line in section.code)
            parts.append(Preformatted(lines, self.styles["code"]))
        parts += [_room_for(_vector(plot), self.width, self.rooms) for plot in section.plots]
        for table in section.tables:
            if table.rows:
                parts += self._table(table)
        return parts

    def _together_with(self, section: Section) -> float:
        """Room in points that a heading needs below it; else it begins a new page.

        Some 90 for itself and a few sentences, and the height of the first plot, so that a heading
        does not stand alone at the foot of a page; 500 at most.
        """
        if not section.plots:
            return 120.0
        return min(90.0 + _vector(section.plots[0]).fitted(self.width)[1], 500.0)

    def _table(self, table: Table) -> list[Any]:
        from reportlab.platypus import CondPageBreak, LongTable

        widths = _widths(table, self.width)
        rows = [[self._cell(column, column.title, head=True) for column in table.columns]]
        rows += [
            [
                self._cell(column, _cut(_together(words), width))
                for column, words, width in zip(table.columns, row, widths, strict=True)
            ]
            for row in table.shown_rows
        ]
        looks: list[Any] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, GRID),
            ("BACKGROUND", (0, 0), (-1, 0), "#f2f4f6"),
            ("LEFTPADDING", (0, 0), (-1, -1), 2.5),
            ("RIGHTPADDING", (0, 0), (-1, -1), 2.5),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6),
        ]
        looks += [
            ("BACKGROUND", (0, row + 1), (-1, row + 1), "#e6f4ee")
            for row in range(len(table.rows))
            if table.marked(row)
        ]
        made = LongTable(
            rows,
            colWidths=widths,
            repeatRows=1,
            hAlign="LEFT",
            style=looks,
        )
        note = table.notes("Shaded")
        parts = [CondPageBreak(70), self._paragraph(table.title, "caption"), made]
        return [*parts, self._paragraph(note, "note")] if note else parts

    def _cell(self, column: Column, words: str, *, head: bool = False) -> Any:
        side = "left" if column.form == "text" else "right"
        return self._paragraph(words, f"head{side}" if head else side)


def _together(words: str) -> str:
    """A band in brackets does not break within them."""
    number, bracket, rest = words.partition(" (")
    if not bracket or not rest.endswith(")") or " to " not in rest:
        return words
    return f"{number} ({rest.replace(' ', NO_BREAK)}"


def _cut(words: str, width: float) -> str:
    """A text that leaves its row shorter than a page: cut where it would take `MOST_LINES`."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    needed = float(stringWidth(words, FONT, CELL_SIZE))
    room = max(width - 5, CELL_SIZE) * MOST_LINES
    return words if needed <= room else f"{words[: int(len(words) * room / needed)]}…"


def _folded(line: str, width: int) -> str:
    """A line of code that fits the page; the shell goes on after a backslash."""
    line = " ".join(line.splitlines())
    words, lines = line.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"    {word}")
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip() if len(lines) == 1 else f"{lines[-1]} {word}"
    return "\n".join(lines)


def _register_fonts() -> None:
    """Letters of matplotlib; a second call finds them registered."""
    import matplotlib
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD, MONO):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))


def _widths(table: Table, available: float) -> list[float]:
    """Widths of columns in points: numbers as wide as they are, words share the rest.

    Each column has two widths: `needed`, at which nothing wraps, and `least`, below which a word or
    a number would break in its middle. Then, in this order:

        sum(needed) fits        needed: no cell wraps
        long texts wrap         `least` becomes `needed` for all but long texts, if that fits
        sum(least) is too wide  texts that wrap give way down to NARROWEST, words broken anywhere
        still too wide          all shrink by one factor; numbers wrap, too
        room is left            each gets the same share of the way from least to needed

    Args:
        table: its headings and cells as people read them.
        available: width of the page's text.
    """
    from reportlab.pdfbase.pdfmetrics import stringWidth

    def width(words: str, font: str = FONT) -> float:
        return float(stringWidth(words, font, CELL_SIZE)) + 6

    needed, least = [], []
    for index, column in enumerate(table.columns):
        cells = [row[index] for row in table.shown_rows]
        heads = [width(word, BOLD) for word in column.title.split()]
        longest = max([width(cell[:400]) for cell in cells], default=0.0)
        if column.form == "text":
            words = [width(word[:24]) for cell in cells for word in cell.split()]
            least.append(min(max([*heads, *words, NARROWEST]), 110.0))
        else:
            # A band may break before its bracket.
            least.append(max([*heads, *(width(p) for cell in cells for p in _pieces(cell))]))
        needed.append(max([longest, *heads, least[-1]]))
    if sum(needed) <= available:
        return needed
    flexible = [
        column.form == "text" and need > FLEXIBLE
        for column, need in zip(table.columns, needed, strict=True)
    ]
    # Numbers and short words are as wide as they are where the long ones still have room.
    fixed = [
        low if bends else need for need, low, bends in zip(needed, least, flexible, strict=True)
    ]
    if any(flexible) and sum(fixed) <= available:
        least = fixed
    if sum(least) > available:  # long words break before numbers do
        room = available - sum(low for low, bends in zip(least, flexible, strict=True) if not bends)
        most = max(room / max(sum(flexible), 1), NARROWEST)
        least = [
            min(low, most) if bends else low for low, bends in zip(least, flexible, strict=True)
        ]
    if sum(least) >= available:
        return [each * available / sum(least) for each in least]
    share = (available - sum(least)) / (sum(needed) - sum(least))
    return [low + share * (high - low) for low, high in zip(least, needed, strict=True)]


def _pieces(shown: str) -> Sequence[str]:
    number, bracket, rest = shown.partition(" (")
    return (number, f"({rest}") if bracket else (number,)


def _bookmark(title: str, name: str, level: int) -> Any:
    from reportlab.platypus.flowables import Flowable

    class Bookmark(Flowable):  # type: ignore[misc]
        """An entry of the outline; takes no room."""

        def __init__(self) -> None:
            super().__init__()

        def wrap(self, *_: float) -> tuple[float, float]:
            return (0.0, 0.0)

        def draw(self) -> None:
            self.canv.bookmarkPage(name)
            self.canv.addOutlineEntry(title, name, level - 2, closed=level == 2)

    return Bookmark()


@dataclass(frozen=True, slots=True)
class _Vector:
    """A plot as a page of a PDF of its own."""

    content: bytes
    width: float
    height: float

    def fitted(self, available: float) -> tuple[float, float]:
        """Its factor and its height where it is as wide as the page allows."""
        scale = min(available / self.width, 680 / self.height)
        return scale, self.height * scale


@dataclass(frozen=True, slots=True)
class _Room:
    """Where a plot goes: its page from 0, its lower left corner, its factor."""

    vector: _Vector
    page: int
    x: float
    y: float
    scale: float


@lru_cache(maxsize=16)  # its height is asked for before it is drawn
def _vector(plot: Plot) -> _Vector:
    figure = draw_plot(plot)
    width, height = figure.get_size_inches() * 72
    return _Vector(saved(figure, "pdf"), float(width), float(height))


def _room_for(vector: _Vector, available: float, rooms: list[_Room]) -> Any:
    from reportlab.platypus.flowables import Flowable

    scale, height = vector.fitted(available)

    class Room(Flowable):  # type: ignore[misc]
        """Takes the room of a plot, and notes where that is."""

        def wrap(self, *_: float) -> tuple[float, float]:
            return (available, height + 6)

        def draw(self) -> None:
            x, y = self.canv.absolutePosition(0, 6)
            rooms.append(_Room(vector, self.canv.getPageNumber() - 1, x, y, scale))

    return Room()


def _with_plots(document: bytes, rooms: Sequence[_Room]) -> bytes:
    """The document with each plot in its room."""
    from pypdf import PdfReader, PdfWriter, Transformation

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(document)))
    for room in rooms:
        (plot,) = PdfReader(io.BytesIO(room.vector.content)).pages
        place = Transformation().scale(room.scale).translate(room.x, room.y)
        page = writer.pages[room.page]
        page.merge_transformed_page(plot, place)
        if not page.get("/Annots"):  # an empty list of links, which comes with the plot
            page.pop("/Annots", None)
        page.compress_content_streams()
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def _numbered_canvas(report: Report, margin: float) -> Any:
    """A canvas that knows how many pages there are when it writes `page 2 of 9`.

    The number of pages is known when the last one is laid out. So a page that ends is not written
    but kept, as a copy of the canvas's attributes, and all are written when the document is saved.
    """
    from reportlab.pdfgen.canvas import Canvas

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self._pages: list[dict[str, Any]] = []
            self.setDateFormatter(lambda *_: report.moment.strftime("D:%Y%m%d%H%M%S+00'00'"))

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for page in self._pages:
                self.__dict__.update(page)
                self.setFont(FONT, 7)
                self.setFillColor(FAINT)
                title = report.title if len(report.title) <= 90 else f"{report.title[:89]}…"
                self.drawString(margin, margin - 6, title)
                self.drawRightString(
                    self._pagesize[0] - margin,
                    margin - 6,
                    f"page {self._pageNumber} of {len(self._pages)}",
                )
                super().showPage()
            super().save()

    return Numbered
