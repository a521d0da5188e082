"""The process that reads tables of strangers: `python -m serving.formats.table_process`.

Polars trusts what an Arrow or Parquet file says of itself: a few wrong bytes ask for an exabyte and end the process,
and a sound file of a kilobyte may unpack to all of the memory. So tables are read in a process of their own, with a
limit of memory, that may die of them; the server starts another and answers 400. It also keeps Polars out of the
server.

    stdin   a Task in msgpack, then the body      each after its length, 8 bytes, little endian
    stdout  a Found or a Fault in msgpack

Text of many rows comes back as the distinct values of a column and each row's number among them: so strings cost least.
"""

import io
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import msgspec
import numpy as np
from msgspec import Struct

from storage.errors import CellError, DataError
from storage.signature import Signature

if TYPE_CHECKING:
    import polars as pl

TableFormat = Literal["arrow", "arrow_file", "parquet"]

_LENGTH = struct.Struct("<Q")
_MEMORY_BYTES = 4 << 30  # of address space: some hundred MB are Polars itself
_FEW_ROWS = 5_000  # until then telling values apart takes longer than sending them


class Task(Struct, frozen=True):
    """A table to read. most_rows: more are refused before they are unpacked, where the format says how many it has.
    most_text_bytes: of all rows; text that stands once in the body may be that of each row."""

    format: TableFormat
    signature: Signature
    most_rows: int
    most_text_bytes: int


class Text(Struct, frozen=True):
    """A column of text. levels: its distinct values. codes: uint32 (rows), each row's place among them; empty where
    levels are the rows' values as they stand."""

    levels: list[str]
    codes: bytes


class Found(Struct, frozen=True, tag=True):
    """A table that was read. number: float64 (rows, P), time: int64 (rows, R), as in `Blocks`."""

    rows: int
    number: bytes
    time: bytes
    text: list[Text]


class Fault(Struct, frozen=True, tag=True):
    """Why a table was not read. kind: `cell`, `rows`, `text` for more than are allowed, `body` for what is no table."""

    kind: Literal["cell", "rows", "text", "body"]
    message: str
    row: int | None = None
    column: str | None = None


def send(file: IO[bytes], *parts: bytes) -> None:
    """Write parts, each after its length. Raises OSError if nobody reads."""
    for part in parts:
        file.write(_LENGTH.pack(len(part)))
        file.write(part)
    file.flush()


def receive(file: IO[bytes]) -> bytes:
    """Read one part. Raises EOFError if there is none, or not the whole of it."""
    head = file.read(_LENGTH.size)
    part = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(part) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return part


def main() -> None:
    """Read tables until stdin ends, which it does with the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which still answers what it has read
    _limit_memory()
    while True:
        try:
            task = msgspec.msgpack.decode(receive(sys.stdin.buffer), type=Task)
            body = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(sys.stdout.buffer, msgspec.msgpack.encode(_read(task, body)))


def _limit_memory() -> None:
    with suppress(ImportError):  # Windows knows no limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out all the same, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")


def _read(task: Task, body: bytes) -> Found | Fault:
    import polars as pl

    from storage.boundary import typed

    try:
        frame = _load(task, body)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError) as error:
        told = [] if task.signature.has_sensitive else str(error).splitlines()  # Polars may quote a cell
        return Fault("body", told[0][:200] if told else type(error).__name__)
    if isinstance(frame, Fault):
        return frame
    try:
        return _found(task, typed(task.signature, frame))
    except CellError as error:
        return Fault("cell", str(error), error.row, error.column)
    except DataError as error:
        return Fault("cell", str(error))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError, ValueError):
        return Fault("body", "a cell holds what its type does not allow, such as a date beyond the year 9999")
    except MemoryError:
        return Fault("body", "it takes too much memory")


def _load(task: Task, body: bytes) -> "pl.DataFrame | Fault":
    """The columns that the model takes; if there are none, all of them, to be told which there are."""
    import polars as pl

    if task.format == "arrow":
        names, read = pl.read_ipc_stream(body, n_rows=0).columns, pl.read_ipc_stream
    elif task.format == "arrow_file":
        names, read = list(pl.read_ipc_schema(io.BytesIO(body))), pl.read_ipc
    else:
        names, read = list(pl.read_parquet_schema(io.BytesIO(body))), pl.read_parquet
    frame = read(body, columns=_taken(task.signature, names) or None, n_rows=task.most_rows + 1)
    return frame if frame.height <= task.most_rows else _too_many(task.most_rows)


def _taken(signature: Signature, names: list[str]) -> list[str]:
    """Those columns of a table that the model takes, or takes parts of."""
    taken = {*signature.names, *(str(path[0]) for path in signature.nested)}
    return [name for name in names if name in taken]


def _too_many(most: int) -> Fault:
    return Fault(
        "rows",
        f"The body has more than {most} rows, which are answered at once. Send them in several requests, "
        "or raise AUTOPILOT_MAX_ROWS.",
    )


def _found(task: Task, frame: "pl.DataFrame") -> Found | Fault:
    import polars as pl

    from storage.boundary import blocks_of_frame

    signature = task.signature
    words = signature.block("text")
    filled = frame.select(pl.col(name).fill_null("") for name in words)
    if sum(int(column.str.len_bytes().sum()) for column in filled) > task.most_text_bytes:
        return Fault("text", "")
    text: list[Text] = []
    for column in filled:
        levels = column.unique() if frame.height > _FEW_ROWS else column
        text.append(Text(levels.to_list(), b"" if levels is column else _places(column, levels)))
    numbers = Signature(signature.task, signature.target, tuple(c for c in signature.columns if c.name not in words))
    blocks = blocks_of_frame(numbers, frame)
    return Found(frame.height, blocks.number.tobytes(), blocks.time.tobytes(), text)


def _places(column: "pl.Series", levels: "pl.Series") -> bytes:
    import polars as pl

    return np.ascontiguousarray(column.cast(pl.Enum(levels)).to_physical().cast(pl.UInt32).to_numpy()).tobytes()


if __name__ == "__main__":
    main()
