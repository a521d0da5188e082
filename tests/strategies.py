"""Hypothesis strategies for cells, columns and frames: missing, extreme, unseen and hostile values in each kind."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from storage import Column, Signature
from storage.boundary import MISSING_TIME, typed
from storage.signature import Kind

#: Few enough that levels repeat, and each with something that a converter may get wrong.
LEVELS = (
    "a",
    "A",
    "Köln",
    "東京",
    "\U0001f600",
    "two words",
    "a\tb",
    "a\nb",
    " a ",
    "0",
    "0\x1fa",
    "\x1f",
    "None",
    "nan",
    "a\0b",
    "\0",
)

numbers = st.one_of(
    st.none(),
    st.sampled_from(
        [0.0, -0.0, 1.0, -1.5, 0.1, 1e-320, 1e38, -1e39, 1.7e308, float("inf"), float("-inf"), float("nan")]
    ),
    st.integers(-5, 5).map(float),
    st.floats(),
)
levels = st.one_of(st.none(), st.just(""), st.sampled_from(LEVELS), st.text(max_size=4))
words = st.sampled_from(
    ["late", "Late", "(late)", "Ä", "ÄÖ!", "--", "a,b", "x\ty", "\n", "", "\U0001f600", "İ", "ß", "\x1f", "a\0b"]
)
prose = st.one_of(st.none(), st.lists(words | st.text(max_size=3), max_size=6).map(" ".join))
times = st.one_of(
    st.none(),
    st.datetimes().map(lambda when: int(pl.Series([when], dtype=pl.Datetime("us")).to_physical()[0])),
    st.integers(-2_300_000_000_000_000, 4_200_000_000_000_000),  # 1897-2103
    st.integers(MISSING_TIME + 1, 2**63 - 1),
)

CELLS: dict[Kind, st.SearchStrategy[Any]] = {"number": numbers, "category": levels, "text": prose, "time": times}
DTYPES: dict[Kind, Any] = {"number": pl.Float64, "category": pl.String, "text": pl.String, "time": pl.Int64}


def signature_of(kinds: tuple[Kind, ...]) -> Signature:
    """A signature with columns `c0`, `c1`, ... of these kinds, as regression."""
    return Signature("regression", "y", tuple(Column(f"c{i}", kind, "any") for i, kind in enumerate(kinds)))


def frames(kinds: tuple[Kind, ...], *, least_rows: int = 0, most_rows: int = 12) -> st.SearchStrategy[pl.DataFrame]:
    """Typed frames of `signature_of(kinds)`."""
    rows = st.lists(st.tuples(*(CELLS[kind] for kind in kinds)), min_size=least_rows, max_size=most_rows)
    return rows.map(lambda found: typed(signature_of(kinds), raw_frame(kinds, found)))


@st.composite
def training_frames(draw: st.DrawFn, kinds: tuple[Kind, ...]) -> pl.DataFrame:
    """Typed frames of 40 rows with at most 8 different cells a column, so that levels, words and numbers repeat."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = []
    for kind in kinds:
        cells = draw(st.lists(CELLS[kind], min_size=2, max_size=8))
        columns.append([cells[index] for index in rng.integers(0, len(cells), 40)])
    return typed(signature_of(kinds), raw_frame(kinds, list(zip(*columns, strict=True))))


def raw_frame(kinds: tuple[Kind, ...], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows as a frame; times are whole microseconds, as `typed` also takes them."""
    schema = {f"c{i}": DTYPES[kind] for i, kind in enumerate(kinds)}
    return pl.DataFrame(rows, schema=schema, orient="row")
