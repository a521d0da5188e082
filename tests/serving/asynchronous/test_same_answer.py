"""The answer that comes later is to the byte what InvokeEndpoint answers, in every format and with every option."""

import gzip
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.media import MEDIA_TYPES
from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.asynchronous.conftest import LINES
from tests.serving.conftest import ServerProcess, serving

ID = "x-amzn-sagemaker-inference-id"


def bodies() -> dict[str, bytes]:
    """The same rows in each format."""
    frame = pl.DataFrame(
        list(ROWS), schema={"amount": pl.Float64, "town": pl.String, "visits": pl.Int64, "seen": pl.String}
    )
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
    files = {name: io.BytesIO() for name in ("arrow", "arrow_file", "parquet", "npy")}
    frame.write_ipc_stream(files["arrow"])
    frame.write_ipc(files["arrow_file"])
    frame.write_parquet(files["parquet"])
    fields = [("amount", "f8"), ("town", "U8"), ("visits", "f8"), ("seen", "M8[us]")]
    np.save(files["npy"], np.array([(4, "Ulm", 2, "2023-05-01"), (1, "Bonn", 0, "2024-01-01")], dtype=fields))
    tables = {name: file.getvalue() for name, file in files.items()}
    return {"json": json.dumps(ROWS).encode(), "jsonlines": lines, "csv": frame.write_csv().encode(), **tables}


BODIES = bodies()
ASKED: list[tuple[bytes, dict[str, str], str]] = [
    *(
        (BODIES[sent], {"content-type": MEDIA_TYPES[sent], "accept": MEDIA_TYPES[wanted]}, "")  # type: ignore[index]
        for sent in BODIES
        for wanted in MEDIA_TYPES
        if sent == "json" or wanted in ("json", sent)
    ),
    (BODIES["json"], {}, "?interval=true&explain=true"),
    (BODIES["json"], {}, "?columns=p_yes,label"),
    (BODIES["csv"], {"content-type": "text/csv", "x-amzn-sagemaker-enable-explanations": "`true`"}, ""),
    (BODIES["json"], {"x-amzn-sagemaker-custom-attributes": "trace=7;autopilot:probabilities=false"}, ""),
    (gzip.compress(BODIES["csv"], mtime=0), {"content-type": "text/csv", "content-encoding": "gzip"}, ""),
    (json.dumps({"inputs": {"amount": [4]}}).encode(), {}, ""),
    (b"4,Ulm,2,2023-05-01\n" * 3_000, {"content-type": "text/csv", "accept": "application/json"}, ""),
    (b"much,Ulm,2,\n", {"content-type": "text/csv"}, ""),
    (b"[", {}, ""),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(tmp_path_factory.mktemp("same") / "store")
    portable.publish(store, portable.with_sets(), name="classifier", endpoint="paid")
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[ServerProcess]:
    with serving(store) as server:
        yield server


def output(server: ServerProcess, accepted: httpx.Response) -> httpx.Response:
    """The answer, or what went wrong."""
    assert accepted.status_code == 202, accepted.text
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for name in ("output", "failure"):
            reply = server.client.get(accepted.headers[f"x-amzn-sagemaker-{name}location"])
            if reply.status_code == 200:
                return reply
        time.sleep(0.02)
    raise AssertionError("no answer")


def headers_of(reply: httpx.Response) -> dict[str, str]:
    """What tells of the answer: all but the request's own id and the time."""
    own = {"date", "x-request-id", "x-amzn-requestid", "x-amzn-errortype", "content-length"}
    return {name: value for name, value in reply.headers.items() if name not in own}


def test_each_answer_is_the_same(server: ServerProcess) -> None:
    """Its headers too; a refusal is the failure. All wait together."""
    plain = {"accept-encoding": "identity"}
    asked = [(body, {**plain, ID: f"i{at}", **headers}, query) for at, (body, headers, query) in enumerate(ASKED)]
    accepted = [
        server.client.post(f"/endpoints/paid/async-invocations{query}", content=body, headers=headers)
        for body, headers, query in asked
    ]
    for (body, headers, query), later in zip(asked, accepted, strict=True):
        now = server.client.post(f"/endpoints/paid/invocations{query}", content=body, headers=headers)
        found = output(server, later)
        assert (found.content, headers_of(found)) == (now.content, headers_of(now)), (headers, query)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(st.floats(allow_nan=False, width=32), st.sampled_from(["Ulm", "Bonn", "", "x"]), st.integers(0, 9)),
        min_size=1,
        max_size=60,
    )
)
def test_any_rows_are_answered_the_same(server: ServerProcess, rows: list[tuple[Any, ...]]) -> None:
    """Few, and more than the event loop takes."""
    body = json.dumps([{"amount": a, "town": town, "visits": v, "seen": None} for a, town, v in rows]).encode()
    later = server.client.post("/endpoints/paid/async-invocations", content=body)
    now = server.client.post("/endpoints/paid/invocations", content=body, headers={"accept-encoding": "identity"})
    assert output(server, later).content == now.content


def test_it_is_captured_under_the_id_that_was_told(server: ServerProcess, store: Store) -> None:
    """Whoever chose it."""
    ids = []
    for headers in ({ID: "chosen"}, {}):
        accepted = server.client.post(
            "/endpoints/paid/async-invocations", content=LINES, headers={"content-type": "text/csv", **headers}
        )
        output(server, accepted)
        ids.append(accepted.json()["InferenceId"])
    assert ids[0] == "chosen"
    now = datetime.now(UTC)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        frame = store.traffic.read("paid", now - timedelta(hours=1), now + timedelta(hours=1))
        if frame.height and set(ids) <= set(frame["autopilot.inference_id"]):
            break
        time.sleep(0.2)
    counts = dict(frame.group_by("autopilot.inference_id").len().iter_rows())
    assert [counts[id_] for id_ in ids] == [2, 2]
