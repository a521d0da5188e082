"""Shapley values of predictions: exact where they say so, and what other programs find."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from autopilot.graph.calibration import Beta, Head, Temperature
from storage import Predictor
from storage.boundary import RowReader
from storage.errors import DataError, InputError
from storage.explain import Explainer, explain
from tests import portable, tables
from tests.trained import train_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its plots, which are imported too, use what matplotlib is going to rename
    import shap

MIXED = tables.mixed(400)
ROWS = pl.DataFrame(portable.ROWS, infer_schema_length=None)


def without_trees(predictor: Predictor, background: pl.DataFrame) -> Explainer:
    """An explainer that asks the whole graph."""
    explainer = Explainer(predictor, background)
    explainer._trees = None
    return explainer


def by_shap(predictor: Predictor, frame: pl.DataFrame, background: pl.DataFrame) -> Any:
    """What shap finds by all coalitions, (rows, columns, outputs). It is given numbers of cells, of whatever types."""
    names = list(predictor.signature.names)
    both = pl.concat([frame.select(names), background.select(names)])
    rows = np.arange(both.height)[:, None].repeat(len(names), axis=1)

    def model(places: Any) -> Any:
        cells = {name: both.get_column(name)[column.astype(int)] for name, column in zip(names, places.T, strict=True)}
        found = predictor.predict(pl.DataFrame(cells))
        return found.drop("label", strict=False).to_numpy()

    explainer = shap.KernelExplainer(model, rows[frame.height :])
    return np.array(explainer.shap_values(rows[: frame.height], nsamples=2 ** len(names), l1_reg=False, silent=True))


def added_up(found: Any) -> float:
    """How far base and values are from the predictions."""
    return float(np.abs(found.base + found.values.sum(axis=1) - found.prediction).max())


def test_values_of_a_sum_are_differences_from_the_background() -> None:
    """price = amount / 2 - visits + bonus[town] + late, by hand against one row: 4 - 1, 2 - 0, Ulm - Bonn, late."""
    predictor = Predictor(portable.regressor())
    row, other = (pl.DataFrame([portable.ROWS[at]]) for at in (0, 1))
    found = explain(predictor, row, background=other)
    assert found.columns == ("amount", "town", "visits", "seen")
    assert found.values[0, :, 0].tolist() == [1.5, 2.0, -2.0, -1.0]
    assert (found.base.tolist(), found.prediction.tolist()) == ([0.5], [[1.0]])
    assert found.methods == ("all coalitions",)


def test_trees_are_read_as_shap_reads_them(numbers: pl.DataFrame) -> None:
    """LightGBM's regression on numbers with holes: within 1e-6 of the values' size, and no more is needed."""
    predictor, model = train_model(numbers, "y", "lightgbm", rounds=60)
    background, rows = numbers[:50], numbers[50:70]
    found = Explainer(predictor, background).explain(rows)
    assert set(found.methods) == {"tree paths"}
    as_trained = [model.plans["trees"].features(part.select(list("abcd"))) for part in (background, rows)]
    booster = model.members[0].fitted._booster
    explainer = shap.TreeExplainer(booster, as_trained[0].astype(float), feature_perturbation="interventional")
    theirs = explainer.shap_values(as_trained[1].astype(float)) * model.unit.deviation
    assert found.values[:, :, 0] == pytest.approx(theirs, abs=1e-5 * np.abs(theirs).max())
    assert added_up(found) < 1e-12


@pytest.mark.parametrize(
    ("task", "names", "head"),
    [
        ("binary", ("lightgbm", "histogram_boosting"), Head(Beta(1.2, 0.8, 0.1))),
        ("multiclass", ("lightgbm",), Head(Temperature(1.5))),
        ("binary", ("extra_trees",), Head()),
        ("multiclass", ("random_forest",), Head()),
        ("regression", ("lightgbm", "random_forest"), Head()),
    ],
)
def test_trees_of_tables_with_text_and_times_are_read_exactly(task: str, names: tuple[str, ...], head: Head) -> None:
    """As the whole graph says for all coalitions, within what float32 sums leave open; calibration is inside."""
    frame = {"binary": tables.mixed, "multiclass": tables.multiclass, "regression": tables.regression}[task](300)
    target = frame.columns[-1]
    predictor, _ = train_model(frame, target, *names, rounds=10, head=head)
    background, rows = frame[:8], frame[8:11]
    found = Explainer(predictor, background).explain(rows)
    assert set(found.methods) == {"tree paths"}
    plain = without_trees(predictor, background).explain(rows)
    assert set(plain.methods) == {"all coalitions"}
    assert found.values == pytest.approx(plain.values, abs=2e-6 * np.ptp(plain.prediction))
    assert added_up(found) < 1e-12 * np.abs(found.prediction).max()


def test_a_model_of_several_columns_in_one_feature_is_explained_exactly(crossed: pl.DataFrame) -> None:
    """Crosses, quotients and linear members beside trees: what shap finds by enumeration."""
    predictor, _ = train_model(crossed, "y", "lightgbm_prepared", "linear")
    background, rows = crossed[:6].drop("y"), crossed[10:12].drop("y")
    found = explain(predictor, rows, background=background)
    assert set(found.methods) == {"all coalitions"}
    assert found.values == pytest.approx(by_shap(predictor, rows, background), abs=1e-9)
    assert added_up(found) < 1e-12


def test_sampled_values_are_as_near_as_they_say() -> None:
    """Of 36 values fewer than a tenth are more than 2.5 standard errors away; more evaluations are nearer."""
    predictor, _ = train_model(MIXED, "paid", "lightgbm_prepared", "linear")
    explainer, rows = without_trees(predictor, MIXED[:60]), MIXED[60:66]
    exact = explainer.explain(rows, class_="yes", evaluations=10_000)
    assert set(exact.methods) == {"all coalitions"}
    errors = []
    for evaluations in (1_000, 2_500):
        found = explainer.explain(rows, class_="yes", evaluations=evaluations)
        assert set(found.methods) == {"sampled orders"}
        assert added_up(found) < 1e-12
        far = np.abs(found.values - exact.values) > 2.5 * found.error + 1e-9
        assert far.mean() < 0.1
        errors.append(found.error.mean())
    assert errors[1] < errors[0]


def test_columns_that_the_model_does_not_use_have_exactly_zero(numbers: pl.DataFrame) -> None:
    """A stump on `a`: trees and graph both give 0.0 to all others."""
    frame = numbers.with_columns(y=(pl.col("a").fill_null(0) > 0).cast(pl.Float64) + pl.int_range(400) * 1e-9)
    predictor, _ = train_model(frame, "y", "lightgbm", rounds=1)
    for explainer in (Explainer(predictor, frame[:20]), without_trees(predictor, frame[:20])):
        found = explainer.explain(frame[20:30])
        assert found.values[:, 0].any()
        assert not found.values[:, 1:].any()


def test_a_row_like_its_background_has_nothing_to_explain() -> None:
    """No column differs, missing ones included: all values are 0."""
    predictor = Predictor(portable.classifier())
    row = pl.DataFrame(
        [portable.ROWS[2]], schema={"amount": pl.Float64, "town": pl.String, "visits": pl.Int64, "seen": pl.String}
    )
    found = explain(predictor, row, background=row)
    assert not found.values.any()
    assert found.base == pytest.approx(found.prediction[0])


def test_one_class_is_explained_alone() -> None:
    """By its name; of two classes the values are each other's negatives."""
    predictor = Predictor(portable.classifier())
    rows = ROWS
    both = explain(predictor, rows, background=rows)
    yes = explain(predictor, rows, background=rows, class_="yes")
    assert yes.outputs == ("yes",)
    assert yes.values[:, :, 0].tolist() == both.values[:, :, 1].tolist()
    assert both.values[:, :, 0] == pytest.approx(-both.values[:, :, 1], abs=1e-7)


def test_what_cannot_be_explained_is_said() -> None:
    """A class that is not there, an empty background, a cell that is not as in training."""
    predictor = Predictor(portable.classifier())
    rows = ROWS
    with pytest.raises(InputError, match=r"no class 'maybe' to explain\. Choose one of no, yes"):
        explain(predictor, rows, background=rows, class_="maybe")
    with pytest.raises(InputError, match="background has no rows"):
        explain(predictor, rows, background=rows.clear())
    with pytest.raises(DataError, match="Column 'amount'"):
        explain(predictor, rows.with_columns(amount=pl.lit("n/a")), background=rows)


def test_no_rows_are_explained_by_no_values() -> None:
    """An empty frame gives an empty explanation."""
    predictor = Predictor(portable.classifier())
    rows = ROWS
    found = explain(predictor, rows.clear(), background=rows)
    assert found.values.shape == (0, 4, 2)
    assert found.frame().is_empty()
    assert found.method == "no rows"


def packed(predictor: Predictor, rows: pl.DataFrame) -> Any:
    """Rows as a server has them: read one by one, without a frame."""
    return RowReader(predictor.signature).read(rows.select(predictor.signature.names).to_dicts())


def test_packed_rows_of_values_are_explained_as_a_frame_is() -> None:
    """By hand against one row, as above; a row for a row, a column for a column."""
    predictor = Predictor(portable.regressor())
    explainer = Explainer(predictor, ROWS[1:2])
    found, expected = explainer.explain_blocks(packed(predictor, ROWS)), explainer.explain(ROWS)
    assert found.columns == ("amount", "town", "visits", "seen")
    assert found.values[0].tolist() == [1.5, 2.0, -2.0, -1.0]
    assert found.values.tolist() == expected.values[:, :, 0].tolist()
    assert found.errors.tolist() == expected.error[:, :, 0].tolist()
    assert found.prediction.tolist() == expected.prediction[:, 0].tolist()
    assert (found.outputs, found.base.tolist()) == (("prediction",) * 4, [0.5] * 4)
    assert (found.methods, found.background_rows) == (expected.methods, 1)


def test_of_two_classes_the_second_is_told_unless_another_is_asked_for() -> None:
    """By name, or as text; an unknown one is refused with those that there are."""
    predictor = Predictor(portable.classifier())
    explainer, blocks = Explainer(predictor, ROWS), packed(predictor, ROWS)
    expected = explainer.explain(ROWS)
    for class_, output, name in ((None, 1, "yes"), ("yes", 1, "yes"), ("no", 0, "no")):
        found = explainer.explain_blocks(blocks, class_=class_)
        assert found.outputs == (name,) * 4
        assert found.values.tolist() == expected.values[:, :, output].tolist()
        assert found.base.tolist() == [expected.base[output]] * 4
    with pytest.raises(InputError, match=r"no class 'maybe' to explain\. Choose one of no, yes"):
        explainer.explain_blocks(blocks, class_="maybe")


def test_of_several_classes_the_likeliest_of_each_row_is_told() -> None:
    """With the base of that class, so that each row adds up to its largest probability."""
    frame = tables.multiclass(300)
    predictor, _ = train_model(frame, frame.columns[-1], "random_forest", rounds=10)
    explainer, rows = Explainer(predictor, frame[:20]), frame[20:40]
    found, expected = explainer.explain_blocks(packed(predictor, rows)), explainer.explain(rows)
    likeliest = expected.prediction.argmax(axis=1)
    assert len(set(found.outputs)) > 1
    assert found.outputs == tuple(predictor.signature.classes[at] for at in likeliest)
    assert found.prediction.tolist() == expected.prediction.max(axis=1).tolist()
    assert found.values.tolist() == expected.values[np.arange(20), :, likeliest].tolist()
    assert found.base + found.values.sum(axis=1) == pytest.approx(found.prediction, abs=1e-12)


def test_a_row_gets_the_same_values_whichever_rows_come_with_it() -> None:
    """Sampled ones too, from frames and from packed rows; rows of a frame have orders of their own."""
    predictor, _ = train_model(MIXED, "paid", "lightgbm_prepared", "linear")
    explainer, rows = without_trees(predictor, MIXED[:60]), MIXED[60:64]
    together = explainer.explain_blocks(packed(predictor, rows), evaluations=1_000)
    assert set(together.methods) == {"sampled orders"}
    assert (together.errors > 0).any()
    for at in range(rows.height):
        alone = explainer.explain_blocks(packed(predictor, rows[at : at + 1]), evaluations=1_000)
        assert alone.values[0] == pytest.approx(together.values[at], abs=1e-6)
        assert alone.errors[0] == pytest.approx(together.errors[at], abs=1e-6)
    framed = explainer.explain(rows, class_="yes", evaluations=1_000)
    assert framed.values[:, :, 0].tolist() == together.values.tolist()


@pytest.mark.parametrize("name", ["lightgbm", "linear"])
def test_threads_share_an_explainer(name: str) -> None:
    """Eight at once find what one finds, to the bit."""
    predictor, _ = train_model(MIXED, "paid", name, rounds=5)
    explainer = Explainer(predictor, MIXED[:30])
    rows = [packed(predictor, MIXED[at : at + 1]) for at in range(100, 116)]
    expected = [explainer.explain_blocks(each, evaluations=500).values.tolist() for each in rows]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(lambda each: explainer.explain_blocks(each, evaluations=500).values.tolist(), rows * 2)
        )
    assert found == expected * 2


def test_no_packed_rows_have_no_values() -> None:
    """Of values, of two classes and of one that is asked for."""
    for model, class_ in ((portable.regressor(), None), (portable.classifier(), None), (portable.classifier(), "no")):
        predictor = Predictor(model)
        found = Explainer(predictor, ROWS).explain_blocks(packed(predictor, ROWS.clear()), class_=class_)
        assert (found.values.shape, found.base.shape, found.outputs, found.methods) == ((0, 4), (0,), (), ())


def test_rows_that_differ_in_one_column_need_no_order() -> None:
    """However few evaluations are allowed, the one column has all there is."""
    predictor = Predictor(portable.regressor())
    background = pl.concat([ROWS[:1]] * 3).with_columns(amount=pl.Series([1.0, 2.0, 3.0]))
    found = explain(predictor, ROWS[:1], background=background, evaluations=1)
    assert found.values[0, :, 0] == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-12)


def test_the_seed_is_the_models_own_unless_one_is_given() -> None:
    """The card tells it; another seed draws another background."""
    predictor = Predictor(portable.classifier())
    predictor.card = msgspec.structs.replace(predictor.card, seed=7)
    rows = MIXED.select("town", amount="age", visits=pl.int_range(400), seen=pl.lit("2023-05-01"))
    own, given, other = (Explainer(predictor, rows, seed=seed) for seed in (None, 7, 0))
    assert own.base.tolist() == given.base.tolist()
    assert own.base.tolist() != other.base.tolist()


def test_explaining_is_loaded_when_it_is_asked_for() -> None:
    """The store alone loads neither it nor onnx; it loads no Polars, which reading a sample of rows does."""
    code = """import sys, storage
assert not {"storage.explain", "onnx", "polars"} & set(sys.modules)
import storage.explain
assert not {"polars", "altair"} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True)
