"""Profiles as bytes: read back whole, or their counts alone."""

import msgspec
import numpy as np
import polars as pl
import pytest

from monitor.sketches.baseline import Baseline
from monitor.sketches.blocks import WIDTH
from monitor.sketches.stored import dump, parse, skim
from monitor.sketches.window import Profile, merge, profile
from storage import StoreError


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    """Numbers with gaps, levels, and a column that windows lack."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "number": pl.Series(rng.normal(1e9, 3, rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "level": rng.choice(["a", "b", "c"], rows),
            "lost": rng.normal(size=rows),
        }
    )


BASELINE = Baseline.of(frame(1000))


def window(rows: int = 500, seed: int = 1) -> Profile:
    """Of rows without one column, and with another."""
    return profile(frame(rows, seed).drop("lost").with_columns(new=1), BASELINE)


def test_a_profile_is_read_back() -> None:
    """To the bit; the counts alone are the same."""
    kept = window()
    read, skimmed = parse(dump(kept)), skim(dump(kept))
    for name, before, after in zip(Profile._fields, kept, read, strict=True):
        np.testing.assert_equal(after, before, err_msg=name)
    assert (skimmed.rows, skimmed.counts.tolist()) == (500, kept.counts.tolist())


def test_sketches_of_several_windows_become_one() -> None:
    """Of all their rows."""
    import datasketches

    read = parse(dump(merge([window(), window(300, seed=2)])))
    (sketch,) = read.quantiles[0]
    present = int(read.counts[0] - read.counts[1])
    assert datasketches.kll_doubles_sketch.deserialize(sketch).n == present


def test_a_profile_takes_little() -> None:
    """Far below the 64 kB a column that were asked for."""
    assert len(dump(window(100_000))) / 3 < 3000


@pytest.mark.parametrize("read", [parse, skim])
def test_bytes_of_another_form_are_refused(read) -> None:
    """And bytes that are none."""
    with pytest.raises(StoreError, match="are no profile"):
        read(b"\xc1")
    later = msgspec.msgpack.decode(dump(window())) | {"form": 99}
    with pytest.raises(StoreError, match="form 99"):
        read(msgspec.msgpack.encode(later))


@pytest.mark.parametrize("read", [parse, skim])
def test_bytes_of_the_first_form_are_read(read) -> None:
    """They have no blocks, and are merged with those that do."""
    document = msgspec.msgpack.decode(dump(window())) | {"form": 1}
    del document["blocks"]
    old = read(msgspec.msgpack.encode(document))
    assert (old.rows, old.counts.tolist()) == (500, window().counts.tolist())
    assert old.blocks.shape == (3, 0, WIDTH)


def test_profiles_of_both_forms_are_merged() -> None:
    """Blocks are those of the later one."""
    document = msgspec.msgpack.decode(dump(window())) | {"form": 1, "blocks": b""}
    both = merge([parse(msgspec.msgpack.encode(document)), window(300, seed=2)])
    assert (both.rows, both.blocks.tolist()) == (800, window(300, seed=2).blocks.tolist())
