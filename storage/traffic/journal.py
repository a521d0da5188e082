"""Journals: what a server appends while it answers.

    APJ2 │ frame: Header │ frame: [Batch, Batch, ...] │ frame: [Batch, ...] │ ...

    frame: length (u32), CRC-32 (u32), payload in msgpack

A batch holds some invocations as columns: the rows of all, one below another, in the machine's own layout. A frame that
a crash cut short ends the journal. What `append` returned from survives a killed process; a power cut takes what the
operating system had not written to the disk yet, usually the last half minute.

A small request is best packed where it is answered (`packed`): its values are at hand then, and their memory is free
for the next. To keep them for a thread that packs many at once took three times as long. The frame around many batches
is made where they are written: beside the answers, the tables of a CRC-32 are cold, which was a fifth of the packing.

`APJ1`, of before, had a frame for each invocation; such are read too. Journals of a later version are left alone.
"""

import fcntl
import logging
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import MAIN
from storage.redaction import Redaction, Redactor, discreet_signature, redacts
from storage.signature import Signature

_MAGIC = b"APJ2"
_MAGIC_OF_1 = b"APJ1"
_FAMILY = b"APJ"
_FRAME = struct.Struct("<II")
_ARRAY = struct.Struct(">BI")  # of msgpack, with its length
_ARRAY_32 = 0xDD
_ARRAY_OF_9 = b"\x99"
_ARRAY_BYTES = 1  # of how an array of at most 15 begins

_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger(__name__)


class Header(Struct, frozen=True):
    """First frame of a journal: what its invocations are of.

    redact: how columns were redacted before they were written; none that the signature does not have. share: of the
    requests, that was captured. In a journal, the signature tells nothing of redacted columns but name and kind.
    """

    endpoint: str
    model: str
    version: int
    signature: Signature
    variant: str = MAIN
    redact: dict[str, Redaction] = {}
    share: float = 1.0


class Invocation(NamedTuple):
    """One request and its answer. time_us: when it was answered, microseconds since 1970 UTC."""

    inference_id: str
    time_us: int
    blocks: Blocks
    outputs: Outputs


class Batch(Struct, frozen=True, array_like=True):
    """Some invocations, as columns.

    inference_ids, time_us, rows: one for each invocation. The others hold the rows of all, in their order: the bytes,
    or the values row by row, of the arrays of `Blocks` without redacted columns, of `Outputs`, and of `Redacted`.
    """

    inference_ids: list[str]
    time_us: list[int]
    rows: list[int]
    number: bytes
    text: list[str]
    time: bytes
    label: list[str | int] | None
    probabilities: bytes | None
    prediction: bytes | None
    masked: list[bytes] = []
    hashed: list[bytes] = []


class Journal(NamedTuple):
    """A journal that was read. id: of the file, a UUID; event ids are made of it."""

    id: uuid.UUID
    header: Header
    batches: list[Batch]


class JournalWriter:
    """Appends one server's invocations of one variant; one thread at a time.

    A new file is begun by `rotate`, and the old one is then ready for compaction. key: of hashed columns.
    """

    def __init__(self, folder: Path, header: Header, key: Callable[[], bytes]) -> None:
        redact = header.redact
        known: dict[str, Redaction] = {name: redact[name] for name in header.signature.names if name in redact}
        self._folder = folder
        self._header = replace(header, signature=discreet_signature(header.signature, known), redact=known)
        self._redactor = Redactor(header.signature, known, key)
        self._redacts = redacts(header.signature, known)
        self._file: FileIO | None = None
        self._path = folder

    def append(self, invocations: Sequence[Invocation], batches: Sequence[bytes] = ()) -> int:
        """Write invocations, and batches of others, as one frame, and hand it to the operating system; returns the
        bytes written.

        batches: by `packed`; there may be none if columns are to be redacted. Raises OSError (disk full) and
        StoreError (key of hashed columns), and keeps none then.
        """
        if batches and self._redacts:
            raise ValueError("Columns are to be redacted, and these are packed as they were sent.")
        if invocations:
            batches = [*batches, _encode(_batch(invocations, self._redactor))]
        if not batches:
            return 0
        data = _framed(_ARRAY.pack(_ARRAY_32, len(batches)), *batches)
        file = self._file or self._begin()
        start = file.tell()
        try:
            _write(file, data)
        except OSError:
            try:
                file.truncate(start)  # half a frame would hide all that follow it
            finally:
                self._abandon()
            raise
        return len(data)

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
            _write(file, _MAGIC + _framed(_encode(self._header)))
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


def packed_inputs(blocks: Blocks) -> bytes:
    """What was asked, as `packed` takes it. Where a run has many rows, before it: its texts are warm then."""
    number, text, time = blocks
    texts = text.tolist()[0] if len(text) == 1 else text.ravel().tolist()  # 0.1 us instead of 0.3
    return _encode((number.tobytes(), texts, time.tobytes()))[_ARRAY_BYTES:]


def packed(ids: Sequence[str], time_us: int, rows: Sequence[int], inputs: bytes, outputs: Outputs) -> bytes:
    """The batch of some invocations that were answered at one time, where nothing is redacted.

    rows: of each; inputs, outputs: of all, one below another. It is written in one piece since it runs after a turn of
    the event loop, when all code is cold: a call more is felt.
    """
    label, probabilities, prediction, _, _ = outputs
    told = _encode((ids, [time_us] * len(ids), rows))
    answered = _encode(
        (
            None if label is None else label.tolist(),
            None if probabilities is None else probabilities.tobytes(),
            None if prediction is None else prediction.tobytes(),
        )
    )
    return b"".join((_ARRAY_OF_9, told[_ARRAY_BYTES:], inputs, answered[_ARRAY_BYTES:]))


def _framed(*parts: bytes) -> bytes:
    """The frame whose payload is these, one after another."""
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([_FRAME.pack(sum(map(len, parts)), checksum), *parts])


def _batch(invocations: Sequence[Invocation], redactor: Redactor) -> Batch:
    """The batch of at least one invocation."""
    ids, times, inputs, outputs = zip(*invocations, strict=True)
    blocks, masked, hashed = redactor.apply(_joined(inputs))
    label, probabilities, prediction, _, _ = zip(*outputs, strict=True)
    return Batch(
        list(ids),
        list(times),
        [len(block.number) for block in inputs],
        blocks.number.tobytes(),
        blocks.text.ravel().tolist(),
        blocks.time.tobytes(),
        None if label[0] is None else np.concatenate(label).tolist(),
        None if probabilities[0] is None else np.concatenate(probabilities).tobytes(),
        None if prediction[0] is None else np.concatenate(prediction).tobytes(),
        masked,
        hashed,
    )


def read_journal(path: Path) -> Journal | None:
    """A journal, up to the first frame that a crash cut short; None if that is its header."""
    data = path.read_bytes()
    payloads = _payloads(data)
    first = next(payloads, None)
    if first is None:
        return None
    header = msgspec.msgpack.decode(first, type=Header)
    decode = _decode_1 if data.startswith(_MAGIC_OF_1) else msgspec.msgpack.Decoder(list[Batch]).decode
    return Journal(_id_of(path), header, [batch for payload in payloads for batch in decode(payload)])


def is_of_later_version(path: Path) -> bool:
    """Whether a file is a journal that a later version of this program wrote, which will know what to do with it."""
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    later = len(magic) == len(_MAGIC) and magic.startswith(_FAMILY) and magic not in (_MAGIC, _MAGIC_OF_1)
    if later:
        _log.warning("The journal %s was written by a later version; it is left for that.", path)
    return later


def is_complete(path: Path) -> bool:
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


class _Invocation1(Struct, frozen=True, array_like=True):
    """A frame of `APJ1`: the fields of a batch of one invocation."""

    inference_id: str
    time_us: int
    rows: int
    number: bytes
    text: list[str]
    time: bytes
    label: list[str | int] | None
    probabilities: bytes | None
    prediction: bytes | None


def _decode_1(payload: bytes) -> list[Batch]:
    old = msgspec.msgpack.decode(payload, type=_Invocation1)
    batch = Batch(
        [old.inference_id],
        [old.time_us],
        [old.rows],
        old.number,
        old.text,
        old.time,
        old.label,
        old.probabilities,
        old.prediction,
    )
    return [batch]


def _joined(parts: Sequence[Blocks]) -> Blocks:
    if len(parts) == 1:
        return parts[0]
    return Blocks(*(np.concatenate(blocks) for blocks in zip(*parts, strict=True)))


def _id_of(path: Path) -> uuid.UUID:
    """The UUID that a journal is named by, or one that is made of its name."""
    try:
        return uuid.UUID(hex=path.stem)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, path.stem)


def _payloads(data: bytes) -> Iterator[bytes]:
    if not data.startswith((_MAGIC, _MAGIC_OF_1)):
        return
    at = len(_MAGIC)
    while at + _FRAME.size <= len(data):
        size, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + size]
        if not size or len(payload) < size or zlib.crc32(payload) != checksum:
            return  # cut short; a length of 0 is a stretch of zeros that a power cut left, and their CRC-32 is 0 too
        yield payload
        at += _FRAME.size + size


def _write(file: FileIO, data: bytes) -> None:
    """Write all of it; the operating system may take less at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
