"""scikit-learn pipelines of the usual kind, converted by skl2onnx and onnxmltools: the other side of `parity.py`."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl

from bench._mutations import MUTATIONS
from bench._sets import Set

_TIE = 1e-5


def compare(one: Set, rows: int) -> Iterator[str]:
    """A line for each pipeline on a set."""
    from bench.parity import divided, median_us

    warnings.simplefilter("ignore")  # of infinities in NumPy's sums, at every mutation
    onnxruntime.set_default_logger_severity(4)
    train, later = (_renamed(frame, one.target) for frame in divided(one, rows))
    numbers, texts, prose = _kinds(train.drop(one.target))
    kept = [*numbers, *texts, *prose]
    y = train.get_column(one.target).cast(pl.Float64 if _is_value(one) else pl.String).to_numpy()
    for name, (pipeline, converter) in _pipelines(numbers, texts, prose, is_value=_is_value(one)).items():
        try:
            pipeline.fit(_pandas(train, numbers, kept), y)
        except Exception as error:  # noqa: BLE001 - what it cannot learn it cannot export
            yield _line(one, name, converter, f"not trained: {_first(error)}")
            continue
        try:
            file = _convert(pipeline, numbers, [*texts, *prose])
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - that is the finding
            yield _line(one, name, converter, f"no: {_first(error)}")
            continue
        apart, worst, flips, crashes = _judge(pipeline, session, later, numbers, kept, is_value=_is_value(one))
        clean = [_feeds(_pandas(later[row : row + 1], numbers, kept), numbers) for row in range(min(200, later.height))]
        took = median_us(lambda index, session=session, clean=clean: session.run(None, clean[index % len(clean)]))
        yield (
            f"| {one.name} | {name} | {converter} | yes | {apart:.1e} | {worst} | {flips} | {crashes} | {took:.0f} "
            f"| {len(file):,} |"
        )


def _renamed(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """Columns as x0, x1, ...: the converters write other names anew, and find some no more."""
    names = [name for name in frame.columns if name != target]
    return frame.rename({name: f"x{index}" for index, name in enumerate(names)})


def _is_value(one: Set) -> bool:
    return one.task in ("regression", "forecast")


def _line(one: Set, name: str, converter: str, why: str) -> str:
    return f"| {one.name} | {name} | {converter} | {why} | | | | | | |"


def _first(error: Exception) -> str:
    return f"{type(error).__name__} {str(error).strip().partition(chr(10))[0][:70]}".replace("|", "/")


def _kinds(frame: pl.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """Numbers, categories, prose; times are left out, since the converters take none."""
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_numeric() or dtype == pl.Boolean]
    texts = [name for name, dtype in frame.schema.items() if dtype in (pl.String, pl.Categorical, pl.Enum)]
    prose = [name for name in texts if (frame.get_column(name).cast(pl.String).str.count_matches(" ").mean() or 0) >= 2]
    return numbers, [name for name in texts if name not in prose], prose


def _pandas(frame: pl.DataFrame, numbers: list[str], kept: list[str]) -> pd.DataFrame:
    """float32 numbers and strings, missing as NaN and "": what skl2onnx asks its users to feed."""
    columns = {
        name: frame.get_column(name).cast(pl.Float64).cast(pl.Float32).fill_null(float("nan")).to_numpy()
        if name in numbers
        else np.array(frame.get_column(name).cast(pl.String).fill_null("").to_list(), dtype=object)
        for name in kept
    }
    return pd.DataFrame(columns)


def _pipelines(numbers: list[str], texts: list[str], prose: list[str], *, is_value: bool) -> dict[str, tuple[Any, str]]:
    """Each pipeline, and who converts its last step."""
    import lightgbm
    from sklearn import ensemble, linear_model
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    words = [(f"words of {name}", TfidfVectorizer(max_features=500), name) for name in prose]

    def dense(last: Any) -> Any:
        steps = [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", min_frequency=None), texts),
        ]
        return make_pipeline(ColumnTransformer([*steps, *words], sparse_threshold=0), last)

    def coded(last: Any) -> Any:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        return make_pipeline(
            ColumnTransformer([("numbers", "passthrough", numbers), ("texts", codes, texts), *words]), last
        )

    linear = linear_model.Ridge() if is_value else linear_model.LogisticRegression(max_iter=300)
    kind = "Regressor" if is_value else "Classifier"
    boosted = getattr(lightgbm, f"LGBM{'Regressor' if is_value else 'Classifier'}")(n_estimators=100, verbose=-1)
    return {
        "linear": (dense(linear), "skl2onnx"),
        "random forest": (
            coded(getattr(ensemble, f"RandomForest{kind}")(50, max_depth=12, random_state=0)),
            "skl2onnx",
        ),
        "extra trees": (coded(getattr(ensemble, f"ExtraTrees{kind}")(50, max_depth=12, random_state=0)), "skl2onnx"),
        "histogram boosting": (dense(getattr(ensemble, f"HistGradientBoosting{kind}")()), "skl2onnx"),
        "LightGBM": (coded(boosted), "onnxmltools"),
    }


def _convert(pipeline: Any, numbers: list[str], texts: list[str]) -> bytes:
    """One input for each column, as the converters' documentation has it; LightGBM through onnxmltools."""
    import lightgbm
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import convert_sklearn, update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        lightgbm.LGBMClassifier,
        "LGBMClassifier",
        calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options=options,
    )
    update_registered_converter(
        lightgbm.LGBMRegressor, "LGBMRegressor", calculate_linear_regressor_output_shapes, convert_lightgbm
    )
    inputs = [(name, FloatTensorType([None, 1])) for name in numbers]
    inputs += [(name, StringTensorType([None, 1])) for name in texts]
    last = pipeline[-1]
    chosen = {id(last): {"zipmap": False}} if hasattr(last, "predict_proba") else None
    return convert_sklearn(
        pipeline, initial_types=inputs, options=chosen, target_opset={"": 21, "ai.onnx.ml": 3}
    ).SerializeToString()


def _feeds(known: pd.DataFrame, numbers: list[str]) -> dict[str, Any]:
    return {
        str(name): known[name].to_numpy(dtype=np.float32 if name in numbers else object).reshape(-1, 1)
        for name in known
    }


def _judge(
    pipeline: Any, session: Any, later: pl.DataFrame, numbers: list[str], kept: list[str], *, is_value: bool
) -> tuple[float, str, int, int]:
    """Largest difference and where, labels that differ, crashes; what the pipeline itself refuses is passed over."""
    found: list[tuple[str, float, int, int]] = []
    for name, mutate in {"clean": lambda frame: frame, **MUTATIONS}.items():
        known = _pandas(mutate(later), numbers, kept)
        try:
            expected = pipeline.predict(known) if is_value else pipeline.predict_proba(known)
        except Exception:  # noqa: BLE001, S112 - its own limits are not the converter's
            continue
        try:
            answers = session.run(None, _feeds(known, numbers))
        except Exception:  # noqa: BLE001 - a crash of the file alone
            found.append((name, 0.0, 0, 1))
            continue
        found.append((name, *_apart(expected, answers, is_value=is_value), 0))
    worst = max(found, key=lambda one: (one[3], one[1]))
    return max(one[1] for one in found), worst[0], sum(one[2] for one in found), sum(one[3] for one in found)


def _apart(expected: Any, answers: list[Any], *, is_value: bool) -> tuple[float, int]:
    if is_value:
        truth = np.asarray(expected, dtype=np.float64)
        unit = truth.std() or 1.0
        apart = np.abs(np.asarray(answers[0], dtype=np.float64).reshape(-1) - truth) / np.maximum(unit, np.abs(truth))
        return float(np.nan_to_num(apart, nan=np.inf).max()), 0
    shares = np.asarray(answers[1], dtype=np.float64)
    top = np.sort(expected, axis=1)
    decided = top[:, -1] - top[:, -2] > _TIE
    flips = int(np.sum(decided & (expected.argmax(axis=1) != shares.argmax(axis=1))))
    return float(np.nan_to_num(np.abs(shares - expected), nan=np.inf).max()), flips
