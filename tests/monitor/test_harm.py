"""Columns are ranked by importance, drift and loss, and what is unknown is said."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import ColumnDrift, Counts
from monitor.harm import Harm, HarmRanking, Loss, rank_harm


def column(name: str, effect: float | None, *, drifted: bool = True) -> ColumnDrift:
    """A column with this effect; None was not tested."""
    p_value = None if effect is None else 0.001
    drifted = drifted and effect is not None
    test = "none" if effect is None else "KS"
    return ColumnDrift(name, "number", test, effect, p_value, effect, 0.01, drifted, "", Counts(0, 0), None)


def names(ranking: HarmRanking) -> list[str]:
    return [one.column for one in ranking.columns]


def test_harm_is_importance_times_drift_times_loss() -> None:
    """A large drift of a column that hardly matters comes after a small one of one that does."""
    columns = [column("shoe size", 0.9), column("age", 0.2), column("income", 0.3)]
    importances = {"shoe size": 0.1, "age": 1.0, "income": 0.9}
    ranking = rank_harm(columns, importances, Loss("roc_auc", 0.05))
    assert names(ranking) == ["income", "age", "shoe size"]
    assert [one.harm for one in ranking.columns] == pytest.approx(
        [0.45 * 0.3 * 0.05, 0.5 * 0.2 * 0.05, 0.05 * 0.9 * 0.05]
    )
    assert ranking.note == "Harm is importance × drift × an estimated loss of 0.05 roc_auc."
    assert ranking.columns[1].words == (
        "50% of what the model looks at, with a drift of 20%; its part of an estimated loss of 0.05 roc_auc."
    )


def test_without_an_estimate_loss_is_left_out_and_said_so() -> None:
    """The order is the same."""
    ranking = rank_harm([column("a", 0.2), column("b", 0.3)], {"a": 3, "b": 1})
    assert names(ranking) == ["a", "b"]
    assert [one.harm for one in ranking.columns] == pytest.approx([0.15, 0.075])
    assert ranking.note == "Harm is importance × drift: no loss has been estimated."
    assert ranking.columns[0].words == "75% of what the model looks at, with a drift of 20%."


def test_a_model_that_has_not_got_worse_sees_no_harm() -> None:
    """Harm is 0, and the order by what it would be."""
    ranking = rank_harm([column("b", 0.1), column("a", 0.2)], {"a": 1, "b": 1}, Loss("rmse", -0.1))
    assert names(ranking) == ["a", "b"]
    assert [one.harm for one in ranking.columns] == [0.0, 0.0]
    assert ranking.note.startswith("By the estimate rmse has not got worse")


def test_what_has_not_drifted_does_no_harm() -> None:
    """However much it matters, and whatever its effect: that is chance."""
    columns = [column("steady", 0.3, drifted=False), column("times", None), column("moved", 0.1)]
    ranking = rank_harm(columns, {"steady": 9, "times": 1, "moved": 0.5})
    assert names(ranking)[0] == "moved"
    assert {one.column: one.harm for one in ranking.columns}["steady"] == 0.0
    assert {one.column: one.words.split("; ")[-1] for one in ranking.columns[1:]} == {
        "steady": "no drift was found.",
        "times": "not tested.",
    }


def test_a_prediction_has_no_importance() -> None:
    """It comes after the inputs that drifted, and before all that did not."""
    columns = [column("p_yes", 0.8), column("a", 0.1), column("b", 0.1, drifted=False)]
    ranking = rank_harm(columns, {"a": 1, "b": 1})
    assert names(ranking) == ["a", "p_yes", "b"]
    assert (ranking.columns[1].harm, ranking.columns[1].words) == (None, "A drift of 80%.")


def test_without_importances_drift_alone_ranks() -> None:
    """Of a comparison of two files there is no model. Nobody can say whose part of a loss is how large."""
    columns = [column("a", 0.1), column("b", 0.6), column("c", 0.2, drifted=False), column("d", None)]
    ranking = rank_harm(columns, {}, Loss("roc_auc", 0.05))
    assert names(ranking) == ["b", "a", "c", "d"]
    assert [one.words for one in ranking.columns] == [
        "A drift of 60%.",
        "A drift of 10%.",
        "No drift was found.",
        "Not tested.",
    ]
    assert ranking.note.endswith("so columns are ranked by drift alone.")
    assert names(rank_harm([], {})) == []


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=8),
    st.lists(st.floats(0, 10), min_size=8, max_size=8),
    st.one_of(st.none(), st.floats(-1, 1)),
)
def test_each_column_is_ranked_once(
    columns: list[tuple[float, bool]], importances: list[float], loss: float | None
) -> None:
    """Harm never rises down the ranking, and the whole survives JSON."""
    drifts = [column(str(at), effect, drifted=drifted) for at, (effect, drifted) in enumerate(columns)]
    given_ = {str(at): value for at, value in enumerate(importances)}
    ranking = rank_harm(drifts, given_, None if loss is None else Loss("f1", loss))
    assert sorted(names(ranking)) == sorted(one.name for one in drifts)
    harms = [one.harm for one in ranking.columns if one.harm is not None]
    assert harms == sorted(harms, reverse=True)
    assert msgspec.json.decode(msgspec.json.encode(ranking), type=HarmRanking) == ranking
    assert all(isinstance(one, Harm) for one in ranking.columns)
