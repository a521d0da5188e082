"""The client in its two forms."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autopilot.client.calls import F, Noun, call
from autopilot.client.nouns import (
    AsyncInvocations,
    Backtests,
    Baselines,
    Captures,
    Endpoints,
    Jobs,
    Labels,
    Models,
    Reports,
    Rollouts,
    Runs,
    Schedules,
    Servers,
)
from autopilot.client.predictions import body_of, frame_of, rows_of
from autopilot.client.steps import Steps, ask, part
from autopilot.client.transports import Awaited, Waiting
from storage.errors import InputError
from storage.settings import Settings

if TYPE_CHECKING:
    import polars as pl


class _Surface(Noun[F]):
    """All that a server can be asked."""

    def __init__(self, transport: F) -> None:
        super().__init__(transport)
        self.models: Models[F] = Models(transport)
        self.endpoints: Endpoints[F] = Endpoints(transport)
        self.rollouts: Rollouts[F] = Rollouts(transport)
        self.captures: Captures[F] = Captures(transport)
        self.baselines: Baselines[F] = Baselines(transport)
        self.labels: Labels[F] = Labels(transport)
        self.jobs: Jobs[F] = Jobs(transport)
        self.schedules: Schedules[F] = Schedules(transport)
        self.backtests: Backtests[F] = Backtests(transport)
        self.reports: Reports[F] = Reports(transport)
        self.runs: Runs[F] = Runs(transport)
        self.async_invocations: AsyncInvocations[F] = AsyncInvocations(transport)
        self.servers: Servers[F] = Servers(transport)

    @call
    def predict(
        self, endpoint: str, table: Any, *, inference_id: str | None = None, variant: str | None = None
    ) -> "Steps[pl.DataFrame]":
        """Predict a table; the same columns as `Result.predict`.

        table: a frame, a file, or a list of dictionaries. inference_id: what it is captured under, and labels refer to.
        variant: which one answers; by weight if none is named.
        Raises InputError with the server's words if it refuses a row, FailureError if it fails or none answers.
        """
        return frame_of((yield from _invoke(endpoint, body_of(table), inference_id, variant)))

    @call
    def predict_rows(
        self,
        endpoint: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        inference_id: str | None = None,
        variant: str | None = None,
    ) -> Steps[list[dict[str, Any]]]:
        """Predict rows; `label` and `probabilities`, or `value`, of each."""
        return rows_of((yield from _invoke(endpoint, list(rows), inference_id, variant)))


class Client(_Surface[Waiting]):
    """Asks a server, and waits for its answers; may be shared between threads.

    url: of the server; by default the settings' host and port. Use it as a context, or `close` it.

    >>> Client("http://127.0.0.1:8080").endpoints.get.__doc__
    'An endpoint, with the columns that its model takes.'
    """

    def __init__(self, url: str | None = None) -> None:
        super().__init__(Waiting(address_of(url)))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self.transport.http.close()


class AsyncClient(_Surface[Awaited]):
    """The same as `Client`, for programs with an event loop: what has an answer is awaited, and lists are iterated by
    `async for`."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__(Awaited(address_of(url)))

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of its connections."""
        await self.transport.http.aclose()


def address_of(url: str | None) -> str:
    """Where a server is: as it was said, or by the settings. Raises InputError for what is no address.

    >>> address_of("http://127.0.0.1:8080/")
    'http://127.0.0.1:8080'
    """
    if url is None:
        settings = Settings.load()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{settings.port}"
    if not _is_address(url):
        raise InputError(f"The server's address is {url[:80]!r}. Give a URL such as 'http://127.0.0.1:8080'.")
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    """Whether a server of HTTP may be there. A query could not have paths after it."""
    try:
        parts = urlsplit(url)
        is_named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number up to 65535, and of half a pair of brackets
        return False
    return is_named and parts.scheme in ("http", "https") and not (parts.query or parts.fragment)


def _invoke(endpoint: str, rows: Any, inference_id: str | None, variant: str | None) -> Steps[bytes]:
    given = {"x-amzn-sagemaker-inference-id": inference_id, "x-amzn-sagemaker-target-variant": variant}
    headers = {name: value for name, value in given.items() if value is not None}
    return ask("POST", f"/endpoints/{part(endpoint)}/invocations", bytes, body=rows, headers=headers)
