"""The same row gets the same answer, to the bit, whichever protocol and encoding it came in."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.hot import HotPath
from serving.invocations import Invocations
from serving.protocols.tf_serving import PREFIX, TfServing
from storage import Store
from tests.portable import classifier, publish

Row = dict[str, Any]
LIMIT_BYTES = 10_000_000
NAMES = ["amount", "town", "visits", "seen"]
FROM, TO = datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2100-01-01")


class Encoding(NamedTuple):
    """A way to ask: path, content type, rows as a body, and the probabilities of `yes` in an answer."""

    path: str
    content_type: str
    body: Callable[[list[Row]], bytes]
    answer: Callable[[bytes], list[float]]


def values(row: Row) -> list[Any]:
    return [row[name] for name in NAMES]


def in_json(rows: Any) -> bytes:
    return json.dumps(rows, default=lambda time: time.isoformat()).encode()


def in_csv(rows: list[Row]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    for row in rows:
        writer.writerow(
            "" if cell is None else cell.isoformat() if isinstance(cell, datetime) else cell for cell in values(row)
        )
    return file.getvalue().encode()


def columns(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def usual(body: bytes) -> list[float]:
    return [row["probabilities"]["yes"] for row in json.loads(body)["predictions"]]


def flat(body: bytes) -> list[float]:
    return [row["p_yes"] for row in json.loads(body)["predictions"]]


INVOCATIONS, JSON = "/endpoints/paid/invocations", "application/json"
ENCODINGS = {
    "json": Encoding(INVOCATIONS, JSON, in_json, usual),
    "json instances": Encoding(INVOCATIONS, JSON, lambda rows: in_json({"instances": rows}), usual),
    "json lists": Encoding(INVOCATIONS, JSON, lambda rows: in_json([values(row) for row in rows]), usual),
    "csv": Encoding(
        INVOCATIONS,
        "text/csv",
        in_csv,
        lambda body: [float(line.split(",")[-1]) for line in body.decode().splitlines()],
    ),
    "mlflow records": Encoding(INVOCATIONS, JSON, lambda rows: in_json({"dataframe_records": rows}), flat),
    "mlflow split": Encoding(
        INVOCATIONS,
        JSON,
        lambda rows: in_json({"dataframe_split": {"columns": NAMES, "data": [values(row) for row in rows]}}),
        flat,
    ),
    "mlflow inputs": Encoding(INVOCATIONS, JSON, lambda rows: in_json({"inputs": columns(rows)}), flat),
    "tf instances": Encoding(
        f"{PREFIX}paid:predict",
        JSON,
        lambda rows: in_json({"instances": rows}),
        lambda body: [row["probabilities"][1] for row in json.loads(body)["predictions"]],
    ),
    "tf inputs": Encoding(
        f"{PREFIX}paid:predict",
        JSON,
        lambda rows: in_json({"inputs": columns(rows)}),
        lambda body: [row[1] for row in json.loads(body)["outputs"]["probabilities"]],
    ),
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, list[Row], bool], list[float]]]:
    """Asks the server's ASGI function in this process."""
    store = Store.open(tmp_path_factory.mktemp("same") / "store")
    publish(store, classifier(), endpoint="paid")
    live = LiveEndpoints(store)
    live.refresh()

    async def nothing_else(*_: Any) -> None:
        raise AssertionError("the hot path hands this on")

    with Engine(Capture(store.traffic), threads=1, max_body_bytes=LIMIT_BYTES, max_rows=1000) as engine:
        protocols = {PREFIX: TfServing(live, engine)}
        hot = HotPath(Invocations(live, engine), live, nothing_else, LIMIT_BYTES, protocols)
        with asyncio.Runner() as runner:
            yield lambda name, rows, packed: runner.run(_ask(hot, ENCODINGS[name], rows, packed=packed))
    store.close()


async def _ask(hot: HotPath, encoding: Encoding, rows: list[Row], *, packed: bool) -> list[float]:
    body = encoding.body(rows)
    headers = [(b"content-type", encoding.content_type.encode())]
    if packed:
        body = gzip.compress(body)
        headers.append((b"content-encoding", b"gzip"))
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "POST", "path": encoding.path, "headers": headers, "query_string": b""}
    await hot(scope, receive, send)
    answered = b"".join(message.get("body", b"") for message in sent)
    assert sent[0]["status"] == 200, (answered, body)
    return encoding.answer(answered)


TEXTS = st.sampled_from(["Ulm", "Bonn", "Rome"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "town": st.none() | TEXTS,
            "visits": st.none() | st.integers(-(2**53), 2**53),
            "seen": st.none() | st.datetimes(FROM, TO),
        }
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(rows=ROWS, packed=st.booleans())
def test_every_way_to_ask_gives_the_same_bits(
    ask: Callable[[str, list[Row], bool], list[float]], rows: list[Row], packed: bool
) -> None:
    """Against plain JSON rows."""
    expected = ask("json", rows, False)
    for name in ENCODINGS:
        assert ask(name, rows, packed) == expected, (name, rows)
