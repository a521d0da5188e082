"""The OpenAPI document is one, by the validator of its makers, whatever columns a model has."""

import time
from pathlib import Path
from typing import Any

import pytest

from serving.documentation import document
from serving.endpoints import LiveVariant
from storage import Column, Predictor, Signature, Store
from storage.signature import Dropped
from tests import portable
from tests.records import endpoint_record
from tests.serving.conftest import serving

validate: Any = pytest.importorskip("openapi_spec_validator").validate


def odd_endpoint() -> LiveVariant:
    """One whose columns have names that are words of JSON Schema, JSON pointers, or no words at all."""
    names = ("amount", "$ref", "visits", 'seen "at"\n')
    columns = tuple(
        Column(name, column.kind, column.dtype, levels=column.levels)
        for name, column in zip(names, portable.COLUMNS, strict=True)
    )
    signature = Signature("binary", "{paid}", columns, (Dropped("~1/", "it counts the rows"),), ("no", "yes"))
    record = endpoint_record("odd.one")
    return LiveVariant(record, Predictor(portable.classifier(signature=signature)))


def test_the_document_is_valid_and_follows_the_endpoints(tmp_path: Path) -> None:
    """While the server runs."""
    store = Store.open(tmp_path / "store")
    with serving(store) as server:
        bare = server.client.get("/schema").json()
        validate(bare)
        portable.publish(store, portable.classifier(), endpoint="paid")
        end = time.monotonic() + 60
        while "/endpoints/paid/invocations" not in (told := server.client.get("/schema").json())["paths"]:
            assert time.monotonic() < end
        validate(told)
    store.close()
    odd = document(bare, [odd_endpoint()])
    validate(odd)
    assert list(odd["components"]["schemas"]["odd.one.row"]["properties"]) == [
        "amount",
        "$ref",
        "visits",
        'seen "at"\n',
        "{paid}",
        "~1/",
    ]
