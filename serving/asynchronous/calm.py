"""Whoever waits for an answer comes first: what nobody waits for is begun when the server has nothing else to do."""

import asyncio
from collections.abc import Callable
from time import monotonic, perf_counter

from serving.engine import Engine

_PATIENCE_S = 1.0  # under a load that never ends, one is begun each second: it goes on
_LOOK_S = 0.02
_LONG_TURN_S = 0.001  # of the event loop: 30 small requests


class Calm:
    """Tells when a server is idle, of requests that somebody waits for.

    own: how many of the requests that it has read and not answered only ask for an answer later.
    """

    def __init__(self, engine: Engine, own: Callable[[], int] = lambda: 0) -> None:
        self._engine = engine
        self._own = own

    async def wait(self) -> None:
        """Wait for a moment of calm, a second at most."""
        until = monotonic() + _PATIENCE_S
        while monotonic() < until and await self._is_needed():
            await asyncio.sleep(_LOOK_S)

    async def _is_needed(self) -> bool:
        """Whether requests are under way, wait for a thread, or keep the event loop busy."""
        if self._engine.admission.queued_s > 0 or self._engine.company() > self._own():
            return True
        began = perf_counter()
        await asyncio.sleep(0)
        return perf_counter() - began > _LONG_TURN_S
