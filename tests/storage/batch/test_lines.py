"""Text is cut where rows end."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.batch import lines
from storage.batch.lines import blocks_of, first_row
from storage.errors import DataError
from tests.refusals import raises

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=12)


@given(rows=ROWS, size=st.integers(1, 60), from_block=st.integers(0, 5))
def test_each_block_holds_whole_rows(rows: list[list[str]], size: int, from_block: int) -> None:
    """However cells are quoted, and wherever reading begins; together they are the text."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    data = written.getvalue().encode()
    blocks = list(blocks_of(io.BytesIO(data), 0, size, quoted=True))
    assert b"".join(block.data for block in blocks) == data
    assert [row for block in blocks for row in csv.reader(io.StringIO(block.data.decode(), newline=""))] == rows
    start = ([0] + [block.end for block in blocks])[min(from_block, len(blocks))]
    file = io.BytesIO(data)
    file.seek(start)
    again = list(blocks_of(file, start, size, quoted=True))
    assert again == [block for block in blocks if block.end > start]


@given(texts=st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b""))), size=st.integers(1, 40))
def test_lines_end_at_each_line_end_where_nothing_is_quoted(texts: list[bytes], size: int) -> None:
    """As in JSON lines, whose quotes are another matter."""
    data = b"".join(text + b"\n" for text in texts)
    blocks = [block.data for block in blocks_of(io.BytesIO(data), 0, size, quoted=False)]
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks)


def test_the_header_may_have_an_end_of_line_in_a_name() -> None:
    """Between quotes."""
    assert first_row(b'a,"b\nc"\n1,2\n') == 8
    assert first_row(b"a,b") == 3


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told where it is."""
    monkeypatch.setattr(lines, "_MOST_ROW_BYTES", 1 << 20)
    text = b"a,b\n" + b'1,"2\n' + b"3,4\n" * 600_000
    with raises(DataError, "cannot be read from byte 4: a quote is opened and not closed for 1 MB."):
        list(blocks_of(io.BytesIO(text), 0, 1 << 18, quoted=True))
