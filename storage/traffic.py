"""Captured traffic: journals that servers append to, and the Parquet files that are made of them.

    traffic/
    ├── journals/endpoint=NAME/ID.open      being written by a server, which holds a lock on it
    │                          ID.journal   complete, waits for compaction
    ├── claims/CLAIM/                       journals that a compaction is working on
    └── parquet/endpoint=NAME/variant=main/date=2024-05-01/hour=13/CLAIM.MODEL.VERSION.parquet

A server only appends: it never loads Polars for this. A journal is `APJ1`, then frames of length (u32), CRC-32 (u32)
and payload; the first payload is a Header, each further one an Invocation, in msgpack. A frame that a crash cut short
ends the journal. What `append` returned from survives a killed process; a power cut takes what the operating system
had not written to the disk yet, usually the last half minute.

Compaction moves journals into a claim, writes Parquet named after the claim, renames the claim to `CLAIM.done` and
removes that. Killed anywhere, it finds the claim again and writes the same files over, or finds only what is to be
removed: no row is lost or doubled.
"""

import fcntl
import os
import shutil
import struct
import uuid
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from storage.boundary import MISSING_TIME, Blocks
from storage.errors import StoreError
from storage.predictor import Outputs, frame_of_outputs
from storage.signature import Signature

if TYPE_CHECKING:
    import polars as pl

#: Columns that capture adds beside the model's own begin with this.
OUTPUT_PREFIX = "autopilot."

_MAGIC = b"APJ1"
_FRAME = struct.Struct("<II")
_DONE = ".done"
_CLAIM_BYTES = 64_000_000  # of journals compacted at once: bounds memory


class Header(Struct, frozen=True):
    """First frame of a journal: what its invocations are of."""

    endpoint: str
    model: str
    version: int
    signature: Signature


class Invocation(Struct, frozen=True, array_like=True):
    """One request and its answer, as packed arrays in the machine's own layout.

    time_us: when it was answered, microseconds since 1970 UTC. number, time, probabilities, prediction: the bytes of
    the arrays of `Blocks` and `Outputs`.
    """

    inference_id: str
    time_us: int
    rows: int
    number: bytes
    text: list[str]
    time: bytes
    label: list[str | int] | None
    probabilities: bytes | None
    prediction: bytes | None

    @classmethod
    def of(cls, inference_id: str, time_us: int, blocks: Blocks, outputs: Outputs) -> "Invocation":
        """Pack a request and its answer."""
        return cls(
            inference_id,
            time_us,
            blocks.rows,
            blocks.number.tobytes(),
            blocks.text.ravel().tolist(),
            blocks.time.tobytes(),
            None if outputs.label is None else outputs.label.tolist(),
            None if outputs.probabilities is None else outputs.probabilities.tobytes(),
            None if outputs.prediction is None else outputs.prediction.tobytes(),
        )


class JournalWriter:
    """Appends one server's invocations of one model version; one thread at a time.

    A new file is begun by `rotate`, and the old one is then ready for compaction.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self._folder = folder
        self._header = header
        self._file: FileIO | None = None
        self._path = folder

    def append(self, invocations: Sequence[Invocation]) -> None:
        """Write invocations and hand them to the operating system. Raises OSError (disk full) and keeps none then."""
        file = self._file or self._begin()
        start = file.tell()
        try:
            _write(file, b"".join(_frame(msgspec.msgpack.encode(invocation)) for invocation in invocations))
        except OSError:
            try:
                file.truncate(start)  # half a frame would hide all that follow it
            finally:
                self._abandon()
            raise

    def rotate(self) -> None:
        """Close the current file, if any, and make it ready for compaction."""
        if self._file is not None:
            try:
                self._path.rename(self._path.with_suffix(".journal"))
            finally:
                self._abandon()

    def _begin(self) -> FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{uuid.uuid4().hex}.open"
        unlocked = self._path.with_suffix(".new")  # a compaction would take an `.open` file that has no lock yet
        file = unlocked.open("wb", buffering=0)  # a buffer would be written at closing, after a failure was reported
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _write(file, _MAGIC + _frame(msgspec.msgpack.encode(self._header)))
            unlocked.rename(self._path)
        except OSError:
            file.close()
            unlocked.unlink(missing_ok=True)
            raise
        self._file = file
        return file

    def _abandon(self) -> None:
        """Let go of the file; without its lock, an `.open` file is taken by the next compaction."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class Traffic:
    """The captured traffic of all endpoints."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._journals = root / "journals"
        self._claims = root / "claims"
        self._parquet = root / "parquet"

    def writer(self, header: Header) -> JournalWriter:
        """A writer for one server process and model version."""
        return JournalWriter(self._journals / f"endpoint={header.endpoint}", header)

    def compact(self) -> int:
        """Turn all complete journals into Parquet; returns the number of rows. Several processes may call it."""
        rows = 0
        with self._lock():
            while claim := self._next_claim():
                rows += self._write_parquet(claim)
                done = claim.rename(claim.with_suffix(_DONE))  # else half of a claim could be written over its whole
                shutil.rmtree(done)
        return rows

    def read(
        self, endpoint: str, start: datetime, end: datetime, *, model: str | None = None, version: int | None = None
    ) -> "pl.DataFrame":
        """Rows that were answered in `start <= time < end`, oldest first; of one model version or of all.

        Columns: the model's inputs, typed as `boundary.typed` does; its outputs as `autopilot.label`,
        `autopilot.p_CLASS`, `autopilot.prediction`; and `autopilot.inference_id`, `autopilot.row` (within its
        request), `autopilot.time`, `autopilot.model`, `autopilot.version`. An empty frame where there are none.
        Traffic of the last two seconds may still be missing.
        """
        import polars as pl

        self.compact()
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        when = pl.col(f"{OUTPUT_PREFIX}time")
        wanted = (when >= start) & (when < end)
        if model is not None:
            wanted &= pl.col(f"{OUTPUT_PREFIX}model") == model
        if version is not None:
            wanted &= pl.col(f"{OUTPUT_PREFIX}version") == version
        parts = [pl.scan_parquet(path).filter(wanted).collect() for path in self._parts(endpoint, start, end)]
        parts = [part for part in parts if part.height]
        if not parts:
            return pl.DataFrame()
        frame = pl.concat(parts, how="diagonal_relaxed")
        return frame.sort(f"{OUTPUT_PREFIX}time", f"{OUTPUT_PREFIX}inference_id", f"{OUTPUT_PREFIX}row")

    def _parts(self, endpoint: str, start: datetime, end: datetime) -> list[Path]:
        """Parquet files of the hours that the window touches."""
        root = self._parquet / f"endpoint={endpoint}"
        first, last = (moment.astimezone(UTC).strftime("date=%Y-%m-%d/hour=%H") for moment in (start, end))
        paths = sorted(root.glob("variant=*/date=*/hour=*/*.parquet"))
        return [path for path in paths if first <= f"{path.parent.parent.name}/{path.parent.name}" <= last]

    @contextmanager
    def _lock(self) -> Generator[None]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with (self._root / "compact.lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreError(
                f"Traffic in {str(self._root)!r} could not be compacted: {error}. Free some disk."
            ) from error

    def _next_claim(self) -> Path | None:
        """A claim that an earlier compaction left, or a new one over the oldest complete journals."""
        if self._claims.exists():
            for claim in sorted(self._claims.iterdir()):
                if claim.suffix != _DONE:
                    return claim
                shutil.rmtree(claim)
        journals = [path for path in sorted(self._journals.glob("endpoint=*/*")) if _is_complete(path)]
        if not journals:
            return None
        claim = self._claims / uuid.uuid4().hex
        claim.mkdir(parents=True)
        size_bytes = 0
        for path in journals:
            size_bytes += path.stat().st_size
            path.rename(claim / f"{path.stem}.journal")
            if size_bytes >= _CLAIM_BYTES:
                break
        return claim

    def _write_parquet(self, claim: Path) -> int:
        import polars as pl

        frames: dict[tuple[str, str, int], list[pl.DataFrame]] = {}
        for path in sorted(claim.glob("*.journal")):
            header, invocations = read_journal(path)
            if header is not None and invocations:
                frame = frame_of_invocations(header, invocations)
                frames.setdefault((header.endpoint, header.model, header.version), []).append(frame)
        rows = 0
        for (endpoint, model, version), parts in frames.items():
            frame = pl.concat(parts)
            rows += frame.height
            for hour, part in _by_hour(frame):
                folder = self._parquet / f"endpoint={endpoint}" / "variant=main" / hour
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{claim.name}.{model}.{version}.parquet"
                part.write_parquet(folder / f"{name}.part")  # readers look for names that end in .parquet
                _sync(folder / f"{name}.part")
                (folder / f"{name}.part").rename(folder / name)
                _sync(folder)
        return rows


def read_journal(path: Path) -> tuple[Header | None, list[Invocation]]:
    """A journal's header and invocations, up to the first frame that a crash cut short."""
    payloads = _payloads(path.read_bytes())
    first = next(payloads, None)
    if first is None:
        return None, []
    decoder = msgspec.msgpack.Decoder(Invocation)
    return msgspec.msgpack.decode(first, type=Header), [decoder.decode(payload) for payload in payloads]


def frame_of_invocations(header: Header, invocations: Sequence[Invocation]) -> "pl.DataFrame":
    """Invocations of one journal as the frame that `Traffic.read` describes."""
    import polars as pl

    rows = [invocation.rows for invocation in invocations]
    blocks = _join_blocks(header.signature, invocations)
    own = {
        "inference_id": pl.Series(np.repeat([i.inference_id for i in invocations], rows).tolist(), dtype=pl.String),
        "row": pl.Series(np.concatenate([np.arange(count) for count in rows]), dtype=pl.Int32),
        "time": pl.Series(np.repeat([i.time_us for i in invocations], rows)).cast(pl.Datetime("us", "UTC")),
        "model": pl.repeat(header.model, sum(rows), eager=True),
        "version": pl.repeat(header.version, sum(rows), dtype=pl.Int32, eager=True),
    }
    outputs = frame_of_outputs(header.signature, _join_outputs(header.signature, invocations))
    return pl.concat(
        [
            frame_of_blocks(header.signature, blocks),
            outputs.rename(lambda name: OUTPUT_PREFIX + name),
            pl.DataFrame({OUTPUT_PREFIX + name: series for name, series in own.items()}),
        ],
        how="horizontal",
    )


def frame_of_blocks(signature: Signature, blocks: Blocks) -> "pl.DataFrame":
    """Packed inputs as a frame again, typed as `boundary.typed` does: sentinels become nulls."""
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for index, name in enumerate(signature.block("number")):
        columns[name] = pl.Series(blocks.number[:, index], dtype=pl.Float64).fill_nan(None)
    for index, name in enumerate(signature.block("text")):
        text = pl.Series(blocks.text[:, index].tolist(), dtype=pl.String)
        columns[name] = text.set(text == "", None)
    for index, name in enumerate(signature.block("time")):
        micros = pl.Series(blocks.time[:, index], dtype=pl.Int64)
        columns[name] = micros.set(micros == MISSING_TIME, None).cast(pl.Datetime("us"))
    return pl.DataFrame({name: columns[name] for name in signature.names})


def _by_hour(frame: "pl.DataFrame") -> "Iterator[tuple[str, pl.DataFrame]]":
    import polars as pl

    hour = pl.col(f"{OUTPUT_PREFIX}time").dt.strftime("date=%Y-%m-%d/hour=%H").alias("hour")
    for (name,), part in frame.with_columns(hour).partition_by("hour", as_dict=True, include_key=False).items():
        yield str(name), part


def _join_blocks(signature: Signature, invocations: Sequence[Invocation]) -> Blocks:
    rows = sum(invocation.rows for invocation in invocations)
    number, text, time = (len(signature.block(block)) for block in ("number", "text", "time"))
    return Blocks(
        np.frombuffer(b"".join(i.number for i in invocations), dtype=np.float64).reshape(rows, number),
        np.array([value for i in invocations for value in i.text], dtype=object).reshape(rows, text),
        np.frombuffer(b"".join(i.time for i in invocations), dtype=np.int64).reshape(rows, time),
    )


def _join_outputs(signature: Signature, invocations: Sequence[Invocation]) -> Outputs:
    if signature.task == "regression":
        values = np.frombuffer(b"".join(i.prediction or b"" for i in invocations), dtype=np.float64)
        return Outputs(None, None, values)
    shares = np.frombuffer(b"".join(i.probabilities or b"" for i in invocations), dtype=np.float32)
    labels = [label for i in invocations for label in i.label or ()]
    return Outputs(np.array(labels, dtype=object), shares.reshape(-1, len(signature.classes)), None)


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _payloads(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_MAGIC):
        return
    at = len(_MAGIC)
    while at + _FRAME.size <= len(data):
        size, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + size]
        if not size or len(payload) < size or zlib.crc32(payload) != checksum:
            return  # cut short; a length of 0 is a stretch of zeros that a power cut left, and their CRC-32 is 0 too
        yield payload
        at += _FRAME.size + size


def _sync(path: Path) -> None:
    """Have a file or folder on the disk: the journals that it was made of are removed next."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: FileIO, data: bytes) -> None:
    """Write all of it; the operating system may take less at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _is_complete(path: Path) -> bool:
    """A journal that its writer closed, or whose writer is gone: the lock on it is free."""
    if path.suffix == ".journal":
        return True
    if path.suffix != ".open":
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return path.exists()
