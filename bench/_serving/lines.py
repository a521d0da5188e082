"""What was measured: one record a line of JSON, and tables of text."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Lines:
    """Keeps records in a file as they come, so that an interrupted run keeps what it measured; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, record: msgspec.Struct) -> None:
        """Append one record."""
        if self._path:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(record) + b"\n")


def read_lines(path: Path | None, kind: type[Any]) -> list[Any]:
    """The records of one kind, told by their field `question`; none without a file."""
    if path is None:
        return []
    question = kind.__struct_config__.tag
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    return [msgspec.json.decode(line, type=kind) for line in lines if msgspec.json.decode(line)["question"] == question]


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A title and a Markdown table, its columns aligned."""
    rows = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    print(_row(head, widths))
    print("|" + "|".join("-" * (width + 1) + "-:"[at > 0] for at, width in enumerate(widths)) + "|")
    for row in rows:
        print(_row(row, widths), flush=True)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"


def told(value: float | None, form: str = ",.0f", missing: str = "-") -> str:
    """A number that may not have been measured."""
    return missing if value is None else format(value, form)
