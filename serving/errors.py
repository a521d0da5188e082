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
│       ├── MethodError          knows the methods that the path allows
│       ├── UnknownEndpointError nothing is served under this name
│       └── UnnamedEndpointError several endpoints are served, and the path names none
└── FailureError
    ├── NotReadyError            the store cannot be reached at the moment
    ├── BusyServerError          not now; knows when to try again
    │   ├── OverloadedError      there is more work than is kept waiting
    │   └── DeadlineError        the answer would come after the client's deadline
    └── AddressError             the server cannot listen where it was told to
"""

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


class MethodError(RequestError):
    """The path knows other methods; `allowed` names them."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class UnknownEndpointError(RequestError):
    """Nothing is served under this name."""


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


class DeadlineError(BusyServerError):
    """The answer would come, or came, after the client's deadline."""


class AbandonedError(RequestError):
    """The client went away before its answer was ready: nobody will read this."""


class AddressError(FailureError):
    """The server cannot listen on its address."""
