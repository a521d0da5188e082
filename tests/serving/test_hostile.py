"""What a hostile client found once: each is answered as the client's mistake, and the server goes on."""

import json
from typing import Any

import pytest

from tests.portable import ROWS
from tests.serving.conftest import ServerProcess

ROW = json.dumps(ROWS[0]).encode()
LONG = b"9" * 5000


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/endpoints/price/invocations", {"x-request-timeout-ms": "0" * 8 + "1" + "9" * 5000}, ROW),
        ("/endpoints/price/invocations", {}, ROW.replace(b'"Ulm"', b'"\\ud800"').replace(b"4.0", b"NaN")),
        ("/endpoints/price/invocations", {}, ROW[:-1] + b',"\\ud800":NaN}'),
        ("/endpoints/price/invocations", {"accept": "a" * 60_000}, ROW),
        ("/v2/models/price/infer", {"inference-header-content-length": "0" * 20 + "9" * 5000}, ROW),
        (
            "/v2/models/price/infer",
            {},
            b'{"inputs":[{"name":"amount","shape":[%s,%s],"datatype":"FP64","data":[]}]}' % (LONG, LONG),
        ),
        (
            "/v2/models/price/infer",
            {},
            b'{"inputs":[{"name":"\\ud800","shape":[1],"datatype":"FP32","data":[1e300,NaN]}]}',
        ),
        ("/models", {}, b"[" * 100_000),
        ("/v1/models/price:predict%0A", {}, ROW),
    ],
)
def test_it_is_the_clients_mistake(server: ServerProcess, path: str, headers: dict[str, str], body: bytes) -> None:
    """With a status below 500."""
    reply = server.client.post(path, headers=headers, content=body)
    assert 400 <= reply.status_code < 500, reply.text
    assert server.client.post("/endpoints/price/invocations", content=ROW).json() == {"predictions": [{"value": 1.0}]}


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=abc", "text/plain; version=x", ";;"])
def test_metrics_are_given_whatever_version_is_asked_for(server: ServerProcess, accept: str) -> None:
    """The usual text where it makes no sense."""
    assert server.client.get("/metrics", headers={"accept": accept}).status_code == 200


def test_long_codes_are_categories_like_any_other() -> None:
    """Of more digits than Python converts."""
    from storage import Column
    from storage.boundary import level_of

    column: Any = Column("code", "category", "Int64")
    assert level_of(column, "0" * 5000 + "7") == "7"
    assert level_of(column, "-" + "1" * 5000) == "-" + "1" * 5000
    assert [level_of(column, text) for text in ("05", "+5", "-0", "5.0", "-05.000", "0")] == [
        "5",
        "5",
        "0",
        "5",
        "-5",
        "0",
    ]
