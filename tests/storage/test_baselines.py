"""Baselines are kept for endpoints, and only what their rows can be asked."""

import json
from datetime import timedelta
from typing import Any

import pytest

from storage import Column, DataError, Signature, Store, UnknownNameError
from storage.baselines import Baseline, ConstraintsFile, parse_document
from storage.baselines.document import check_document, json_of
from storage.records import KeptBaseline
from tests import portable
from tests.records import NOW
from tests.refusals import raises

CONSTRAINTS = {"features": [{"name": "visits", "inferred_type": "Integral", "completeness": 0.98}]}
OURS = {
    "rows": 100,
    "repeated": 0,
    "columns": [
        {
            "name": "amount",
            "kind": "number",
            "dtype": "Float64",
            "statistics": {"present": 100},
            "constraints": {"range": {"minimum": 0, "maximum": 120, "at_most": 0, "strict": True}},
        }
    ],
}


@pytest.fixture
def deployed(store: Store) -> Store:
    """A store with endpoints `shop` and `till`."""
    for endpoint in ("shop", "till"):
        portable.publish(store, portable.classifier(), endpoint=endpoint)
    return store


def kept(body: Any, *, endpoint: str = "shop", source: str = "'may.json'") -> KeptBaseline:
    """A baseline as it is kept."""
    return KeptBaseline(endpoint, source, json.dumps(body), NOW)


def test_an_endpoint_has_one_at_most(deployed: Store) -> None:
    """A later one takes its place; another endpoint's stays."""
    later = KeptBaseline("shop", "HTTP", json.dumps(OURS), NOW + timedelta(days=1))
    other = kept(CONSTRAINTS, endpoint="till")
    for one in (kept(CONSTRAINTS), other, later):
        deployed.baselines.put(one)
    assert deployed.baselines.get("shop") == deployed.baselines.find("shop") == later
    deployed.baselines.remove("shop")
    assert deployed.baselines.find("shop") is None
    for ask in (deployed.baselines.get, deployed.baselines.remove):
        with raises(UnknownNameError, "No baseline is kept for endpoint 'shop': the reference of its model suggests"):
            ask("shop")
    assert deployed.baselines.get("till") == other


def test_it_outlives_the_version_and_goes_with_the_endpoint(deployed: Store) -> None:
    """It is what somebody knows of the rows that come there."""
    deployed.baselines.put(kept(OURS))
    deployed.endpoints.deploy("shop", portable.publish(deployed, portable.classifier(shift=1.0)), NOW)
    assert deployed.baselines.get("shop") == kept(OURS)
    deployed.endpoints.delete("shop", NOW)
    assert deployed.baselines.find("shop") is None
    for ask in (deployed.baselines.get, deployed.baselines.remove):
        with raises(UnknownNameError, "The store has no endpoint 'shop'."):
            ask("shop")
    with raises(UnknownNameError, "The store has no endpoint 'shop'."):
        deployed.baselines.put(kept(OURS))


def feature(name: str, **more: Any) -> dict[str, Any]:
    """Constraints of one column."""
    return {"features": [{"name": name, "inferred_type": "String", **more}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "The baseline is no data-quality baseline: Expected `object`, got `array`."),
        ({"rows": 1}, "The baseline is no data-quality baseline: Object missing required field `repeated`."),
        ({**OURS, "rows": -1}, "The baseline is no data-quality baseline: Expected `int` >= 0 - at `$.rows`."),
        ({**OURS, "form": 2}, "The baseline is of form 2; this version reads form 1."),
        (feature("visits", completeness=2), "Expected `float` <= 1.0 - at `$.features[0].completeness`."),
        (feature("visit"), "The baseline asks for column 'visit', which the model does not take. Take it out, or"),
        (feature("id"), "The baseline asks for 1 columns, none of which the model takes. Ask for some of 'amount',"),
        ({"features": []}, "The baseline asks for 0 columns, none of which the model takes."),
        ({"features": [*feature("town")["features"] * 2]}, "The baseline has column 'town' twice."),
    ],
)
def test_what_rows_cannot_be_asked_is_refused(deployed: Store, body: Any, message: str) -> None:
    """With place, value and remedy; what is there stays."""
    deployed.baselines.put(kept(OURS))
    with raises(DataError, message):
        deployed.baselines.put(kept(body))
    assert deployed.baselines.get("shop") == kept(OURS)


def test_what_training_left_out_may_be_there(deployed: Store) -> None:
    """A file of training rows has the target, and columns that were dropped: they are asked nothing."""
    names = ("paid", "id", "town")
    deployed.baselines.put(kept({"features": [feature(name)["features"][0] for name in names]}))
    document = parse_document(deployed.baselines.get("shop").body.encode(), "It")
    assert isinstance(document, ConstraintsFile)
    assert tuple(one.name for one in document.features) == names


@pytest.mark.parametrize(
    ("kind", "asked", "held", "told"),
    [
        ("category", {"domain": {"levels": ["Jane"], "at_most": 0}}, {}, "its domain"),
        ("category", {}, {"levels": {"Jane": 3}}, "its levels"),
        ("number", {"range": {"minimum": 3, "maximum": None, "at_most": 0}}, {}, "its range"),
        ("number", {}, {"mean": 3.0}, "figures of its values"),
    ],
)
def test_no_value_of_a_sensitive_column_is_kept(kind: Any, asked: Any, held: Any, told: str) -> None:
    """Of neither form; how complete it is, and how long a text, may be asked."""
    model = Signature("binary", "paid", (Column("name", kind, "String", sensitive=True),))
    column = {"name": "name", "kind": kind, "dtype": "String", "statistics": held, "constraints": asked}
    document = parse_document(json.dumps({**OURS, "columns": [column]}).encode(), "It")
    with raises(DataError, f"Column 'name' is sensitive, and the baseline holds values of it: {told}. Take them out;"):
        check_document(document, model)
    lengths = {"length": {"minimum": 0, "maximum": 80, "at_most": 0}, "completeness": {"at_least": 1}}
    text = {**column, "kind": "text", "statistics": {"minimum": 3.0}, "constraints": lengths}
    check_document(parse_document(json.dumps({**OURS, "columns": [text]}).encode(), "It"), model)
    with raises(DataError, "Column 'name' is sensitive, and the baseline holds values of it: its domains."):
        check_document(_constraints(feature("name", string_constraints={"domains": ["Jane"]})), model)
    check_document(_constraints(feature("name", completeness=1.0)), model)


def _constraints(body: Any) -> ConstraintsFile:
    return ConstraintsFile.parse(json.dumps(body).encode(), "It")


def test_a_document_is_read_back_in_its_form() -> None:
    """Whatever its keys are called by who wrote it."""
    ours = parse_document(json.dumps(OURS).encode(), "It")
    assert isinstance(ours, Baseline)
    assert parse_document(json_of(ours).encode(), "It") == ours
    odd = feature("town", monitoring_config_overrides={"evaluate_constraints": "disabled"}, of_another_container=1)
    read = _constraints(odd)
    assert read.config_of(read.features[0]).evaluate_constraints == "Disabled"
    assert parse_document(json_of(read).encode(), "It") == read
