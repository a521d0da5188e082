"""A model's JSON Schemas hold for what it takes and gives."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator as Validator

from serving.documentation import document
from serving.options import Options
from serving.schemas import answer_schema, prediction_schema, row_schema, rows_schema
from storage import Column, Signature
from tests.portable import CLASSIFIER, REGRESSOR, ROWS
from tests.serving.conftest import ServerProcess


def takes(schema: dict[str, Any], value: Any) -> bool:
    Validator.check_schema(schema)
    return Validator(schema).is_valid(value)


def test_a_row_has_all_columns_and_may_have_those_that_are_not_looked_at() -> None:
    """Another name is a misspelling."""
    schema = row_schema(CLASSIFIER)
    assert all(takes(schema, row) for row in ROWS)
    assert takes(schema, schema["examples"][0])
    assert takes(schema, {**ROWS[0], "paid": "yes", "id": 7})
    assert not takes(schema, {**ROWS[0], "amuont": 1})
    assert not takes(schema, {name: value for name, value in ROWS[0].items() if name != "town"})
    assert not takes(schema, {**ROWS[0], "amount": "n/a"})


def test_what_training_saw_is_told_and_not_demanded() -> None:
    """Values beyond its range and unseen categories are answered."""
    schema = row_schema(CLASSIFIER)
    assert takes(schema, {**ROWS[0], "amount": -1e9, "town": "Atlantis"})
    assert schema["properties"]["amount"] == {
        "type": ["number", "null"],
        "description": "Number, Float64 in training from 0 to 10.",
        "x-training-minimum": 0.0,
        "x-training-maximum": 10.0,
    }
    assert schema["properties"]["town"] == {
        "type": ["string", "null"],
        "description": "Category, String in training with 2 known levels.",
        "x-known-levels": ["Ulm", "Bonn"],
        "examples": ["Ulm", "Bonn"],
    }
    assert row_schema(CLASSIFIER, most_levels=1)["properties"]["town"]["x-known-levels"] == ["Ulm"]


@pytest.mark.parametrize(
    ("column", "values", "format"),
    [
        (Column("c", "number", "Boolean"), [True, 1, None], None),
        (Column("c", "category", "Int64", levels=("5",)), [5, "5", None], None),
        (Column("c", "category", "Boolean", levels=("true",)), [True, "true", None], None),
        (Column("c", "text", "List(String)"), [["a", None], "a b", None], None),
        (Column("c", "time", "Date"), ["2024-05-31", None], "date"),
        (Column("c", "time", "Datetime(time_unit='us', time_zone=None)"), ["2024-05-31T13:30:00Z", None], "date-time"),
        (Column("c", "time", "String", format="%d/%m/%Y"), ["31/05/2024", None], None),
        (Column("c", "time", "Int64", format="s"), [1717162200, "2024-05-31", None], None),
    ],
)
def test_a_value_is_of_its_columns_own_type(column: Column, values: list[Any], format: str | None) -> None:
    """Or null."""
    schema = row_schema(Signature("regression", "y", (column,)))
    assert all(takes(schema, {"c": value}) for value in values)
    assert schema["properties"]["c"].get("format") == format


def test_of_a_sensitive_column_no_value_is_shown() -> None:
    """Its range and its levels are in no signature; its name and kind are."""
    salary = Column("salary", "number", "Int64", sensitive=True)
    name = Column("name", "category", "String", sensitive=True)
    schema = row_schema(Signature("regression", "y", (salary, name)))
    assert schema["properties"]["salary"] == {
        "type": ["number", "null"],
        "description": "Number, Int64 in training.",
        "x-sensitive": True,
    }
    assert schema["examples"] == [{"salary": None, "name": None}]


def test_a_struct_may_be_sent_whole_or_by_its_flat_names() -> None:
    """Not half of it, and not left out."""
    zip_ = Column("address.zip", "category", "String", path=("address", "zip"))
    city = Column("address.city", "category", "String", path=("address", "city"))
    schema = row_schema(Signature("regression", "y", (zip_, city, Column("n", "number", "Int64"))))
    assert takes(schema, {"n": 1, "address": {"zip": "1", "city": "Ulm"}})
    assert takes(schema, {"n": 1, "address.zip": "1", "address.city": None})
    assert not takes(schema, {"n": 1, "address.zip": "1"})
    assert not takes(schema, {"n": 1})


def test_a_body_is_a_row_or_several() -> None:
    """In the three shapes of JSON."""
    schema = rows_schema(row_schema(CLASSIFIER))
    for body in (ROWS[0], list(ROWS), {"instances": list(ROWS)}):
        assert takes(schema, body)
    for body in ([], {"instances": []}, 5, {"instances": list(ROWS), "more": 1}):
        assert not takes(schema, body)


@pytest.mark.parametrize("signature", [CLASSIFIER, REGRESSOR], ids=["classifier", "regressor"])
@pytest.mark.parametrize("options", ["", "?probabilities=false", "?explain=true", "?columns=of,base&explain=true"])
def test_answers_are_as_their_schema_says(server: ServerProcess, signature: Signature, options: str) -> None:
    """With every option, and to MLflow's bodies."""
    schema = answer_schema(prediction_schema(signature))
    for body in (list(ROWS), {"dataframe_records": list(ROWS)}):
        answer = server.client.post(f"/endpoints/{signature.target}/invocations{options}", json=body)
        assert takes(schema, answer.json()), answer.text
    assert not takes(schema, {"predictions": [{"label": "maybe"}]})
    assert not takes(schema, {"predictions": []})


def test_each_option_is_a_parameter(server: ServerProcess) -> None:
    """By its name."""
    document = server.client.get("/schema").json()
    parameters = document["paths"]["/endpoints/paid/invocations"]["post"]["parameters"]
    assert {each["name"] for each in parameters if each["in"] == "query"} == set(Options.__struct_fields__)


def test_an_endpoint_gives_the_schema_of_its_rows(server: ServerProcess) -> None:
    """Under its own address, for programs that check rows before they send them."""
    answer = server.client.get("/endpoints/paid/schema")
    assert answer.headers["content-type"] == "application/schema+json"
    schema = answer.json()
    assert schema["$id"] == f"{server.url}/endpoints/paid/schema"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(takes(schema, row) for row in ROWS)
    assert server.client.get("/endpoints/none/schema").status_code == 404


def test_an_endpoint_tells_its_columns(server: ServerProcess) -> None:
    """As its signature has them."""
    told = server.client.get("/api/endpoints/paid").json()
    assert (told["model"], told["task"], told["classes"]) == ("classifier", "binary", ["no", "yes"])
    assert [(column["name"], column["kind"]) for column in told["columns"]] == [
        ("amount", "number"),
        ("town", "category"),
        ("visits", "number"),
        ("seen", "time"),
    ]
    assert told["columns"][1]["levels"] == ["Ulm", "Bonn"]
    assert server.client.get("/api/endpoints/none").status_code == 404


def test_the_document_follows_the_endpoints() -> None:
    """What was not asked of a model stays out of it: the document of the routes is left as it is."""
    routes = {
        "paths": {path: {"post": {"responses": {}}} for path in ("/endpoints/{name}/invocations", "/invocations")},
        "components": {"schemas": {}},
    }
    before = json.dumps(routes)
    assert list(document(routes, [])["paths"]) == ["/endpoints/{name}/invocations", "/invocations"]
    assert json.dumps(routes) == before
