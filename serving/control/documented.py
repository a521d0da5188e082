"""What the OpenAPI document says of the control plane beside what Litestar finds in its functions: statuses, headers,
and the bodies that `bodies.py` reads."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from serving.control.idempotency import REPLAYED
from serving.documentation import problems

_SEEN = ResponseSpec(None, description="It is as the client has it.", generate_examples=False)
_REFUSALS = (400, 403, 404, 409, 412, 413, 422, 503)

#: Arguments of a route that tells a list, and one thing.
LIST: dict[str, Any] = {
    "responses": {304: _SEEN, **problems(400, 404, 503)},
    "opt": {"answers": ("etag", "link")},
    "sync_to_thread": True,
}
ONE: dict[str, Any] = {**LIST, "opt": {"answers": ("etag",)}}

#: Headers of answers.
_ANSWERS = {
    name: {"description": about, "schema": {"type": "string"}}
    for name, about in {
        "etag": "The entity tag.",
        "link": "The next page, if there is one.",
        "location": "Where what was made is.",
        REPLAYED: "`true` if it was done when it was asked for before.",
    }.items()
}

#: Where a condition can be set.
_CONDITIONS = ("If-Match", "If-None-Match")


def changing(
    body: Any = None, *, status: int = 200, told: Any = None, conditional: bool = False, media: Iterable[str] = ()
) -> dict[str, Any]:
    """Arguments of a route that changes something.

    body: what is sent, as JSON, or a tuple of what may be; media: media types beside it. status: of success, and 201
    beside 200 where `told` is what is told of what is new. conditional: whether `If-Match` and `If-None-Match` are
    looked at.
    """
    new = {201: ResponseSpec(told, description="It is new.", generate_examples=False)} if told is not None else {}
    return {
        "status_code": status,
        "responses": {**new, **problems(*_REFUSALS)},
        "opt": {
            "body": body,
            "conditional": conditional,
            "media": tuple(media),
            "answers": ("location", REPLAYED, *(("etag",) if conditional else ())),
        },
    }


def complete(document: dict[str, Any], routes: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """An OpenAPI document with what the routes read: bodies, and headers. What it is given stays as it is."""
    document = deepcopy(document)
    for route in routes:
        for path in route.paths:
            operations = document["paths"].get(path.replace(":str", "").replace(":int", ""), {})
            for method in route.http_methods:
                if method.lower() in operations:
                    operations[method.lower()] = _completed(operations[method.lower()], method, route, document)
    return document


def _completed(operation: Any, method: str, route: HTTPRouteHandler, document: dict[str, Any]) -> dict[str, Any]:
    parameters = [*operation.get("parameters", []), *_headers(method, route)]
    headers = {name: _ANSWERS[name] for name in route.opt["answers"]}
    responses = {
        status: {**response, "headers": headers} if str(status).startswith("2") else response
        for status, response in operation["responses"].items()
    }
    completed = {**operation, "parameters": parameters, "responses": responses}
    body = route.opt.get("body")
    if body is not None:
        kinds: tuple[Any, ...] = body if isinstance(body, tuple) else (body,)
        schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
        for name, component in components.items():
            document["components"]["schemas"].setdefault(name, component)
        content: dict[str, Any] = {"application/json": {"schema": schema}}
        content |= {name: {"schema": {"type": "string"}} for name in route.opt["media"]}
        completed["requestBody"] = {"required": True, "content": content}
    return completed


def _headers(method: str, route: HTTPRouteHandler) -> list[dict[str, Any]]:
    if method == "GET":
        return [_header("If-None-Match", "The tag of what the client has.", '^"[!#-~]*"$')]
    headers = [_header("Idempotency-Key", "The same for each attempt at one change.", "^[!-~]{1,255}$")]
    if route.opt.get("conditional"):
        headers += [_header(name, "The tag of what is changed, or *.", r'^("[!#-~]*"|\*)$') for name in _CONDITIONS]
    return headers


def _header(name: str, about: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "description": about, "schema": schema, "required": False}
