"""InvokeEndpointAsync: `POST /endpoints/NAME/async-invocations`.

    202 {"InferenceId": "..."}
    X-Amzn-SageMaker-OutputLocation: http://HOST/endpoints/NAME/async-invocations/ID/output
    X-Amzn-SageMaker-FailureLocation: http://HOST/endpoints/NAME/async-invocations/ID/failure

Headers, each of which begins with `X-Amzn-SageMaker-`:

    Content-Type, Accept        of the input and of the answer; where they are absent, those without the beginning
    InputLocation               where the input is, if it is not the body
    RequestTTLSeconds           60 to 21600: how long it may wait before it is begun
    InvocationTimeoutSeconds    1 to 3600: how long one attempt may take
    Filename, S3OutputPathExtension
                                what the answer is called, where answers are put into an object store
    all of InvokeEndpoint       as there (`headers.py`)

`X-Autopilot-Webhook` names who is told of the end, and `Idempotency-Key` what a request is known by if it is sent
again: SDKs have one that stays the same over their retries.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from serving.errors import SageMakerHeaderError
from serving.inference_ids import INFERENCE_ID
from serving.protocols.sagemaker.headers import LOOKED_AT
from serving.replies import Reply

_SAGEMAKER = b"x-amzn-sagemaker-"
_LOCATION = _SAGEMAKER + b"inputlocation"
_EXTENSION = re.compile(r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]{1,512}")
_FILENAME = re.compile(r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]{0,31}")
_KEPT = (*LOOKED_AT, INFERENCE_ID, b"content-encoding")
_LONGEST_KEY = 255

#: Seconds: the least, the most, and what holds where nothing is said; SageMaker's own.
TTL_S = (60, 21_600, 21_600)
TIMEOUT_S = (1, 3_600, 900)


class AsyncAsks(NamedTuple):
    """What a request asks.

    headers: of the invocation that is to be answered, as InvokeEndpoint has them. location: of the input; None where it
    is the body. extension, filename: of the answer in an object store. key: what tells a request that is sent again.
    """

    headers: dict[bytes, bytes]
    location: str | None
    ttl_s: int
    timeout_s: int
    extension: str | None
    filename: str | None
    webhook: str | None
    key: str | None


def async_asks(headers: Mapping[bytes, bytes]) -> AsyncAsks:
    """What headers ask. Raises SageMakerHeaderError for one that cannot be followed."""
    kept = {name: headers[name] for name in _KEPT if name in headers}
    for name in (b"content-type", b"accept"):
        value = headers.get(_SAGEMAKER + name, headers.get(name))
        if value is not None:
            kept[name] = value
    return AsyncAsks(
        headers=kept,
        location=_text(headers, _LOCATION),
        ttl_s=_seconds(headers, "RequestTTLSeconds", *TTL_S),
        timeout_s=_seconds(headers, "InvocationTimeoutSeconds", *TIMEOUT_S),
        extension=_matched(headers, "S3OutputPathExtension", _EXTENSION),
        filename=_matched(headers, "Filename", _FILENAME),
        webhook=_text(headers, b"x-autopilot-webhook"),
        key=_key(headers),
    )


def accepted(inference_id: str, output_location: str, failure_location: str) -> Reply:
    """The reply to a request whose answer comes later."""
    headers = [
        (b"content-type", b"application/json"),
        (_SAGEMAKER + b"outputlocation", output_location.encode()),
        (_SAGEMAKER + b"failurelocation", failure_location.encode()),
        (b"x-inference-id", inference_id.encode()),
    ]
    return Reply(202, headers, msgspec.json.encode({"InferenceId": inference_id}))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    header = headers.get(name)
    return None if header is None else header.decode("latin-1").strip()


def _seconds(headers: Mapping[bytes, bytes], name: str, least: int, most: int, usual: int) -> int:
    text = _text(headers, _SAGEMAKER + name.lower().encode())
    if text is None:
        return usual
    if not (text.isdecimal() and text.isascii() and len(text) <= 9 and least <= int(text) <= most):
        raise SageMakerHeaderError(
            f"X-Amzn-SageMaker-{name} is {text[:40]!r}. Send whole seconds from {least} to {most}, or leave it out."
        )
    return int(text)


def _matched(headers: Mapping[bytes, bytes], name: str, pattern: re.Pattern[str]) -> str | None:
    text = _text(headers, _SAGEMAKER + name.lower().encode())
    if text is not None and (not pattern.fullmatch(text) or {"", ".", ".."}.intersection(text.strip("/").split("/"))):
        raise SageMakerHeaderError(
            f"X-Amzn-SageMaker-{name} is {text[:80]!r}. Send letters, digits, '-', '_' and '.', without parts such as "
            "'..', or leave it out."
        )
    return text


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    text = _text(headers, b"idempotency-key") or _text(headers, b"amz-sdk-invocation-id")
    if text is not None and len(text) > _LONGEST_KEY:
        raise SageMakerHeaderError(
            f"Idempotency-Key has {len(text)} characters. Send up to {_LONGEST_KEY}, or leave it out."
        )
    return text
