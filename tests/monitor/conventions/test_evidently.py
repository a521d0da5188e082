"""Our rule by Evidently's name says what Evidently 0.7.23 said of the same tables."""

import pytest

from monitor.calibrated import Finding
from monitor.conventions import CONVENTIONS, DRIFTED_SHARES
from tests.monitor.conventions.asked import answers_of, asked_tables, odd_columns

METHODS = {
    "K-S p_value": "Kolmogorov-Smirnov",
    "chi-square p_value": "chi-square of fit",
    "Z-test p_value": "z-test",
    "Jensen-Shannon distance": "Jensen-Shannon distance in nats",
    "Wasserstein distance (normed)": "Wasserstein over the reference's σ",
    "Percentile text content drift": "area of a text classifier",
    "Absolute text content drift": "area of a text classifier",
}
RANDOM_AREAS = "Percentile text content drift"
FINDINGS = 18


def score(finding: Finding) -> float | None:
    """What Evidently calls the drift score."""
    return finding.statistic if finding.p_value is None else finding.p_value


@pytest.fixture(scope="module")
def both() -> list[tuple[dict, dict[str, Finding]]]:
    """What Evidently said of each table, and what we say; texts are for another test."""
    pairs = []
    for answer, (checksum, columns) in zip(answers_of("evidently")["tables"], asked_tables(), strict=True):
        assert answer["checksum"] == checksum
        chosen = {name: c for name, c in columns.items() if "text content" not in answer["columns"][name][0]}
        pairs.append((answer, dict(zip(chosen, CONVENTIONS["evidently"](list(chosen.values())), strict=True))))
    return pairs


def test_every_verdict_is_evidentlys(both: list[tuple[dict, dict[str, Finding]]]) -> None:
    """All columns of all tables: method, score, threshold and verdict."""
    seen = 0
    for answer, findings in both:
        for name, finding in findings.items():
            method, expected, threshold, drifted = answer["columns"][name]
            assert finding.method == METHODS[method], name
            assert score(finding) == pytest.approx(expected, rel=1e-9, abs=1e-12), (name, method)
            assert (finding.threshold, finding.drifted) == (threshold, drifted), (name, method)
            seen += 1
    assert seen > 42 * (FINDINGS - 3)


def test_every_share_of_drifted_columns_is_evidentlys(both: list[tuple[dict, dict[str, Finding]]]) -> None:
    """Counted over the columns of numbers and categories, and those texts that it told of."""
    verdicts = set()
    for answer, findings in both:
        texts = [said[3] for name, said in answer["columns"].items() if name not in findings]
        drifted = sum(finding.drifted for finding in findings.values()) + sum(texts)
        assert drifted / len(answer["columns"]) == answer["share"]
        verdicts.add(answer["share"] >= DRIFTED_SHARES["evidently"])
    assert verdicts == {True, False}


@pytest.mark.slow
def test_every_verdict_on_text_is_evidentlys() -> None:
    """The classifier's area to the last digits; of small references the 95th percentile of 1,000 random areas."""
    seen = set()
    for answer, (_, columns) in zip(answers_of("evidently")["tables"], asked_tables(), strict=True):
        for name, (method, expected, threshold, drifted) in answer["columns"].items():
            if METHODS[method] != "area of a text classifier":
                continue
            finding = CONVENTIONS["evidently"]([columns[name]])[0]
            assert finding.method == METHODS[method]
            assert finding.statistic == pytest.approx(expected, abs=1e-9)
            assert finding.drifted == drifted
            assert finding.threshold == threshold or method == RANDOM_AREAS
            seen.add((method, drifted))
    assert len(seen) == 4


@pytest.mark.parametrize("number", [1, 4])
def test_verdicts_on_text_are_evidentlys(number: int) -> None:
    """One table with a reference of more than 1,000 rows, and one of fewer."""
    answer, (_, columns) = answers_of("evidently")["tables"][number], asked_tables()[number]
    _, expected, _, drifted = answer["columns"]["text"]
    finding = CONVENTIONS["evidently"]([columns["text"]])[0]
    assert (finding.statistic, finding.drifted) == (pytest.approx(expected, abs=1e-9), drifted)


@pytest.mark.parametrize("name", list(odd_columns()))
def test_odd_columns_get_evidentlys_verdict_or_none(name: str) -> None:
    """Where Evidently gives up, or leaves a column out, there is a note instead of a verdict."""
    expected, finding = answers_of("evidently")["odd"][name], CONVENTIONS["evidently"]([odd_columns()[name]])[0]
    if expected is None:
        assert finding.method == "none"
        assert not finding.drifted
        assert "Evidently" in finding.note
    else:
        method, value, _, drifted = expected
        assert finding.method == METHODS[method]
        assert score(finding) == pytest.approx(value, rel=1e-9, abs=1e-12)
        assert finding.drifted == drifted
