"""The control plane: REST below `/api` for everything that the store holds.

A file is a noun, with its routes; each route is a function of some lines that asks the store. What they share:

    changes.py      a request that changes something: read, guarded, one transaction, answered; begin reading here
    bodies.py       its body, read strictly      idempotency.py  asked twice, done once
    etags.py        conditions, and 304          pages.py        limits and cursors
    documented.py   what the OpenAPI document says beside what Litestar finds

The bodies themselves are in `storage/api.py`: the Python client (`autopilot/client`) reads the same structs. What may
not live here: how anything is done. That is the store's, so that the command line does it the same way.

Decisions:
    Each change is one transaction of the store, from the condition to the answer that is kept for its idempotency key.
        A kill leaves all of it or nothing, and two requests at once are one after the other.
    Functions that ask the store run in threads: a commit takes milliseconds, and the event loop answers predictions.
    Nobody is asked who they are: the server listens on 127.0.0.1 unless it is told otherwise, and whoever reaches it
        may do all that the command line may. What a browser asks on behalf of a page of another site is refused.
    Fields that are not known are refused, and so are parameters: a misspelt `redact` would capture what it should not.
"""

from typing import Any

from serving.control import (
    async_invocations,
    backtests,
    baselines,
    captures,
    endpoints,
    jobs,
    labels,
    models,
    replays,
    reports,
    rollouts,
    runs,
    schedules,
    servers,
)

ROUTES: tuple[Any, ...] = (
    *models.ROUTES,
    *endpoints.ROUTES,
    *rollouts.ROUTES,
    *captures.ROUTES,
    *baselines.ROUTES,
    *labels.ROUTES,
    *replays.ROUTES,
    *jobs.ROUTES,
    *schedules.ROUTES,
    *backtests.ROUTES,
    *reports.ROUTES,
    *runs.ROUTES,
    *servers.ROUTES,
    *async_invocations.ROUTES,
)

__all__ = ["ROUTES"]
