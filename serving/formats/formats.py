"""The formats of one model: bodies to inputs, and answers to bodies."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from serving.formats.answer import Answer
from serving.formats.csv_answers import CsvAnswers
from serving.formats.csv_rows import CsvRows
from serving.formats.json_answers import JsonAnswers
from serving.formats.json_rows import JsonRows
from serving.formats.jsonlines_answers import JsonLinesAnswers
from serving.formats.jsonlines_rows import JsonLinesRows
from serving.formats.npy_answers import NpyAnswers
from serving.formats.npy_rows import NpyRows
from serving.formats.table_answers import TableAnswers
from serving.formats.table_rows import TableRows
from serving.limits import USUAL, Limits
from serving.media import Format
from storage.boundary import Blocks
from storage.signature import Signature

#: Rows beyond which a request takes longer than a hop to a thread and would hold up the others.
FEW_ROWS = 50


class Rows(Protocol):
    """Reads bodies of one format for one model."""

    def decode(self, body: bytes) -> Blocks:
        """A body's rows. Raises BodyError for what is not of the format, RowError for a row that is not as trained."""
        ...

    def has_few(self, body: bytes) -> bool:
        """Whether a body surely holds at most 50 rows and is read in microseconds, told without reading it."""
        ...


class Answers(Protocol):
    """Writes answers of one model in one format."""

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        ...


#: The table of formats. To add one, write its file, and name it here and in `media.MEDIA_TYPES`.
_ROWS: dict[Format, Callable[[Signature, Limits], Rows]] = {
    "json": lambda signature, _: JsonRows(signature),
    "jsonlines": lambda signature, _: JsonLinesRows(signature),
    "csv": lambda signature, _: CsvRows(signature),
    "npy": lambda signature, _: NpyRows(signature),
    "arrow": partial(TableRows, format="arrow"),
    "arrow_file": partial(TableRows, format="arrow_file"),
    "parquet": partial(TableRows, format="parquet"),
}
_ANSWERS: dict[Format, Callable[[Signature], Answers]] = {
    "json": JsonAnswers,
    "jsonlines": JsonLinesAnswers,
    "csv": CsvAnswers,
    "npy": NpyAnswers,
    "arrow": partial(TableAnswers, format="arrow"),
    "arrow_file": partial(TableAnswers, format="arrow_file"),
    "parquet": partial(TableAnswers, format="parquet"),
}


class Formats:
    """Readers and writers of all formats, for one model; safe to share between threads.

    limits: what packed formats may unpack to. That of others is as long as their body.
    """

    def __init__(self, signature: Signature, limits: Limits = USUAL) -> None:
        self.rows: dict[Format, Rows] = {format: make(signature, limits) for format, make in _ROWS.items()}
        self.answers: dict[Format, Any] = {format: make(signature) for format, make in _ANSWERS.items()}
