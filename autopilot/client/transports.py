"""Steps carried out on httpx: by a thread that waits, or in an event loop."""

import asyncio
import time
from typing import Any, Protocol, TypeVar

import httpx

from autopilot.client.steps import Pause, Reply, Request, Steps, Unreachable

T = TypeVar("T")


class Transport(Protocol):
    """Carries out steps."""

    def run(self, steps: Steps[Any]) -> Any:
        """What the steps give, or a coroutine that gives it."""
        ...


class Waiting:
    """Waits for each step."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url)

    def run(self, steps: Steps[T]) -> T:
        """What the steps give; raises what they raise."""
        found: Reply | Unreachable | None = None
        while True:
            try:
                step = steps.send(found)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                found = None
            else:
                found = self._send(step)

    def _send(self, step: Request) -> Reply | Unreachable:
        request = _request(self.http, step)
        try:
            return _reply(self.http.send(request))
        except httpx.RequestError as error:
            return _unreachable(request, error)


class Awaited:
    """Awaits each step."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url)

    async def run(self, steps: Steps[T]) -> T:
        """What the steps give; raises what they raise."""
        found: Reply | Unreachable | None = None
        while True:
            try:
                step = steps.send(found)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                found = None
            else:
                found = await self._send(step)

    async def _send(self, step: Request) -> Reply | Unreachable:
        request = _request(self.http, step)
        try:
            return _reply(await self.http.send(request))
        except httpx.RequestError as error:
            return _unreachable(request, error)


def _request(http: httpx.Client | httpx.AsyncClient, step: Request) -> httpx.Request:
    return http.build_request(
        step.method,
        step.path,
        params=step.query or None,
        headers=step.headers,
        content=step.body,
        timeout=step.timeout_s,
    )


def _reply(answer: httpx.Response) -> Reply:
    return Reply(answer.status_code, answer.headers, answer.content)


def _unreachable(request: httpx.Request, error: httpx.RequestError) -> Unreachable:
    return Unreachable(str(request.url), str(error) or type(error).__name__)
