"""JSON Lines to a model's inputs: each line is a row, as it would stand in a JSON array.

{"age": 30, "town": "Ulm"}
{"age": null, "town": "Bonn"}

A line may also be an array of the values of all columns, in the order of the signature. Empty lines are skipped.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from serving.errors import BodyError
from serving.formats.json_rows import JsonRows, beyond_float, loads
from storage.boundary import Blocks
from storage.errors import RowError
from storage.signature import Signature

_FEW_BYTES = 100_000  # reading more takes longer than a hop to a thread, however few rows it is
_SPACE = b" \t\r\n"  # of JSON; Python's own idea of it has a form feed


class JsonLinesRows(JsonRows):
    """Decodes JSON Lines for one model, as `JsonRows` does: typed first, what that refuses once more without."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(signature)
        self._lines = None if self._row is None else msgspec.json.Decoder(self._row)

    def has_few(self, body: bytes) -> bool:
        """Whether a body surely holds at most 50 rows, told without reading it."""
        return len(body) <= _FEW_BYTES and body.count(b"\n") < 50

    def _decode(self, body: bytes) -> Blocks:
        lines = [line for line in body.split(b"\n") if line.strip(_SPACE)]
        if not lines:
            raise BodyError("The body has no rows. Send a line with an object for each.")
        if self._lines is not None and (rows := self._typed_rows(lines)) is not None:
            return self._pack(rows)
        return self._untyped.read([self._row_of(self._document(line, at), at) for at, line in enumerate(lines)])

    def _typed_rows(self, lines: Sequence[bytes]) -> Sequence[Any] | None:
        """Rows as structs; None if one is not as it should be."""
        assert self._lines is not None  # noqa: S101 - for the type checker
        try:
            return [self._lines.decode(line) for line in lines]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _document(self, line: bytes, at: int) -> Any:
        try:
            return loads(line)
        except msgspec.ValidationError as error:
            raise beyond_float(self._refusal(line) or error, at) from error
        except UnicodeDecodeError as error:
            what = f"Row {at} is no UTF-8: {error.reason} (byte {_wrong_byte(line)} of its line). Encode it as UTF-8."
            raise BodyError(what) from error
        except RecursionError as error:
            raise BodyError(f"Row {at} is nested too deeply. Send an object with a value for each column.") from error
        except msgspec.DecodeError as error:
            raise BodyError(f"Row {at} is no JSON: {error}. Send an object in each line.") from error

    def _refusal(self, line: bytes) -> msgspec.ValidationError | None:
        """Why the struct refuses a line: it names the column."""
        try:
            if self._lines is not None:
                self._lines.decode(line)
        except msgspec.ValidationError as error:
            return error
        return None

    def _cell(self, body: bytes, error: RowError) -> str:
        """Where a wrong cell is: `[3].age` of the rows."""
        return f"[{error.row}]" + ("" if error.column is None else f".{error.column}")


def _wrong_byte(line: bytes) -> int:
    """The first byte that is no UTF-8; msgspec counts from the beginning of the text that holds it."""
    try:
        return len(line.decode())
    except UnicodeDecodeError as error:
        return error.start
