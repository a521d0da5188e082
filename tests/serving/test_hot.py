"""Whatever bytes a client sends, it gets an answer below 500."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.app import Parts, create_app
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.exposition import Exposition
from serving.hot import HotPath
from serving.invocations import Invocations
from storage import Store
from tests.portable import ROWS

LIMIT_BYTES = 100_000


class Asker:
    """Asks an ASGI application in this process."""

    def __init__(self, app: HotPath, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def ask(self, path: str, headers: list[tuple[bytes, bytes]], *chunks: bytes) -> tuple[int, bytes]:
        """Status and body of a POST whose body arrives in these chunks; status 0 if nothing was answered."""
        messages: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        return self._runner.run(self._ask(path, headers, messages))

    def leave(self, path: str, *chunks: bytes) -> tuple[int, bytes]:
        """The same, where the client leaves after these chunks."""
        messages: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        return self._runner.run(self._ask(path, [], [*messages, {"type": "http.disconnect"}]))

    async def _ask(self, path: str, headers: list[tuple[bytes, bytes]], messages: list[Any]) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def receive() -> Any:
            if not messages:  # a client that waits for its answer
                await asyncio.Event().wait()
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope: Any = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await self._app(scope, receive, send)
        if not sent:
            return 0, b""
        start, body = sent
        assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
        return start["status"], body["body"]


@pytest.fixture(scope="module")
def asker(shared_store: Store) -> Iterator[Asker]:
    """The hot path over the shared store; nothing follows the store, nothing is written."""
    live = LiveEndpoints(shared_store)
    live.refresh()
    capture = Capture(shared_store.traffic)
    engine = Engine(capture, threads=2, max_body_bytes=LIMIT_BYTES, max_rows=1000)
    invocations = Invocations(live, engine)
    exposition = Exposition(live, engine.admission, capture)
    app = create_app(Parts(shared_store, live, invocations, LIMIT_BYTES, exposition))
    with engine, asyncio.Runner() as runner:
        yield Asker(HotPath(invocations, live, app, LIMIT_BYTES), runner)


NAMES = st.sampled_from(["amount", "town", "visits", "seen", "paid", "id", "instances", "x", ""])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["2024-05-01", "Ulm", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
ROWS_LIKE = st.fixed_dictionaries(
    dict.fromkeys(("amount", "town", "visits", "seen"), JSON_VALUES), optional={"id": JSON_VALUES}
)
BODIES = st.one_of(
    st.binary(),
    st.text(st.characters(codec="utf-8")).map(str.encode),
    (JSON_VALUES | ROWS_LIKE | st.lists(ROWS_LIKE)).map(lambda value: json.dumps(value).encode()),  # NaN, surrogates
    st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=5) | st.floats().map(str), max_size=5)).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    ),
)
CONTENT_TYPES = st.sampled_from([b"application/json", b"text/csv", b"text/csv; charset=utf-8"]) | st.binary(max_size=9)
ACCEPTS = st.sampled_from([b"*/*", b"text/csv", b"application/json;q=0.5"]) | st.binary(max_size=9)


def row(**values: str) -> bytes:
    """A sound JSON row with some values replaced by JSON text."""
    texts = {**{name: json.dumps(value) for name, value in ROWS[0].items()}, **values}
    return ("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in texts.items()) + "}").encode()


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=BODIES,
    content_type=st.none() | CONTENT_TYPES,
    accept=st.none() | ACCEPTS,
    encoding=st.sampled_from([None, None, None, "gzip", "damaged"]),
    endpoint=st.sampled_from(["paid", "price", "price", "nobody", ""]),
)
@example(row(town='"\\ud800"'), None, None, None, "paid")  # a lone surrogate
@example(row(town='"a\\u0000b"'), None, None, None, "paid")
@example(row(amount="9" * 400), None, None, None, "paid")
@example(row(amount="9" * 5000), None, None, None, "paid")
@example(row(town="9" * 5000), None, None, None, "paid")
@example(row(seen="9" * 30), None, None, None, "paid")
@example(row(seen="true"), None, None, None, "paid")
@example(row(seen='"0001-01-01T00:00:00+23:59"'), None, None, None, "paid")
@example(row(seen='"9999-12-31T23:59:59-23:59"'), None, None, None, "paid")
@example(row(amount="1e999"), None, None, None, "paid")
@example(row(amount="NaN"), None, None, None, "paid")
@example(row(amount="[" * 50_000), None, None, None, "paid")
@example(row(id="[" * 40_000 + "]" * 40_000), None, None, None, "paid")
@example(row(amount="1}{"), None, None, None, "paid")
@example(row() + b"\0", None, None, None, "paid")
@example(b"1,a\0b,2,\n", b"text/csv", None, None, "paid")
@example(b"1e999,nan,-inf,\n", b"text/csv", None, None, "price")
@example(b"1,\xed\xa0\x80,2,\n", b"text/csv", None, None, "paid")  # a surrogate in UTF-8
@example(b"1," + b"a" * 99_000 + b",2,\n", b"text/csv", None, None, "paid")
def test_no_body_makes_the_server_fail(
    asker: Asker,
    body: bytes,
    content_type: bytes | None,
    accept: bytes | None,
    encoding: str | None,
    endpoint: str,
) -> None:
    """Answers are predictions or problems, with the status that the problem tells."""
    pairs = {b"content-type": content_type, b"accept": accept, b"content-encoding": b"gzip" if encoding else None}
    headers = [(name, value) for name, value in pairs.items() if value is not None]
    sent = gzip.compress(body) if encoding == "gzip" else body
    status, answer = asker.ask(f"/endpoints/{endpoint}/invocations", headers, sent)
    assert status < 500
    assert status == 200 or json.loads(answer)["status"] == status


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_a_body_in_chunks_is_joined(asker: Asker, cut: int) -> None:
    """As clients without a content-length send it."""
    body = json.dumps(ROWS[0]).encode()
    status, answer = asker.ask("/endpoints/price/invocations", [], body[:cut], body[cut:])
    assert (status, answer) == (200, b'{"predictions":[{"value":1.0}]}')


@pytest.mark.parametrize("length", [b"10", None])
def test_a_body_that_is_longer_than_its_length_says_is_counted(asker: Asker, length: bytes | None) -> None:
    """uvicorn does not let it through; another server may."""
    headers = [] if length is None else [(b"content-length", length)]
    status, _ = asker.ask("/endpoints/price/invocations", headers, b" " * LIMIT_BYTES, b" ")
    assert status == 413


def test_a_client_that_leaves_gets_no_answer(asker: Asker) -> None:
    """And nothing is raised for it."""
    assert asker.leave("/endpoints/price/invocations", b'{"amo') == (0, b"")
