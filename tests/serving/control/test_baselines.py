"""Baselines of endpoints over HTTP."""

from typing import Any

import pytest

from storage import Store
from tests.serving.conftest import ServerProcess

CONSTRAINTS = {"version": 0.0, "features": [{"name": "visits", "inferred_type": "Integral", "completeness": 0.98}]}


def test_one_is_kept_read_replaced_and_removed(server: ServerProcess, store: Store, endpoint: str) -> None:
    """In SageMaker's form or ours, under the condition that it is as it was seen."""
    path = f"/api/endpoints/{endpoint}/baseline"
    missing = server.client.get(path)
    assert missing.status_code == 404
    assert f"No baseline is kept for endpoint '{endpoint}'" in missing.json()["detail"]
    made = server.client.put(path, json=CONSTRAINTS, headers={"if-none-match": "*"})
    assert (made.status_code, made.headers["location"]) == (201, path)
    read = server.client.get(path)
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    assert (read.json()["source"], read.json()["baseline"]) == ("HTTP", None)
    assert read.json()["constraints"]["features"][0]["completeness"] == 0.98
    assert server.client.get(path, headers={"if-none-match": read.headers["etag"]}).status_code == 304
    refused = server.client.put(path, json=CONSTRAINTS, headers={"if-none-match": "*"})
    assert (refused.status_code, refused.json()["current"]) == (412, read.json())

    column = {"name": "visits", "kind": "number", "dtype": "Int64", "statistics": {}, "constraints": {}}
    ours = {"rows": 0, "repeated": 0, "columns": [column]}
    put = server.client.put(path, json=ours, headers={"if-match": read.headers["etag"]})
    assert (put.status_code, put.json()["constraints"]) == (200, None)
    assert put.json()["baseline"]["columns"][0]["name"] == "visits"
    assert store.baselines.get(endpoint).source == "HTTP"
    stale = server.client.delete(path, headers={"if-match": read.headers["etag"]})
    assert stale.status_code == 412
    assert server.client.delete(path, headers={"if-match": put.headers["etag"]}).status_code == 204
    assert server.client.delete(path).status_code == 404
    assert store.baselines.find(endpoint) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("nonsense", "The body is no JSON"),
        ("[]", "The body is no data-quality baseline: Expected `object`, got `array`."),
        (
            '{"features": [{"name": "visits", "inferred_type": "Integral", "completeness": 2}]}',
            "The body is no file of SageMaker's: Expected `float` <= 1.0 - at `$.features[0].completeness`.",
        ),
        ('{"features": [{"name": "visit", "inferred_type": "Integral"}]}', "asks for column 'visit', which the model"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    server: ServerProcess, store: Store, endpoint: str, body: str, message: Any
) -> None:
    """With place, value and remedy, and nothing is kept."""
    answer = server.client.put(f"/api/endpoints/{endpoint}/baseline", content=body.encode())
    assert answer.status_code == 400
    assert message in answer.json()["detail"]
    assert store.baselines.find(endpoint) is None
