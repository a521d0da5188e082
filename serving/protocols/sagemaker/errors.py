"""Errors as the AWS SDKs parse them.

    x-amzn-ErrorType: ValidationError              {"type": "urn:autopilot:row", ..., "Message": "Column 'age' ..."}

The header has the code that a client's program sees, `Message` the sentence; the body is a problem as for all others.

An SDK sends a request again when it is answered with 429 or any of 500 to 504: boto3 five times by default, whatever
`Retry-After` says. A server that has too much to do would get five times as much, and a defect would be met five times.
So SDKs are told of both as SageMaker itself tells what went wrong in a model's container: ModelError, status 424, which
none of them sends again. The status that all other clients get is in `OriginalStatusCode`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import field, structs

from serving.problems import PROBLEM_TYPE, Problem, headers_of, noted
from serving.replies import Reply

_MODEL_ERROR = 424
_SDK = re.compile(rb"boto|aws-sdk|aws-cli", re.IGNORECASE)
_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class SageMakerProblem(Problem, frozen=True, omit_defaults=True):
    """A problem with the members that the SDKs look for; the last two of a ModelError alone."""

    message: str = field(name="Message", default="")
    original_status_code: int | None = field(name="OriginalStatusCode", default=None)
    original_message: str | None = field(name="OriginalMessage", default=None)


def refuse(error: Exception, headers: Mapping[bytes, bytes] = _NO_HEADERS) -> Reply:
    """The reply to a request that ended in an error. headers: the request's, by which SDKs are told apart."""
    problem = SageMakerProblem(**structs.asdict(noted(error)))
    if problem.status >= 500 and is_sdk(headers):
        problem = _model_error(problem)
    else:
        problem = structs.replace(problem, message=problem.detail)
    kept = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"x-amzn-errortype", error_type(problem.status).encode()),
        *headers_of(error),
    ]
    return Reply(problem.status, kept, msgspec.json.encode(problem))


def is_sdk(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request comes from an AWS SDK, of any language, or from the AWS CLI.

    >>> is_sdk({b"user-agent": b"Boto3/1.44.8 md/Botocore#1.44.8"}), is_sdk({b"user-agent": b"curl/8.5"})
    (True, False)
    """
    return b"amz-sdk-invocation-id" in headers or _SDK.search(headers.get(b"user-agent", b"")) is not None


def error_type(status: int) -> str:
    """The code of an error: the name of the exception that an SDK raises.

    >>> error_type(404), error_type(424), error_type(503), error_type(500)
    ('ValidationError', 'ModelError', 'ServiceUnavailable', 'InternalFailure')
    """
    if status == _MODEL_ERROR:
        return "ModelError"
    if status < 500:
        return "ValidationError"
    return "ServiceUnavailable" if status == 503 else "InternalFailure"


def _model_error(problem: SageMakerProblem) -> SageMakerProblem:
    """The same in SageMaker's own words."""
    told = f'Received server error ({problem.status}) from primary with message "{problem.detail}"'
    return structs.replace(
        problem,
        status=_MODEL_ERROR,
        message=told,
        original_status_code=problem.status,
        original_message=problem.detail,
    )
