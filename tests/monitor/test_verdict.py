"""The verdict of a report in a sentence: what was found, or why nobody can say."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from monitor import DriftReport, compare
from monitor.attribution import attribution_drift
from monitor.checks import check, suggest
from monitor.facets import Facet, bias
from monitor.facets.bias import BiasReport
from monitor.looked import Span
from monitor.multivariate import multivariate
from monitor.page import render
from monitor.performance.estimated import estimated_of
from monitor.performance.realised import realised_of
from monitor.performance.reference import Reference, reference_of
from monitor.performance.windows import windows_of
from monitor.sections import Sections
from monitor.verdict import Verdict, verdict_of
from storage import Predictor
from storage.records import CheckKind
from tests import portable
from tests.monitor import till
from tests.monitor.facets.tables import PAID, WOMEN, decisions
from tests.monitor.multivariate.tables import hourly
from tests.monitor.performance.answered import BINARY, START, two_classes

END = START + timedelta(days=1)
SPAN = Span("till", START, END)
WHERE = "of 'till' from 2024-05-01 00:00 to 2024-05-02 00:00 UTC"
PROMISE = "had nothing changed, the chance of such an alarm would be at most 5% (1 in 20)."
LIMIT = "An estimate cannot see that the same inputs have another outcome now; labels will tell."
NOTHING = Sections(None, None, None, None, None, (), None, (), (), ())


def verdict(kind: CheckKind, drift: DriftReport | None = None, **found: Any) -> Verdict:
    """Of a report that has these sections. drift: of the columns, by default of rows that are alike."""
    same = pl.DataFrame({"x": range(400)})
    return verdict_of(kind, drift or compare(same, same), NOTHING._replace(**found), SPAN)


def test_few_rows_are_counted_on_both_sides() -> None:
    """Whichever of the two are few."""
    few, many = pl.DataFrame({"x": range(12)}), pl.DataFrame({"x": range(400)})
    for reference, current, told in (
        (many, few, "There are 12 current rows and 400 reference rows"),
        (few, many, "There are 400 current rows and 12 reference rows"),
    ):
        assert verdict("drift", compare(reference, current)) == (
            "too few rows",
            None,
            f"Nobody can say whether columns drifted in the traffic {WHERE}. {told}, and a comparison needs 30 on "
            "either side.",
        )


def test_rows_that_are_worth_too_little_are_told_as_such() -> None:
    """There are more than enough of them; in the sentence and on the page."""
    rng = np.random.default_rng(10)

    def sticky(rows: int) -> pl.DataFrame:
        steps = rng.normal(size=rows)
        for at in range(1, rows):
            steps[at] += 0.9 * steps[at - 1]
        return pl.DataFrame({"x": steps})

    found = compare(sticky(5000), sticky(50))
    told = (
        "There are 50 current rows and 5,000 reference rows, but they depend on one another. Column 'x': Rows depend "
        "on their neighbours: 50 current rows count as 4 to the test of values; a comparison needs 10."
    )
    word, breached, sentence = verdict("drift", found)
    assert (word, breached) == ("too few rows", None)
    assert told in sentence
    assert told in render(found).replace("&#39;", "'")


def test_why_columns_were_not_looked_at_together_is_told() -> None:
    """Rows that depend on one another are not few rows."""
    tied = multivariate(hourly(0, 600, memory=0.999), hourly(1, 200, memory=0.999))
    word, breached, sentence = verdict("multivariate", multivariate=tied)
    assert (word, breached) == ("too few rows", None)
    assert sentence == (
        f"Nobody can say whether all columns together drifted in the traffic {WHERE}. There are 400 rows. Rows depend "
        "on their neighbours: 200 current rows count as 1 to the test of all columns together; a comparison needs 10."
    )


def test_few_rows_without_a_violation_say_nothing_of_data_quality() -> None:
    """How many there are, and how many it takes."""
    rows = pl.DataFrame({"x": range(400)})
    assert verdict("data-quality", quality=check(rows[:12], suggest(rows))) == (
        "too few rows",
        None,
        f"Nobody can say whether data are as they should be in the traffic {WHERE}. There are 12 rows, and the "
        "baseline has 400: that nothing was found in fewer than 30 says nothing.",
    )


def by_sex(current: pl.DataFrame, reference: pl.DataFrame, *facets: Facet) -> BiasReport:
    """Who was said to pay."""
    return bias(current, [WOMEN, *facets], predicted="said", positive=PAID, reference=reference)


def test_a_small_group_is_told_with_its_own_rows() -> None:
    """Not with those of the window, which are enough."""
    usual = decisions(0, 2000)
    now = pl.concat([usual.filter(pl.col("sex") == sex).head(rows) for sex, rows in (("f", 12), ("m", 388))])
    word, breached, sentence = verdict("bias", bias=by_sex(now, usual))
    assert (word, breached) == ("too few rows", None)
    assert sentence.endswith("There are 400 rows. sex f: A verdict needs 30 rows on either side; there are 12 and 388.")


def test_a_group_that_the_reference_lacks_has_no_verdict() -> None:
    """Nothing was held against anything, so nobody may say that all is well."""
    usual = decisions(0, 2000)
    word, breached, sentence = verdict("bias", bias=by_sex(usual, usual.filter(pl.col("sex") == "m")))
    assert (word, breached) == ("too few rows", None)
    assert sentence.endswith("fewer than 30 rows of a side with an outcome.")


def test_groups_are_named() -> None:
    """Those that are treated otherwise, those that are not, and those of which nobody knows."""
    old, nobody = Facet(column="age", threshold=50), Facet(column="sex", values=("x",))
    usual, alike, worse = decisions(0, 2000), decisions(1, 2000), decisions(2, 2000, accepted=(0.6, 0.1))
    calm = verdict("bias", bias=by_sex(alike, usual, old, nobody))
    assert calm == (
        "no drift",
        False,
        f"No group is treated otherwise than before in 2,000 rows {WHERE}: 'sex f', 'age > 50'; nobody can say so of "
        "'sex x'.",
    )
    word, breached, sentence = verdict("bias", bias=by_sex(worse, usual, old, nobody))
    assert (word, breached) == ("drift", True)
    assert sentence.startswith(
        f"1 group of 3 treated otherwise in 2,000 rows {WHERE}: 'sex f'; first of all sex f: DPPL is 0."
    )
    assert sentence.endswith(PROMISE)


def test_quality_without_labels_is_told_as_an_estimate() -> None:
    """With what an estimate cannot see, whether it finds anything or not."""
    reference = two_classes(3000, 0)
    calm, moved = (
        estimated_of(BINARY, reference, frame.drop("autopilot.truth"), windows_of(START, END), metric="accuracy")
        for frame in (two_classes(1000, 1), two_classes(3000, 2).filter(pl.col("x").abs() < 0.7))
    )
    unlabelled = two_classes(1000, 1).with_columns(pl.lit(None, pl.String).alias("autopilot.truth"))
    none = realised_of(BINARY, unlabelled, Reference("none", 0, {}), windows_of(START, END), END)
    word, breached, sentence = verdict("model-quality", realised=none, estimated=calm)
    assert (word, breached) == ("no drop", False)
    assert sentence.startswith(
        f"Nothing says that answers have got worse, estimated from 1,000 rows {WHERE} without labels: "
        "accuracy is probably 0."
    )
    assert sentence.endswith(LIMIT)
    word, breached, sentence = verdict("model-quality", realised=none, estimated=moved)
    assert (word, breached) == ("drop", True)
    assert sentence.startswith("Answers have probably got worse, estimated from ")
    assert sentence.endswith(f"{PROMISE} {LIMIT}")


@pytest.mark.parametrize(
    ("drop", "told"),
    [
        ((0.03, 0.01, 0.05), "(worse by 0.03, 95% interval 0.01 to 0.05)"),
        ((-0.000622, -0.02, 0.01), "(better by 0.000622, 95% interval −0.01 to 0.02)"),
    ],
)
def test_a_quality_that_rose_is_no_drop_below_nothing(drop: tuple[float, float, float], told: str) -> None:
    """The interval goes the same way."""
    reference = reference_of(BINARY, two_classes(3000, 0))
    found = realised_of(BINARY, two_classes(1000, 1), reference, windows_of(START, END), END, metric="accuracy")
    assert found.whole.drop is not None
    amount, low, high = drop
    moved = replace(found.whole, drop=replace(found.whole.drop, drop=amount, low=low, high=high))
    assert told in verdict("model-quality", realised=replace(found, whole=moved)).sentence


@pytest.mark.parametrize(
    ("labels", "told", "takes"),
    [
        (0, "No labels: 0 of 400 rows have", ""),
        (1, "Too few labels: 1 of 400 rows has", " A verdict takes 30 rows with a label."),
        (12, "Too few labels: 12 of 400 rows have", " A verdict takes 30 rows with a label."),
    ],
)
def test_quality_that_nobody_knows_is_told_with_the_labels(labels: int, told: str, takes: str) -> None:
    """And why there is no estimate."""
    truths = pl.when(pl.int_range(pl.len()) < labels).then("autopilot.truth")
    frame = two_classes(400, 1).with_columns(truths.alias("autopilot.truth"))
    realised = realised_of(BINARY, frame, Reference("none", 0, {}), windows_of(START, END), END)
    estimated = estimated_of(BINARY, two_classes(50, 0), frame.drop("autopilot.truth"), windows_of(START, END))
    word, breached, sentence = verdict("model-quality", realised=realised, estimated=estimated)
    assert (word, breached) == (realised.verdict, None)
    assert sentence == (
        f"Nobody can say how good answers were in the traffic {WHERE}. {told} a label, and there is no estimate "
        f"either (no reference).{takes}"
    )


def test_answers_that_were_not_explained_are_told_with_the_reason() -> None:
    """Whose rows were too few."""
    predictor = Predictor(portable.classifier())
    usual, few = (pl.DataFrame(till.rows(rows, seed=rows)) for rows in (400, 12))
    assert verdict("attribution", attribution=attribution_drift(predictor, usual, few)) == (
        "too few rows",
        None,
        f"Nobody can say what the model looks at in the traffic {WHERE}. It takes 30 rows on either side; there are "
        "200 and 12.",
    )
