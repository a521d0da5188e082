"""Errors as problem details (RFC 9457): one table says which status each error has.

{"type": "urn:autopilot:row", "title": "A row cannot be predicted", "status": 400,
 "detail": "Column 'age' was number in training; row 3 holds 'n/a'. Send a number or null.",
 "row": 3, "column": "age"}
"""

import logging
from math import ceil
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from serving.errors import (
    AbandonedError,
    AcceptError,
    BodyError,
    BodyTooLargeError,
    BusyServerError,
    DeadlineError,
    ForeignOriginError,
    InferenceIdError,
    InputLocationError,
    KeyReusedError,
    MediaTypeError,
    MethodError,
    NotReadyError,
    OptionError,
    OverloadedError,
    PreconditionError,
    QueueFullError,
    SageMakerHeaderError,
    ServedAlreadyError,
    TableTimeoutError,
    TimeoutHeaderError,
    TooManyRowsError,
    UnansweredError,
    UncapturedError,
    UnknownEndpointError,
    UnknownVariantError,
    UnloadableError,
    UnloadedError,
    UnnamedEndpointError,
    WebhookError,
)
from serving.exchange import note_problem
from serving.replies import Headers, Reply
from storage.errors import (
    AutopilotError,
    ConflictError,
    FailureError,
    InputError,
    RowError,
    StoreError,
    UnknownNameError,
    UnreachableError,
    UsedError,
)

PROBLEM_TYPE = "application/problem+json"
_URN = "urn:autopilot:"

_log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What all problems of one kind of error share; the name ends the `type`."""

    status: int
    name: str
    title: str


#: The table. An error that is not listed takes the line of its nearest ancestor.
KINDS: dict[type[Exception], Kind] = {
    RowError: Kind(400, "row", "A row cannot be predicted"),
    BodyError: Kind(400, "body", "The body holds no rows that can be read"),
    InferenceIdError: Kind(400, "inference-id", "The inference id cannot be kept"),
    OptionError: Kind(400, "option", "An option cannot be followed"),
    TimeoutHeaderError: Kind(400, "timeout", "The deadline cannot be read"),
    SageMakerHeaderError: Kind(400, "sagemaker-header", "A header of the SageMaker runtime cannot be followed"),
    InputLocationError: Kind(400, "input-location", "The input cannot be had"),
    WebhookError: Kind(400, "webhook", "The webhook may not be told"),
    UnknownVariantError: Kind(400, "unknown-variant", "The endpoint has no such variant"),
    UnnamedEndpointError: Kind(400, "unnamed-endpoint", "The path names no endpoint"),
    InputError: Kind(400, "request", "The request cannot be answered"),
    ForeignOriginError: Kind(403, "origin", "A page of another site may change nothing"),
    UnknownEndpointError: Kind(404, "unknown-endpoint", "No such endpoint"),
    UnansweredError: Kind(404, "unanswered", "The answer is not there"),
    UnknownNameError: Kind(404, "unknown-name", "The store holds nothing by this name"),
    MethodError: Kind(405, "method", "The path does not know this method"),
    AcceptError: Kind(406, "accept", "No accepted format can be written"),
    ConflictError: Kind(409, "conflict", "What is there does not allow it"),
    UsedError: Kind(409, "used", "Something else needs it"),
    ServedAlreadyError: Kind(409, "served-already", "A model is served under this name"),
    PreconditionError: Kind(412, "precondition", "It is not as the client has seen it"),
    BodyTooLargeError: Kind(413, "body-too-large", "The body is too large"),
    TableTimeoutError: Kind(413, "table-timeout", "The table takes too long to read"),
    TooManyRowsError: Kind(413, "too-many-rows", "The body has too many rows"),
    MediaTypeError: Kind(415, "media-type", "The body's format is not read here"),
    KeyReusedError: Kind(422, "key-reused", "The idempotency key was used for another request"),
    AbandonedError: Kind(499, "abandoned", "The client did not wait"),
    FailureError: Kind(500, "failure", "The server could not answer"),
    Exception: Kind(500, "defect", "The server has a defect"),
    UnreachableError: Kind(502, "unreachable", "What the request names cannot be reached"),
    BusyServerError: Kind(503, "busy", "The server cannot answer now"),
    OverloadedError: Kind(503, "overloaded", "The server has more to do than it keeps waiting"),
    QueueFullError: Kind(503, "queue-full", "Too many async invocations wait"),
    DeadlineError: Kind(503, "deadline", "The answer would come too late"),
    UnloadedError: Kind(503, "unloaded", "The endpoint's models are being loaded"),
    UnloadableError: Kind(503, "unloadable", "The endpoint's models cannot be loaded"),
    UncapturedError: Kind(503, "uncaptured", "The answer could not be captured"),
    StoreError: Kind(503, "store", "The store cannot be used at the moment"),
    NotReadyError: Kind(503, "not-ready", "The server is not ready"),
}


class Problem(Struct, frozen=True, omit_defaults=True):
    """The body of an error. `row` counts from 0 in the request's order, `cell` is where that is in the body, such as
    `instances[3].age`; they and `column` are absent if not known. current: what there is, where a
    precondition failed."""

    type: str
    title: str
    status: int
    detail: str
    row: int | None = None
    column: str | None = None
    cell: str | None = None
    current: Any = None


def problem_of(error: Exception) -> Problem:
    """The problem that an error is. What was not raised on purpose tells nothing of itself to the client."""
    kind = next(KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in KINDS)
    told = isinstance(error, AutopilotError)
    return Problem(
        type=_URN + kind.name,
        title=kind.title,
        status=kind.status,
        detail=str(error) if told else "The log of the server has the traceback. Please report it.",
        row=error.row if isinstance(error, RowError) else None,
        column=error.column if isinstance(error, RowError) else None,
        cell=error.cell if isinstance(error, RowError) else None,
        current=error.current if isinstance(error, PreconditionError) else None,
    )


def reply_of(error: Exception) -> Reply:
    """The reply to a request that ended in an error."""
    problem = noted(error)
    headers = [(b"content-type", PROBLEM_TYPE.encode()), *headers_of(error)]
    return Reply(problem.status, headers, msgspec.json.encode(problem))


def noted(error: Exception) -> Problem:
    """The problem that an error is, noted in the exchange. Failures are logged, and defects with their traceback."""
    problem = problem_of(error)
    request_id = note_problem(problem.type.removeprefix(_URN)).decode()
    if problem.status >= 500 and not isinstance(error, BusyServerError):
        defect = None if isinstance(error, AutopilotError) else error
        _log.error("Request %s was answered with %d: %s", request_id, problem.status, error, exc_info=defect)
    return problem


def headers_of(error: Exception) -> Headers:
    """Headers that go with an error, whatever protocol tells it."""
    if isinstance(error, MethodError):
        return [(b"allow", ", ".join(error.allowed).encode())]
    if isinstance(error, PreconditionError) and error.tag is not None:
        return [(b"etag", error.tag.encode())]
    if isinstance(error, BusyServerError | UnansweredError) and error.retry_after_s is not None:
        return [(b"retry-after", str(ceil(error.retry_after_s)).encode())]
    return []
