"""What is kept of an async invocation beside its columns, and what is shown of it."""

from typing import Any

import msgspec
from msgspec import Struct

from serving.asynchronous.webhooks import Url
from storage.api import AsyncView
from storage.records import AsyncInvocation


class AsyncRequest(Struct, frozen=True):
    """What is needed to answer: `AsyncInvocation.request`.

    headers: of the invocation, names in lower case. location: where the input is fetched from; None where it is kept
    here. timeout_s: for one attempt. is_put: whether the answer is put at its location, which is no address of ours.
    """

    headers: dict[str, str]
    query: str
    location: str | None
    timeout_s: int
    output_location: str
    failure_location: str
    is_put: bool = False

    @classmethod
    def of(cls, invocation: AsyncInvocation) -> "AsyncRequest":
        """That of an invocation."""
        return msgspec.json.decode(invocation.request, type=cls)


class AsyncReply(Struct, frozen=True):
    """The headers that an answer has: `AsyncInvocation.reply`."""

    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, invocation: AsyncInvocation) -> "AsyncReply":
        """That of an invocation that has an answer or a failure."""
        return msgspec.json.decode(invocation.reply or '{"headers":[]}', type=cls)


def view(invocation: AsyncInvocation) -> AsyncView:
    """What is shown of an invocation; its webhook was sound when it was accepted."""
    request = AsyncRequest.of(invocation)
    return AsyncView(
        id=invocation.id,
        endpoint=invocation.endpoint,
        inference_id=invocation.inference_id,
        status=invocation.status,
        attempts=invocation.attempts,
        created_at=invocation.created_at,
        due_at=invocation.due_at if invocation.status == "queued" else None,
        expires_at=invocation.expires_at,
        ended_at=invocation.ended_at,
        reason=invocation.reason,
        output_location=request.output_location,
        failure_location=request.failure_location,
        webhook=None if invocation.webhook is None else Url.of(invocation.webhook).shown,
        webhook_status=invocation.webhook_status,
        webhook_attempts=invocation.webhook_attempts,
        webhook_reason=invocation.webhook_reason,
    )


def told(invocation: AsyncInvocation) -> dict[str, Any]:
    """What a webhook is told of an invocation that has ended."""
    shown = view(invocation)
    is_completed = invocation.status == "completed"
    return {
        "id": shown.id,
        "inference_id": shown.inference_id,
        "endpoint": shown.endpoint,
        "status": shown.status,
        "attempts": shown.attempts,
        "created_at": shown.created_at,
        "ended_at": shown.ended_at,
        "output_location": shown.output_location if is_completed else None,
        "failure_location": None if is_completed else shown.failure_location,
        "reason": shown.reason,
    }
