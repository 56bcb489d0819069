"""Tables as CSV: what a spreadsheet must not compute, and what reads back."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.sheets import FORMULA, csv_cell, csv_frame, csv_lines, csv_records


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("@a", "'@a"),
        ("-3", "'-3"),
        (-3, "-3"),
        (-3.5, "-3.5"),
        (1e-300, "1e-300"),
        (3.0, "3.0"),
        (np.float32(0.5), "0.5"),
        (np.int64(-7), "-7"),
        (True, "True"),
        (None, ""),
        (float("nan"), ""),
        ("a=b", "a=b"),
        ("name\r=1+1", "name =1+1"),
        ("\r=1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("nul\0", "nul "),
    ],
)
def test_a_value(value, cell):
    assert csv_cell(value) == cell


@given(st.lists(st.lists(st.text() | st.floats(allow_nan=False), min_size=2, max_size=2)))
def test_a_row_is_a_line_and_no_cell_is_a_formula(rows):
    text = csv_lines(["a", "b"], rows)
    assert text.count("\n") == len(rows) + 1 and "\r" not in text
    read = list(csv.reader(io.StringIO(text)))[1:]
    assert [len(row) for row in read] == [2] * len(rows)
    for row, cells in zip(rows, read, strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, float):
                assert float(cell) == value
            else:
                assert not cell.lstrip().startswith(FORMULA)


def test_records_and_frames():
    assert csv_records([{"a": "=1"}, {"b": 2}]) == "a,b\n'=1,\n,2\n"
    frame = pd.DataFrame({"=x": ["+x", None], "n": [1.5, np.nan]})
    assert csv_frame(frame) == "'=x,n\n'+x,1.5\n,\n"
    assert csv_frame(frame[[]]) == "\n"
