"""The paths of async invocations. Litestar answers them: a commit to the store takes a hundred times as long as that
does, and their bodies are read piece by piece, into a file where they are long.

POST /endpoints/NAME/async-invocations              asks; 202
POST /endpoints/NAME/async-inputs                   keeps an input; 201 {"location": "autopilot://inputs/..."}
GET  /endpoints/NAME/async-invocations/ID           how far it is
GET, HEAD .../ID/output, .../ID/failure             the answer, or what went wrong; 404 while it is not there
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import Struct

from serving.asynchronous.acceptance import UPLOADED, Acceptance
from serving.asynchronous.views import AsyncReply, AsyncRequest, view
from serving.asynchronous.worker import Worker
from serving.documentation import problems
from serving.endpoints import LiveEndpoints
from serving.errors import InputLocationError, UnansweredError, UnloadableError, UnloadedError
from serving.exchange import note_protocol
from serving.hot import DisconnectedError
from serving.parts import AnyRequest
from serving.protocols.sagemaker.async_invocations import accepted
from serving.protocols.sagemaker.errors import refuse
from serving.replies import Reply
from storage.api import AsyncView
from storage.errors import UnknownNameError
from storage.records import AsyncInvocation, AsyncStatus
from storage.store import Store

_LONGEST_RETRY_S = 60
_WORDS: dict[AsyncStatus, str] = {
    "queued": "waits",
    "running": "is being answered",
    "completed": "was answered",
    "failed": "failed",
    "expired": "expired",
}


@dataclass(frozen=True)
class Asynchronous:
    """What the routes work with."""

    store: Store
    live: LiveEndpoints
    acceptance: Acceptance
    worker: Worker


class Accepted(Struct, frozen=True, rename={"inference_id": "InferenceId"}):
    """The body of what is accepted."""

    inference_id: str


class Uploaded(Struct, frozen=True):
    """Where an input is, for `X-Amzn-SageMaker-InputLocation`."""

    location: str


_ACCEPTED: dict[int, ResponseSpec] = {
    202: ResponseSpec(
        Accepted, media_type="application/json", description="It will be answered.", generate_examples=False
    ),
    **problems(400, 404, 406, 409, 413, 415, 422, 424, 503),
}
_OUTPUT: dict[int, ResponseSpec] = {
    200: ResponseSpec(
        dict[str, Any], description="What InvokeEndpoint answers, in its format.", generate_examples=False
    ),
    **problems(404, 503),
}


@post(
    "/endpoints/{name:str}/async-invocations",
    summary="Ask for predictions that are made later",
    status_code=202,
    responses=_ACCEPTED,
    request_max_body_size=None,  # what is too long is told by ourselves
)
async def invoke_async(
    request: AnyRequest, name: FromPath[str], asynchronous: NamedDependency[Asynchronous]
) -> Response[bytes]:
    """Accept rows, and say where their predictions will be."""
    note_protocol("async-invocations")
    headers = dict(request.scope["headers"])
    try:
        added = await asynchronous.acceptance.accept(
            name, request.scope["query_string"], headers, request.receive, str(request.base_url)
        )
    except DisconnectedError:
        return Response(b"", status_code=400)  # Litestar wants an answer, which the server throws away
    except Exception as error:  # noqa: BLE001 - each error has a reply
        return _response(refuse(error, headers))
    asked = AsyncRequest.of(added)
    return _response(accepted(added.inference_id, asked.output_location, asked.failure_location))


@post(
    "/endpoints/{name:str}/async-inputs",
    summary="Keep an input for async invocations",
    responses=problems(400, 404, 413, 503),
    request_max_body_size=None,
)
async def keep_input(
    request: AnyRequest, name: FromPath[str], asynchronous: NamedDependency[Asynchronous]
) -> Response[Uploaded]:
    """Keep the body, to be named by `X-Amzn-SageMaker-InputLocation`, as often as you like."""
    note_protocol("async-invocations")
    with suppress(UnloadedError, UnloadableError):  # that it is there is enough
        asynchronous.live.find(name)
    try:
        digest = await asynchronous.acceptance.keep(request.receive, dict(request.scope["headers"]), name)
    except DisconnectedError:
        return Response(Uploaded(""), status_code=400)
    if digest is None:
        raise InputLocationError("The body is empty. Send the input as the body.")
    await asyncio.to_thread(asynchronous.store.async_invocations.note_upload, digest)
    return Response(Uploaded(UPLOADED + digest))


@get(
    "/endpoints/{name:str}/async-invocations/{invocation_id:str}",
    summary="Tell how far an async invocation is",
    responses=problems(404, 503),
    sync_to_thread=True,
)
def get_async_invocation(
    name: FromPath[str], invocation_id: FromPath[str], asynchronous: NamedDependency[Asynchronous]
) -> AsyncView:
    """Its status, its attempts, and where its answer will be."""
    note_protocol("async-invocations")
    return view(_find(asynchronous, name, invocation_id))


def _get_output(
    name: FromPath[str], invocation_id: FromPath[str], asynchronous: NamedDependency[Asynchronous]
) -> Response[bytes]:
    """The answer of an async invocation, as InvokeEndpoint gives it."""
    note_protocol("async-invocations")
    invocation = _find(asynchronous, name, invocation_id)
    if invocation.status != "completed" or invocation.output_digest is None:
        raise _absent(invocation, "answer", "It will not come: GET the failure instead of the output.")
    return _document(asynchronous, invocation, invocation.output_digest)


def _get_failure(
    name: FromPath[str], invocation_id: FromPath[str], asynchronous: NamedDependency[Asynchronous]
) -> Response[bytes]:
    """What went wrong with an async invocation, as problem details."""
    note_protocol("async-invocations")
    invocation = _find(asynchronous, name, invocation_id)
    if invocation.failure_digest is None:
        raise _absent(invocation, "failure", "There is none.")
    return _document(asynchronous, invocation, invocation.failure_digest)


def _document(asynchronous: Asynchronous, invocation: AsyncInvocation, digest: str) -> Response[bytes]:
    body = asynchronous.store.async_invocations.blobs.get(digest)
    return Response(body, headers=dict(AsyncReply.of(invocation).headers))


def _find(asynchronous: Asynchronous, name: str, invocation_id: str) -> AsyncInvocation:
    found = asynchronous.store.async_invocations.get(invocation_id)
    if found.endpoint != name:
        raise UnknownNameError(f"Endpoint {name[:80]!r} was not asked for an invocation {invocation_id[:80]!r}.")
    return found


def _absent(invocation: AsyncInvocation, what: str, otherwise: str) -> UnansweredError:
    """Why something is not there, and when to ask again."""
    told = f"Async invocation {invocation.id!r} {_WORDS[invocation.status]}, and has no {what}."
    if invocation.ended_at is not None:
        return UnansweredError(f"{told} {otherwise}")
    waits_s = (invocation.due_at - invocation.created_at).total_seconds() if invocation.attempts else 0
    return UnansweredError(
        f"{told} Ask again in some seconds.", retry_after_s=ceil(min(max(waits_s, 1), _LONGEST_RETRY_S))
    )


def _handlers(path: str, summary: str, give: Any) -> tuple[HTTPRouteHandler, ...]:
    """GET, and HEAD of the same: who waits for an object asks so."""
    asked: dict[str, Any] = {"responses": _OUTPUT, "sync_to_thread": True}
    return (
        get(path, summary=summary, **asked)(give),
        HTTPRouteHandler(path, http_method="HEAD", include_in_schema=False, sync_to_thread=True)(give),
    )


def router(asynchronous: Asynchronous) -> Router:
    """All routes."""
    one = "/endpoints/{name:str}/async-invocations/{invocation_id:str}"
    return Router(
        "/",
        route_handlers=[
            invoke_async,
            keep_input,
            get_async_invocation,
            *_handlers(f"{one}/output", "Get the answer of an async invocation", _get_output),
            *_handlers(f"{one}/failure", "Get what went wrong with an async invocation", _get_failure),
        ],
        dependencies={"asynchronous": Provide(lambda: asynchronous, sync_to_thread=False)},
    )


def _response(reply: Reply) -> Response[bytes]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    return Response(reply.body, status_code=reply.status, headers=headers)
