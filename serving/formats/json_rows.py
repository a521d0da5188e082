"""JSON rows to a model's inputs.

A body is one row `{...}`, several `[{...}, ...]`, or `{"instances": [{...}, ...]}`. A row holds each of the model's
columns; null is missing. The target, and what training dropped, may be there too and are not looked at. In several rows
each may also be an array `[...]` of the values of all columns, in the order of the signature.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import astuple

from serving.errors import BodyError
from storage.boundary import Blocks, RowReader, level_of, time_value
from storage.errors import RowError
from storage.signature import BLOCKS, Block, Signature

_INSTANCES = re.compile(rb'\s*\{\s*"instances"\s*:')
_PLACE = re.compile(r"`\$(?:\.instances(?=\[))?(?:\[(?P<row>\d+)\])?\.(?P<column>.+)`$")
_TYPES: dict[Block, Any] = {"number": float | bool | None, "text": str | int | None, "time": str | int | None}
_CANNOT_RENAME = re.compile(r'["\\\x00-\x1f]')  # msgspec compares names with the JSON text, before escapes
_JSON_NAMES = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}


class JsonRows:
    """Decodes JSON bodies for one model.

    The way for sound rows is a struct that is made from the signature: 1.2 us for 40 columns, checked as it is read.
    Whatever it refuses is decoded once more without types and handed to `storage.boundary`, which knows the whole
    contract: it accepts the rest (a whole number as 5.0 for a category) or names the row and the column at fault.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._widths = tuple(len(signature.block(block)) for block in BLOCKS)
        self._times = [column for column in signature.columns if column.kind == "time"]
        texts = [column for column in signature.columns if column.kind in ("category", "text")]
        self._levels = [(at, column) for at, column in enumerate(texts) if column.dtype != "String"]
        self._names = set(signature.names)
        self._row = _row_type(signature)
        has_instances = "instances" in self._names
        self._typed = None if self._row is None else _TypedDecoders(self._row, has_instances_column=has_instances)
        self._untyped = RowReader(signature)
        self._few_rows_bytes = 50 * _least_row_bytes(signature)

    def has_few(self, body: bytes) -> bool:
        """Whether a body surely holds at most 50 rows, told without reading it."""
        return len(body) <= self._few_rows_bytes

    def decode(self, body: bytes) -> Blocks:
        """A body's rows. Raises BodyError for what is no JSON or no rows, RowError for a row that is not as trained."""
        try:
            return self._decode(body)
        except RowError as error:
            error.cell = self._cell(body, error)
            raise

    def _decode(self, body: bytes) -> Blocks:
        if self._typed is None:
            return self._decode_untyped(body, None)
        try:
            rows = self._typed.decode(body)
        except msgspec.ValidationError as error:
            return self._decode_untyped(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._decode_untyped(body, None) if has_constants(body) else refuse_json(body, error)
        if not rows:
            raise _no_rows()
        return self._pack(rows)

    def _pack(self, rows: Sequence[Struct]) -> Blocks:
        """Typed rows as arrays: their fields stand in the order of the blocks, so slices are enough."""
        number, text, _ = self._widths
        values = [astuple(row) for row in rows]
        time = [
            [time_value(column, value, index) for column, value in zip(self._times, row[number + text :], strict=False)]
            for index, row in enumerate(values)
        ]
        words = [
            [value if type(value) is str else _text(value) for value in row[number : number + text]] for row in values
        ]
        for at, column in self._levels:
            for row in words:
                row[at] = level_of(column, row[at])
        return Blocks(
            np.array([row[:number] for row in values], dtype=np.float64),  # makes NaN of None
            np.array(words, dtype=object),
            np.array(time, dtype=np.int64),
        )

    def _decode_untyped(self, body: bytes, refused: msgspec.ValidationError | None) -> Blocks:
        try:
            document = loads(body)
        except msgspec.ValidationError as error:
            raise beyond_float(refused if refused and "out of range" in str(refused) else error) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refuse_json(body, error)
        return self._untyped.read(self._rows_of(document))

    def _cell(self, body: bytes, error: RowError) -> str:
        """Where a wrong cell is, as one would write it in JavaScript: `instances[3].age`."""
        column = "" if error.column is None else f".{error.column}"
        if body.lstrip()[:1] == b"[":
            return f"[{error.row}]{column}"
        is_wrapped = _INSTANCES.match(body) and "instances" not in self._names
        return f"instances[{error.row}]{column}" if is_wrapped else column[1:]

    def _rows_of(self, document: Any) -> list[Any]:
        rows: Any = document
        if isinstance(document, dict):
            rows = self._instances_of(document) if self._wraps_instances(document) else [document]
        if not isinstance(rows, list):
            raise BodyError(f"The body is {_named(rows)}. {_SHAPES}")
        if not rows:
            raise _no_rows()
        return [self._row_of(row, index) for index, row in enumerate(cast("list[Any]", rows))]

    def _row_of(self, row: Any, index: int) -> dict[str, Any]:
        if isinstance(row, dict):
            return cast("dict[str, Any]", row)
        names = self._signature.names
        if not isinstance(row, list):
            raise RowError(f"Row {index} is {_named(row)}. Send an object with a value for each column.", row=index)
        cells = cast("list[Any]", row)
        if len(cells) != len(names):
            raise RowError(
                f"Row {index} has {len(cells)} values; the model takes {len(names)} columns. "
                "Send a value for each in the order of training, null where it is missing, or an object.",
                row=index,
            )
        return dict(zip(names, cells, strict=True))

    def _wraps_instances(self, document: dict[str, Any]) -> bool:
        return "instances" in document and "instances" not in self._names

    def _instances_of(self, document: dict[str, Any]) -> Any:
        if beside := [name for name in document if name not in ("instances", "signature_name")]:
            raise BodyError(f"The body has {beside[0]!r} beside 'instances'. {_SHAPES}")
        return document["instances"]


_SHAPES = 'Send {...}, [{...}, ...] or {"instances": [{...}, ...]}.'


class _TypedDecoders:
    """The three shapes of a body, with rows as structs."""

    def __init__(self, row: type[Struct], *, has_instances_column: bool) -> None:
        wrapped = msgspec.defstruct("Body", [("instances", list[row])], forbid_unknown_fields=True)
        self._row = msgspec.json.Decoder(row)
        self._array = msgspec.json.Decoder(list[row])
        self._wrapped = None if has_instances_column else msgspec.json.Decoder(wrapped)

    def decode(self, body: bytes) -> Sequence[Struct]:
        """Rows of any shape. Raises msgspec's errors, UnicodeDecodeError and RecursionError."""
        if body.lstrip()[:1] == b"[":
            return self._array.decode(body)
        if self._wrapped is not None and _INSTANCES.match(body):
            return self._wrapped.decode(body).instances  # pyright: ignore[reportAttributeAccessIssue] made above
        return [self._row.decode(body)]


def _row_type(signature: Signature) -> type[Struct] | None:
    """A struct with one field for each column, numbers first, then text, then times; then the ignorable.

    None if a name has quotes, backslashes or control characters, which msgspec cannot have as a field's name.
    """
    columns = [name for block in BLOCKS for name in signature.block(block)]
    names = columns + sorted(signature.ignorable - set(columns))
    if any(_CANNOT_RENAME.search(name) for name in names):
        return None
    types = [_TYPES[block] for block in BLOCKS for _ in signature.block(block)]
    fields: list[Any] = [(f"c{index}", type_) for index, type_ in enumerate(types)]
    fields += [(f"c{index}", msgspec.Raw, msgspec.Raw()) for index in range(len(columns), len(names))]
    rename = {f"c{index}": name for index, name in enumerate(names)}
    return msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True)


def _least_row_bytes(signature: Signature) -> int:
    """Length of the shortest row that has all columns: `{"a":1,"b":2}`."""
    return 1 + sum(len(name.encode()) + len('"":0,') for name in signature.names)


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def has_constants(body: bytes) -> bool:
    """Whether a body may hold `NaN` or `Infinity`: no JSON, but what Python's own module and pandas write."""
    return b"NaN" in body or b"Infinity" in body


def loads(body: bytes) -> Any:
    """Any JSON, `NaN` and `Infinity` as numbers. Raises msgspec's errors, UnicodeDecodeError and RecursionError."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        if not has_constants(body):
            raise
        try:
            found = json.loads(body)
            msgspec.json.encode(found)  # lone surrogates, which no answer could quote, are refused as msgspec does
        except ValueError:
            pass
        else:
            return found
        raise


def refuse_json(body: bytes, error: Exception) -> NoReturn:
    """Raise the BodyError that tells where a body stops being JSON; error: what msgspec raised."""
    if not body.strip():
        raise BodyError(f"The body is empty. {_SHAPES}") from error
    if isinstance(error, RecursionError):
        raise BodyError(f"The JSON is nested too deeply. {_SHAPES}") from error
    if isinstance(error, UnicodeDecodeError):
        raise not_utf8(body) from error
    place = "" if "(byte" in str(error) else f" (byte {len(body)})"
    raise BodyError(f"The body is no JSON: {error}{place}. {_SHAPES}") from error


def not_utf8(body: bytes) -> BodyError:
    """The error for a body that is no UTF-8, with the byte at fault."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return BodyError(f"The body is no UTF-8: {error.reason} (byte {error.start}). Encode it as UTF-8.")
    raise AssertionError("only called for bodies that are not UTF-8")


def _no_rows() -> BodyError:
    return BodyError("The body has no rows. Send at least one.")


def beyond_float(error: msgspec.ValidationError, row: int = 0) -> RowError:
    """The error for a number that float64 cannot hold, such as 1e999. row: where the body is one row, its number."""
    what = "a number beyond ±1.8e308. Send a smaller one or null."
    place = _PLACE.search(str(error))
    if place is None:
        return RowError(f"The body holds {what}")
    row, column = int(place["row"] or row), place["column"]
    return RowError(f"Column {column!r} in row {row} holds {what}", row=row, column=column)


def _named(value: Any) -> str:
    return "null" if value is None else _JSON_NAMES.get(type(value), "an object")
