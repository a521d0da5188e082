"""Idempotency keys: a change that was asked for twice with one key is made once, and answered twice.

    Idempotency-Key: 5f2c...      chosen by the client, one for each change that it means

The answer is written in the transaction that makes the change (`storage/idempotency.py`). So whatever becomes of the
server in between, either both are there or none is; and of two requests at once, in this process or another, the second
waits for the first and is answered as it was. What was refused has changed nothing, and is not kept.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from litestar import Response

from serving.errors import KeyReusedError, OptionError
from serving.parts import AnyRequest
from storage import Store
from storage.records import IdempotencyKey

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
_KEY = re.compile(r"[!-~]{1,255}")
#: What a request means beside its method, path and body.
_MEANING = ("content-type", "if-match", "if-none-match")


class Answer(NamedTuple):
    """What a change is answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def response(self) -> Response[Any]:
        """It, for Litestar."""
        return Response(self.body, status_code=self.status, headers=self.headers)


class Key(NamedTuple):
    """An idempotency key. digest: of what the request that brought it asks for."""

    name: str
    digest: str

    @classmethod
    def of(cls, request: AnyRequest, body: bytes) -> "Key | None":
        """The key of a request, if it has one. Raises OptionError."""
        name = request.headers.get(HEADER)
        if name is None:
            return None
        if not _KEY.fullmatch(name):
            raise OptionError(
                f"Idempotency-Key is {name[:80]!r}. Send 1 to 255 visible ASCII characters that no other change has, "
                "such as a UUID."
            )
        asked = [request.method, request.url.path, request.scope["query_string"].decode("latin-1")]
        asked += [request.headers.get(header, "") for header in _MEANING]
        return cls(name, sha256(msgspec.json.encode(asked) + body).hexdigest())


def answered(store: Store, key: Key | None) -> Answer | None:
    """What was answered to a key; None if nothing was, or there is no key. Raises KeyReusedError."""
    kept = None if key is None else store.idempotency.find(key.name, datetime.now(UTC))
    if key is None or kept is None:
        return None
    if kept.request_digest != key.digest:
        raise KeyReusedError(
            f"Idempotency-Key {key.name[:80]!r} was used for another request, at {kept.created_at:%Y-%m-%d %H:%M:%S} "
            "UTC. Use a new key for each change."
        )
    headers = msgspec.json.decode(kept.headers, type=dict[str, str])
    return Answer(kept.status, {**headers, REPLAYED: "true"}, kept.body.encode())


def once(store: Store, key: Key | None, work: Callable[[], Answer]) -> Answer:
    """Make a change and keep its answer, in one transaction; without a key, make it in one transaction.

    Raises KeyReusedError, and what `work` raises: then nothing is changed and nothing is kept.
    """
    with store.idempotency.together():
        if (known := answered(store, key)) is not None:
            return known
        answer = work()
        keep(store, key, answer)
        return answer


def again(store: Store, key: Key | None, work: Callable[[], Answer]) -> Answer:
    """Make a change that may be made twice without harm, and keep its answer: for what takes too long to let all other
    writers wait. If the server ends in between, it is made again when it is asked for again."""
    answer = work()
    with store.idempotency.together():
        if (known := answered(store, key)) is not None:
            return known
        keep(store, key, answer)
    return answer


def keep(store: Store, key: Key | None, answer: Answer) -> None:
    """Keep what was answered to a key."""
    if key is not None:
        headers = msgspec.json.encode(answer.headers).decode()
        record = IdempotencyKey(key.name, key.digest, answer.status, headers, answer.body.decode(), datetime.now(UTC))
        store.idempotency.add(record)
