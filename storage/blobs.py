"""Blobs: files that never change, kept under the sha256 of their bytes."""

import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from storage.errors import StoreError

_DIGEST = re.compile("[0-9a-f]{64}")


class Blobs:
    """Content-addressed bytes in an object store; a folder by default.

    Writing the same bytes twice keeps one copy. A digest that was returned by `put` can be read from then on, by every
    process. Bytes are checked against their digest when read, so a damaged file is an error and never a wrong model.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = LocalStore(str(root), mkdir=True)

    def put(self, data: bytes) -> str:
        """Store bytes and return their digest, 64 hexadecimal digits."""
        digest = hashlib.sha256(data).hexdigest()
        try:
            self._objects.put(_key(digest), data, mode="create")
        except AlreadyExistsError:
            if not self._use(digest):  # they were deleted just now
                return self.put(data)
        except (BaseError, OSError) as error:
            raise StoreError(
                f"A blob of {len(data)} bytes could not be written: {_reason(error)}. Free some disk."
            ) from error
        return digest

    def put_file(self, file: Path) -> str:
        """Store a file's bytes, however many, and return their digest; the file stays where it is."""
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if not self._use(digest):
            try:
                self._objects.put(_key(digest), file)
            except (BaseError, OSError) as error:
                raise StoreError(f"A blob could not be written: {_reason(error)}. Free some disk.") from error
        return digest

    def has(self, digest: str) -> bool:
        """Whether a digest can be read."""
        return self.path(digest).is_file()

    def keep(self, digest: str) -> None:
        """Have a blob survive a power cut too, and count as used just now. Raises StoreError if there is none."""
        path = self.path(digest)
        try:
            os.utime(path)
            for place in (path, path.parent):
                _sync(place)
        except OSError as error:
            raise StoreError(f"Blob {digest} could not be kept: {error}. Look after the disk.") from error

    def digests(self) -> list[str]:
        """All that are kept."""
        return [path.name for path in self._root.glob("[0-9a-f][0-9a-f]/*") if _DIGEST.fullmatch(path.name)]

    def used_at(self, digest: str) -> datetime | None:
        """When a blob was put or kept last; None if there is none."""
        try:
            return datetime.fromtimestamp(self.path(digest).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def is_older(self, digest: str, before: datetime) -> bool:
        """Whether there is a blob that was neither put nor kept since a time."""
        used_at = self.used_at(digest)
        return used_at is not None and used_at < before

    def delete(self, digest: str) -> None:
        """Delete a blob, if there is one. Only for whoever knows that nothing else refers to it."""
        self.path(digest).unlink(missing_ok=True)

    def get(self, digest: str) -> bytes:
        """Bytes of a digest. Raises StoreError if there are none or they were changed."""
        try:
            data = self.path(digest).read_bytes()  # a fifth of what it takes through obstore
        except FileNotFoundError as error:
            raise StoreError(f"Blob {digest} is not in the store. It was deleted from the folder by hand.") from error
        except OSError as error:
            raise StoreError(f"Blob {digest} could not be read: {error}. Look after the disk.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"Blob {digest} was changed on disk. Restore it from a backup or fit the model again.")
        return data

    def _use(self, digest: str) -> bool:
        """Count a blob as used just now; False if there is none."""
        try:
            os.utime(self.path(digest))
        except OSError:  # also of a file of another user, which is there all the same
            return self.has(digest)
        return True

    def path(self, digest: str) -> Path:
        """Where a digest's file lies; reading it there skips the check."""
        return self._root / _key(digest)


def _sync(place: Path) -> None:
    """Have what a file or folder holds written to the disk; Windows has no way to do so for folders."""
    if place.is_dir() and os.name != "posix":
        return
    number = os.open(place, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _reason(error: Exception) -> str:
    """What went wrong, for people: obstore adds a dump of many lines."""
    return str(error).strip().partition("\n")[0][:300].rstrip(".")


def _key(digest: str) -> str:
    """Two levels, so that no folder holds more than a 256th of all files."""
    return f"{digest[:2]}/{digest}"
