"""Shapley values of predictions: how much each raw column of a row added to what the model says of it.

A row is held against rows of a background, one after the other (`games.py` says how, and where it comes from). What a
coalition of columns is worth is what the served graph gives for a row that has these columns from the one and all
others from the other: calibration, averages of members and features of several columns are all inside.

Three ways lead there, and the first that is possible is taken:

    tree paths       exact; the outputs are made of trees (see `anatomy.py`), and no feature of several raw columns is
                     cut. Weighted sums of trees are read leaf by leaf. Where something bent follows, such as the
                     logistic function of boosting, the sums of all coalitions are read off the leaves, and what follows
                     is run on them.
    all coalitions   exact; few columns differ between the row and the background
    sampled orders   random orders in pairs through the graph in one call, with a standard error for each value
"""

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.boundary import Blocks, blocks_of_frame, typed
from storage.errors import InputError
from storage.explain.anatomy import Anatomy, dissect, used_columns
from storage.explain.contributions import Contributions
from storage.explain.explanation import Explanation, Method, place_of, usual_places
from storage.explain.games import Chains, Games, Tally, of_coalitions, of_leaves, worth_by_leaves
from storage.explain.leaves import Bits, Leaves, read_leaves
from storage.predictor import Predictor

if TYPE_CHECKING:
    import polars as pl

Values = NDArray[np.float64]

#: Of the background: errors of 100 rows' mean are a tenth of what rows differ by, and time grows with the rows.
_BACKGROUND_ROWS = 100
#: Rows through the graph for one that is explained; 14 to 31 us each for three models of `bench.explain`.
_EVALUATIONS = 4_000
#: Coalitions of one row that are read off leaves, 4 MB for each target of the trees; the 70,000 of a row of adult take
#: 24 to 35 ms (`bench.explain`).
_MOST_READ = 2**19
#: Cells of leaves and background rows that are kept: 8 bytes each at most.
_MOST_CELLS = 50_000_000
#: How far the trees that were read may be from the graph, in units of the outputs' spread and of their size: sums of
#: float32 are off by less.
_TOLERANCE, _ROUNDING = 1e-5, 5e-7


def explain(
    predictor: Predictor,
    frame: "pl.DataFrame",
    *,
    background: "pl.DataFrame",
    class_: str | int | None = None,
    seed: int | None = None,
    evaluations: int = _EVALUATIONS,
) -> Explanation:
    """Shapley values of a model's predictions for a frame of raw columns.

    For many calls on one model, make an `Explainer` once. Arguments and errors are those of it and of its `explain`.
    """
    return Explainer(predictor, background, seed=seed).explain(frame, class_=class_, evaluations=evaluations)


class Explainer:
    """Explains predictions of one model against one background; safe to share between threads.

    base: float64 (outputs,), the mean prediction of the background: of each class, or the value.
    """

    def __init__(self, predictor: Predictor, background: "pl.DataFrame", *, seed: int | None = None) -> None:
        """Read the model.

        background: rows that are usual, such as the reference sample of a registered version; at most 100 of them,
        drawn by the seed, are used. seed: of that, and of orders that are sampled; None for the one that the model was
        trained with. Raises DataError where rows are not as in training, InputError if there are none.
        """
        if not background.height:
            raise InputError("The background has no rows. Give at least one row to hold predictions against.")
        self._predictor, self._seed = predictor, predictor.card.seed if seed is None else seed
        rng = np.random.default_rng(self._seed)
        drawn = np.sort(rng.permutation(background.height)[:_BACKGROUND_ROWS])
        self._background = blocks_of_frame(predictor.signature, typed(predictor.signature, background[drawn]))
        self._worths = self._run(self._background)
        self._used = used_columns(predictor, self._background)
        self._trees = _Trees.read(predictor, self._background, self._worths)
        self.base = self._worths.mean(axis=0)

    def explain(
        self, frame: "pl.DataFrame", *, class_: str | int | None = None, evaluations: int = _EVALUATIONS
    ) -> Explanation:
        """Shapley values of the predictions for a frame of raw columns.

        class_: explain only this class; None for all. evaluations: rows that may go through the graph for each row that
        is explained, about: more make sampled values more exact, and more rows exact. Each row of the background is
        asked at least once. Raises DataError for a cell that is not as in training, InputError for an unknown class.
        """
        signature, outputs = self._predictor.signature, self._outputs
        chosen = np.arange(len(outputs)) if class_ is None else np.array([place_of(outputs, class_)])
        cells = typed(signature, frame)
        found = self._rows(blocks_of_frame(signature, cells), evaluations)
        return Explanation(
            task=signature.task,
            target=signature.target,
            columns=signature.names,
            outputs=tuple(outputs[index] for index in chosen),
            values=found.values[:, :, chosen],
            base=self.base[chosen],
            prediction=found.prediction[:, chosen],
            error=found.error[:, :, chosen],
            methods=found.methods,
            cells=cells,
            background_rows=self._background.rows,
        )

    def explain_blocks(
        self, blocks: Blocks, *, class_: str | int | None = None, evaluations: int = _EVALUATIONS
    ) -> Contributions:
        """Shapley values of one output of each row that is packed by the model's signature: the numbers of `explain`.

        class_: explain this class, by its name or as text; None for the second of two classes, of several for the one
        that is likeliest for the row, and of values for the prediction. evaluations: as of `explain`. Loads no Polars.
        Raises InputError for an unknown class.
        """
        place = None if class_ is None else place_of(self._outputs, class_)
        found = self._rows(blocks, evaluations)
        row = np.arange(blocks.rows)
        told = usual_places(found.prediction) if place is None else np.full(blocks.rows, place)
        return Contributions(
            columns=self._predictor.signature.names,
            outputs=tuple(self._outputs[at] for at in told.tolist()),
            base=self.base[told],
            values=found.values[row, :, told],
            errors=found.error[row, :, told],
            prediction=found.prediction[row, told],
            methods=found.methods,
            background_rows=self._background.rows,
        )

    @property
    def _outputs(self) -> tuple[str | int, ...]:
        """Names of what is explained."""
        return self._predictor.signature.classes or ("prediction",)

    def _rows(self, blocks: Blocks, evaluations: int) -> "_Rows":
        """All outputs of all rows, one row after the other."""
        predicted = self._run(blocks)
        found = [self._row(blocks.slice(at, at + 1), predicted[at], evaluations) for at in range(blocks.rows)]
        shape = (blocks.rows, len(self._predictor.signature.columns), len(self._outputs))
        return _Rows(
            values=np.array([each.values for each in found]).reshape(shape),
            error=np.array([each.error for each in found]).reshape(shape),
            prediction=predicted,
            methods=tuple(each.method for each in found),
        )

    def _row(self, row: Blocks, predicted: Values, evaluations: int) -> "_Found":
        """One row, the best way."""
        if self._trees is not None and self._trees.tallies is not None:
            return self._completed(self._trees.sums(row), predicted)
        games = Games.of(self._predictor.signature, row, self._background, self._used)
        if self._trees is not None and games.coalitions <= _MOST_READ:
            return self._completed(of_coalitions(games, self._trees.worth(games, row)), predicted)
        if games.coalitions <= evaluations:
            values = of_coalitions(games, self._run(games.hybrids(*games.all_coalitions())))
            return _Found(values, np.zeros_like(values), "all coalitions")
        return self._sampled(games, predicted, evaluations)

    def _sampled(self, games: Games, predicted: Values, evaluations: int) -> "_Found":
        rows = max(1, int(2 * np.maximum(games.size - 1, 0).sum()))
        times = max(evaluations // rows, 1 if len(games.size) > 1 else 2)
        chains = Chains.draw(games, times, _draws_of(games.row, self._seed))
        chain, has = chains.coalitions(games)
        worth = self._run(games.hybrids(chains.game[chain], has))
        values, error = chains.values(games, worth, (self._worths[games.other], predicted))
        return _Found(values, error, "sampled orders")

    def _completed(self, values: Values, predicted: Values) -> "_Found":
        """Values read off leaves, in float64, made to add up to the graph's prediction, whose sums are float32.

        What is missing, by 1e-7 of the prediction or so, is given to the columns in proportion to their values.
        """
        sizes = np.abs(values)
        missing = predicted - self.base - values.sum(axis=0)
        shares = np.divide(sizes, sizes.sum(axis=0), out=np.zeros_like(sizes), where=sizes.sum(axis=0) > 0)
        return _Found(values + shares * missing, np.zeros_like(values), "tree paths")

    def _run(self, blocks: Blocks) -> Values:
        """What the model gives: (rows, outputs)."""
        outputs = self._predictor.run(blocks)
        found = outputs.probabilities if outputs.prediction is None else outputs.prediction[:, None]
        return np.asarray(found, dtype=np.float64)


class _Found(NamedTuple):
    """values, error: (columns, outputs) of one row."""

    values: Values
    error: Values
    method: Method


class _Rows(NamedTuple):
    """values, error: (rows, columns, outputs). prediction: (rows, outputs). methods: (rows,)."""

    values: Values
    error: Values
    prediction: Values
    methods: tuple[Method, ...]


def _draws_of(row: Blocks, seed: int) -> np.random.Generator:
    """The same for the same cells: a row's values do not depend on the rows that are explained with it."""
    cells = repr([part.tolist() for part in row])  # spells out what has no UTF-8, such as half of a surrogate pair
    return np.random.default_rng([seed, zlib.crc32(cells.encode())])


class _Trees(NamedTuple):
    """A model whose trees were read, and the background's bits at its leaves.

    tallies: None where the outputs are not weighted sums of the trees; else for each node of trees the background's
    bits, and what its leaves add to the outputs, (leaves, outputs).
    """

    anatomy: Anatomy
    leaves: tuple[Leaves, ...]
    others: tuple[Bits, ...]
    tallies: tuple[tuple[Tally, Values], ...] | None
    columns: int

    @classmethod
    def read(cls, predictor: Predictor, background: Blocks, worths: Values) -> "_Trees | None":
        """None where the trees cannot be read, or do not give what the graph gives."""
        anatomy = dissect(predictor, background)
        if anatomy is None:
            return None
        pairs = zip(anatomy.nodes, anatomy.influences, strict=True)
        leaves = [found for found in (read_leaves(node, influence) for node, influence in pairs) if found is not None]
        cells = sum(each.value.size + each.whole.size * background.rows for each in leaves)
        if len(leaves) < len(anatomy.nodes) or cells > _MOST_CELLS:
            return None
        others = [each.bits(X) for each, X in zip(leaves, anatomy.read_features(background), strict=True)]
        sums = [each.sums(bits) for each, bits in zip(leaves, others, strict=True)]
        apart = np.abs(anatomy.finish(sums) - worths).max()
        if not apart <= _TOLERANCE * np.ptp(worths) + _ROUNDING * np.abs(worths).max():
            return None
        tallies = _tallies(anatomy, leaves, others) if anatomy.is_affine else None
        return cls(anatomy, tuple(leaves), tuple(others), tallies, len(predictor.signature.columns))

    def sums(self, row: Blocks) -> Values:
        """Shapley values (columns, outputs) where the outputs are weighted sums of the trees."""
        assert self.tallies is not None  # noqa: S101 - asked before
        parts = zip(self.leaves, self._bits(row), self.tallies, strict=True)
        return np.sum([of_leaves(leaves, own, *tally, self.columns) for leaves, own, tally in parts], axis=0)

    def worth(self, games: Games, row: Blocks) -> Values:
        """What all coalitions of the games are worth: (coalitions, outputs)."""
        parts = zip(self.leaves, self._bits(row), self.others, strict=True)
        return self.anatomy.finish([worth_by_leaves(games, leaves, own, others) for leaves, own, others in parts])

    def _bits(self, row: Blocks) -> list[Bits]:
        pairs = zip(self.leaves, self.anatomy.read_features(row), strict=True)
        return [leaves.bits(X)[0] for leaves, X in pairs]


def _tallies(anatomy: Anatomy, leaves: list[Leaves], others: list[Bits]) -> tuple[tuple[Tally, Values], ...]:
    """The background's bits, and the leaves in units of the outputs: what the rest makes of a sum of 1."""
    widths = [each.value.shape[1] for each in leaves]
    ends = np.cumsum(widths)[:-1].tolist()
    nothing = anatomy.finish([np.zeros((1, width)) for width in widths])
    weights = anatomy.finish(np.split(np.eye(sum(widths)), ends, axis=1)) - nothing
    return tuple(
        (Tally.of(bits), each.value @ own)
        for each, bits, own in zip(leaves, others, np.split(weights, ends), strict=True)
    )
