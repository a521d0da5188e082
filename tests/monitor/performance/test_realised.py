"""Quality by labels: windows, times of knowledge, drops, and odd input."""

import uuid
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sklearn.metrics import accuracy_score, roc_auc_score

from monitor.performance.realised import RealisedQuality, realised, realised_of, restated
from monitor.performance.reference import Reference, reference_of
from monitor.performance.windows import Levels, Window, windows_of
from storage import Predictor, SettingError, Store, UnknownNameError
from storage.boundary import blocks_of_rows
from storage.labels import LabelItem, put_labels
from storage.labels.joined import RECEIVED_AT
from storage.records import ModelVersion
from storage.traffic import Header, Invocation
from tests import portable
from tests.monitor import till
from tests.monitor.performance.answered import BINARY, REGRESSION, START, two_classes, values

DAY = timedelta(days=1)
LATER = START + 30 * DAY
NONE = Reference("none", 0, {})


def send(store: Store, version: ModelVersion, ids: list[str], at: datetime, seed: int = 1) -> list[str]:
    """Capture a row for each id, one a minute; returns the labels that were answered."""
    predictor = Predictor(store.models.read_file(version))
    writer = store.traffic.writer(Header(till.ENDPOINT, version.name, version.version, version.signature))
    said: list[str] = []
    for number, (name, row) in enumerate(zip(ids, till.rows(len(ids), seed=seed), strict=True)):
        blocks = blocks_of_rows(version.signature, [row])
        outputs = predictor.run_once(blocks)
        answered = at + timedelta(minutes=number)
        writer.append([Invocation(name, int(answered.timestamp() * 1e6), blocks, outputs)])
        said.append(str(outputs.label[0]))  # type: ignore[index]
    writer.rotate()
    return said


def names(count: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(count)]


def other(label: str) -> str:
    return "no" if label == "yes" else "yes"


def test_figures_are_of_what_was_known_then(store: Store) -> None:
    """80 rows: 40 labels after a day, all right; 20 more after two, all wrong. Each time can be asked for again."""
    version = till.deploy(store, portable.classifier(), START)
    ids = names(80)
    said = send(store, version, ids, START)
    put_labels(store, till.ENDPOINT, [LabelItem(i, y) for i, y in zip(ids[:40], said, strict=False)], START + DAY)
    period = {"start": START, "end": START + DAY}
    early = realised(store, till.ENDPOINT, **period, known_at=START + DAY)
    wrong = [LabelItem(i, other(y)) for i, y in zip(ids[40:60], said[40:], strict=False)]
    put_labels(store, till.ENDPOINT, wrong, START + 2 * DAY)
    late = realised(store, till.ENDPOINT, **period, known_at=START + 2 * DAY)
    assert (early.whole.labelled, early.whole.share, early.whole.figure("accuracy").value) == (40, 0.5, 1.0)
    assert (late.whole.labelled, late.whole.share) == (60, 0.75)
    assert late.whole.figure("accuracy").value == pytest.approx(40 / 60)
    again = realised(store, till.ENDPOINT, **period, known_at=START + DAY)
    assert replace(again, labels=0) == replace(early, labels=0)
    told = restated(store, till.ENDPOINT, **period, known_at=[START, START + DAY, START + 2 * DAY])
    assert [one.labelled for one in told] == [0, 40, 60]
    assert [one.figures[2].value for one in told] == [None, 1.0, pytest.approx(40 / 60)]
    assert (early.endpoint, early.model, early.version) == (till.ENDPOINT, "demo", version.version)


def test_windows_are_cut_by_the_time_of_the_answer(store: Store) -> None:
    """Half-open, an hour each; a row that is answered at the end belongs to the next."""
    version = till.deploy(store, portable.classifier(), START)
    ids = names(150)
    said = send(store, version, ids, START)
    put_labels(store, till.ENDPOINT, [LabelItem(i, y) for i, y in zip(ids, said, strict=True)], START + DAY)
    hours = timedelta(hours=1)
    found = realised(store, till.ENDPOINT, start=START, end=START + 4 * hours, every=hours, known_at=LATER)
    assert [window.rows for window in found.windows] == [60, 60, 30, 0]
    assert [window.verdict for window in found.windows] == ["no drop", "no drop", "no drop", "no rows"]
    assert found.levels == Levels(whole=0.025, piece=0.025 / 3, pieces=3)  # the last hour has no rows
    assert [one.drop and one.drop.threshold for one in found.windows] == [0.025 / 3] * 3 + [None]
    assert found.whole.drop is not None
    assert found.whole.drop.threshold == 0.025
    assert found.table().filter(pl.col("metric") == "accuracy").get_column("value").to_list() == [1.0, 1.0, 1.0, None]
    assert RealisedQuality.parse(found.json()) == found


def test_labels_take_time_and_those_that_wait_count() -> None:
    """Of ten rows a minute apart half are labelled after exactly an hour; the others have waited for a day."""
    frame = two_classes(10, 0)
    received = pl.Series(RECEIVED_AT, frame.get_column("autopilot.time") + timedelta(hours=1))
    frame = frame.with_columns(received.scatter(range(5, 10), None))
    frame = frame.with_columns(
        pl.when(pl.col(RECEIVED_AT).is_null()).then(None).otherwise(pl.col("autopilot.truth")).alias("autopilot.truth")
    )
    delay = realised_of(BINARY, frame, NONE, [Window(START, LATER)], START + DAY).delay
    assert (delay.rows, delay.labelled, delay.median_s, delay.slow_s) == (10, 5, 3600.0, None)
    assert (delay.ages_s, delay.shares) == ((3600.0,), (pytest.approx(0.5),))


def test_a_drop_against_the_reference_is_found() -> None:
    """A fifth of the truths is tossed from the third day on."""
    reference = reference_of(BINARY, two_classes(3000, 1))
    frame = pl.concat(
        [two_classes(2880, 2), two_classes(2880, 3, worse=0.3).with_columns(pl.col("autopilot.time") + 2 * DAY)]
    )
    found = realised_of(BINARY, frame, reference, windows_of(START, START + 4 * DAY, DAY), LATER)
    assert [window.verdict for window in found.windows] == ["no drop", "no drop", "drop", "drop"]
    assert (found.verdict, found.metric, found.source, found.reference_rows) == ("drop", "roc_auc", "sample", 3000)
    first = frame.head(1440)
    y, score = first["autopilot.truth"] == "yes", first["autopilot.p_yes"]
    assert found.windows[0].figure("roc_auc").value == pytest.approx(roc_auc_score(y, score))
    assert found.windows[0].figure("accuracy").value == pytest.approx(
        accuracy_score(first["autopilot.truth"], first["autopilot.label"])
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 30])
def test_without_drops_few_reports_alarm(count: int) -> None:
    """Of 200 reports with windows of 200 rows each, at a level of 20 %: 20 % and four standard errors at most."""
    alarms = 0
    for seed in range(200):
        reference = reference_of(BINARY, two_classes(1000, 2 * seed))
        frame = two_classes(200 * count, 2 * seed + 1)
        windows = windows_of(START, START + timedelta(minutes=200 * count), timedelta(minutes=200))
        found = realised_of(BINARY, frame, reference, windows, LATER, metric="accuracy", level=0.2)
        alarms += found.verdict == "drop"
    assert alarms / 200 <= 0.2 + 4 * np.sqrt(0.2 * 0.8 / 200)


def month(seed: int, *, worse: float = 0.0, eleventh: float = 0.0) -> pl.DataFrame:
    """30 days of 100 rows. worse: share of truths that are tossed on each day; eleventh: on the eleventh alone."""
    days = [two_classes(1000, seed, worse=worse), two_classes(100, seed + 1, worse=max(worse, eleventh))]
    frame = pl.concat([*days, two_classes(1900, seed + 2, worse=worse)])
    return frame.with_columns(pl.Series("autopilot.time", [START + number * DAY / 100 for number in range(3000)]))


def of_month(seed: int, frame: pl.DataFrame) -> RealisedQuality:
    """The report on a month by its days, by its accuracy."""
    reference = reference_of(BINARY, two_classes(3000, seed))
    return realised_of(BINARY, frame, reference, windows_of(START, LATER, DAY), LATER, metric="accuracy")


def test_a_small_drop_that_lasts_is_the_wholes_to_find() -> None:
    """A tenth of all truths is tossed: hardly to be seen on any day."""
    found = of_month(0, month(1, worse=0.1))
    assert (found.verdict, found.whole.verdict) == ("drop", "drop")
    assert {window.verdict for window in found.windows} == {"no drop"}


def test_a_sharp_drop_of_one_day_is_its_days_to_find() -> None:
    """Nearly all truths of one day in thirty are tossed: hardly to be seen in the month."""
    found = of_month(0, month(1, eleventh=0.9))
    assert (found.verdict, found.whole.verdict) == ("drop", "no drop")
    assert [place for place, window in enumerate(found.windows) if window.verdict == "drop"] == [10]


@pytest.mark.slow
def test_halves_of_the_level_find_both_kinds_of_drop() -> None:
    """Of 60 months each: nearly as many lasting drops as one test of the whole at the full level finds, and many more
    than 31 tests with equal parts of it do; and most days of a sharp drop, of which one test finds few."""
    lasting = [of_month(s, month(s + 1, worse=0.1)) for s in range(0, 600, 10)]
    sharp = [of_month(s, month(s + 1, eleventh=0.7)) for s in range(0, 600, 10)]

    def whole_alone(reports: list[RealisedQuality], threshold: float) -> float:
        drops = [report.whole.drop for report in reports if report.whole.drop is not None]
        return float(np.mean([drop.p_value <= threshold and drop.drop >= drop.floor for drop in drops]))

    found = [np.mean([report.verdict == "drop" for report in reports]) for reports in (lasting, sharp)]
    assert found[0] >= 0.8 * whole_alone(lasting, 0.05)
    assert found[0] >= 1.3 * whole_alone(lasting, 0.05 / 31)
    assert found[1] >= 0.6
    assert whole_alone(sharp, 0.05) <= 0.3


def test_a_report_without_its_levels_is_read() -> None:
    """As older programs have written it."""
    found = of_month(0, month(1))
    older = {name: value for name, value in msgspec.to_builtins(found).items() if name != "levels"}
    assert RealisedQuality.parse(msgspec.json.encode(older)) == replace(found, levels=None)


def test_a_version_without_truths_is_held_against_its_card(store: Store) -> None:
    """Its roc_auc is 0.9 of four rows: whatever comes, that is no ground for an alarm; accuracy it does not tell."""
    version = till.deploy(store, portable.classifier(), START)
    ids = names(60)
    said = send(store, version, ids, START)
    mixed = [y if number % 3 else other(y) for number, y in enumerate(said)]
    put_labels(store, till.ENDPOINT, [LabelItem(i, y) for i, y in zip(ids, mixed, strict=True)], START)
    found = realised(store, till.ENDPOINT, start=START, end=START + DAY, known_at=LATER)
    assert (found.source, found.metric, found.reference_rows, found.verdict) == ("card", "roc_auc", 4, "no drop")
    assert [(one.metric, one.value) for one in found.reference] == [("roc_auc", 0.9)]
    found = realised(store, till.ENDPOINT, start=START, end=START + DAY, known_at=LATER, metric="accuracy")
    assert (found.verdict, found.whole.drop) == ("no reference", None)


def test_labels_that_meet_nothing_are_told(store: Store) -> None:
    """Labels of ids that nobody captured: the verdict is that there are none, and why."""
    version = till.deploy(store, portable.classifier(), START)
    send(store, version, names(40), START)
    put_labels(store, till.ENDPOINT, [LabelItem("order-1", "yes"), LabelItem("order-2", "no")], START)
    found = realised(store, till.ENDPOINT, start=START, end=START + DAY, known_at=LATER)
    assert (found.verdict, found.labels, found.whole.labelled, found.whole.rows) == ("no labels", 2, 0, 40)
    assert found.whole.notes == (
        "No label meets a row of this period that was known then, of 2 that the endpoint has. Of 2 looked at, 2 are of "
        "rows that were not captured, such as 'order-1', 'order-2'.",
    )


def test_an_id_that_several_requests_have_is_told(store: Store) -> None:
    """Each of them has the label; together they count as one."""
    version = till.deploy(store, portable.classifier(), START)
    ids = [f"order-{number % 50}" for number in range(100)]
    said = send(store, version, ids, START)
    put_labels(store, till.ENDPOINT, [LabelItem(i, y) for i, y in zip(ids[:50], said, strict=False)], START)
    found = realised(store, till.ENDPOINT, start=START, end=START + DAY, known_at=LATER)
    assert (found.whole.rows, found.whole.labelled) == (100, 100)
    assert found.whole.notes == (
        "50 inference ids were given to several requests, whose rows all have the same labels.",
    )


def test_without_traffic_there_are_no_rows(store: Store) -> None:
    """Also with labels."""
    till.deploy(store, portable.classifier(), START)
    put_labels(store, till.ENDPOINT, [LabelItem("order-1", "yes")], START)
    found = realised(store, till.ENDPOINT, start=START, end=START + DAY, known_at=LATER, every=DAY / 2)
    assert (found.verdict, found.whole.rows, [w.verdict for w in found.windows]) == ("no rows", 0, ["no rows"] * 2)


def test_scores_that_are_none_are_left_out_and_told() -> None:
    """NaN, infinity, null, and a label that is no class."""
    frame = two_classes(100, 0)
    frame = frame.with_columns(
        frame["autopilot.p_yes"].scatter([0, 1, 2], [float("nan"), float("inf"), None]),
        frame["autopilot.label"].scatter(3, "perhaps"),
    )
    found = realised_of(BINARY, frame, NONE, [Window(START, LATER)], LATER).whole
    assert (found.rows, found.unreadable, found.labelled) == (100, 4, 96)
    assert found.notes == ("4 of 100 rows have no usable answer and are in no figure.",)
    assert found.figure("log_loss").rows == 96


def test_predictions_that_are_infinite_are_left_out_and_told() -> None:
    """And truths that are not finite count as not known."""
    frame = values(100, 0)
    frame = frame.with_columns(
        frame["autopilot.prediction"].scatter([0, 1], [float("inf"), float("-inf")]),
        frame["autopilot.truth"].scatter([2, 3], [float("nan"), float("inf")]),
    )
    found = realised_of(REGRESSION, frame, NONE, [Window(START, LATER)], LATER).whole
    assert (found.rows, found.unreadable, found.labelled) == (100, 2, 96)
    assert found.figure("rmse").value == pytest.approx(np.sqrt((frame["autopilot.truth"][4:].to_numpy() ** 2).mean()))


def test_one_class_has_no_area_and_is_not_judged_by_it() -> None:
    """Accuracy is there all the same."""
    frame = two_classes(200, 0).with_columns(pl.lit("yes").alias("autopilot.truth"))
    found = realised_of(BINARY, frame, reference_of(BINARY, two_classes(500, 1)), [Window(START, LATER)], LATER)
    area = found.whole.figure("roc_auc")
    assert (area.value, area.note, found.verdict) == (None, "All rows are of one class.", "too few labels")
    assert found.whole.notes[-1] == area.note
    assert found.whole.figure("accuracy").value is not None


def test_few_labels_are_not_judged() -> None:
    """29 of 200; and 100 of which 4 are of one class."""
    few = two_classes(200, 0).with_columns(
        pl.when(pl.int_range(pl.len()) < 29).then("autopilot.truth").alias("autopilot.truth")
    )
    reference = reference_of(BINARY, two_classes(500, 1))
    for frame, why in (
        (few, "A verdict takes 30 rows with a label."),
        (
            two_classes(100, 0).with_columns(
                pl.when(pl.int_range(pl.len()) < 4).then(pl.lit("no")).otherwise(pl.lit("yes")).alias("autopilot.truth")
            ),
            "A verdict takes 5 rows of either class; of the rarer one there are 4.",
        ),
    ):
        found = realised_of(BINARY, frame, reference, [Window(START, LATER)], LATER)
        assert (found.verdict, found.whole.drop) == ("too few labels", None)
        assert found.whole.notes[-1] == why


def test_labels_that_come_for_some_rows_first_are_told() -> None:
    """Only rows with high scores have labels yet."""
    frame = two_classes(400, 0)
    frame = frame.with_columns(
        pl.when(pl.col("autopilot.p_yes") > 0.7).then("autopilot.truth").alias("autopilot.truth")
    )
    found = realised_of(BINARY, frame, NONE, [Window(START, LATER)], LATER).whole
    assert found.selection_p is not None
    assert found.selection_p < 1e-9
    assert "other scores than those that wait" in found.notes[-1]


@given(st.sets(st.integers(0, 299)), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_windows_share_out_all_rows(labelled: set[int], pieces: int) -> None:
    """Whatever is labelled, and however the period is cut."""
    frame = two_classes(300, 0)
    known = pl.Series([number in labelled for number in range(300)])
    frame = frame.with_columns(pl.when(known).then("autopilot.truth").alias("autopilot.truth"))
    windows = windows_of(START, START + timedelta(minutes=300), timedelta(minutes=300) / pieces)
    found = realised_of(BINARY, frame, NONE, windows, LATER)
    assert sum(window.rows for window in found.windows) == found.whole.rows == 300
    assert sum(window.labelled for window in found.windows) == found.whole.labelled == len(labelled)


def test_what_cannot_be_asked_for_is_refused(store: Store) -> None:
    """Each error says what would be right."""
    with pytest.raises(UnknownNameError):
        realised(store, "nowhere", start=START, end=LATER, known_at=LATER)
    till.deploy(store, portable.classifier(), START)
    ask = {"start": START, "end": LATER, "known_at": LATER}
    with pytest.raises(SettingError, match="'rmse' is none of binary"):
        realised(store, till.ENDPOINT, **ask, metric="rmse")
    with pytest.raises(SettingError, match="level is 2"):
        realised(store, till.ENDPOINT, **ask, level=2)
    with pytest.raises(SettingError, match="Let it end after it starts"):
        realised(store, till.ENDPOINT, start=LATER, end=START, known_at=LATER)
    with pytest.raises(SettingError, match="Use longer ones"):
        realised(store, till.ENDPOINT, **ask, every=timedelta(seconds=1))
