"""Single objects are read and written by address, and only where that is allowed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import DataError, FailureError, InputError
from storage.objects import Address, Prefixes, fetch, put
from tests.buckets import Buckets, buckets
from tests.refusals import raises


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    """An object store that this process is told of."""
    with buckets() as held:
        for name, value in held.environ.items():
            monkeypatch.setenv(name, value)
        yield held


def test_objects_are_put_and_fetched(bucket: Buckets, tmp_path: Path) -> None:
    """In an object store, and in a folder, which is made."""
    for address in ("s3://b/in/a b.csv", f"file://{tmp_path}/new/a.csv"):
        put(address, b"1,2")
        put(address, b"3,4")
        assert fetch(address, Prefixes([address.rpartition("/")[0]]), 3) == b"3,4"
    assert bucket.objects == {"/b/in/a%20b.csv": b"3,4"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.csv"]


def test_what_is_too_long_not_there_or_out_of_reach_is_told(bucket: Buckets, tmp_path: Path) -> None:
    """Each with its address; a store that fails is asked again once."""
    allowed = Prefixes(["s3://b", f"file://{tmp_path}"])
    bucket.objects["/b/long"] = b"12345"
    (tmp_path / "long").write_bytes(b"12345")
    for root in ("s3://b", f"file://{tmp_path}"):
        with raises(DataError, f"'{root}/long' is longer than 4 bytes."):
            fetch(f"{root}/long", allowed, 4)
        with raises(DataError, f"There is no '{root}/none'."):
            fetch(f"{root}/none", allowed, 4)
    with raises(DataError, "is no file"):
        fetch(f"file://{tmp_path}", Prefixes([f"file://{tmp_path.parent}"]), 4)
    bucket.status = 403
    with raises(FailureError, "'s3://b/long' could not be reached"):
        fetch("s3://b/long", allowed, 10)
    with raises(FailureError, "'s3://b/out' could not be reached"):
        put("s3://b/out", b"")


def test_only_what_is_allowed_is_read(tmp_path: Path) -> None:
    """By whole parts of the path, and not by a link that leads elsewhere."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    allowed = Prefixes([f"file://{tmp_path}/in/"])
    for name in ("secret", "in/link", "in/folder/secret", "internal"):
        with raises(InputError, f"may not be read. Addresses have to begin with file://{tmp_path}/in/."):
            fetch(f"file://{tmp_path}/{name}", allowed, 100)
    with raises(InputError, "No addresses are allowed here"):
        fetch("s3://b/k", Prefixes([]), 100)


@pytest.mark.parametrize(
    "text",
    [
        *("", "k", "s3://", "s3:///k", "s3://b", "s3://b/", "s3://b/../k", "s3://b/./k", "s3://b//k", "s3://b/a\n"),
        *("https://h/k", "file://h/k", "file://", "file:///in/%2e%2e/k", "file:///in/..", "s3://b@h/k", "s3://b:80/k"),
    ],
)
def test_what_could_mean_two_things_is_no_address(text: str) -> None:
    """Or what means nothing."""
    with raises(InputError, "is no address of an object. Write s3://BUCKET/KEY"):
        Address.of(text)


PARTS = st.lists(st.sampled_from(["in", "inside", "a", "..", ".", "", "%2e%2e", "k"]), max_size=4)


@given(scheme=st.sampled_from(["s3", "gs", "file"]), bucket=st.sampled_from(["b", "bb", "in", ""]), parts=PARTS)
def test_what_is_allowed_lies_below_a_prefix(scheme: str, bucket: str, parts: list[str]) -> None:
    """Whatever the address is made of."""
    text = f"{scheme}://{bucket}/{'/'.join(parts)}"
    try:
        allowed = Prefixes(["s3://b/in"]).allow(text)
    except InputError:
        return
    assert allowed == (text.startswith("s3://b/in/"))
    assert not allowed or not {".", ".."} & set(parts)
