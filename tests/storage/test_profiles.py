"""Profiles of hours in a store: one for each, the one of most traffic, and their blobs."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from storage import Store
from storage.profiles import Profiles
from storage.records import StoredProfile
from tests.records import HOUR, NOW

BASELINE = "b" * 64


@pytest.fixture
def profiles(store: Store) -> Profiles:
    """Of an empty store."""
    return store.profiles


def hour(number: int = 0, *, files: int = 1, variant: str = "main", version: int = 1) -> StoredProfile:
    """A row without its blob."""
    return StoredProfile(
        endpoint="late",
        variant=variant,
        model="flights",
        version=version,
        baseline=BASELINE,
        hour=NOW + number * HOUR,
        rows=100 * files,
        files=files,
        digest="",
        size_bytes=0,
        created_at=NOW,
    )


def listed(profiles: Profiles, first: int = 0, last: int = 9, variant: str | None = None) -> list[StoredProfile]:
    return profiles.list(
        "late",
        NOW + first * HOUR,
        NOW + last * HOUR,
        model="flights",
        version=1,
        baseline=BASELINE,
        variant=variant,
    )


def test_what_was_put_is_listed_and_read(profiles: Profiles) -> None:
    """With the digest and the size of its bytes, by hour; of others nothing."""
    for number in (2, 0, 1):
        assert profiles.put(hour(number), b"hour %d" % number)
    profiles.put(hour(1, version=2), b"of another version")
    found = listed(profiles, 0, 2)
    assert [row.hour for row in found] == [NOW, NOW + HOUR]
    assert [profiles.read(row) for row in found] == [b"hour 0", b"hour 1"]
    assert replace(found[0], digest="", size_bytes=0) == hour(0)
    assert found[0].size_bytes == 6
    assert profiles.list("late", NOW, NOW + HOUR, model="flights", version=1, baseline="c" * 64) == []


def test_the_profile_of_most_files_stays(profiles: Profiles, store: Store) -> None:
    """Whoever comes with as many or fewer changes nothing; the blob that is replaced goes."""
    assert profiles.put(hour(files=2), b"two")
    (first,) = listed(profiles)
    assert not profiles.put(hour(files=2), b"again")
    assert not profiles.put(hour(files=1), b"one")
    assert listed(profiles) == [first]
    assert len(store.blobs.digests()) == 1
    assert profiles.put(hour(files=3), b"three")
    assert [profiles.read(row) for row in listed(profiles)] == [b"three"]
    assert not store.blobs.has(first.digest)


def test_a_blob_that_another_hour_has_stays(profiles: Profiles) -> None:
    """Two hours may have the same profile, as those without rows have."""
    profiles.put(hour(0), b"none")
    profiles.put(hour(1), b"none")
    profiles.put(hour(0, files=2), b"some")
    assert [profiles.read(row) for row in listed(profiles)] == [b"some", b"none"]


def test_variants_are_told_apart(profiles: Profiles) -> None:
    """Both of one hour, or one alone."""
    profiles.put(hour(variant="main"), b"m")
    profiles.put(hour(variant="canary"), b"c")
    assert [row.variant for row in listed(profiles)] == ["canary", "main"]
    assert [row.variant for row in listed(profiles, variant="main")] == ["main"]


def test_old_hours_are_forgotten(profiles: Profiles, store: Store) -> None:
    """With their blobs; hours from then on stay."""
    for number in range(3):
        profiles.put(hour(number), b"hour %d" % number)
    assert profiles.forget("other", NOW + timedelta(days=1)) == 0
    made_at = listed(profiles)[0].created_at
    assert profiles.forget("late", NOW + 2 * HOUR, made_at) == 0
    assert profiles.forget("late", NOW + 2 * HOUR) == 2
    assert [row.hour for row in listed(profiles)] == [NOW + 2 * HOUR]
    assert len(store.blobs.digests()) == 1
