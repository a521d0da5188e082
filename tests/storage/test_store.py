"""The store is a folder that is made on first use and opened by one door."""

import os
import sqlite3
from pathlib import Path

import pytest

from storage import Store, StoreError
from storage.tables import HEAD
from tests.records import run
from tests.refusals import raises


def test_a_store_is_made_on_first_use(tmp_path: Path) -> None:
    """Folders above it too."""
    store = Store.open(tmp_path / "deep" / "er" / "store")
    store.runs.start(run())
    assert (tmp_path / "deep" / "er" / "store" / "autopilot.db").is_file()
    store.close()


def test_a_store_is_opened_by_path_text_url_or_itself(tmp_path: Path) -> None:
    """All name the same folder."""
    store = Store.open(tmp_path)
    assert Store.open(store) is store
    for spelling in (str(tmp_path), f"file://{tmp_path}", str(tmp_path / "x" / "..")):
        other = Store.open(spelling)
        assert other.root == store.root
        other.close()
    store.close()


def test_a_relative_path_is_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its folder later still has its store."""
    monkeypatch.chdir(tmp_path)
    store = Store.open("here")
    monkeypatch.chdir("/")
    store.runs.start(run())
    assert store.root == tmp_path / "here"
    store.close()


@pytest.mark.parametrize("url", ["s3://bucket/store", "postgresql://host/db"])
def test_a_store_elsewhere_is_refused_in_words(url: str) -> None:
    """Until this version can do it."""
    with raises(StoreError, f"The store '{url}' is no folder. This version keeps stores in folders"):
        Store.open(url)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    """It is not touched."""
    (tmp_path / "store").write_text("mine")
    with pytest.raises(StoreError, match=r"The store '.*store' cannot be made: File exists. Name another folder."):
        Store.open(tmp_path / "store")
    assert (tmp_path / "store").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    tmp_path.chmod(0o500)
    with raises(StoreError, "Permission denied"):
        Store.open(tmp_path / "store")


def test_a_sound_store_has_no_complaints(store: Store) -> None:
    """Path, schema and free space are told."""
    health = store.health()
    assert health.path == str(store.root)
    assert health.schema == HEAD
    assert health.free_bytes > 0
    assert not [complaint for complaint in health.complaints if "disk" not in complaint]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has a file system that is always full")
@pytest.mark.parametrize("folder", ["traffic", "blobs", "async", "work"])
def test_health_tells_of_a_folder_on_a_full_disk_of_its_own(store: Store, folder: str) -> None:
    """Which one, and of no other: the disk of the root has space. `/proc` has no byte free."""
    if (store.root / folder).exists():
        (store.root / folder).rename(store.root.parent / folder)
    (store.root / folder).symlink_to("/proc")
    health = store.health()
    place = str(store.root / folder)
    assert [complaint for complaint in health.complaints if place in complaint] == [
        f"only 0 MB are free on the disk of {place!r}: remove files there, or give it more"
    ]
    assert health.free_bytes == 0


def test_health_tells_of_a_damaged_database(store: Store) -> None:
    """SQLite's own words are among the complaints, or it cannot be read at all and says so."""
    for number in range(200):
        store.runs.start(run(f"r{number}"))
    store.close()
    path = store.root / "autopilot.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[-8192:] = os.urandom(8192)
    path.write_bytes(data)
    damaged = Store.open(store.root)
    try:
        assert [complaint for complaint in damaged.health().complaints if "damaged" in complaint]
    except StoreError as error:
        assert "malformed" in str(error)  # noqa: PT017 - either is right
    finally:
        damaged.close()
