"""The report is one page, whole and safe, whatever the run was and whatever goes wrong with a chart."""

import re
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from autopilot.explain import Dependence, Fairness, Importances
from autopilot.explain.fairness import Estimate as Rate
from autopilot.explain.fairness import Group
from autopilot.explain.importance import Importance
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.graph.conformal import Interval, Sets
from autopilot.report import charts, statistics
from autopilot.report.evidence import Evidence, HeldOut, KeptDependence
from autopilot.report.page import SHOWN_TRIALS, Page, render
from autopilot.search.folds import Scheme
from autopilot.search.frontier import Point
from autopilot.search.nested import Nested
from autopilot.table.findings import Finding
from storage.records import Member
from storage.signature import Kind
from tests.autopilot.report.runs import evidence, study, table

FOLDS = Scheme("k-fold", 3)
NASTY = """<script>alert("1")</script><img src=x onerror='y'> & ]]> {{ 7 * 7 }}"""
VOID = {"meta", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """Tags, attributes and text, and whether each tag is closed by its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG element without content."""
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Must close the one that is open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """All text."""
        self.text += data


def rates(group: str, rows: int) -> Group:
    """Of one group."""
    figures = tuple(Rate(name, 0.5, 0.4, 0.6, rows) for name in ("selection_rate", "accuracy"))
    return Group(group, rows, figures, figures, figures, is_small=False)


def dependence(
    column: str, kind: Kind, values: tuple[Any, ...], target: str = "y", output: str = "yes"
) -> KeptDependence:
    """On a column of a kind."""
    mean = tuple(np.linspace(0.3, 0.6, len(values)).tolist())
    return KeptDependence.of(Dependence(column, kind, target, output, values, mean, mean, mean, 90, 0.8))


def fair(column: str, *names: str, note: str = "F has few rows.") -> Fairness:
    """Of groups of a column."""
    groups = tuple(rates(name, 90) for name in names)
    gap = Rate("accuracy_difference", 0.1, None, None, 180)
    return Fairness(column, "binary", "yes", groups, (gap,), 0.95, (note,))


def explained(found: Evidence) -> Evidence:
    """With all that explanations add, some points of the frontier, and a finding."""
    points = [
        Point(us, score, (Member(number, "linear", 1.0),), chosen=number == 2)
        for number, us, score in ((1, 20.0, 0.7), (2, 40.0, 0.8), (3, 90.0, 0.81))
    ]
    days = tuple(datetime(2024, 5, day, tzinfo=UTC) for day in range(1, 9))
    return replace(
        found,
        points=tuple(points),
        findings=(Finding("warning", "code", "Something about 'a'.", "a", "r = 0.99", "It was kept.", 'ignore=["a"]'),),
        importances=Importances("roc_auc", 0.8, (Importance("a", 0.1, 0.05, 0.2, 1),), 0.95, 400, 5),
        dependences=(
            dependence("a", "number", (1.0, 2.0, 5.0)),
            dependence("town", "category", ("Ulm", "Bonn")),
            dependence("day", "time", days),
        ),
        fairness=(fair("sex", "M", "F"),),
    )


CASES: dict[str, Any] = {
    "binary": lambda: explained(
        evidence(study(table("binary"), FOLDS, weight="weight"), Head(sets=Sets(0.9, (0.1, 0.1))))
    ),
    "multiclass": lambda: evidence(study(table("multiclass", 600), FOLDS)),
    "regression": lambda: evidence(study(table("regression"), FOLDS), Head(interval=Interval(0.9, (), (40.0,)))),
    "nested": lambda: evidence(
        study(table("binary", 120), Scheme("k-fold", 3, repeats=2, nested=True)), nested=Nested(0.8, 0.03)
    ),
}


@cache
def page_of(case: str) -> str:
    """Drawn once."""
    return render(CASES[case]())


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_whole_and_needs_nothing_else(case: str) -> None:
    """Every tag closed, every chart drawn, no script, nothing to fetch, and well under a megabyte."""
    page = page_of(case)
    outline = Outline(page)
    assert not outline.tags & {"script", "link", "img", "iframe", "object"}
    fetched = [value for name, value in outline.attributes if name in ("src", "href", "xlink:href") and value]
    assert all(value.startswith("#") for value in fetched)
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert "@import" not in page
    assert len(page.encode()) < 1_000_000
    assert "could not be drawn" not in page
    assert "Not everything could be computed" not in page
    names = [value for name, value in outline.attributes if name == "id"]
    assert len(names) == len(set(names))


def test_the_page_tells_all_that_there_is() -> None:
    """Verdict, findings, metrics, charts, explanations, groups, leaderboard, validation and card."""
    found = CASES["binary"]()
    page = Outline(page_of("binary")).text
    for text in (
        f"Predicts y: ROC AUC {found.model.card.scores.test_score:.4g}",
        "Something about 'a'.",
        "average precision",
        "ROC: what is found, for how many false alarms",
        "Precision and recall",
        "Calibration: off by",
        "How far y = yes and the others are apart",
        "Gain: the first tenth holds",
        "Confusion matrix",
        "r = 0.99",
        "It was kept.",
        'ignore=["a"]',
        "How much worse roc_auc gets where a column is shuffled",
        "p(y = yes) by town",
        "By sex, chosen being yes",
        "accuracy difference",
        "F has few rows.",
        "What the search found, and when",
        "What a better score costs",
        "linear #1",
        "that were set aside before the search began",
        "Validated on folds.",
        "scales 3 numbers",
        "0" * 64,
        "Its sets, which promise 90%",
    ):
        assert text in page, text


def test_charts_of_values_are_there_for_a_regression() -> None:
    """Predictions, residuals, and whether intervals hold their promise."""
    page = Outline(page_of("regression")).text
    for text in (
        "Predicted and true values",
        "How far predictions are off, by prediction",
        "How often predictions are off by how much",
        "Do 90% of the intervals hold the truth?",
        "Half of its predictions are off by less than",
    ):
        assert text in page, text


def test_texts_of_strangers_are_escaped() -> None:
    """Names of columns, classes, groups and data, findings, notes, parameters and reasons are text and nothing else."""
    frame = table("multiclass", 300, classes=(NASTY, "b", "c"))
    found = explained(evidence(study(frame.rename({"a": "a"}), FOLDS)))
    trial = found.trials[-1]
    card = replace(
        found.model.card,
        notes=(NASTY,),
        plans={NASTY: (NASTY,)},
        members=(Member(1, NASTY, 1.0, {NASTY: NASTY}, NASTY),),
    )
    found = replace(
        found,
        run=replace(found.run, data=NASTY, target=NASTY, reason=NASTY),
        model=replace(found.model, name=NASTY, card=card, signature=replace(found.signature, target=NASTY)),
        findings=(Finding("warning", "code", NASTY, NASTY, NASTY, NASTY, NASTY),),
        trials=(
            *found.trials,
            replace(
                trial,
                trial=replace(
                    trial.trial, number=9, status="failed", candidate=NASTY, reason=NASTY, params={NASTY: NASTY}
                ),
            ),
        ),
        notes=(NASTY,),
        importances=Importances(NASTY, 0.5, (Importance(NASTY, 0.1, 0.05, 0.2, 1),), 0.95, 400, 5),
        dependences=(dependence(NASTY, "category", (NASTY, "b"), NASTY, NASTY),),
        fairness=(fair(NASTY, NASTY, "b", note=NASTY),),
    )
    page = render(found)
    outline = Outline(page)
    assert not outline.tags & {"script", "img"}
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    assert "49" not in outline.text.split("{{ 7 * 7 }}")[1][:20]
    assert outline.text.count(NASTY) > 20
    assert "could not be drawn" not in page


def test_a_chart_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in its place, with the reason."""

    def broken(curves: object) -> None:
        raise ZeroDivisionError("no <rows> at all")

    monkeypatch.setattr(charts, "roc_chart", broken)
    page = render(CASES["binary"]())
    assert page.count("This chart could not be drawn (ZeroDivisionError: no &lt;rows&gt; at all)") == 1
    assert "Calibration: off by" in page
    Outline(page)


def test_figures_that_fail_leave_the_cards_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without intervals the score is still there; the end of the page says what is missing."""

    def broken(found: Evidence) -> None:
        raise MemoryError("too many draws")

    monkeypatch.setattr(statistics, "estimates", broken)
    found = CASES["regression"]()
    text = Outline(render(found)).text
    assert "Not everything could be computed: The intervals of the metrics: MemoryError: too many draws." in text
    assert f"Predicts y: RMSE {found.model.card.scores.test_score:.4g}" in text


def test_a_run_without_predictions_has_a_page() -> None:
    """Where only the constant guess, or a model from the middle of the search, was published."""
    text = Outline(render(evidence(study(table("binary"), FOLDS), held=None))).text
    assert "no predictions were kept to draw" in text
    assert "not known" in text
    assert "Leaderboard" in text


def test_a_hundred_classes_are_folded() -> None:
    """The largest are drawn and listed; others are counted."""
    small = CASES["multiclass"]()
    rng = np.random.default_rng(0)
    y = rng.integers(0, 100, 1500).astype(np.float64)
    shares = rng.dirichlet(np.full(100, 0.1), 1500)
    shares[np.arange(1500), y.astype(int)] += 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    zeros = np.zeros(1500, dtype=np.int64)
    held = HeldOut(y, shares, np.full((1, 100), 0.01), zeros, None, zeros, np.arange(1500), 1500)
    signature = replace(small.signature, classes=tuple(f"a class by the number of {number}" for number in range(100)))
    found = replace(small, head=NO_HEAD, held=held, model=replace(small.model, signature=signature))
    page = render(found)
    assert "90 others" in page
    assert "Classes, the 12 of the most rows of 100" in page
    assert "could not be drawn" not in page
    assert len(page.encode()) < 400_000


def test_many_trials_are_counted_and_failures_have_reasons() -> None:
    """The best twenty are listed, equal reasons once."""
    found = CASES["regression"]()
    timed = found.trials[-1]
    many = [replace(timed, trial=replace(timed.trial, number=number)) for number in range(10, 60)]
    failed = [
        replace(timed, trial=replace(timed.trial, number=number, status="failed", score=None, reason="out of memory"))
        for number in range(60, 63)
    ]
    text = Outline(render(replace(found, trials=(*many, *failed), trial_count=2000))).text
    assert f"{2000 - SHOWN_TRIALS:,} further trials are in" in text
    assert re.search(r"linear\s*3\s*out of memory", text)


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(tmp_path: Path) -> None:
    """Where its style touches nothing else and nothing runs; saved, it is the page."""
    page = Page('<p class="x">a & b</p>')
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;p class=&quot;x&quot;&gt;a &amp;amp;'[:40])
    assert "sandbox" in page._repr_html_()
    assert page.save(tmp_path / "report.html").read_text(encoding="utf-8") == page.html


def test_the_same_evidence_gives_the_same_page() -> None:
    """To the letter."""
    found = explained(CASES["nested"]())
    assert render(found) == render(Evidence.from_bytes(found.to_bytes()))
