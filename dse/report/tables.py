"""Tables as files for programs: CSV, JSON, XLSX. Whole numbers, not shortened ones.

A text that a spreadsheet would take for a formula is not one: CSV puts an apostrophe before it, as
spreadsheets themselves do; XLSX stores it as a text and marks it as one. Numbers are never touched.
"""

import io
import json
from typing import Any

from dse.errors import InvalidInput
from dse.report.content import Field, Report, Table
from dse.sheets import csv_lines

FORMATS_OF_CELLS = {
    "count": "#,##0",
    "percent": "#,##0.0",
    "figure": "General",
    "exact": "General",
}

SHEET_NAME = 31  # characters, at most, in a workbook
CELL = 32_000  # characters of a text, a little less than a workbook allows


def csv_text(table: Table) -> str:
    """A table as CSV: a line of field names with their units, then a line a row.

    Numbers have 15 significant digits and no separators; what is not known is empty, which is not
    0. Lines end in a line feed, on all systems.
    """
    names = [field.name for field in table.fields]
    return csv_lines(
        names,
        (
            [_number(value) if isinstance(value, float) else value for value in row]
            for row in table.plain_rows
        ),
    )


def _number(value: int | float) -> int | float:
    """Whole numbers without `.0`, as counts are whole."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def json_text(report: Report) -> str:
    """All of a report as JSON: its sentences, and its tables with a dictionary a row.

    Plots are left out: their designs stand in the tables. NaN and infinity are refused
    (ValueError), as JSON has no word for them.
    """
    plain = {
        "schema_version": 1,
        "program": f"ternary-dse {report.version}",
        "title": report.title,
        "subtitle": report.subtitle,
        "dated": report.dated,
        "sections": [
            {
                "name": section.name,
                "title": section.title,
                "level": section.level,
                "sentences": list(section.sentences),
                "points": list(section.points),
                "code": list(section.code),
                "tables": [_table_to_dict(table) for table in section.tables],
            }
            for section in report.sections
        ],
    }
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table_to_dict(table: Table) -> dict[str, Any]:
    fields = table.fields

    def value(cell: str | int | float | None, field: Field) -> str | int | float | None:
        return _number(cell) if field.form == "count" and isinstance(cell, float) else cell

    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "columns": [
            {"name": column.name, "heading": column.heading, "unit": column.unit}
            for column in table.columns
        ],
        "rows": [
            {field.name: value(cell, field) for field, cell in zip(fields, row, strict=True)}
            for row in table.plain_rows
        ],
    }


def xlsx_bytes(report: Report) -> bytes:
    """A workbook: a sheet with the answer, then a sheet a table.

    Raises:
        InvalidInput: XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise InvalidInput(
            "XLSX needs XlsxWriter: pip install 'ternary-dse[report]', or choose another format"
        ) from None
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    book.set_properties(
        {
            "title": report.title,
            "author": "ternary-dse",
            "comments": report.subtitle,
            # Without it the file would carry the time of its making.
            "created": report.moment.replace(tzinfo=None),
        }
    )
    looks = {
        "head": book.add_format({"bold": True, "text_wrap": True, "bottom": 1, "valign": "top"}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        # Stays a text when somebody edits the cell, too.
        "text": book.add_format({"quote_prefix": True}),
    }
    for form, code in FORMATS_OF_CELLS.items():
        looks[form] = book.add_format({"num_format": code})
    _write_answer(book.add_worksheet("answer"), report, looks)
    used = {"answer"}
    for table in report.tables:
        _write_sheet(book.add_worksheet(_sheet_name(table.name, used)), table, looks)
    book.close()
    return target.getvalue()


def _sheet_name(name: str, used: set[str]) -> str:
    short = name[:SHEET_NAME]
    number = 2
    while short in used:
        short = f"{name[: SHEET_NAME - 3]}_{number}"
        number += 1
    used.add(short)
    return short


def _write_answer(sheet: Any, report: Report, looks: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 110)
    lines = [(report.title, "title"), (report.subtitle, "wrap")]
    for section in report.sections:
        lines += [("", "wrap"), (section.title, "head")]
        lines += [(text, "wrap") for text in (*section.sentences, *section.points, *section.code)]
        lines += [
            (f"Sheet {table.name}: {table.title}. {table.note}", "wrap") for table in section.tables
        ]
    for number, (text, look) in enumerate(lines):
        sheet.write_string(number, 0, text[:CELL], looks[look])


def _write_sheet(sheet: Any, table: Table, looks: dict[str, Any]) -> None:
    sheet.freeze_panes(1, 0)
    for column, field in enumerate(table.fields):
        sheet.write_string(0, column, field.name, looks["head"])
        values = [row[column] for row in table.plain_rows]
        texts = [len(value) for value in values if isinstance(value, str)]
        sheet.set_column(column, column, min(max([len(field.name), 10, *texts]) + 2, 60))
        for number, value in enumerate(values, start=1):
            if isinstance(value, str):
                sheet.write_string(number, column, value[:CELL], looks["text"])
            elif value is not None:
                sheet.write_number(number, column, value, looks[field.form])
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(table.fields) - 1)
