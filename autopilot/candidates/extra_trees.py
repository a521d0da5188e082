"""Extremely randomised trees."""

from autopilot.candidates import forest
from autopilot.candidates.candidate import Fitted, Job, Problem, Values
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, IntegerParameter, Params, Space


class ExtraTrees:
    """Trees with random cuts, averaged (Geurts et al., 2006): they err differently from boosting, and so add to it.

    scikit-learn's ExtraTrees, which sees missing values. `forest.py` says how it grows within a deadline.
    """

    name = "extra_trees"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Up to 30 classes."""
        return forest.is_small_enough(problem)

    def space(self, problem: Problem) -> Space:
        """Ranges after TabArena."""
        return {
            "max_features": ContinuousParameter(0.1, 1.0),
            "min_samples_leaf": IntegerParameter(1, 32, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Many features, small leaves: smaller than is usual, since a row that is drawn twice fills two places."""
        least = 1 if problem.task == "regression" else 2
        return [{"max_features": 0.6, "min_samples_leaf": least}, {"max_features": 1.0, "min_samples_leaf": 3}]

    def fit(self, job: Job) -> Fitted:
        """Grow."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return forest.grow(ExtraTreesClassifier, ExtraTreesRegressor, job)

    def fit_out_of_bag(self, job: Job) -> tuple[Fitted, Values]:
        """Grow, and predict each row by the trees that did not see it."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return forest.grow_out_of_bag(ExtraTreesClassifier, ExtraTreesRegressor, job)
