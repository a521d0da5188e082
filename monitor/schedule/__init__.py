"""Schedules: each due time is planned once, begun by one process at a time, and ends in one recorded outcome.

The store decides (`storage/schedules.py`). Once a second each schedule is asked for the due times that nobody has
written down yet (`due.py`), and what waits is taken with a lease, checked (`checks.py`) and ended (`watch.py`):

    due ──plan──> pending ──take──> running ──> completed (report) | failed (reason)
                     └──> missed               └──> the process dies: after its lease, taken again

So a new, changed, paused or removed schedule counts within a second; after a downtime each due time is made up for, or
the latest one for all, or none, as the schedule asks; and a second process, or a clock that steps, finds the rows that
are there and does nothing twice. A report of a process that died after it was made is made again: exactly once is what
is recorded, not what is done.

A backtest that was asked for over HTTP is a job of the store (`storage/backtests.py`), made by one monitor at a time
with a lease as well (`backtests.py`).

APScheduler is the clock, with the memory store alone (`ticks.py`): its cron triggers, stores and
misfires are not used, because processes that share them lose and repeat runs (no locks, and a job that cannot be
unpickled is deleted). This package is the only one that imports it.
"""

from monitor.schedule.checks import Check, Checked, Window, check
from monitor.schedule.due import SETTLE, plan, window_of
from monitor.schedule.ticks import watching
from monitor.schedule.watch import LEASE_S, Watch, execute, utc_now

__all__ = [
    "LEASE_S",
    "SETTLE",
    "Check",
    "Checked",
    "Watch",
    "Window",
    "check",
    "execute",
    "plan",
    "utc_now",
    "watching",
    "window_of",
]
