"""The page at `/` shows names as they are, whatever they are."""

from datetime import UTC, datetime

import pytest

from serving.endpoints import LiveVariant
from serving.page import example_row, index_page
from storage import Column, Predictor, Signature
from storage.records import Report
from tests.portable import CLASSIFIER, classifier
from tests.records import endpoint_record

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def test_an_example_row_is_one_that_the_model_takes() -> None:
    """Values that training has seen."""
    assert example_row(CLASSIFIER) == {"amount": 0.0, "town": "Ulm", "visits": 0.0, "seen": "2024-05-01T13:30:00Z"}
    blank = Signature("regression", "y", (Column("n", "number", "Float64"), Column("c", "category", "String")))
    assert example_row(blank) == {"n": None, "c": None}


def test_without_endpoints_and_reports_the_page_tells_how_to_make_them() -> None:
    """The next command to type."""
    page = index_page("http://host", {}, [])
    assert "autopilot deploy" in page
    assert "autopilot monitor run" in page


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "'; rm -rf / #", '"><b>'])
def test_nothing_becomes_markup_or_a_command(evil: str) -> None:
    """Names come from tables and hosts from clients: neither is to be trusted."""
    town = Column("town", "category", "String", levels=(evil,))
    columns = tuple(town if column.name == "town" else column for column in CLASSIFIER.columns)
    signature = Signature("binary", "paid", columns, classes=("no", "yes"))
    record = endpoint_record("demo", capture=True)
    live = {"demo": LiveVariant(record, Predictor(classifier(signature=signature)))}
    report = Report("r 1", "demo", "m", 1, NOW, NOW, evil, True, 1, "", "", NOW)
    page = index_page(f"http://{evil}", live, [report])
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "/reports/r%201" in page
