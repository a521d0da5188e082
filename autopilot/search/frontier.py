"""The frontier of quality and cost, as a user sees it; `ensemble.frontier` finds it."""

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from storage.records import Member


class Point(Struct, frozen=True):
    """A blend of the frontier: none is both faster and better. members: heaviest first."""

    latency_us: float
    score: float
    members: tuple[Member, ...]
    chosen: bool


def frontier_frame(points: Sequence[Point]) -> pl.DataFrame:
    """The points as a table: latency_us, score, members in words, chosen.

    >>> members = (Member(3, "lightgbm", 0.75), Member(1, "linear", 0.25))
    >>> frontier_frame([Point(41.0, 0.9, members, chosen=True)]).row(0)
    (41.0, 0.9, '0.75 lightgbm #3 + 0.25 linear #1', True)
    """
    rows = [(point.latency_us, point.score, _words(point.members), point.chosen) for point in points]
    schema = {"latency_us": pl.Float64, "score": pl.Float64, "members": pl.String, "chosen": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _words(members: tuple[Member, ...]) -> str:
    return " + ".join(f"{member.weight:.2f} {member.candidate} #{member.trial}" for member in members)
