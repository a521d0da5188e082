"""What the headers of the SageMaker runtime ask. Each begins with `X-Amzn-SageMaker-`.

    Custom-Attributes        sent back as they are; `autopilot:interval=true&columns=label` among them are options
    Enable-Explanations      `true` or `false` in backticks: the answer is as SageMaker Clarify's
    Target-Variant           the production variant that answers, by its name; AllTraffic where there is one
    Target-Model             the model that the variant serves, which answers
    Target-Container-Hostname, Inference-Component, Session-Id
                             refused: whoever sends them expects what is not here
    Prefix-Aware-Id          not looked at: it tells a router what belongs together

`Inference-Id` is read where ids are made (`serving/inference_ids.py`).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from serving.endpoints import LiveVariant
from serving.errors import SageMakerHeaderError
from serving.options import DEFAULT, Options, query_options
from serving.replies import Headers

ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
EXPLANATIONS = b"x-amzn-sagemaker-enable-explanations"
VARIANT = b"x-amzn-sagemaker-target-variant"
MODEL = b"x-amzn-sagemaker-target-model"
_ABSENT = {
    b"x-amzn-sagemaker-target-container-hostname": ("Target-Container-Hostname", "An endpoint has one container"),
    b"x-amzn-sagemaker-inference-component": ("Inference-Component", "An endpoint has no components"),
    b"x-amzn-sagemaker-session-id": ("Session-Id", "Answers do not depend on earlier ones, and no sessions are kept"),
}
#: A request without any of these asks nothing of this kind.
LOOKED_AT = frozenset({ATTRIBUTES, EXPLANATIONS, VARIANT, MODEL, *_ABSENT})

_LONGEST_ATTRIBUTES = 1024
_OPTIONS = re.compile(r"(?:^|[;, ])autopilot:([^;]*)")
_LITERALS = {"`true`": True, "`false`": False}


class Asks(NamedTuple):
    """What a request asks beside its rows.

    clarify: whether the answer is one of SageMaker Clarify's. echo: headers that go back as they came.
    """

    options: Options = DEFAULT
    clarify: bool = False
    echo: Headers = []  # noqa: RUF012 - nobody adds to it


def asks_of(headers: Mapping[bytes, bytes], query: bytes, endpoint: LiveVariant, *, is_container: bool) -> Asks:
    """What headers and query string ask of a variant; options in the attributes come before those in the query.

    is_container: inside SageMaker the platform has chosen by the other headers already, and they are not looked at.
    Raises SageMakerHeaderError and OptionError.
    """
    if not is_container:
        _check_target(headers, endpoint)
    attributes = _attributes(headers)
    found = "" if attributes is None else "&".join(part.strip() for part in _OPTIONS.findall(attributes))
    text = b"&".join(part for part in (query, found.encode()) if part)
    options = query_options(text) if text else DEFAULT
    echo = [] if attributes is None else [(ATTRIBUTES, attributes.encode())]
    wanted = headers.get(EXPLANATIONS)
    if wanted is None:
        return Asks(options, clarify=False, echo=echo)
    return Asks(structs.replace(options, explain=_literal(wanted)), clarify=True, echo=echo)


def target_variant(headers: Mapping[bytes, bytes]) -> str | None:
    """The name of the variant that is to answer; None leaves it to the weights."""
    header = headers.get(VARIANT)
    return None if header is None else header.decode("latin-1")


def _attributes(headers: Mapping[bytes, bytes]) -> str | None:
    header = headers.get(ATTRIBUTES)
    if header is None:
        return None
    text = header.decode("latin-1")
    if len(text) > _LONGEST_ATTRIBUTES or not (text.isascii() and text.isprintable()):
        raise SageMakerHeaderError(
            f"X-Amzn-SageMaker-Custom-Attributes is {text[:60]!r}, {len(text)} characters. "
            f"Send up to {_LONGEST_ATTRIBUTES} visible ASCII characters."
        )
    return text


def _literal(header: bytes) -> bool:
    text = header.decode("latin-1").strip()
    if text not in _LITERALS:
        raise SageMakerHeaderError(
            f"X-Amzn-SageMaker-Enable-Explanations is {text[:60]!r}. Rows are explained all or none here: "
            "send `true` or `false`, with the backticks."
        )
    return _LITERALS[text]


def _check_target(headers: Mapping[bytes, bytes], endpoint: LiveVariant) -> None:
    """Refuse what is to be asked of anything but this variant's model."""
    name, version = endpoint.variant.model, endpoint.variant.spec
    model = headers.get(MODEL, name.encode()).decode("latin-1")
    if model not in (name, version):
        raise SageMakerHeaderError(
            f"X-Amzn-SageMaker-Target-Model is {model[:80]!r}. Endpoint {endpoint.record.name!r} serves {version!r}: "
            "ask for that, or leave the header out."
        )
    for header, (told, reason) in _ABSENT.items():
        if header in headers:
            sent = headers[header].decode("latin-1")[:80]
            raise SageMakerHeaderError(f"X-Amzn-SageMaker-{told} is {sent!r}. {reason}: leave the header out.")
