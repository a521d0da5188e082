"""Blobs are kept under the sha256 of their bytes, whole or not at all."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Store, StoreError
from storage.blobs import Blobs
from tests import processes
from tests.refusals import raises

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


def test_the_digest_is_the_sha256_of_the_bytes(store: Store) -> None:
    """The standard's own example."""
    assert store.blobs.put(b"abc") == ABC
    assert store.blobs.get(ABC) == b"abc"


@given(data=st.binary(max_size=2000))
def test_what_is_put_is_what_is_got(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any bytes, none too, come back, and lie in the file that `path` names."""
    blobs = Blobs(tmp_path_factory.getbasetemp() / "blobs")
    digest = blobs.put(data)
    assert blobs.get(digest) == data
    assert blobs.path(digest).read_bytes() == data


def test_the_same_bytes_are_kept_once(store: Store) -> None:
    """Putting twice gives the same digest and leaves one file."""
    assert store.blobs.put(b"abc") == store.blobs.put(b"abc")
    assert [path.name for path in (store.root / "blobs").rglob("*") if path.is_file()] == [ABC]


def test_changed_bytes_are_an_error_and_never_returned(store: Store) -> None:
    """A bit that flipped on disk is found when reading."""
    store.blobs.path(store.blobs.put(b"abc")).write_bytes(b"abd")
    with raises(StoreError, f"Blob {ABC} was changed on disk. Restore it"):
        store.blobs.get(ABC)


def test_a_digest_that_was_never_put_is_named(store: Store) -> None:
    """The message says which blob is missing."""
    with raises(StoreError, f"Blob {'0' * 64} is not in the store"):
        store.blobs.get("0" * 64)


def test_a_full_disk_leaves_no_half_blob(tmp_path: Path) -> None:
    """A put that finds no room raises StoreError; there is no such blob, and with room again it can be put."""
    script = """
import resource, sys
import os
from datetime import UTC, datetime
from pathlib import Path
from storage import StoreError
from storage.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    blobs.put(bytes(100_000))
except StoreError as error:
    print(error)
"""
    message = processes.run(script, tmp_path)
    assert message.startswith("A blob of 100000 bytes could not be written")
    assert message.endswith("Free some disk.\n")
    assert message.count("\n") == 1  # obstore's own goes on for lines
    blobs = Blobs(tmp_path)
    assert blobs.get(blobs.put(bytes(100_000))) == bytes(100_000)


def test_a_file_is_kept_as_its_bytes_are(store: Store, tmp_path: Path) -> None:
    """Under the same digest, once; the file stays."""
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    assert store.blobs.put_file(file) == store.blobs.put(b"abc") == store.blobs.put_file(file) == ABC
    assert store.blobs.get(ABC) == file.read_bytes()
    assert store.blobs.digests() == [ABC]


def test_a_blob_that_is_put_again_counts_as_used_just_now(store: Store, tmp_path: Path) -> None:
    """Whoever forgets what was not used for long leaves it alone."""
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    for put in (lambda: store.blobs.put(b"abc"), lambda: store.blobs.put_file(file)):
        store.blobs.put(b"abc")
        os.utime(store.blobs.path(ABC), (0, 0))
        assert store.blobs.is_older(ABC, datetime(1970, 1, 2, tzinfo=UTC))
        put()
        assert not store.blobs.is_older(ABC, datetime(1970, 1, 2, tzinfo=UTC))
    store.blobs.delete(ABC)
    assert not store.blobs.is_older(ABC, datetime(9999, 1, 1, tzinfo=UTC))


def test_a_blob_that_is_deleted_is_gone_and_one_that_is_not_there_cannot_be_kept(store: Store) -> None:
    """Deleting twice does no harm."""
    store.blobs.keep(store.blobs.put(b"abc"))
    assert store.blobs.used_at(ABC) is not None
    for _ in range(2):
        store.blobs.delete(ABC)
    assert (store.blobs.has(ABC), store.blobs.used_at(ABC)) == (False, None)
    with raises(StoreError, f"Blob {ABC} could not be kept"):
        store.blobs.keep(ABC)
