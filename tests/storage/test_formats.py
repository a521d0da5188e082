"""What a file's name and its first bytes tell."""

import gzip
import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import DataError
from storage.formats import (
    UNPACK_ERRORS,
    found_packing,
    known_format,
    packing_of,
    refuse_delimiter,
    refuse_repeated,
    unpacked,
)
from tests.refusals import raises

PACK = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@given(pieces=st.lists(st.binary(max_size=20_000), min_size=1, max_size=4), size=st.integers(1, 5_000))
def test_a_packed_file_is_what_was_packed_in_it(packing: str, pieces: list[bytes], size: int) -> None:
    """However many times something was appended to it, and however it is read."""
    packed = b"".join(map(PACK[packing], pieces))
    assert found_packing(packed) == packing
    file, found = unpacked(io.BytesIO(packed), found_packing(packed)), b""
    while piece := file.read(size):
        found += piece
    assert found == b"".join(pieces)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@given(at=st.integers(min_value=1))
def test_a_file_that_was_cut_off_is_noticed(packing: str, at: int) -> None:
    """And not taken as a shorter one."""
    packed = PACK[packing](bytes(range(256)) * 40)
    cut = packed[: 5 + at % (len(packed) - 6)]
    with pytest.raises(UNPACK_ERRORS):
        unpacked(io.BytesIO(cut), found_packing(cut)).read()


def test_a_block_that_grows_a_million_times_is_not_held_at_once() -> None:
    """A few kB of a file are unpacked at a time."""
    packed = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    file = unpacked(io.BytesIO(packed), "zstd")
    assert len(packed) < 30_000
    assert file.read(100) == bytes(100)


def test_a_name_tells_format_and_packing() -> None:
    """By its last endings."""
    assert (known_format("a.csv/b.PARQUET"), packing_of("b.PARQUET")) == ("parquet", "")
    assert (known_format("s3://b/x.ndjson.ZST"), packing_of("s3://b/x.ndjson.ZST")) == ("ndjson", "zstd")
    assert (known_format("notes.txt"), known_format("x"), known_format("x.gz")) == (None, None, None)


def test_names_and_delimiters_that_cannot_be_are_refused() -> None:
    """With what to do."""
    with raises(DataError, "'t.csv' has more than one column 'b'. Give each column a name of its own."):
        refuse_repeated(["a", "b", "b"], "t.csv")
    for delimiter in ("", '"', ",,", "\n"):
        with raises(DataError, "is not one character"):
            refuse_delimiter(delimiter)
