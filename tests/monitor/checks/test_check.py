"""What a window breaks."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.checks import Quality, Violation, check, suggest
from storage.errors import SettingError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEXTS = [f"the parcel number {i} came two days late" for i in range(10, 90)]


def training(rows: int = 2000) -> pl.DataFrame:
    """One column of each sort, complete."""
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "amount": rng.normal(50, 5, rows),
            "visits": rng.integers(0, 9, rows),
            "town": rng.choice(["Ulm", "Bonn", "Köln"], rows),
            "note": [TEXTS[i % 80] for i in range(rows)],
            "seen": [datetime(2026, 4, 1) + timedelta(minutes=i) for i in range(rows)],  # noqa: DTZ001
            "id": [f"c{i}" for i in range(rows)],
        }
    )


BASELINE = suggest(training(), kinds={"note": "text"}, now=NOW)


def found(frame: pl.DataFrame, **options: Any) -> list[Violation]:
    """Violations of a window."""
    return list(check(frame, BASELINE, now=NOW, **options).violations)


def broken(name: str, values: Any, rows: int = 200) -> pl.DataFrame:
    """A window whose first rows hold other values in one column."""
    values = values if isinstance(values, pl.Series) else pl.Series(values)
    window = training().head(rows)
    rest = window[name].slice(len(values))
    try:
        column = pl.concat([values.cast(rest.dtype), rest])
    except pl.exceptions.PolarsError:
        column = pl.concat([values.cast(pl.String), rest.cast(pl.String)])
    return window.with_columns(column.alias(name))


def test_the_training_rows_are_alright() -> None:
    """All of them, and a part of them."""
    for rows in (2000, 200):
        assert check(training().head(rows), BASELINE, now=NOW).verdict == "no violations"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("amount", [None] * 10, "completeness"),
        ("amount", [float("nan")] * 10, "completeness"),
        ("note", [""] * 10, "completeness"),
        ("amount", ["n/a"] * 10, "type"),
        ("visits", ["2.5"] * 10, "type"),
        ("amount", [500.0] * 10, "range"),
        ("amount", [0.5] * 10, "range"),
        ("amount", [-3.0] * 10, "non_negative"),
        ("amount", [float("inf")] * 10, "finite"),
        ("town", ["Rom"] * 10, "domain"),
        ("note", ["no"] * 10, "length"),
        ("note", ["a long story " * 50] * 10, "length"),
        ("seen", [datetime(1970, 1, 1)] * 10, "range"),  # noqa: DTZ001
        ("seen", [datetime(2030, 1, 1)] * 10, "past"),  # noqa: DTZ001
        ("seen", ["soon"] * 10, "type"),
        ("id", ["c150"] * 10, "unique"),
    ],
)
def test_ten_wrong_values_in_two_hundred_are_found(name: str, values: list[Any], kind: str) -> None:
    """And nothing else is called wrong."""
    [violation] = found(broken(name, values))
    assert (violation.column, violation.check) == (name, kind)
    assert violation.rows == 10
    assert violation.looked_at is not None
    assert violation.observed == 10 / violation.looked_at
    assert violation.p_value is not None
    assert violation.p_value <= 0.05 / 30


def test_one_value_beyond_the_largest_is_chance() -> None:
    """Of 2,200 values, the largest is in a window of 200 in one of eleven cases."""
    assert found(broken("amount", [500.0])) == []


def test_a_sentence_and_examples_tell_what_was_found() -> None:
    """As it was sent, five values at most."""
    [violation] = found(broken("visits", ["7.5", "n/a", "8.5", "9.5", "1.5", "2.5", "n/a", "3.5"]))
    assert violation.sentence == (
        "Column 'visits': 8 of 200 values (4%) are no whole number. Of the baseline's 2,000, none did."
    )
    assert violation.examples == ("'7.5'", "'n/a'", "'8.5'", "'9.5'", "'1.5'")


def test_a_limit_is_told_in_the_columns_unit() -> None:
    """Numbers, times and characters."""
    sentences = [
        found(broken("town", ["Rom"] * 9))[0].sentence,
        found(broken("seen", [datetime(1970, 1, 1)] * 9))[0].sentence,  # noqa: DTZ001
        found(broken("note", ["no"] * 9))[0].sentence,
    ]
    assert "none of the 3 levels" in sentences[0]
    assert "earlier than 2026-04-01 00:00:00 UTC, the earliest of the baseline" in sentences[1]
    assert "shorter than 39 characters, the shortest of the baseline" in sentences[2]


def test_of_a_sensitive_column_no_value_is_told() -> None:
    """Neither examples nor limits, though the baseline has them."""
    for name, values in (("amount", [777.0] * 10), ("town", ["Rom"] * 10), ("seen", [datetime(1970, 1, 1)] * 10)):  # noqa: DTZ001
        [violation] = found(broken(name, values), sensitive=[name])
        assert violation.examples == ()
        told = violation.sentence.removeprefix(f"Column {name!r}: 10 of 200 values (5%) ")
        assert not any(word in told for word in ("777", "Rom", "1970", "2026", "6"))


def test_columns_that_are_missing_or_new_are_told_first() -> None:
    """A type change is no reason to stop either."""
    window = training().head(100).drop("town").with_columns(amount=pl.lit("x"), new=pl.lit(1))
    assert [(one.column, one.check) for one in found(window)] == [
        ("town", "missing_column"),
        ("new", "extra_column"),
        ("amount", "type"),
    ]


def test_a_redacted_column_is_not_missing() -> None:
    """Whoever left it out says so."""
    assert found(training().head(100).drop("town"), absent=["town"]) == []


@pytest.mark.parametrize("value", [None, [1], b"x", {"a": 1}, datetime(2026, 4, 2), True])  # noqa: DTZ001
def test_any_type_in_place_of_a_number_is_a_finding(value: Any) -> None:
    """Not an error. A boolean is 0 or 1, as for serving."""
    window = training().head(100).with_columns(pl.Series("amount", [value] * 100))
    checks = {one.check for one in found(window)}
    assert checks == ({"completeness"} if value is None else {"range"} if value is True else {"type"})


def test_whole_floats_are_integral() -> None:
    """Captured traffic has floats only."""
    assert found(training().head(100).with_columns(pl.col("visits").cast(pl.Float64))) == []


def test_few_rows_and_none_are_verdicts() -> None:
    """That nothing was found says nothing then, but what is found is found."""
    assert check(training().head(0), BASELINE).verdict == "no rows"
    assert check(training().head(29), BASELINE).verdict == "too few rows"
    assert check(training().head(30), BASELINE).verdict == "no violations"
    steady = pl.DataFrame({"x": [1, 2] * 50})
    assert check(steady, suggest(steady.head(28))).verdict == "too few rows"
    assert check(training().head(0).drop("town"), BASELINE).verdict == "violations"
    assert check(training().head(29).with_columns(town=pl.lit("Rom")), BASELINE).verdict == "violations"


def test_rows_that_repeat_are_told() -> None:
    """A pipeline that sends everything twice."""
    window = training().head(100).with_columns(pl.col("id").str.replace("c", "d"))
    twice = pl.concat([window, window])
    assert [(one.check, one.rows) for one in found(twice)] == [("unique", 100), ("distinct_rows", 100)]


def test_an_answer_that_was_captured_twice_is_told() -> None:
    """Two rows of one request are no repeat; the same row of it is. Capture's own columns are not extra."""
    ids = [str(uuid.UUID(int=i // 2)) for i in range(100)]
    window = (
        training()
        .head(100)
        .with_columns(pl.Series("autopilot.inference_id", ids), pl.Series("autopilot.row", [i % 2 for i in range(100)]))
    )
    assert found(window) == []
    again = window.with_columns(pl.Series("autopilot.row", [0, 0, *(i % 2 for i in range(2, 100))]))
    [violation] = found(again)
    assert (violation.check, violation.rows) == ("inference_ids", 1)


def test_a_large_window_does_not_alarm_on_trifles() -> None:
    """A share that the baseline leaves plausible is none, however certain it is: 1 in 2,000 of a complete column."""
    window = pl.DataFrame(
        {"x": pl.Series([1, 2] * 500_000).set(pl.Series([i % 1000 == 0 for i in range(1_000_000)]), None)}
    )
    complete = suggest(pl.DataFrame({"x": [1, 2] * 1000}))
    assert check(window, complete).verdict == "no violations"


def test_the_same_share_is_chance_in_a_small_window_only() -> None:
    """2% missing where 1% was: nothing in 100 rows, a finding in 10,000."""
    baseline = suggest(pl.DataFrame({"x": [None, *[1, 2] * 49, 1] * 50}))
    window = [None, *[1, 2] * 24, 1]
    assert check(pl.DataFrame({"x": window * 2}), baseline).verdict == "no violations"
    [violation] = check(pl.DataFrame({"x": window * 200}), baseline).violations
    assert (violation.observed, violation.expected) == (0.02, 0.01)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_a_level_that_is_no_chance_is_refused(level: float) -> None:
    """It has to be above 0 and below 1."""
    with pytest.raises(SettingError, match="level"):
        check(training(), BASELINE, level=level)


def test_the_level_is_shared_out() -> None:
    """Over all tests that are made."""
    quality = check(training(), BASELINE, now=NOW, level=0.1)
    assert quality.threshold == pytest.approx(0.1 / quality.tests)
    assert quality.tests == 6 + 6 + 3 + 4 + 4 + 5 + 1  # by column, and rows that repeat


def test_a_record_is_json() -> None:
    """As it goes into a report."""
    quality = check(broken("town", ["Rom"] * 10).drop("note"), BASELINE)
    assert Quality.parse(quality.json()) == quality


def test_ten_thousand_levels_and_a_thousand_columns_are_checked() -> None:
    """Each is read, and what is wrong in one is found."""
    wide = pl.DataFrame({f"c{i}": [1.5, 2.5, 3.5] * 20 for i in range(1000)})
    baseline = suggest(wide.with_columns(many=pl.Series([f"level {i}" for i in range(60)])))
    window = wide.with_columns(c7=pl.lit("x"), many=pl.Series([f"level {i}" for i in range(60)]))
    assert [(one.column, one.check) for one in check(window, baseline).violations] == [("c7", "type")]


values = st.one_of(
    st.lists(st.none() | st.floats(), min_size=0, max_size=40).map(lambda v: pl.Series(v, dtype=pl.Float64)),
    st.lists(st.none() | st.text(max_size=5), max_size=40).map(lambda v: pl.Series(v, dtype=pl.String)),
    st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=40).map(lambda v: pl.Series(v, dtype=pl.Int64)),
    st.lists(st.none() | st.booleans(), max_size=40).map(lambda v: pl.Series(v, dtype=pl.Boolean)),
    st.lists(st.none() | st.datetimes(), max_size=40).map(lambda v: pl.Series(v, dtype=pl.Datetime("us"))),
)


@given(values, values)
@settings(max_examples=80, deadline=None)
def test_any_column_gives_a_verdict_on_any_other_one(before: pl.Series, now: pl.Series) -> None:
    """No exception, and shares that are shares."""
    baseline = suggest(before.alias("x").to_frame(), now=NOW)
    quality = check(now.alias("x").to_frame(), baseline, now=NOW)
    assert not quality.unchecked
    for violation in quality.violations:
        assert violation.observed is not None
        assert 0 < violation.observed <= 1
    assert check(before.alias("x").to_frame(), baseline, now=NOW).violations == ()


def test_a_number_that_became_a_list_is_told_in_a_line() -> None:
    """What was sent, not how Polars draws it."""
    (violation,) = check(training().with_columns(visits=pl.concat_list("visits", "visits")), BASELINE).violations
    assert violation.check == "type"
    assert all(example.startswith("[") and "\n" not in example for example in violation.examples)
