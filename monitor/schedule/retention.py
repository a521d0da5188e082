"""What is long past is forgotten: executions, alerts and what was told of them, reports and backtests."""

from collections.abc import Callable
from datetime import datetime, timedelta

from storage.store import Store


def forget(store: Store, kept_days: int, clock: Callable[[], datetime]) -> None:
    """Forget what is older than so many days; 0 forgets nothing. What schedules and alerts look back on stays.

    Raises StoreError if the store cannot be used.
    """
    if not kept_days:
        return
    now = clock()
    before = now - timedelta(days=kept_days)
    while store.schedules.forget(before):
        pass
    store.schedules.alerts.forget(before)
    store.jobs.forget("backtest", before)
    while store.reports.forget(before, now):  # after executions and changes, which keep those that they name
        pass
