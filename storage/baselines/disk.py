"""Baselines and reports as files: what cannot be read or written is told with its place and what to do."""

from pathlib import Path

from storage.errors import DataError, StoreError


def read_file(path: Path, what: str = "") -> bytes:
    """What a file holds. what: goes before its name in the error, with a space. Raises DataError if it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{what}{str(path)!r} cannot be read: {error.strerror}. Name another file.") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file. Raises StoreError if it cannot be written."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}. Name another place.") from error
