"""Query parameters: which ones a route has, and what is told of one that it does not have, or cannot read."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from inspect import Parameter, signature
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from serving.errors import OptionError
from serving.parts import AnyRequest


class Known(NamedTuple):
    """A parameter of a route. name: in the query string. wanted: what it takes, in words."""

    name: str
    wanted: str


async def refuse_unknown(request: AnyRequest) -> None:
    """Raise OptionError for a parameter that the route does not have: a misspelt filter would give everything."""
    known = [parameter.name for parameter in known_of(request.route_handler).values()]
    for name in request.query_params:
        if name not in known:
            have = f"Those that it has: {', '.join(known)}." if known else "It has none."
            raise OptionError(f"{request.url.path} has no parameter {name[:80]!r}. {have}")


def refused(request: AnyRequest, entry: Mapping[str, Any]) -> str:
    """What is told of a parameter that Litestar could not read."""
    known = known_of(request.route_handler).get(entry["key"])
    if known is None:
        return f"Parameter {entry['key']!r}: {entry['message']}."
    return f"{known.name} is {request.query_params.get(known.name, '')[:80]!r}. Send {known.wanted}."


@cache
def known_of(route: BaseRouteHandler) -> dict[str, Known]:
    """The query parameters of a route, by the name of the argument: those that may be left out."""
    function: Any = getattr(route.fn, "func", route.fn)  # Litestar wraps those that run in threads
    hints = get_type_hints(function, include_extras=True)
    optional = [p.name for p in signature(function).parameters.values() if p.default is not Parameter.empty]
    return {name: _known(name, hints[name]) for name in optional}


def _known(name: str, hint: Any) -> Known:
    annotated, *about = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    parameter = next((one for one in about if isinstance(one, QueryParameter)), None)
    in_query = (parameter.name if parameter else None) or name
    kinds = [kind for kind in (get_args(annotated) or (annotated,)) if kind is not type(None)]
    if get_origin(annotated) is Literal or not kinds:
        kinds = [annotated]
    return Known(in_query, _wanted(kinds[0], parameter))


def _wanted(kind: Any, parameter: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if kind is int:
        return f"a whole number from {parameter.ge:g} to {parameter.le:g}"
    words = {bool: "true or false", datetime: "a time such as 2024-05-01T13:30:00Z"}
    return words.get(kind, "text")
