"""An ASGI application around another: each reply tells its request's id, and whoever observes is told of each exchange.

It costs about 3 us a request, counting included, most of them in Python's own calls.
"""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING

from serving.exchange import CURRENT, Exchange
from serving.request_ids import RequestIds, request_id_headers

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

#: What is told of an exchange when it is over. It may not raise, and the event loop waits for it.
Observer = Callable[[Exchange], None]


class Observed:
    """Runs an application and tells the observers, in their order, what became of each request."""

    def __init__(self, app: "ASGIApp", *observers: Observer) -> None:
        self._app = app
        self._observers = observers
        self._ids = RequestIds()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        exchange = Exchange(scope, headers, self._ids.of(headers))
        CURRENT.set(exchange)  # never taken back: the server gives each request a task, and that a context, of its own

        def noting(message: "Message") -> Awaitable[None]:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *request_id_headers(exchange.request_id)]
            elif message["type"] == "http.response.body":
                exchange.bytes_out += len(message.get("body", b""))
            return send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            exchange.status = 500  # as the server answers then
            raise
        finally:
            exchange.ended = perf_counter()
            for observe in self._observers:
                observe(exchange)
