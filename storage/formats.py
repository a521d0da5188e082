"""Formats of table files: which one a name tells, and what is missing in csv."""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import zstandard

from storage.errors import DataError

Format = Literal["csv", "tsv", "parquet", "ndjson", "arrow"]
Packing = Literal["", "gzip", "zstd"]

#: What a csv cell may hold to mean "missing", beside nothing at all. As in pandas, less the exotic ones.
NULL_WORDS = ["NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_PACKINGS: dict[str, Packing] = {".gz": "gzip", ".zst": "zstd"}
_MAGIC: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
#: What is unpacked at once: of the worst case, a block of 128 kB in 4 bytes, 128 MB come of it.
_PIECE_BYTES = 4096
_BUFFER_BYTES = 1 << 18


def format_of(place: str) -> Format:
    """csv, tsv, parquet, ndjson or arrow, by the name's ending; `.gz` and `.zst` are looked through. Raises DataError.

    >>> format_of("s3://bucket/day.csv.gz"), format_of("day.pq")
    ('csv', 'parquet')
    """
    if (found := known_format(place)) is None:
        raise DataError(
            f"{place!r} does not tell its format. Name it with one of {', '.join(_FORMATS)}, optionally with "
            f"{' or '.join(_PACKINGS)}."
        )
    return found


def known_format(place: str) -> Format | None:
    """The format that a name tells; None if it tells none. Raises DataError for an address that is none."""
    suffixes = [suffix for suffix in suffixes_of(place) if suffix not in _PACKINGS]
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def packing_of(place: str) -> Packing:
    """How a file of that name is to be packed.

    >>> packing_of("day.csv.gz"), packing_of("day.csv")
    ('gzip', '')
    """
    suffixes = suffixes_of(place)
    return _PACKINGS.get(suffixes[-1], "") if suffixes else ""


def suffixes_of(place: str) -> list[str]:
    """Endings of a path's or an address's name, in lower case. Raises DataError for an address that is none."""
    try:
        path = urlsplit(place).path if "://" in place else place
    except ValueError as error:
        raise DataError(f"{place!r} is no address: {error}. Correct it.") from error
    return [suffix.lower() for suffix in Path(path).suffixes]


def found_packing(head: bytes) -> Packing:
    """How a file that begins with these bytes is packed, whatever its name says."""
    found: Packing = ""
    for magic, packing in _MAGIC.items():
        found = packing if head.startswith(magic) else found
    return found


def unpacked(file: IO[bytes], packing: Packing) -> IO[bytes]:
    """A file as what is packed in it. Reading it raises one of UNPACK_ERRORS where it was cut off or changed."""
    if packing == "gzip":
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER_BYTES)
    return io.BufferedReader(_Zstd(file), _BUFFER_BYTES) if packing == "zstd" else file


#: What reading a packed file raises if it was cut off or changed.
UNPACK_ERRORS = (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, EOFError)


class _Zstd(io.RawIOBase):
    """A zstd file of any number of frames, unpacked as read. zstandard's own reader takes a cut off one as whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._packed = self._plain = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill what is there; 0 at the file's end. Raises EOFError where it ends too early."""
        while not self._plain:
            packed = self._packed or self._file.read(_PIECE_BYTES)
            if not packed:
                if self._frame is None:
                    return 0
                raise EOFError("it ends too early")
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._plain, self._packed = self._frame.decompress(packed), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(self._plain), len(buffer))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count


def refuse_repeated(names: Sequence[str], place: str) -> None:
    """Raise DataError if two columns have the same name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"{place!r} has more than one column {repeated[0]!r}. Give each column a name of its own.")


def refuse_delimiter(delimiter: str) -> None:
    """Raise DataError unless it is one character that can stand between cells."""
    if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise DataError(f"The delimiter {delimiter!r} is not one character. Use one such as ',' or ';'.")
