"""Rows that are equal, in order, or about one thing; and numbers that were handed out to them."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from autopilot.guardrails.twins import equal_rows
from tests.autopilot.guardrails.tables import KINDS, Kind, N, clean, codes, found, guarded, number, read

RNG = np.random.default_rng(6)


# ---------------------------------------------------------------------------------------------------- identifiers


def test_numbers_that_were_handed_out_are_left_out() -> None:
    """In any order, with gaps."""
    caught = guarded(clean("binary").with_columns(record=pl.Series(1000 + 2 * RNG.permutation(N))))
    one = found(caught, "identifier")
    assert (one.severity, one.action) == ("warning", "It was left out.")
    assert one.evidence.startswith("1,600 distinct numbers in 1,600 rows, from 1000 to 4198")
    assert [drop.name for drop in caught.left_out] == ["record"]


def test_numbers_that_were_handed_out_in_an_order_that_tells_are_an_error() -> None:
    """Say, by the outcome of last year."""
    frame = clean("regression")
    y = number(frame)
    places = np.argsort(np.argsort(y + y.std() * RNG.normal(size=N)))
    assert found(guarded(frame.with_columns(record=pl.Series(places))), "identifier").severity == "error"


def test_amounts_are_no_identifiers_though_none_is_there_twice() -> None:
    """In a range that wide, no number is expected twice."""
    assert codes(guarded(clean("binary").with_columns(income=pl.Series(RNG.integers(0, 10**7, N))))) == set()


# ---------------------------------------------------------------------------------------------------------- twins


def test_copied_rows_are_kept_together() -> None:
    """A row and its twin have one number, and all others their own."""
    frame = clean("regression")
    both = pl.concat([frame, frame[: N // 4]])[RNG.permutation(N + N // 4)]
    caught = guarded(both)
    assert caught.together
    assert found(caught, "twins").evidence.startswith("20.0% of rows, 0.0% if the values of a column are shuffled")
    groups = caught.applied(read(both)).groups
    assert groups is not None
    assert np.bincount(groups).tolist().count(2) == N // 4
    assert groups.max() + 1 == N


def test_few_copies_are_told_and_change_nothing() -> None:
    """Two in a hundred."""
    frame = clean("binary")
    caught = guarded(pl.concat([frame, frame[: N // 50]])[RNG.permutation(N + N // 50)])
    assert codes(caught) == {"twins"}
    assert not caught.together


def test_rows_of_few_levels_are_equal_by_themselves() -> None:
    """Nearly all of them, and it is no fault."""
    frame = clean("binary").select("c", "town", "job", "y")
    assert codes(guarded(frame)) == set()


def test_twins_with_another_target_are_counted() -> None:
    """Of 400 copies, each has the other one."""
    frame = clean("binary")
    turned = frame[:400].with_columns(y=pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes")))
    caught = guarded(pl.concat([frame, turned])[RNG.permutation(N + 400)])
    assert "100.0% of them have another target" in found(caught, "twins").evidence


def test_equal_rows_are_numbered_from_the_first() -> None:
    """Missing cells are equal to each other, in their own column alone."""
    frame = pl.DataFrame({"a": ["x", None, "x", None, "x"], "b": [1.0, 1.0, 1.0, 1.0, None]})
    assert equal_rows(frame).tolist() == [0, 1, 0, 1, 2]
    assert equal_rows(pl.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]})).tolist() == [0, 1]


# ---------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_sorted_by_its_target_is_told(kind: Kind) -> None:
    """With nothing done: the place of a row is no feature."""
    one = found(guarded(clean(kind).sort("y")), "row_order")
    assert one.message.startswith("The rows are sorted by the target")


def test_neighbours_that_are_alike_are_told() -> None:
    """Ten rows in a row go up or down together, wherever they are."""
    frame = clean("regression")
    frame = frame.with_columns(pl.col("y") + pl.Series(np.repeat(300 * RNG.normal(size=N // 10), 10)))
    assert found(guarded(frame), "row_order").message.startswith("The order of the rows tells the target")


def moving(step: float) -> pl.DataFrame:
    """A log in time whose target moves by so many standard deviations, in its middle most."""
    frame = clean("regression")
    moved = np.tanh(np.linspace(-4, 4, N)) * step * number(frame).std()
    times = [datetime(2024, 1, 1) + timedelta(hours=at) for at in range(N)]  # noqa: DTZ001
    return frame.with_columns(pl.col("y") + pl.Series(moved), seen=pl.Series(times))


def test_a_log_whose_target_moves_is_validated_in_time() -> None:
    """Random rows would tell the level of their time."""
    frame = moving(2.0)
    caught = guarded(frame)
    assert caught.time == "seen"
    assert found(caught, "time_order").overrule == "To divide rows at random: columns={'seen': 'time'}."
    after = caught.applied(read(frame))
    assert after.times is not None
    assert after.times.tolist() == list(range(N))
    assert "seen" in after.signature.names


def test_the_order_of_rows_is_not_told_twice() -> None:
    """The time that divides them explains it."""
    assert codes(guarded(moving(2.0))) == {"time_order"}


def test_of_rows_in_another_order_it_is_told_what_to_type() -> None:
    """A time that does not order the rows may be anything: a birthday."""
    caught = guarded(moving(2.0)[RNG.permutation(N)])
    assert caught.time is None
    assert found(caught, "time_order").overrule == "If later rows will be predicted: time='seen'."


def test_a_time_that_the_user_gave_a_kind_divides_no_rows() -> None:
    """It is told all the same."""
    caught = guarded(moving(2.0), kept=("seen",))
    assert caught.time is None
    assert found(caught, "time_order").action == "Rows are divided at random."


def test_a_log_whose_target_stays_is_divided_at_random() -> None:
    """Nothing would be gained."""
    assert codes(guarded(moving(0.0))) == set()


# --------------------------------------------------------------------------------------------------------- groups


def visits(kind: Kind, noise: float = 0.05) -> pl.DataFrame:
    """Each of 200 rows eight times, its numbers a little off, as visits of a patient with one outcome."""
    frame = clean(kind)
    patient = RNG.permutation(np.repeat(np.arange(200), 8))
    return frame[patient].with_columns(
        pl.col("a") + noise * pl.Series(RNG.normal(size=N)),
        pl.col("b") + noise * pl.Series(RNG.normal(size=N)),
        patient=pl.Series([f"P{at}" for at in patient]),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_visits_of_patients_are_kept_together(kind: Kind) -> None:
    """Whole patients validate, and their names are no feature."""
    frame = visits(kind)
    caught = guarded(frame)
    assert (caught.group, caught.left_out) == ("patient", ())
    after = caught.applied(read(frame))
    assert after.groups is not None
    assert np.bincount(after.groups).tolist() == [8] * 200
    assert after.signature.names == ("a", "b", "c", "town", "job")
    assert after.signature.dropped[-1].reason == "says which rows belong together"


def test_a_group_goes_before_equal_rows() -> None:
    """Which are in one group anyway; the finding says so."""
    caught = guarded(visits("binary", noise=0.0).with_columns(extra=pl.Series(RNG.integers(0, 2, N))))
    assert (caught.group, caught.together) == ("patient", False)
    one = found(caught, "twins")
    assert (one.action, one.overrule) == ("Rows are divided by 'patient'.", "")


def test_patients_by_number_are_as_good() -> None:
    """What neighbouring numbers have in common is not theirs."""
    frame = visits("binary").with_columns(pl.col("patient").str.slice(1).cast(pl.Int64))
    frame = frame.with_columns(patient=pl.col("patient") * 77 % 200)
    assert guarded(frame).group == "patient"


def test_a_kind_keeps_a_group_as_a_feature() -> None:
    """A warning says what else to type."""
    caught = guarded(visits("binary"), kept=("patient",))
    assert caught.group is None
    assert found(caught, "entities").overrule == "If the model will meet new values of it: group='patient'."


def test_amounts_are_no_groups_though_rows_of_one_are_alike() -> None:
    """Half of the rows are copies, so that rows with the same number of rooms are alike."""
    frame = clean("regression").with_columns(rooms=pl.Series(RNG.integers(0, 800, N)))
    assert codes(guarded(pl.concat([frame, frame])[RNG.permutation(2 * N)])) == {"twins"}


def test_levels_that_are_only_many_are_no_groups() -> None:
    """Two hundred shops that have nothing to do with the target."""
    shops = pl.Series([f"shop {at}" for at in RNG.integers(0, 200, N)])
    assert codes(guarded(clean("binary").with_columns(shop=shops))) == set()


def test_a_good_category_of_many_levels_is_told_and_stays_a_feature() -> None:
    """The model of a car tells much of its price, and will be met again."""
    frame = clean("regression")
    model = RNG.integers(0, 100, N)
    frame = frame.with_columns(
        pl.col("y") + pl.Series(500 * RNG.normal(size=100)[model]), model=pl.Series([f"m{at}" for at in model])
    )
    caught = guarded(frame)
    assert codes(caught) == {"entities"}
    assert caught.group is None
