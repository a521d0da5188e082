"""What was answered is answered again, to the bit; and another version is told from it, row by row."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import InputError, Predictor, Store, UnknownNameError
from storage.boundary import Blocks, blocks_of_frame, blocks_of_rows, typed
from storage.errors import CellError
from storage.labels import LabelItem, put_labels
from storage.predictor import Outputs
from storage.records import ModelVersion
from storage.replay import Replay, ReplaySpec
from storage.replay import other as other_module
from storage.replay import replay as replay_module
from storage.replay.replay import replay
from storage.replay.same import same_bits
from tests import portable, tables
from tests.captured import NOON, NOON_US, ask, capture, register
from tests.refusals import raises
from tests.strategies import CELLS, raw_frame
from tests.trained import train_model

ONE = NOON + timedelta(hours=1)
ALL = ReplaySpec(start=datetime(2000, 1, 1, tzinfo=UTC))


@pytest.fixture
def paid(store: Store) -> Store:
    """A store whose endpoint `paid` has answered requests `a` and `b` with `demo:1`; `demo:2` thinks less of all."""
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    ask(store, "paid", version, {"a": portable.ROWS, "b": portable.ROWS[:1]})
    portable.publish(store, portable.classifier(shift=-1.25))
    return store


def again(store: Store, name: str = "paid", spec: ReplaySpec = ALL, **more: Any) -> Replay:
    """A replay of all that there is; its report survives JSON."""
    found = replay(store, name, spec, ONE, **more)
    text = msgspec.json.encode(found)
    assert msgspec.json.encode(msgspec.json.decode(text, type=Replay)) == text
    return found


# ------------------------------------------------------------------------------------------------- the same version


def test_each_row_is_the_same_to_the_bit(paid: Store) -> None:
    """Asked of the version that answered it, told by version."""
    ask(paid, "paid", paid.models.get("demo:2"), {"c": portable.ROWS[:2]}, start_us=NOON_US + 60_000_000)
    found = again(paid)
    assert (found.rows, found.is_whole, found.is_identical, found.against) == (7, True, True, ())
    told = [(one.model, one.version, one.rows, one.identical, one.different) for one in found.same]
    assert told == [("demo", 1, 5, 5, 0), ("demo", 2, 2, 2, 0)]


def test_naming_the_version_that_answered_compares_to_the_bit_too(paid: Store) -> None:
    """And what others answered is compared with it."""
    ask(paid, "paid", paid.models.get("demo:2"), {"c": portable.ROWS[:2]}, start_us=NOON_US + 60_000_000)
    found = again(paid, spec=ReplaySpec(start=NOON, model="demo"))
    assert [(one.version, one.identical) for one in found.same] == [(2, 2)]
    assert [(one.version, one.rows) for one in found.against] == [(1, 5)]
    assert found.model == "demo:2"


KINDS = ("number", "category", "number", "time")
CELLS_OF_ROWS = st.lists(st.tuples(*(CELLS[kind] for kind in KINDS)), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for examples that each have an endpoint of their own."""
    store = Store.open(tmp_path_factory.mktemp("replay"))
    portable.publish(store, portable.classifier(), name="classifier")
    portable.publish(store, portable.regressor(), name="regressor")
    yield store
    store.close()


@given(requests=st.lists(CELLS_OF_ROWS, min_size=1, max_size=4), name=st.sampled_from(["classifier", "regressor"]))
@settings(max_examples=20)
def test_whatever_was_asked_is_answered_the_same(shared: Store, requests: list[list[Any]], name: str) -> None:
    """Missing, infinite and extreme numbers, any text, any time; through the journal, Parquet and batches."""
    version = shared.models.get(name)
    endpoint = shared.endpoints.deploy(f"e{len(shared.endpoints.list())}", version, NOON).name
    predictor, columns = Predictor(shared.models.read_file(version)), portable.COLUMNS
    asked: list[tuple[str, Blocks, Outputs]] = []
    for number, rows in enumerate(requests):
        raw = raw_frame(KINDS, rows).rename({f"c{at}": column.name for at, column in enumerate(columns)})
        blocks = blocks_of_frame(version.signature, typed(version.signature, raw))
        asked.append((f"r{number}", blocks, predictor.run_once(blocks)))
    capture(shared, endpoint, version, asked)
    found = again(shared, endpoint)
    assert (found.rows, found.is_identical) == (sum(map(len, requests)), True)


@pytest.mark.parametrize("names", [("lightgbm",), ("linear",), ("nearest_neighbours",), ("extra_trees", "linear")])
@pytest.mark.parametrize("table", [tables.mixed, tables.regression])
def test_trained_models_answer_the_same_whatever_the_company(
    store: Store, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], table: Callable[..., pl.DataFrame]
) -> None:
    """Requests of one row and of many, in blocks that cut between them; a model whose last bits depend on the company
    is run in the company that it had."""
    frame = table(240)
    predictor, _ = train_model(frame, frame.columns[-1], *names)
    version = register(store, predictor)
    store.endpoints.deploy("e", version, NOON)
    monkeypatch.setattr(replay_module, "_BLOCK_ROWS", 50)
    blocks = blocks_of_frame(version.signature, typed(version.signature, frame))
    asked: list[tuple[str, Blocks, Outputs]] = []
    start = 0
    for number, size in enumerate([1] * 60 + [2, 3, 7, 50, 100]):
        rows = blocks.slice(start, start + size)
        asked.append((f"r{number}", rows, predictor.run(rows)))
        start += size
    capture(store, "e", version, asked)
    found = again(store, "e")
    assert (found.rows, found.is_identical) == (222, True)


def test_a_long_request_is_run_in_the_pieces_that_it_was_served_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 rows; here with a model that adds up its company."""
    version = portable.publish(store, portable.regressor(), endpoint="e")
    served = list[int]()

    def sociable(self: Predictor, blocks: Blocks) -> Outputs:
        served.append(blocks.rows)
        return Outputs(None, None, blocks.number[:, 0] + blocks.rows)

    monkeypatch.setattr(Predictor, "run_once", sociable)
    numbers = {"long": range(2_300), "short": range(5), "alone": range(1)}
    rows = {name: [{**portable.ROWS[0], "amount": float(at)} for at in some] for name, some in numbers.items()}
    ask(store, "e", version, rows)
    monkeypatch.setattr(replay_module, "_BLOCK_ROWS", 1_500)
    served.clear()
    found = again(store, "e")
    assert (found.rows, found.same[0].identical, found.same[0].as_served) == (2_306, 2_306, 306)
    assert served == [1_000, 1_000, 306, 300, 5, 1]


def test_an_answer_that_was_another_is_found_and_shown(paid: Store) -> None:
    """A last bit, a label, NaN for a number: each is a difference; NaN for NaN is none."""
    version = paid.models.get("demo:1")
    blocks = blocks_of_rows(version.signature, portable.ROWS)
    outputs = Predictor(portable.classifier()).run(blocks)
    assert outputs.probabilities is not None
    assert outputs.label is not None
    shares, labels = outputs.probabilities.copy(), outputs.label.copy()
    shares[0, 1] = np.nextafter(shares[0, 1], np.float32(1))
    labels[2] = "yes"
    shares[3] = np.nan
    capture(paid, "paid", version, [("x", blocks, Outputs(labels, shares, None))], start_us=NOON_US + 60_000_000)
    found = again(paid)
    (same,) = found.same
    assert (same.rows, same.identical, same.different, found.is_identical) == (9, 6, 3, False)
    assert same.max_difference == pytest.approx(6e-8, rel=0.1)
    shown = [(pair.inference_id, pair.row, pair.old["label"], pair.new["label"]) for pair in same.examples]
    assert shown == [("x", 0, "yes", "yes"), ("x", 2, "yes", "no"), ("x", 3, "yes", "yes")]


NUMBERS = st.sampled_from([0.0, -0.0, 1.0, 1.0000000000000002, float("nan"), float("inf"), float("-inf"), 1e-320])


@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1))
def test_numbers_are_the_same_if_their_bits_are(pairs: list[tuple[float, float]]) -> None:
    """All NaN are one."""
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    expected = [a.hex() == b.hex() for a, b in pairs]
    assert same_bits(Outputs(None, None, one), Outputs(None, None, other)).tolist() == expected


# --------------------------------------------------------------------------------------------------- another version


def test_another_version_is_compared_row_by_row(paid: Store) -> None:
    """Figures by hand: the scores 1, 0.5, -3, 5.5 and 1 again become 1.25 less each."""
    found = again(paid, spec=ReplaySpec(start=NOON, model="demo:2"))
    (against,) = found.against
    assert (found.model, found.same, against.model, against.version) == ("demo:2", (), "demo", 1)
    assert (against.rows, against.refused, against.agreement, against.score) == (5, 0, 0.4, "p_yes")
    decisions = [(one.old, one.new, one.rows) for one in against.decisions]
    assert decisions == [("yes", "no", 3), ("no", "no", 1), ("yes", "yes", 1)]
    old = 1 / (1 + np.exp(-np.array([1, 0.5, -3, 5.5, 1])))
    new = 1 / (1 + np.exp(-np.array([-0.25, -0.75, -4.25, 4.25, -0.25])))
    assert against.mean_difference == pytest.approx(np.abs(old - new).mean(), abs=1e-6)
    assert against.max_difference == pytest.approx(np.abs(old - new).max(), abs=1e-6)
    assert against.shift == pytest.approx((new - old).mean(), abs=1e-6)
    for spread, values in ((against.old, old), (against.new, new)):
        assert spread is not None
        quantiles = np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        told = (spread.minimum, spread.q05, spread.q25, spread.median, spread.q75, spread.q95, spread.maximum)
        assert (spread.mean, spread.std, *told) == pytest.approx([values.mean(), values.std(), *quantiles], abs=1e-6)
    pair = against.examples[0]
    assert (pair.inference_id, pair.row, pair.time) == ("a", 1, NOON)
    assert pair.old == {
        "label": "yes",
        "p_no": pytest.approx(0.3775, abs=1e-4),
        "p_yes": pytest.approx(0.6225, abs=1e-4),
    }
    assert pair.new["label"] == "no"
    assert (against.labelled, against.quality) == (0, ())


def test_the_better_one_is_told_by_labels(paid: Store) -> None:
    """On the rows that have one; the signs are those of new - old."""
    labels = ["no", "no", "no", "yes"]
    items = [LabelItem("a", label, row) for row, label in enumerate(labels)]
    put_labels(paid, "paid", items, ONE)
    (against,) = again(paid, spec=ReplaySpec(start=NOON, model="demo:2")).against
    assert against.labelled == 4
    pairs = {pair.metric: pair for pair in against.quality}
    assert (pairs["accuracy"].old, pairs["accuracy"].new, pairs["accuracy"].difference) == (0.5, 1.0, 0.5)
    assert pairs["roc_auc"].difference == 0
    assert pairs["log_loss"].difference < 0
    assert not pairs["log_loss"].greater_is_better


def test_a_regressor_is_compared_by_its_values(store: Store) -> None:
    """The other adds 2 to each; labels say that it is right."""
    version = portable.publish(store, portable.regressor(), endpoint="price")
    ask(store, "price", version, {"a": portable.ROWS})
    portable.publish(store, portable.regressor(shift=2.0))
    items = [LabelItem("a", score + 2, row) for row, score in enumerate(portable.SCORES)]
    put_labels(store, "price", items, ONE)
    (against,) = again(store, "price", ReplaySpec(start=NOON, model="demo:2")).against
    assert (against.agreement, against.decisions, against.score) == (None, (), "prediction")
    assert (against.mean_difference, against.max_difference, against.shift) == (2.0, 2.0, 2.0)
    assert [(one.metric, one.old, one.new, one.low) for one in against.quality] == [
        ("rmse", 2.0, 0.0, -2.0),
        ("mae", 2.0, 0.0, -2.0),
    ]


def test_many_rows_in_blocks_give_what_one_block_gives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, ends, decisions and metrics; quantiles of a sample come near."""
    random = np.random.default_rng(1)
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    portable.publish(store, portable.classifier(shift=-1.0))
    rows = [{**portable.ROWS[at % 4], "amount": float(random.normal())} for at in range(3_000)]
    ask(store, "paid", version, {f"r{at}": rows[at : at + 3] for at in range(0, 3_000, 3)})
    items = [LabelItem(f"r{at - at % 3}", str(random.choice(["yes", "no"])), at % 3) for at in range(0, 3_000, 2)]
    put_labels(store, "paid", items, ONE)
    spec = ReplaySpec(start=NOON, model="demo:2", end=NOON + timedelta(days=1))
    (whole,) = again(store, spec=spec).against
    monkeypatch.setattr(replay_module, "_BLOCK_ROWS", 170)
    monkeypatch.setattr(other_module, "_SAMPLE_ROWS", 1_000)
    (parts,) = again(store, spec=spec).against
    assert (parts.rows, parts.labelled, parts.agreement) == (3_000, 1_500, whole.agreement)
    assert (parts.decisions, parts.max_difference, parts.examples) == (
        whole.decisions,
        whole.max_difference,
        whole.examples,
    )
    assert [pair.difference for pair in parts.quality] == pytest.approx([pair.difference for pair in whole.quality])
    assert [pair.high for pair in parts.quality] == pytest.approx([pair.high for pair in whole.quality])
    assert parts.old is not None
    assert whole.old is not None
    assert parts.old.mean == pytest.approx(whole.old.mean)
    assert parts.old.std == pytest.approx(whole.old.std)
    assert parts.old.median == pytest.approx(whole.old.median, abs=0.06)


def trained_on(store: Store, frame: pl.DataFrame, target: str, name: str = "demo") -> ModelVersion:
    """A version trained on a table."""
    return register(store, train_model(frame, target, "linear")[0], name)


def test_columns_that_the_other_version_needs_and_traffic_lacks_are_named(store: Store) -> None:
    """Fewer are fine."""
    frame = tables.mixed(200)
    whole, less = trained_on(store, frame, "paid"), trained_on(store, frame.drop("age", "note"), "paid")
    for name, version in (("whole", whole), ("less", less)):
        store.endpoints.deploy(name, version, NOON)
        ask(store, name, version, {"a": frame.drop("paid").select(version.signature.names).head(5).to_dicts()})
    assert again(store, "whole", ReplaySpec(start=NOON, model="demo:2")).against[0].rows == 5
    message = "'demo:1' takes 'age', 'note', which is not in the traffic that 'demo:2' answered. Name a version that"
    with raises(CellError, message):
        again(store, "less", ReplaySpec(start=NOON, model="demo:1"))


def test_rows_that_the_other_version_cannot_read_are_counted_with_the_first_reason(store: Store) -> None:
    """A column that was text and is a number now: the rows that hold numbers are compared."""
    frame = tables.mixed(200).select("income", "paid", code=pl.Series([str(at % 7) for at in range(200)]))
    as_text = trained_on(store, frame, "paid")
    as_number = trained_on(store, frame.with_columns(pl.col("code").cast(pl.Float64) + 0.5), "paid")
    assert [v.signature.columns[-1].kind for v in (as_text, as_number)] == ["category", "number"]
    store.endpoints.deploy("e", as_text, NOON)
    codes = ["1", "n/a", None, "3", "?"]
    ask(store, "e", as_text, {"a": [{"income": 9.0, "code": code} for code in codes]})
    kept: list[pl.DataFrame] = []
    (against,) = again(store, "e", ReplaySpec(start=NOON, model="demo:2"), keep=kept.append).against
    assert (against.rows, against.refused) == (3, 2)
    assert against.reason is not None
    assert "holds 'n/a'. Send a number or null." in against.reason
    (rows,) = kept
    assert rows.get_column("replayed.label").is_null().to_list() == [False, True, False, False, True]
    assert rows.get_column("replayed.error").is_null().to_list() == [True, False, True, True, False]
    assert len(against.examples) == 3


@pytest.mark.parametrize("model", ["late", "grade"])
def test_classes_in_another_order_or_other_ones_are_told_apart(store: Store, model: str) -> None:
    """Probabilities are compared class by class, and not at all where classes differ."""
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    ask(store, "paid", version, {"a": portable.ROWS})
    signature = msgspec.structs.replace(
        portable.CLASSIFIER, classes=("yes", "no") if model == "late" else ("no", "maybe")
    )
    portable.publish(store, portable.classifier(signature=signature), name=model)
    put_labels(store, "paid", [LabelItem("a", "yes", row) for row in range(4)], ONE)
    (against,) = again(store, spec=ReplaySpec(start=NOON, model=model)).against
    assert (against.rows, against.agreement) == (4, 1.0)
    if model == "late":
        # the file's first probability is that of `no`, which this signature calls `yes`
        shares = np.array(portable.PROBABILITIES)
        assert against.max_difference == pytest.approx(np.abs(2 * shares - 1).max(), abs=1e-6)
        assert against.labelled == 4
    else:
        assert (against.mean_difference, against.old, against.shift, against.labelled) == (None, None, None, 0)


def test_a_version_that_predicts_something_else_is_refused(paid: Store) -> None:
    """A number is no class."""
    portable.publish(paid, portable.regressor(), name="price")
    with raises(InputError, "'price:1' predicts a number, and 'demo:1' answered with one of 'no', 'yes'. Name a "):
        again(paid, spec=ReplaySpec(start=NOON, model="price"))


# --------------------------------------------------------------------------------------------------------- redacted


def test_redacted_columns_are_refused_or_count_as_missing(store: Store) -> None:
    """By name and how; a version that takes none of them is asked as ever."""
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    ask(store, "paid", version, {"a": portable.ROWS}, redact={"amount": "hash", "town": "mask", "seen": "drop"})
    portable.publish(store, portable.classifier(shift=1.0))
    for model in (None, "demo:2"):
        message = (
            "Requests to 'paid' cannot be replayed: columns were redacted when captured, 'amount (hash)', "
            "'seen (drop)', 'town (mask)'. Name a version that takes none of them, or set allow_redacted "
            "(--allow-redacted) to count them as missing."
        )
        with raises(InputError, message):
            again(store, spec=ReplaySpec(start=NOON, model=model))
    found = again(store, spec=ReplaySpec(start=NOON, allow_redacted=True))
    assert (found.as_missing, found.is_identical) == (("amount", "seen", "town"), False)
    assert found.same[0].rows == 4
    (against,) = again(store, spec=ReplaySpec(start=NOON, model="demo:2", allow_redacted=True)).against
    new = 1 / (1 + np.exp(-np.array([-2, 0, -3, 0]) - 1))
    assert [round(pair.new["p_yes"], 6) for pair in sorted(against.examples, key=lambda pair: pair.row)] == [
        round(float(share), 6) for share in new
    ]


def test_a_version_that_takes_no_redacted_column_is_asked_as_ever(store: Store) -> None:
    """What it reads is there."""
    frame = tables.mixed(200)
    whole, less = trained_on(store, frame, "paid"), trained_on(store, frame.drop("note"), "paid")
    store.endpoints.deploy("e", whole, NOON)
    rows = frame.select(whole.signature.names).head(5).to_dicts()
    ask(store, "e", whole, {"a": rows}, redact={"note": "drop"})
    found = again(store, "e", ReplaySpec(start=NOON, model=f"demo:{less.version}"))
    assert (found.against[0].rows, found.as_missing) == (5, ())


# -------------------------------------------------------------------------------------------------- what is replayed


def test_a_window_is_half_open_and_an_hour_long_by_default(paid: Store) -> None:
    """From an hour before its end; the end is now."""
    rows = {
        (None, None): 5,  # from NOON to ONE
        (NOON + timedelta(seconds=1), None): 1,
        (NOON, NOON + timedelta(seconds=1)): 4,
        (None, NOON): 0,
        (None, ONE + timedelta(seconds=1)): 1,
    }
    for (start, end), count in rows.items():
        assert again(paid, spec=ReplaySpec(start, end)).rows == count
    for end in (NOON, NOON - timedelta(hours=1)):
        with raises(InputError, "The window is from 2024-05-01 12:00:00 to 2024-05-01 1"):
            again(paid, spec=ReplaySpec(NOON, end))


def test_one_prediction_is_replayed_by_its_id(paid: Store) -> None:
    """All of its rows are shown, whether they are the same or not; of all requests that were given the id."""
    version = paid.models.get("demo:1")
    ask(paid, "paid", version, {"b": portable.ROWS[:2]}, start_us=NOON_US - 3_600_000_000 * 24 * 40)
    found = again(paid, spec=ReplaySpec(inference_id="b"))
    assert (found.start, found.rows, found.is_identical) == (None, 3, True)
    assert [(pair.inference_id, pair.row) for pair in found.same[0].examples] == [("b", 0), ("b", 1), ("b", 0)]
    assert all(pair.old == pair.new for pair in found.same[0].examples)
    (against,) = again(paid, spec=ReplaySpec(inference_id="a", model="demo:2")).against
    assert sorted(pair.row for pair in against.examples) == [0, 1, 2, 3]
    with raises(UnknownNameError, "No request 'c' to 'paid' is captured."):
        again(paid, spec=ReplaySpec(inference_id="c"))


def test_no_more_than_so_many_rows_are_begun(paid: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says so."""
    monkeypatch.setattr(replay_module, "_BLOCK_ROWS", 2)
    found = again(paid, spec=ReplaySpec(NOON, most_rows=2))
    assert (found.rows, found.is_whole) == (4, False)
    assert again(paid, spec=ReplaySpec(NOON, most_rows=5)).is_whole


def test_rows_are_given_with_what_was_answered_what_came_now_and_what_happened(paid: Store) -> None:
    """And how far it is."""
    put_labels(paid, "paid", [LabelItem("a", "no", 1)], ONE)
    kept: list[pl.DataFrame] = []
    shares: list[float] = []
    again(paid, keep=kept.append, observe=lambda progress: shares.append(progress.share))
    frame = pl.concat(kept)
    assert frame.columns == [
        *(f"autopilot.{name}" for name in ("inference_id", "row", "time", "variant", "model", "version")),
        *("autopilot.label", "autopilot.p_no", "autopilot.p_yes", "autopilot.truth"),
        *("replayed.label", "replayed.p_no", "replayed.p_yes", "replayed.same"),
    ]
    assert frame.get_column("autopilot.truth").to_list() == [None, "no", None, None, None]
    assert frame.get_column("replayed.p_yes").equals(frame.get_column("autopilot.p_yes"), check_names=False)
    assert shares[-1] == 1.0


def test_what_there_is_not_is_told(paid: Store) -> None:
    """An endpoint, a version; no traffic is no error."""
    with raises(UnknownNameError, "The store has no endpoint 'other'."):
        again(paid, "other")
    with raises(UnknownNameError, "The store has no model 'demo:9'."):
        again(paid, spec=ReplaySpec(model="demo:9"))
    paid.endpoints.deploy("quiet", paid.models.get("demo"), NOON)
    assert again(paid, "quiet").rows == 0
