"""JSON Lines are rows of JSON, a line each, in both directions."""

import json

import numpy as np
import pytest

from serving.errors import BodyError
from serving.formats import Answer
from serving.formats.jsonlines_answers import JsonLinesAnswers
from serving.formats.jsonlines_rows import JsonLinesRows
from serving.options import Options
from storage import Column, RowError, Signature
from storage.boundary import MISSING_TIME
from storage.predictor import Outputs
from tests.portable import REGRESSOR

ROW = '{"amount": 4, "town": "Ulm", "visits": 2, "seen": null}'


def test_a_line_is_a_row() -> None:
    """An object or an array; empty lines and the end of the last one do not matter."""
    body = f'{ROW}\r\n\n  [1, null, 0, null]\n{{"amount":NaN,"town":"a","visits":null,"seen":null,"price":1}}\n'
    blocks = JsonLinesRows(REGRESSOR).decode(body.encode())
    np.testing.assert_array_equal(blocks.number, [[4.0, 2.0], [1.0, 0.0], [np.nan, np.nan]])
    assert blocks.text.tolist() == [["Ulm"], [""], ["a"]]
    assert blocks.time.tolist() == [[MISSING_TIME]] * 3


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ('{"amount": 4, "town": "Ulm", "visits": 2}', "[1].seen", "Row 1 lacks column 'seen'"),
        ('{"amount": "x", "town": "Ulm", "visits": 2, "seen": null}', "[1].amount", "row 1 holds 'x'"),
        ('{"amount": 1e999, "town": "Ulm", "visits": 2, "seen": null}', "[1].amount", "in row 1 holds a number beyond"),
        ('{"amount": 1, "town": "Ulm", "visits": 2, "seen": null, "sene": 1}', "[1].sene", "does not know"),
        ("[1, 2]", "[1]", "Row 1 has 2 values"),
        ("7", "[1]", "Row 1 is a number"),
    ],
)
def test_a_wrong_row_is_named(line: str, cell: str, message: str) -> None:
    """Lines that hold rows count, from 0."""
    with pytest.raises(RowError, match=message) as caught:
        JsonLinesRows(REGRESSOR).decode(f"{ROW}\n\n{line}\n{ROW}".encode())
    assert (caught.value.row, caught.value.cell) == (1, cell)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no rows"),
        (b" \n\r\n", "no rows"),
        (b"{\n", "Row 0 is no JSON"),
        (ROW.encode() + ROW.encode(), "Row 0 is no JSON"),
        (b"[" * 100_000, "Row 0 is nested too deeply"),
        (ROW.encode() + b'\n{"town": "\xff"}', r"Row 1 is no UTF-8: invalid start byte \(byte 10 of its line\)"),
    ],
)
def test_a_body_that_is_no_json_lines_is_refused(body: bytes, message: str) -> None:
    """With the row at fault."""
    with pytest.raises(BodyError, match=message):
        JsonLinesRows(REGRESSOR).decode(body)


def test_names_that_no_struct_can_have_are_read_without_one() -> None:
    """Quotes, for one."""
    signature = Signature("regression", "y", (Column('say "x"', "number", "Float64"),))
    assert JsonLinesRows(signature).decode(b'{"say \\"x\\"": 1}\n[2]').number.tolist() == [[1.0], [2.0]]


def test_few_rows_are_told_apart_without_reading_the_body() -> None:
    """By the lines."""
    reader = JsonLinesRows(REGRESSOR)
    assert reader.has_few(ROW.encode())
    assert reader.has_few(b"\n".join([ROW.encode()] * 50))
    assert not reader.has_few(b"\n".join([ROW.encode()] * 51))


def test_an_answer_is_an_entry_in_each_line() -> None:
    """The entries of JSON."""
    answers = JsonLinesAnswers(Signature("binary", "y", (), classes=("no", "a\nb")))
    outputs = Outputs(np.array(["a\nb", "no"], dtype=object), np.array([[0.25, 0.75], [0.5, 0.5]], np.float32), None)
    lines = answers.write(Answer(outputs)).splitlines()
    assert json.loads(lines[0]) == {"label": "a\nb", "probabilities": {"no": 0.25, "a\nb": 0.75}}
    assert len(lines) == 2
    assert answers.write(Answer(outputs, Options(columns=("p_no",)))) == b'{"p_no":0.25}\n{"p_no":0.5}\n'
