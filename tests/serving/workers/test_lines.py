"""The access log of several processes."""

import os

from hypothesis import given
from hypothesis import strategies as st

from serving.workers.lines import pieces, whole_lines


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"") + b"\n")), st.integers(1, 50))
def test_pieces_are_all_of_it_and_end_with_a_line(lines: list[bytes], most: int) -> None:
    """No longer than allowed, unless one line is."""
    found = list(pieces(b"".join(lines), most))
    assert b"".join(found) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= most or piece.count(b"\n") == 1 for piece in found)


def test_text_is_written_as_it_stands_and_the_file_stays_open() -> None:
    """What is left over by one writer does not close what another writes to."""
    reader, writer = os.pipe()
    text = "".join(f"line {number} ü\n" for number in range(2000))
    whole_lines(writer).write(text)
    os.write(writer, b"last\n")
    os.close(writer)
    with open(reader, encoding="utf-8") as file:  # noqa: PTH123 - a pipe
        assert file.read() == text + "last\n"
