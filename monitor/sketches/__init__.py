"""Profiles: what is kept of a window of traffic, so that any period can be judged without its rows.

A baseline (`baseline.py`) is made once of the reference: it says into which cells (`cells.py`) the values of each
column fall. A profile (`window.py`) counts a window's rows over those cells, and keeps exact sums (`exact.py`), sums
over blocks of neighbours (`blocks.py`), quantiles (`quantiles.py`) and how many values are distinct (`distinct.py`).
Profiles of one baseline add up: hours to days, workers to an endpoint.

    reference ── Baseline.of ── baseline ─┐
    rows ──────────────────── profile ────┴── Profile ── a blob for each hour (`hours.py`, `storage/profiles.py`)
                                                 │
                    report_on (`rescore.py`) ────┴──── backtest (`backtest.py`)

What may not live here: anything that needs the rows of a period again. Only `library.py` imports `datasketches`.

Decisions:
    Merging in any order, of rows parted in any way, gives the same profile to the bit: counts are whole numbers, sums
    are whole numbers of 2⁻¹¹²⁶, distinct values are a set of coupons. KLL sketches draw coins, so they are not merged
    but kept side by side until an hour is stored, and looked at together: what they tell is right within 2% of the
    rows, and the same in any order of the hours. Blocks lie within a part: merged in any order they are the same, and
    of rows parted otherwise they tell the same on average.
    Verdicts come from the counts alone, by the tests of `monitor.calibrated`. Cells are chosen so that these stay
    calibrated: rare levels are spread by their names, and frequent ones chosen by another half of the reference than is
    tested.
    Rows that depend on their neighbours count as what they are worth (`worth.py`), as in the report on the rows
    themselves. What the reference tells of its own neighbours counts nothing, so it is no part of the baseline's
    digest, and the hours that an earlier version kept are still found.
"""

from monitor.sketches.apart import Distances, bins_of, distances_of
from monitor.sketches.backtest import Windows, backtest, replay, windows_of
from monitor.sketches.baseline import Baseline, BaselineColumn
from monitor.sketches.hours import History, Subject, keep_hours, load, merged, rescore, subject_of
from monitor.sketches.rescore import report_on
from monitor.sketches.window import Profile, Summary, merge, profile, quantiles_of, summary_of

__all__ = [
    "Baseline",
    "BaselineColumn",
    "Distances",
    "History",
    "Profile",
    "Subject",
    "Summary",
    "Windows",
    "backtest",
    "bins_of",
    "distances_of",
    "keep_hours",
    "load",
    "merge",
    "merged",
    "profile",
    "quantiles_of",
    "replay",
    "report_on",
    "rescore",
    "subject_of",
    "summary_of",
    "windows_of",
]
