"""Random forests."""

from autopilot.candidates import forest
from autopilot.candidates.candidate import Fitted, Job, Problem, Values
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, IntegerParameter, Params, Space


class RandomForest:
    """Trees with the best cuts of random features, each on rows drawn with replacement, averaged (Breiman, 2001).

    scikit-learn's RandomForest, which sees missing values. `forest.py` says how it grows within a deadline.
    """

    name = "random_forest"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Up to 30 classes."""
        return forest.is_small_enough(problem)

    def space(self, problem: Problem) -> Space:
        """Features for each cut, leaves and rows for each tree: what Probst et al. (2019) found to matter."""
        return {
            "max_features": ContinuousParameter(0.1, 1.0),
            "min_samples_leaf": IntegerParameter(1, 32, "logarithmic"),
            "max_samples": ContinuousParameter(0.3, 1.0),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Few features and small leaves first; regression wants more features."""
        few, many = (0.5, 0.8) if problem.task == "regression" else (0.25, 0.6)
        return [
            {"max_features": few, "min_samples_leaf": 1, "max_samples": 1.0},
            {"max_features": many, "min_samples_leaf": 4, "max_samples": 0.7},
        ]

    def fit(self, job: Job) -> Fitted:
        """Grow."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return forest.grow(RandomForestClassifier, RandomForestRegressor, job)

    def fit_out_of_bag(self, job: Job) -> tuple[Fitted, Values]:
        """Grow, and predict each row by the trees that did not see it."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return forest.grow_out_of_bag(RandomForestClassifier, RandomForestRegressor, job)
