"""Methods of a client, each written once and callable in both forms.

    class Endpoints(Noun[F]):
        @call
        def get(self, name: str) -> Steps[EndpointDetails]: ...

`Endpoints[Waiting].get("price")` gives an EndpointDetails, `Endpoints[Awaited].get("price")` is awaited for one.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, overload

from autopilot.client.steps import Steps, ask
from autopilot.client.transports import Awaited, Transport, Waiting
from storage.api import Page

F = TypeVar("F", Waiting, Awaited)
P = ParamSpec("P")
T = TypeVar("T")


class Noun(Generic[F]):
    """A part of a client. The type of its transport is the form of its methods."""

    def __init__(self, transport: F) -> None:
        self.transport: F = transport


class Listing(NamedTuple, Generic[T]):
    """A list of the control plane. item: what its entries are."""

    path: str
    item: type[T]
    query: Mapping[str, Any] = {}

    def page(self, cursor: str | None) -> Steps[Page[T]]:
        """The steps to one page of it."""
        return ask("GET", self.path, Page[self.item], query={**self.query, "cursor": cursor})


class call(Generic[P, T]):  # noqa: N801 - a decorator
    """Makes a method of a generator of steps."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, noun: None, owner: type) -> "call[P, T]": ...
    @overload
    def __get__(self, noun: Noun[Waiting], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, noun: Noun[Awaited], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, noun: Any, owner: type) -> Any:
        """The method of a client."""
        if noun is None:
            return self
        transport: Transport = noun.transport

        @wraps(self._steps)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return transport.run(self._steps(noun, *args, **kwargs))

        return method


class listing(Generic[P, T]):  # noqa: N801 - a decorator
    """Makes a method that gives all entries of a list, and asks for each page when it is come to."""

    def __init__(self, lists: Callable[Concatenate[Any, P], Listing[T]]) -> None:
        self._lists = lists
        self.__doc__ = lists.__doc__

    @overload
    def __get__(self, noun: None, owner: type) -> "listing[P, T]": ...
    @overload
    def __get__(self, noun: Noun[Waiting], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, noun: Noun[Awaited], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, noun: Any, owner: type) -> Any:
        """The method of a client."""
        if noun is None:
            return self
        walk = _awaited if isinstance(noun.transport, Awaited) else _waiting

        @wraps(self._lists)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return walk(noun.transport, self._lists(noun, *args, **kwargs))

        return method


def _waiting(transport: Waiting, found: Listing[T]) -> Iterator[T]:
    page = transport.run(found.page(None))
    yield from page.items
    while page.next is not None:
        page = transport.run(found.page(page.next))
        yield from page.items


async def _awaited(transport: Awaited, found: Listing[T]) -> AsyncIterator[T]:
    page = await transport.run(found.page(None))
    for item in page.items:
        yield item
    while page.next is not None:
        page = await transport.run(found.page(page.next))
        for item in page.items:
            yield item
