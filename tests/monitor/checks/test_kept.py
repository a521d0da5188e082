"""What an endpoint's rows are asked: by its own baseline, or by what its reference suggests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest

from monitor import run
from monitor.checks import Baseline, Quality, check, suggest
from monitor.checks.kept import asked_of, constrained
from monitor.checks.sagemaker import ConstraintsFile, constraints_of
from storage import Store
from storage.baselines.document import json_of
from storage.records import KeptBaseline
from tests import portable
from tests.monitor import till

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAY = pl.DataFrame({"age": [20, 31, 45, None] * 250, "town": ["Ulm", "Bonn"] * 500})


@pytest.fixture
def busy(store: Store) -> Store:
    """200 rows like the reference's, amounts at 5 with a standard deviation of 1, came in the last hour."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    till.send(store, version, till.rows(200, seed=1), NOW - HOUR)
    return store


def looked(store: Store) -> tuple[str, Quality]:
    """The sentence of a report on data quality, and what was found."""
    _, report = run(store, till.ENDPOINT, now=NOW, check="data-quality")
    assert report.quality is not None
    return report.sentence, report.quality


def keep(store: Store, body: Any, source: str = "'rules.json'") -> None:
    store.baselines.put(KeptBaseline(till.ENDPOINT, source, msgspec.json.encode(body).decode(), NOW - HOUR))


def rule(name: str, kind: str, **constraints: Any) -> dict[str, Any]:
    """A baseline of ours with one column."""
    column = {"name": name, "kind": kind, "dtype": "", "statistics": {}, "constraints": constraints}
    return {"rows": 0, "repeated": 0, "columns": [column]}


def test_without_a_kept_one_the_reference_suggests(busy: Store) -> None:
    """And the report says so."""
    sentence, quality = looked(busy)
    assert (quality.verdict, quality.baseline, quality.baseline_rows) == (
        "no violations",
        "suggested by the reference",
        400,
    )
    assert "keep what the reference keeps" in sentence


def test_a_kept_one_takes_its_place_until_it_is_removed(busy: Store) -> None:
    """A rule that nobody's rows suggest: an amount is 6 at most. Each form of the report says whose it is."""
    keep(busy, rule("amount", "number", range={"minimum": None, "maximum": 6, "at_most": 0, "strict": True}))
    sentence, quality = looked(busy)
    above = sum(row["amount"] > 6 for row in till.rows(200, seed=1))
    assert [(one.column, one.check, one.rows) for one in quality.violations] == [("amount", "range", above)]
    assert quality.baseline == "kept on 2024-06-01 11:00 UTC from 'rules.json'"
    assert sentence.startswith("1 constraint of the baseline kept on 2024-06-01 11:00 UTC from 'rules.json' broken in")
    assert "chance" not in sentence  # a rule promises nothing of it
    [report, *_] = busy.reports.list(till.ENDPOINT)
    assert b"The baseline was kept on 2024-06-01 11:00 UTC from" in busy.reports.read_html(report)
    assert b"The baseline was kept on 2024-06-01 11:00 UTC from" in busy.reports.read_markdown(report)
    busy.baselines.remove(till.ENDPOINT)
    assert looked(busy)[1].baseline == "suggested by the reference"


def test_sagemakers_constraints_are_asked_of_what_the_reference_held(busy: Store) -> None:
    """A town that nobody knows any more is against a rule; limits are as suggested."""
    asked = {"name": "town", "inferred_type": "String", "string_constraints": {"domains": ["Ulm", "Bonn"]}}
    keep(busy, {"features": [asked, {"name": "amount", "inferred_type": "Fractional"}]}, "HTTP")
    _, quality = looked(busy)
    elsewhere = sum(row["town"] == "Rome" for row in till.rows(200, seed=1))
    assert [(one.column, one.check, one.rows) for one in quality.violations] == [("town", "domain", elsewhere)]
    assert quality.baseline_rows == 400


def test_a_column_that_the_version_does_not_take_is_asked_nothing(busy: Store) -> None:
    """The target of training rows, say; nor is one that the baseline lacks new, since the model takes it."""
    target = {"name": "paid", "inferred_type": "String", "completeness": 1.0}
    keep(busy, {"features": [target, {"name": "town", "inferred_type": "String", "completeness": 1.0}]})
    sentence, quality = looked(busy)
    assert (quality.verdict, quality.tests) == ("no violations", 2)  # of the town: complete, and text
    assert "keep the baseline kept on" in sentence


def test_what_is_suggested_can_be_kept_unchanged(busy: Store) -> None:
    """By way of SageMaker's constraints too: it asks the same."""
    _, before = looked(busy)
    version = busy.models.get(busy.endpoints.get(till.ENDPOINT).main.spec)
    from monitor.checks.suggest import suggested_of
    from monitor.performance.reference import read_sample

    suggested = suggested_of(version.signature, read_sample(busy, version), NOW)
    assert constrained(constraints_of(suggested), suggested) == suggested
    for document in (suggested, constraints_of(suggested)):
        busy.baselines.put(KeptBaseline(till.ENDPOINT, "HTTP", json_of(document), NOW))
        _, after = looked(busy)
        assert (after.tests, after.violations) == (before.tests, before.violations)


def asked(name: str, **more: Any) -> Baseline:
    """What constraints of one column ask, of what May held."""
    document = ConstraintsFile.parse(msgspec.json.encode({"features": [{"name": name, **more}]}), "It")
    return constrained(document, suggest(MAY))


def broken(rows: pl.DataFrame, baseline: Baseline) -> list[str]:
    return [one.check for one in check(rows, msgspec.structs.replace(baseline, extra_columns=True)).violations]


def test_completeness_is_a_rule_where_it_is_more_than_was_held() -> None:
    """In May a quarter of the ages was missing; what is asked less than that is tested."""
    still = MAY.head(100)
    assert broken(still, asked("age", inferred_type="Integral", completeness=0.75)) == []
    assert broken(still, asked("age", inferred_type="Integral", completeness=0.8)) == ["completeness"]
    fewer = pl.DataFrame({"age": [20, None] * 50})
    assert broken(fewer, asked("age", inferred_type="Integral", completeness=0.75)) == ["completeness"]
    assert broken(fewer, asked("age", inferred_type="Integral", completeness=0.4)) == []
    assert broken(fewer, asked("age", inferred_type="Integral")) == []


def test_a_wider_domain_is_tested_and_a_narrower_one_is_a_rule() -> None:
    """A threshold lets a share pass."""
    one_of_each = pl.DataFrame({"town": ["Ulm"] * 98 + ["Rome", "Oslo"]})
    wide = asked("town", inferred_type="String", string_constraints={"domains": ["Ulm", "Bonn", "Rome"]})
    assert broken(one_of_each, wide) == []  # one row is not more than chance explains
    assert broken(pl.DataFrame({"town": ["Ulm", "Oslo"] * 50}), wide) == ["domain"]
    narrow: dict[str, Any] = {"inferred_type": "String", "string_constraints": {"domains": ["Ulm"]}}
    assert broken(one_of_each, asked("town", **narrow)) == ["domain"]
    allowed = {"monitoringConfigOverrides": {"domain_content_threshold": 0.98}}
    assert broken(one_of_each, asked("town", **narrow, **allowed)) == []


def test_types_and_signs_follow_the_constraints() -> None:
    """Fractions may be allowed; a column that is switched off is asked nothing."""
    rows = pl.DataFrame({"age": [20.5, 31.0] * 50})
    assert broken(rows, asked("age", inferred_type="Integral")) == ["type"]
    assert broken(rows, asked("age", inferred_type="Fractional")) == []
    off = {"monitoringConfigOverrides": {"evaluate_constraints": "Disabled"}}
    assert broken(rows, asked("age", inferred_type="Integral", **off)) == []
    signed = pl.DataFrame({"debt": [-1.0, 2.5] * 50})
    held = suggest(signed)
    rules = [{"name": "debt", "inferred_type": "Fractional", "num_constraints": {"is_non_negative": True}}]
    document = ConstraintsFile.parse(msgspec.json.encode({"features": rules}), "It")
    assert broken(signed, constrained(document, held)) == ["non_negative"]


def test_fewer_columns_ask_nothing_of_rows_as_a_whole() -> None:
    """Else towns alone would repeat more often than rows did."""
    whole = suggest(pl.DataFrame({"id": range(1000), "town": ["Ulm", "Bonn"] * 500}))
    assert whole.distinct_rows is not None
    document = msgspec.structs.replace(whole, columns=whole.columns[1:])
    kept = KeptBaseline("shop", "HTTP", json_of(document), NOW)
    assert asked_of(kept, document).baseline.distinct_rows == whole.distinct_rows
    assert asked_of(KeptBaseline("shop", "HTTP", json_of(whole), NOW), document).baseline.distinct_rows is None
