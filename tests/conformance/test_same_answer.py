"""The same row gets the same answer, to the bit, whichever protocol and encoding it came in."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.hot import HotPath
from serving.invocations import Invocations
from serving.protocols.inference_v2 import PREFIX as V2
from serving.protocols.inference_v2 import InferenceV2
from serving.protocols.tf_serving import PREFIX, TfServing
from storage import Store
from tests.portable import classifier, publish

Row = dict[str, Any]
LIMIT_BYTES = 10_000_000
NAMES = ["amount", "town", "visits", "seen"]
FROM, TO = datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2100-01-01")


class Encoding(NamedTuple):
    """A way to ask: path, content type, rows as a body, the probabilities of `yes` in an answer, and other headers."""

    path: str
    content_type: str
    body: Callable[[list[Row]], bytes]
    answer: Callable[[bytes], list[float]]
    headers: Callable[[bytes], dict[bytes, bytes]] = lambda _: {}


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


def table(rows: list[Row]) -> pl.DataFrame:
    schema = {"amount": pl.Float64, "town": pl.String, "visits": pl.Int64, "seen": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema)


def in_table(rows: list[Row], write: Callable[[pl.DataFrame, io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(table(rows), file)
    return file.getvalue()


def in_npy(rows: list[Row]) -> bytes:
    """Named fields; what NumPy has no missing value for is a float or text."""
    longest = max(1, *(len(row["town"] or "") for row in rows))
    dtype = [("amount", "f8"), ("town", f"U{longest}"), ("visits", "f8"), ("seen", "M8[us]")]
    cells = [(row["amount"], row["town"] or "", row["visits"], row["seen"]) for row in rows]
    nothing = (np.nan, "", np.nan, np.datetime64("NaT"))
    array = np.array(
        [tuple(n if cell is None else cell for cell, n in zip(row, nothing, strict=True)) for row in cells], dtype
    )
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def of_npy(body: bytes) -> list[float]:
    return np.load(io.BytesIO(body), allow_pickle=False)[:, 1].tolist()


def tensors(rows: list[Row]) -> list[dict[str, Any]]:
    """Missing values as the portable model file has them."""
    seen = table(rows).get_column("seen").to_physical().fill_null(-(2**63)).to_list()
    kinds = {"amount": "FP64", "town": "BYTES", "visits": "FP64", "seen": "INT64"}
    values = {**columns(rows), "town": [row["town"] or "" for row in rows], "seen": seen}
    return [
        {"name": name, "shape": [len(rows), 1], "datatype": kind, "data": values[name]} for name, kind in kinds.items()
    ]


def in_tensors(rows: list[Row]) -> bytes:
    return in_json({"inputs": tensors(rows), "outputs": [{"name": "probabilities"}]})


def in_binary(rows: list[Row]) -> bytes:
    """JSON and the tensors behind it."""
    inputs, behind = tensors(rows), b""
    for tensor in inputs:
        values = tensor.pop("data")
        if tensor["datatype"] == "BYTES":
            raw = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in values)
        else:
            dtype = "<f8" if tensor["datatype"] == "FP64" else "<i8"
            raw = np.array([np.nan if value is None else value for value in values], dtype).tobytes()
        tensor["parameters"] = {"binary_data_size": len(raw)}
        behind += raw
    asked = {"name": "probabilities", "parameters": {"binary_data": True}}
    return in_json({"inputs": inputs, "outputs": [asked]}) + behind


def header_length(body: bytes) -> dict[bytes, bytes]:
    _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    return {b"inference-header-content-length": str(end).encode()}


def of_binary(body: bytes) -> list[float]:
    _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    return np.frombuffer(body[end:], "<f4").reshape(-1, 2)[:, 1].tolist()


def of_table(body: bytes, read: Callable[[io.BytesIO], pl.DataFrame]) -> list[float]:
    return read(io.BytesIO(body)).get_column("p_yes").to_list()


def usual(body: bytes) -> list[float]:
    return [row["probabilities"]["yes"] for row in json.loads(body)["predictions"]]


def flat(body: bytes) -> list[float]:
    return [row["p_yes"] for row in json.loads(body)["predictions"]]


INFER = f"{V2}/models/paid/infer"
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
    "json lines": Encoding(
        INVOCATIONS,
        "application/jsonlines",
        lambda rows: b"\n".join(in_json(row) for row in rows),
        lambda body: [json.loads(line)["probabilities"]["yes"] for line in body.splitlines()],
    ),
    "npy": Encoding(INVOCATIONS, "application/x-npy", in_npy, of_npy),
    "arrow": Encoding(
        INVOCATIONS,
        "application/vnd.apache.arrow.stream",
        lambda rows: in_table(rows, lambda frame, file: frame.write_ipc_stream(file)),
        lambda body: of_table(body, pl.read_ipc_stream),
    ),
    "arrow file": Encoding(
        INVOCATIONS,
        "application/vnd.apache.arrow.file",
        lambda rows: in_table(rows, lambda frame, file: frame.write_ipc(file)),
        lambda body: of_table(body, pl.read_ipc),
    ),
    "parquet": Encoding(
        INVOCATIONS,
        "application/vnd.apache.parquet",
        lambda rows: in_table(rows, lambda frame, file: frame.write_parquet(file)),
        lambda body: of_table(body, pl.read_parquet),
    ),
    "v2": Encoding(INFER, JSON, in_tensors, lambda body: json.loads(body)["outputs"][0]["data"][1::2]),
    "v2 binary": Encoding(INFER, "application/octet-stream", in_binary, of_binary, header_length),
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
        protocols = {PREFIX: TfServing(live, engine), V2: InferenceV2(live, engine)}
        hot = HotPath(Invocations(live, engine), live, nothing_else, LIMIT_BYTES, protocols)
        with asyncio.Runner() as runner:
            yield lambda name, rows, packed: runner.run(_ask(hot, ENCODINGS[name], rows, packed=packed))
    store.close()


async def _ask(hot: HotPath, encoding: Encoding, rows: list[Row], *, packed: bool) -> list[float]:
    body = encoding.body(rows)
    headers = [(b"content-type", encoding.content_type.encode()), *encoding.headers(body).items()]
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
