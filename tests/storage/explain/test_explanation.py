"""How explanations are shown: a table, a chart, and in a notebook."""

import numpy as np
import polars as pl
import pytest

from storage import Predictor
from storage.errors import InputError
from storage.explain import Explanation, explain
from tests import portable

FRAME = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)


def of(rows: int) -> Explanation:
    """So many rows against the second."""
    return explain(Predictor(portable.regressor()), FRAME[:rows], background=FRAME[1:2])


def test_the_table_has_the_largest_values_first() -> None:
    """With the cells as text; -2 before 1.5 before -1."""
    assert of(1).frame().rows() == [
        (0, "town", "Ulm", 2.0, 0.0),
        (0, "visits", "2.0", -2.0, 0.0),
        (0, "amount", "4.0", 1.5, 0.0),
        (0, "seen", "2023-05-01 00:00:00.000000", -1.0, 0.0),
    ]
    assert of(1).frame().columns == ["row", "column", "cell", "value", "error"]


def test_the_table_names_classes() -> None:
    """Each row and class has a line for each column, whose values add up."""
    found = explain(Predictor(portable.classifier()), FRAME[:2], background=FRAME)
    sums = found.frame().group_by("row", "class", maintain_order=True).agg(pl.col("value").sum())
    assert sums.select("row", "class").rows() == [(0, "no"), (0, "yes"), (1, "no"), (1, "yes")]
    assert sums.get_column("value").to_list() == pytest.approx((found.prediction - found.base).ravel().tolist())


def test_a_row_is_drawn_from_the_base_to_the_prediction() -> None:
    """Bars begin where the one before ends."""
    (bars,) = of(1).chart().to_dict()["datasets"].values()
    assert [bar["label"] for bar in bars] == [
        "mean",
        "town = Ulm",
        "visits = 2",
        "amount = 4",
        "seen = 2023-05-01 00:00:00",
        "prediction",
    ]
    assert [(bar["begin"], bar["end"]) for bar in bars] == [
        (0.5, 0.5),
        (0.5, 2.5),
        (2.5, 0.5),
        (0.5, 2.0),
        (2.0, 1.0),
        (1.0, 1.0),
    ]
    (few,) = of(1).chart(most=1).to_dict()["datasets"].values()
    assert [bar["label"] for bar in few] == ["mean", "town = Ulm", "3 more", "prediction"]
    assert few[2]["value"] == -1.5


def test_several_rows_are_drawn_by_their_mean_sizes() -> None:
    """Columns by the mean size of their values; each row has its own chart too."""
    found = of(4)
    (sizes,) = found.chart().to_dict()["datasets"].values()
    expected = dict(zip(found.columns, np.abs(found.values[:, :, 0]).mean(axis=0).tolist(), strict=True))
    assert {line["column"]: line["size"] for line in sizes} == pytest.approx(expected)
    assert "prediction" in str(found.chart(3).to_dict())
    with pytest.raises(InputError, match="Row 4 is not explained; there are 4 rows"):
        found.chart(4)


def test_a_notebook_shows_the_chart_and_its_words() -> None:
    """As Vega-Lite that draws; without rows as text."""
    import vl_convert

    bundle = of(1)._repr_mimebundle_()
    told = bundle[0] if isinstance(bundle, tuple) else bundle
    assert any("vega" in kind or "html" in kind for kind in told)
    svg = vl_convert.vegalite_to_svg(of(1).chart().to_dict())
    assert "exact, against 1 background rows, by all coalitions" in svg
    assert of(0)._repr_mimebundle_() == {"text/plain": "Explanation(0 rows, 4 columns, no rows)"}
