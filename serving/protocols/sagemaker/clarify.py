"""Answers as SageMaker Clarify's online explainer gives them.

{"version": "1.0", "label_headers": ["yes"],
 "predictions": {"content_type": "text/csv", "data": "yes,0.25,0.75\n"},
 "explanations": {"kernel_shap": [[{"feature_header": "age", "feature_type": "numerical",
                                    "attributions": [{"attribution": [0.1]}]}, ...], ...]}}

A list for each row, in it an entry for each column, in it a number for each of the label headers. We explain one class
of each row: where rows differ in it, the others' numbers are null. The values are exact or sampled Shapley values as
everywhere here, `kernel_shap` is only what Clarify calls their place. Not explained, `explanations` is empty.
See https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-online-explainability-response.html
"""

from typing import Any

import msgspec

from serving.endpoints import LiveVariant
from serving.engine import Written
from serving.errors import AcceptError
from serving.formats import Answer, Explained
from serving.media import MEDIA_TYPES, TEXT_FORMATS, Format
from storage.signature import Signature

_HEADERS = [(b"content-type", b"application/json")]
_TYPES = {"number": "numerical", "time": "numerical", "category": "categorical", "text": "text"}


def check_format(wanted: Format) -> None:
    """Raise AcceptError for predictions that a JSON document cannot hold."""
    if wanted not in TEXT_FORMATS:
        texts = ", ".join(MEDIA_TYPES[format] for format in MEDIA_TYPES if format in TEXT_FORMATS)
        raise AcceptError(f"The answer is wanted as {MEDIA_TYPES[wanted]}, and explanations need text. Accept {texts}.")


def write_clarify(endpoint: LiveVariant, wanted: Format, answer: Answer) -> Written:
    """The body of an answer; `wanted` is the format of the predictions inside."""
    data = endpoint.formats.answers[wanted].write(answer._replace(explained=None))
    explained = answer.explained
    body: dict[str, Any] = {
        "version": "1.0",
        "predictions": {"content_type": MEDIA_TYPES[wanted], "data": data.decode()},
        "explanations": {},
    }
    if explained is not None:
        labels = list(dict.fromkeys(explained.of))
        body["label_headers"] = [str(label) for label in labels]
        body["explanations"] = {"kernel_shap": _rows(endpoint.signature, explained, labels)}
    return Written(_HEADERS, msgspec.json.encode(body))


def _rows(signature: Signature, explained: Explained, labels: list[str | int]) -> list[list[dict[str, Any]]]:
    places = [labels.index(of) for of in explained.of]
    return [
        [
            {
                "feature_header": column.name,
                "feature_type": _TYPES[column.kind],
                "attributions": [{"attribution": [value if at == place else None for at in range(len(labels))]}],
            }
            for column, value in zip(signature.columns, row, strict=True)
        ]
        for place, row in zip(places, explained.contributions.tolist(), strict=True)
    ]
