"""How long labels take."""

from datetime import datetime

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from storage.labels.joined import RECEIVED_AT
from storage.traffic import OUTPUT_PREFIX

_TIME = f"{OUTPUT_PREFIX}time"
_MOST_POINTS = 24
_SECOND_US = 1_000_000


class Delay(Struct, frozen=True):
    """How long after the answer labels come.

    rows: answers that were looked at; labelled: of them.
    median_s, slow_s: after so many seconds half, and nine in ten, of all answers have a label; None if that cannot be
        told yet. ages_s, shares: the share of answers that have a label at an age, at up to 24 ages, ascending.
    """

    rows: int
    labelled: int
    median_s: float | None
    slow_s: float | None
    ages_s: tuple[float, ...]
    shares: tuple[float, ...]


def delay_of(frame: pl.DataFrame, known_at: datetime) -> Delay:
    """The delay of labels in a frame of `labelled_at`.

    Answers whose label is not there yet count for as long as they have waited: leaving them out would make labels look
    quicker than they are (Kaplan and Meier, Journal of the American Statistical Association 53 (1958)).
    """
    if not frame.height or RECEIVED_AT not in frame.columns:
        return Delay(0, 0, None, None, (), ())
    answered, received = (frame.get_column(name).dt.epoch("us") for name in (_TIME, RECEIVED_AT))
    known_us = int(known_at.timestamp() * _SECOND_US)
    is_labelled = received.is_not_null().to_numpy()
    ages = ((received.fill_null(known_us) - answered).to_numpy() / _SECOND_US).clip(min=0.0)
    at, shares = _arrived(ages, is_labelled)
    points = np.unique(np.linspace(0, len(at) - 1, _MOST_POINTS).astype(np.int64)) if len(at) else np.empty(0, np.int64)
    return Delay(
        rows=frame.height,
        labelled=int(is_labelled.sum()),
        median_s=_first(at, shares, 0.5),
        slow_s=_first(at, shares, 0.9),
        ages_s=tuple(at[points].tolist()),
        shares=tuple(shares[points].tolist()),
    )


def _arrived(
    ages: NDArray[np.float64], is_labelled: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ages at which labels came, ascending, and the share of answers that have one by then."""
    at, places = np.unique(ages, return_inverse=True)
    came = np.bincount(places, is_labelled)
    waiting = len(ages) - np.cumsum(np.bincount(places)) + np.bincount(places)
    without = np.cumprod(1 - came / waiting, dtype=np.float64)
    return at[came > 0], 1 - without[came > 0]


def _first(at: NDArray[np.float64], shares: NDArray[np.float64], wanted: float) -> float | None:
    """The age at which a share is reached."""
    reached = np.flatnonzero(shares >= wanted - 1e-12)
    return float(at[reached[0]]) if len(reached) else None
