"""MLflow's scoring bodies: JSON objects that `POST /invocations` tells apart by their first key.

{"dataframe_split": {"columns": ["age"], "data": [[41]]}}    {"predictions": [{"label": "yes", "p_no": 0, "p_yes": 1}]}
{"dataframe_records": [{"age": 41}]}                         for regression  {"predictions": [9.5]}
{"inputs": {"age": [41]}}, {"inputs": [[41]]}                `params` beside them are options of the answer

As MLflow does it, columns that the model does not know are dropped, a key that only some records have is missing in the
others, and lists without names stand in the order of the signature. `{"instances": ...}` is ours and TF Serving's.
See https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally ("Inference server specification").
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn, cast

import msgspec

from serving.endpoints import LiveVariant
from serving.engine import Asked, Written
from serving.errors import BodyError
from serving.formats import Answer
from serving.formats.json_answers import flat_entries
from serving.formats.json_rows import loads, refuse_json
from serving.options import DEFAULT, Options, options_of
from storage.boundary import Blocks, RowReader, held
from storage.errors import RowError

_SHAPES = ("dataframe_split", "dataframe_records", "inputs")
_FIRST_KEY = re.compile(rb'\s*\{\s*"(dataframe_split|dataframe_records|inputs|params)"\s*:')
_HEADERS = [(b"content-type", b"application/json")]

Rows = list[dict[str, Any]]


class MlflowBodies:
    """Reads and answers MLflow's bodies for one model."""

    def __init__(self, endpoint: LiveVariant) -> None:
        self._signature = endpoint.signature
        self._reader = RowReader(self._signature)
        roots = {str(path[0]) for path in self._signature.nested}
        self._kept = set(self._signature.names) | roots
        self._shapes: dict[str, Callable[[Any], tuple[Rows, str]]] = {
            "dataframe_split": self._split,
            "dataframe_records": self._records,
            "inputs": self._inputs,
        }

    def takes(self, body: bytes) -> bool:
        """Whether a JSON body is one of MLflow's; a model that has a column of that name takes rows instead."""
        first = _FIRST_KEY.match(body)
        return first is not None and first[1].decode() not in self._kept

    def read(self, body: bytes, options: Options = DEFAULT) -> Asked:
        """What a body asks. Raises BodyError, RowError and OptionError."""
        document = _document(body)
        params = document.pop("params", None)
        if params:
            options = options_of(_object("params", params))
        if len(document) != 1 or (shape := next(iter(document))) not in _SHAPES:
            raise BodyError(
                f"The body has the keys {', '.join(map(repr, document)) or 'none'}. "
                f"Send exactly one of {', '.join(_SHAPES)}, and params beside it if you like."
            )
        rows, cell = self._shapes[shape](document[shape])
        if not rows:
            raise BodyError(f"{shape} has no rows. Send at least one.")
        return Asked(self._blocks(rows, cell), options, partial(self._write, options))

    def _blocks(self, rows: Rows, cell: str) -> Blocks:
        try:
            return self._reader.read(rows)
        except RowError as error:
            error.cell = cell.format(row=error.row, column=error.column)
            raise

    def _write(self, options: Options, answer: Answer) -> Written:
        return Written(_HEADERS, msgspec.json.encode({"predictions": self._predictions(options, answer)}))

    def _predictions(self, options: Options, answer: Answer) -> list[Any]:
        if answer.outputs.prediction is not None and options == DEFAULT:
            return answer.outputs.prediction.tolist()
        return flat_entries(self._signature, answer)

    def _split(self, value: Any) -> tuple[Rows, str]:
        value = _object("dataframe_split", value)
        data = _list("dataframe_split.data", value.get("data"))
        names = value.get("columns")
        names = list(self._signature.names) if names is None else _list("dataframe_split.columns", names)
        if len(set(map(str, names))) < len(names):
            raise BodyError("dataframe_split.columns names a column twice. Name each once.")
        return self._named(data, list(map(str, names)), "dataframe_split.data"), "dataframe_split.data[{row}].{column}"

    def _records(self, value: Any) -> tuple[Rows, str]:
        records = [_object(f"dataframe_records[{at}]", row) for at, row in enumerate(_list("dataframe_records", value))]
        known = {name for row in records for name in row if name in self._kept}
        rows = [{name: row.get(name) for name in known} for row in records]
        return rows, "dataframe_records[{row}].{column}"

    def _inputs(self, value: Any) -> tuple[Rows, str]:
        if isinstance(value, dict):
            columns = {name: _cells(cell) for name, cell in cast("dict[str, Any]", value).items() if name in self._kept}
            return rows_of_columns(columns, "inputs"), "inputs.{column}[{row}]"
        rows = _list("inputs", value)
        if rows and all(isinstance(row, dict) for row in rows):
            return [{name: row[name] for name in row if name in self._kept} for row in rows], "inputs[{row}].{column}"
        return self._named(rows, list(self._signature.names), "inputs"), "inputs[{row}].{column}"

    def _named(self, rows: Sequence[Any], names: list[str], place: str) -> Rows:
        """Lists of cells as rows; what the model does not know is dropped."""
        kept = [(at, name) for at, name in enumerate(names) if name in self._kept]
        if names and len(names) == 1 and not any(isinstance(row, list) for row in rows):
            rows = [[row] for row in rows]  # of a lone column, [1, 2] is two rows
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(cast("list[Any]", row)) != len(names):
                told = held(row, sensitive=True)
                raise RowError(f"{place}[{number}] is {told}. Send a list of {len(names)} cells.", row=number)
        return [{name: row[at] for at, name in kept} for row in rows]


def rows_of_columns(columns: dict[str, list[Any]], place: str) -> Rows:
    """Rows of named columns. Raises BodyError if these are not equally long."""
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length}" for name, length in list(lengths.items())[:8])
        raise BodyError(f"Columns of {place} differ in length: {told}. Send a value of each column for each row.")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cells(value: Any) -> list[Any]:
    """A column's cells: a list, `[[1], [2]]` as of a tensor with one column, or a lone value."""
    if not isinstance(value, list):
        return [value]
    cells = cast("list[Any]", value)
    if cells and all(isinstance(cell, list) and len(cast("list[Any]", cell)) == 1 for cell in cells):
        return [cell[0] for cell in cells]
    return cells


def _document(body: bytes) -> dict[str, Any]:
    try:
        return _object("The body", loads(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        refuse_json(body, error)


def _object(place: str, value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else _refuse(place, value, "an object")


def _list(place: str, value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else _refuse(place, value, "an array")


def _refuse(place: str, value: Any, wanted: str) -> NoReturn:
    raise BodyError(f"{place} is {held(value, sensitive=True)}. Send {wanted}.")  # what it holds may be sensitive
