"""All checks together: what they leave alone, what follows from them, and that they can be done again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from polars.testing.parametric import dataframes

from autopilot.guardrails import Guarded, guard
from autopilot.guardrails.caught import Caught
from autopilot.guardrails.guard import CHECKS
from autopilot.guardrails.sample import Sample
from autopilot.table.roles import Roles
from storage.errors import DataError
from storage.signature import Dropped
from tests import tables as mixed_tables
from tests.autopilot.guardrails.tables import KINDS, Kind, N, clean, codes, found, guarded, number, read, target_of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_raised_in_a_clean_table(kind: Kind, seed: int) -> None:
    """Of any task, nothing left out, nothing divided."""
    caught = guarded(clean(kind, seed=seed))
    assert caught == Guarded(caught.findings)
    assert codes(caught) == set()


@pytest.mark.parametrize("make", [mixed_tables.mixed, mixed_tables.multiclass, mixed_tables.regression])
def test_times_prose_and_holes_are_no_faults(make: "type[mixed_tables.mixed]") -> None:  # pyright: ignore
    """The tables that other tests learn from stay as they are."""
    frame = make(400)
    frame = frame.rename({frame.columns[-1]: "y"})
    assert codes(guarded(frame)) == set()


ODD = {
    "one column": {"x": [float(at * 7 % 31) for at in range(60)]},
    "one column of text": {"x": [f"w{at * 7 % 31}" for at in range(60)]},
    "infinities and the largest numbers": {
        "x": [float("inf"), -1e308, 1e308, None, 0.0, 5e-324] * 10,
        "z": [0.0, 1.0] * 30,
    },
    "hardly anything there": {"x": [None] * 58 + [1.0, 2.0], "z": [None] * 57 + ["a", "b", "c"]},
    "times with holes": {"x": [datetime(2024, 1, 1) + timedelta(hours=at) if at % 3 else None for at in range(60)]},  # noqa: DTZ001
    "names that Polars gives columns": {"count": [f"c{at % 25}" for at in range(60)], "len": [0.0] * 59 + [1.0]},
    "two columns that go together": {"x": list(range(0, 600, 10)), "z": [at + 1e-9 * (at % 3) for at in range(60)]},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_tables_are_looked_at_without_a_fault(name: str, kind: Kind) -> None:
    """No warning of NumPy, no error, and something is left to learn from."""
    score = np.random.default_rng(0).normal(size=60)
    table = read(pl.DataFrame(ODD[name], strict=False).with_columns(y=target_of(kind, score)))
    caught = guard(table, limit_s=600.0)
    assert caught.applied(table).signature.columns
    assert "check_failed" not in codes(caught)


@given(
    mixed=dataframes(
        cols=2, min_size=40, max_size=60, allow_null=True, allowed_dtypes=[pl.Float64, pl.Int64, pl.String]
    )
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_cell_makes_the_checks_fail(mixed: pl.DataFrame) -> None:
    """Whatever is in it; tables that `infer` refuses apart."""
    try:
        table = read(mixed.with_columns(y=target_of("regression", np.random.default_rng(0).normal(size=mixed.height))))
    except DataError:
        assume(False)
    else:
        caught = guard(table, limit_s=600.0)
        assert caught.applied(table).signature.columns
        assert "check_failed" not in codes(caught)


def test_something_is_left_to_learn_from() -> None:
    """However many columns are numbers that were handed out, or means of the target."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=2000)
    numbers = {name: rng.permutation(2000) for name in ("a", "b")}
    table = read(pl.DataFrame({**numbers, "y": y}))
    assert guard(table, limit_s=600.0).applied(table).signature.names == ("b",)


def test_decisions_hold_for_another_table_so_far_as_it_has_the_columns() -> None:
    """Of those that it lacks nothing is asked."""
    frame = clean("binary")
    table = read(frame)
    gone = (Dropped("fee", "is no column here"), Dropped("a", "was left out"))
    applied = Guarded((), gone, group="patient", time="day").applied(table)
    assert applied.signature.names == tuple(name for name in table.signature.names if name != "a")
    assert (applied.groups, applied.times) == (None, None)


def test_what_is_left_out_is_dropped_with_its_reason() -> None:
    """From frame and signature alike; findings come first, and the rest of the table stays."""
    frame = clean("regression")
    frame = frame.with_columns(copy=pl.Series(np.log(number(frame) + 1000)))
    table = read(frame)
    after = guarded(frame).applied(table)
    assert after.frame.columns == list(after.signature.names) == ["a", "b", "c", "town", "job"]
    reason = "tells nearly all of the target alone, as if it were known only afterwards"
    assert after.signature.dropped == (Dropped("copy", reason),)
    assert after.findings[0].code == "leak"
    assert after.findings[-len(table.findings) :] == table.findings
    assert (after.y is table.y, after.groups, after.times) == (True, None, None)


def test_what_was_decided_is_done_again_from_what_was_written_down() -> None:
    """As JSON on a tape."""
    frame = clean("binary")
    frame = pl.concat([frame, frame[: N // 3]]).with_columns(
        id=pl.Series(np.random.default_rng(0).permutation(N + N // 3))
    )
    caught = guarded(frame)
    again = msgspec.json.decode(msgspec.json.encode(caught), type=Guarded)
    assert again == caught
    first, second = caught.applied(read(frame)), again.applied(read(frame))
    assert first.signature == second.signature
    assert first.groups is not None
    assert second.groups is not None
    assert first.groups.tolist() == second.groups.tolist()


def test_the_same_seed_gives_the_same() -> None:
    """Whatever is drawn."""
    frame = clean("multiclass").with_columns(id=pl.Series(np.random.default_rng(1).permutation(N)))
    assert guarded(frame, seed=3) == guarded(frame, seed=3)


def test_errors_come_first() -> None:
    """Then warnings, then what is good to know."""
    frame = clean("binary")
    frame = frame.with_columns(
        copy=number(frame),
        holes=pl.when(pl.int_range(N) % 50 == 0).then(1.5 * pl.col("a")),
        half=pl.when(pl.int_range(N) % 3 == 0).then(pl.col("b") ** 2),
    )
    assert [one.severity for one in guarded(frame).findings] == ["error", "warning", "info"]


def test_what_there_was_no_time_for_is_told() -> None:
    """What came after the first checks; all of it, where there are more columns than there is time for."""
    table = read(clean("binary"))
    [found] = [one for one in guard(table, limit_s=0.002).findings if one.code == "skipped"]
    assert list(CHECKS)[-1] in found.message
    [skipped] = guard(table, limit_s=0.0).findings
    assert (skipped.code, skipped.message) == ("skipped", "Not looked for within 0.0 s: anything.")


def test_a_check_that_fails_is_told_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on."""

    def failing(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
        raise ZeroDivisionError("by accident")
        yield

    monkeypatch.setitem(CHECKS, "identifiers", failing)
    frame = clean("binary")
    caught = guarded(frame.with_columns(copy=number(frame)))
    assert [one.code for one in caught.findings] == ["leak", "check_failed"]
    assert caught.findings[1].message == "The check of identifiers failed: ZeroDivisionError: by accident"


def test_rows_that_the_user_divided_stay_so() -> None:
    """Neither groups nor equal rows change it."""
    frame = clean("binary").with_columns(patient=pl.int_range(N) % 100)
    frame = pl.concat([frame, frame])
    table = read(frame, roles=Roles(group="patient"))
    caught = guard(table, limit_s=600.0)
    assert found(caught, "twins").action == "Rows are divided as asked."
    after = caught.applied(table)
    assert after.groups is not None
    assert table.groups is not None
    assert after.groups.tolist() == table.groups.tolist()
