"""Errors of serving. `problems.py` gives each its status.

AutopilotError (storage/errors.py)
├── InputError
│   └── RequestError             a request cannot be answered as it was sent
│       ├── BodyError            empty, not JSON, not CSV, not UTF-8, nested too deeply, damaged gzip
│       ├── BodyTooLargeError    longer than `max_body_bytes`, as sent or when unpacked
│       ├── MediaTypeError       sent in a format or an encoding that is not read here
│       ├── AcceptError          wanted in formats that are not written here
│       ├── InferenceIdError     an inference id that cannot be kept
│       ├── OptionError          an option of the answer that there is not, or with a value that it cannot have
│       ├── TimeoutHeaderError   a deadline that is no number of milliseconds
│       ├── SageMakerHeaderError a header of the SageMaker runtime that asks for what is not here
│       ├── TooManyRowsError     more rows than `max_rows`
│       ├── AbandonedError       the client went away before its answer was ready
│       ├── ServedAlreadyError   a name under which a model is served is wanted for another
│       ├── TableTimeoutError    a table that took longer to read than a minute
│       ├── InputLocationError   an input that is to be fetched from where nothing may be, or that is sent twice
│       ├── WebhookError         a webhook that may not be told
│       ├── UnansweredError      an answer that is not there; knows when to ask again
│       ├── MethodError          knows the methods that the path allows
│       ├── UnknownEndpointError nothing is served under this name
│       ├── UnknownVariantError  the endpoint has no variant of this name
│       ├── PreconditionError    what was to be changed is not as the client has seen it; knows what it is now
│       ├── KeyReusedError       the idempotency key was used for another request
│       ├── ForeignOriginError   a page of another site asks for a change
│       └── UnnamedEndpointError several endpoints are served, and the path names none
└── FailureError
    ├── NotReadyError            the store cannot be reached at the moment
    ├── BusyServerError          not now; knows when to try again
    │   ├── OverloadedError      there is more work than is kept waiting
    │   ├── QueueFullError       as many async invocations wait as may
    │   ├── DeadlineError        the answer would come after the client's deadline
    │   ├── UnloadedError        the endpoint's models are not in memory; knows when they are
    │   ├── UnloadableError      the endpoint's models cannot be loaded
    │   └── UncapturedError      the answer was to be captured before it leaves, and could not be
    └── AddressError             the server cannot listen where it was told to
"""

from concurrent.futures import Future
from typing import Any

from storage.errors import FailureError, InputError


class RequestError(InputError):
    """A request cannot be answered as it was sent."""


class BodyError(RequestError):
    """The body holds no rows that could be read."""


class BodyTooLargeError(RequestError):
    """The body is longer than the server reads."""


class MediaTypeError(RequestError):
    """The body's format or encoding is not read here."""


class AcceptError(RequestError):
    """None of the accepted formats is written here."""


class InferenceIdError(RequestError):
    """The inference id in the header cannot be kept."""


class OptionError(RequestError):
    """An option of the answer that there is not, or a value that it cannot have."""


class TimeoutHeaderError(RequestError):
    """The header with the deadline is no number of milliseconds."""


class SageMakerHeaderError(RequestError):
    """A header of the SageMaker runtime asks for what there is not."""


class ServedAlreadyError(RequestError):
    """A model is served under the name that another is to have."""


class TooManyRowsError(RequestError):
    """The body holds more rows than are answered at once."""


class TableTimeoutError(RequestError):
    """A table could not be read in the time that there is for it."""


class InputLocationError(RequestError):
    """An async invocation has no input, two, or one that is where nothing may be read."""


class WebhookError(RequestError):
    """The webhook of an async invocation is not one that may be told."""


class UnansweredError(RequestError):
    """The answer of an async invocation is not there; `retry_after_s` tells when to ask again, None that it will not
    be."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MethodError(RequestError):
    """The path knows other methods; `allowed` names them."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class UnknownEndpointError(RequestError):
    """Nothing is served under this name."""


class UnknownVariantError(RequestError):
    """The endpoint has no production variant of this name."""


class PreconditionError(RequestError):
    """What was to be changed is not as `If-Match` or `If-None-Match` asks. tag, current: of what there is now."""

    def __init__(self, message: str, *, tag: str | None = None, current: Any = None) -> None:
        super().__init__(message)
        self.tag = tag
        self.current = current


class KeyReusedError(RequestError):
    """The idempotency key was used for another request."""


class ForeignOriginError(RequestError):
    """A page of another site asks a browser for a change."""


class UnnamedEndpointError(RequestError):
    """The path names no endpoint although there are several."""


class NotReadyError(FailureError):
    """The store cannot be reached at the moment."""


class BusyServerError(FailureError):
    """The request is sound, but not now; `retry_after_s` tells when to try again."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OverloadedError(BusyServerError):
    """More work waits already than the server keeps waiting."""


class QueueFullError(BusyServerError):
    """As many async invocations wait as may."""


class DeadlineError(BusyServerError):
    """The answer would come, or came, after the client's deadline."""


class UnloadedError(BusyServerError):
    """The models of the endpoint are not in memory yet. `loading` ends when they are, or raises why they cannot be."""

    def __init__(self, message: str, *, loading: "Future[None] | None" = None) -> None:
        super().__init__(message)
        self.loading: Future[None] = Future() if loading is None else loading


class UnloadableError(BusyServerError):
    """The models of the endpoint cannot be loaded; it is tried again after `retry_after_s`."""


class UncapturedError(BusyServerError):
    """The endpoint answers only what is captured, and this could not be: it may be asked again."""


class AbandonedError(RequestError):
    """The client went away before its answer was ready: nobody will read this."""


class AddressError(FailureError):
    """The server cannot listen on its address."""
