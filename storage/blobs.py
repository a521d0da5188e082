"""Blobs: files that never change, kept under the sha256 of their bytes."""

import hashlib
from pathlib import Path

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from storage.errors import StoreError


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
            pass  # the same bytes are there
        except (BaseError, OSError) as error:
            raise StoreError(f"A blob of {len(data)} bytes could not be written: {error}. Free some disk.") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Bytes of a digest. Raises StoreError if there are none or they were changed."""
        try:
            data = bytes(self._objects.get(_key(digest)).bytes())
        except FileNotFoundError as error:
            raise StoreError(f"Blob {digest} is not in the store. It was deleted from the folder by hand.") from error
        except (BaseError, OSError) as error:
            raise StoreError(f"Blob {digest} could not be read: {error}.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"Blob {digest} was changed on disk. Restore it from a backup or fit the model again.")
        return data

    def path(self, digest: str) -> Path:
        """Where a digest's file lies; reading it there skips the check."""
        return self._root / _key(digest)


def _key(digest: str) -> str:
    """Two levels, so that no folder holds more than a 256th of all files."""
    return f"{digest[:2]}/{digest}"
