"""Ids of invocations: what a captured row is called, and what a true outcome that comes later is joined by."""

import itertools
import uuid
from collections.abc import Mapping

from serving.errors import InferenceIdError

INFERENCE_ID = b"x-amzn-sagemaker-inference-id"


class InferenceIds:
    """Names invocations: by the client's header, else by a prefix of this process and a counter."""

    def __init__(self) -> None:
        self._prefix = uuid.uuid4().hex[:16]
        self._count = itertools.count(1)

    def of(self, headers: Mapping[bytes, bytes]) -> str:
        """The id of a request. Raises InferenceIdError for a header that is not 1-64 printable ASCII characters."""
        header = headers.get(INFERENCE_ID)
        if header is None:
            return f"{self._prefix}-{next(self._count)}"
        text = header.decode("latin-1")
        if not (1 <= len(text) <= 64 and text.isascii() and text.isprintable()):
            raise InferenceIdError(
                f"X-Amzn-SageMaker-Inference-Id is {text[:80]!r}. "
                "Send 1 to 64 printable ASCII characters, or leave the header out."
            )
        return text
