"""Small generated tables that look like real ones: mixed types, missing values, a target with something to learn."""

import math
import random
from datetime import datetime, timedelta

import polars as pl

TOWNS = ("Ulm", "Bonn", "Köln", "Rome", "東京", "New York")
_WORDS = ("late", "paid", "twice", "asked", "for", "refund", "the", "Invoice", "was", "lost", "café", "call", "back!")


def mixed(rows: int = 300, *, seed: int = 0) -> pl.DataFrame:
    """Numbers, a boolean, a category, prose, times, each with holes, and `paid`, yes or no, which depends on them."""
    is_paid = pl.col("score") > 0
    return _rows(rows, seed).select(
        pl.exclude("score"), paid=pl.when(is_paid).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )


def multiclass(rows: int = 300, *, seed: int = 0) -> pl.DataFrame:
    """The mixed table with `grade`, one of 1, 2 and 3, instead of `paid`."""
    score = pl.col("score")
    return _rows(rows, seed).select(pl.exclude("score"), grade=pl.when(score > 1).then(3).otherwise((score > -1) + 1))


def regression(rows: int = 300, *, seed: int = 0) -> pl.DataFrame:
    """The mixed table with `price`, a number below and above zero, instead of `paid`."""
    return _rows(rows, seed).select(pl.exclude("score"), price=pl.col("score") * 100 - 7)


def _rows(rows: int, seed: int) -> pl.DataFrame:
    rng = random.Random(seed)
    return pl.DataFrame([_row(rng) for _ in range(rows)], infer_schema_length=None)


def _row(rng: random.Random) -> dict[str, object]:
    age, income, town = rng.randint(18, 90), rng.lognormvariate(10, 0.7), rng.choice(TOWNS)
    member = rng.random() < 0.4
    joined = datetime(2020, 1, 1) + timedelta(minutes=rng.randrange(2_000_000))  # noqa: DTZ001 - tables have no zones
    note = " ".join(rng.choices(_WORDS, k=rng.randint(2, 9)))
    score = (
        (age - 50) / 20 + (1.0 if town in ("Ulm", "東京") else -0.5) + (0.8 if member else 0) + math.sin(joined.hour)
    )
    score += 0.7 * ("refund" in note) + rng.gauss(0, 0.5)
    holes = [rng.random() < 0.1 for _ in range(6)]
    values = {"age": age, "income": income, "member": member, "town": town, "note": note, "joined": joined}
    row = {name: None if hole else value for (name, value), hole in zip(values.items(), holes, strict=True)}
    return {**row, "score": score}
