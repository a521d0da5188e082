"""Results of several systems on the same folds of the same tables, and who is ahead."""

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import metrics

OURS = "autopilot"
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
_RESAMPLED, _INTERVAL = 300, (2.5, 97.5)

Values = NDArray[np.float64]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one system gave on one fold of one table.

    score: of METRICS, on the fold. fit_s: wall seconds; row_us: the median of one row in process; rows_per_s: of the
    whole fold at once; size_mb: of what it saved; first_s: from the start of a process to its first prediction, if that
    was measured.
    """

    system: str
    version: str
    set: str
    task: str
    fold: int
    budget_s: float
    score: float
    fit_s: float
    row_us: float
    rows_per_s: float
    size_mb: float
    first_s: float | None = None

    @property
    def loss(self) -> float:
        """Less is better."""
        return -self.score if METRICS[self.task] == "roc_auc" else self.score


class Predictions:
    """A folder of predictions, by which a difference is told from chance: `SET-SYSTEM-BUDGET-FOLD.npy`.

    Probabilities (rows, classes), classes sorted by name, or values (rows,); `truth` as system is what is true.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, row: Row, system: str = "") -> Path:
        """Of a row; of what is true in its fold."""
        return self._folder / f"{row.set}-{system or row.system}-{row.budget_s:g}-{row.fold}.npy"

    def save(self, row: Row, answers: Values) -> None:
        """What a row's system answered."""
        np.save(self.path(row), answers.astype(np.float32))

    def differ(self, row: Row, other: Row) -> bool:
        """Whether the 95% interval of the difference of losses over resampled test rows is on one side of 0.

        Paired bootstrap. Tells of the noise of the test rows, not of that of another run. True where there are no
        predictions to tell by.
        """
        paths = [self.path(row), self.path(other), self.path(row, "truth")]
        if not all(path.exists() for path in paths):
            return True
        ours, theirs, truth = (np.load(path) for path in paths)
        if not len(ours) == len(theirs) == len(truth):
            raise SystemExit(f"{paths[1]} has {len(theirs)} rows, the fold has {len(truth)}. Measure it on that fold.")
        rng, rows = np.random.default_rng(0), len(truth)
        drawn = [rng.integers(0, rows, rows) for _ in range(_RESAMPLED)]
        gaps = [_loss(row.task, truth[some], ours[some]) - _loss(row.task, truth[some], theirs[some]) for some in drawn]
        low, high = np.percentile(gaps, _INTERVAL)
        return bool(low > 0 or high < 0)


def score_of(task: str, truth: Values, found: Values) -> float:
    """The usual metric; truth: class numbers, or values."""
    if task == "regression":
        return float(metrics.root_mean_squared_error(truth, found))
    if task == "binary":
        return float(metrics.roc_auc_score(truth, found[:, 1]))
    shares = found.astype(np.float64)
    return float(metrics.log_loss(truth, shares / shares.sum(axis=1, keepdims=True), labels=range(shares.shape[1])))


def _loss(task: str, truth: Values, found: Values) -> float:
    """As `score_of`, less is better; quick, for it is called 600 times for each pair of systems."""
    if task == "regression":
        return float(np.sqrt(np.mean((truth - found) ** 2)))
    if task == "binary":
        ranks, second = rankdata(found[:, 1]), truth == 1
        pairs = second.sum() * (len(truth) - second.sum())
        return -float((ranks[second].sum() - second.sum() * (second.sum() + 1) / 2) / max(pairs, 1))
    shares = found[np.arange(len(truth)), truth.astype(np.int64)] / found.sum(axis=1)
    return -float(np.log(np.clip(shares, 1e-15, 1.0)).mean())


def read_rows(path: Path) -> list[Row]:
    """One JSON object a line."""
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines() if line.strip()]


def print_ranking(rows: list[Row], predictions: Predictions | None) -> None:
    """Scores by table, then how each system did over all of them, and how often ours was ahead of it.

    Ranks are of the folds that all systems have rows of. Of the folds of a table each counts alike, and each table;
    ties count half.
    """
    by_system: dict[str, dict[tuple[str, int], Row]] = defaultdict(dict)
    for row in rows:
        by_system[row.system][row.set, row.fold] = row
    ours = by_system[OURS]
    folds = [fold for fold in ours if all(fold in of for of in by_system.values())]
    ranks = {fold: _ranks([of[fold] for of in by_system.values()]) for fold in folds}
    systems = sorted(by_system, key=lambda system: _mean_rank(ranks, system))
    _print_scores(by_system, systems, list(dict.fromkeys(name for name, _ in ours)))
    head = "system | folds | mean rank | ahead of it | ties | beyond budget s | most | row us | rows/s | MB | first s"
    print(f"\n| {head} |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for system in systems:
        print(_summary(system, by_system[system], ours, ranks, predictions))


def _print_scores(by_system: dict[str, dict[tuple[str, int], Row]], systems: list[str], sets: list[str]) -> None:
    print("\n| set | metric | folds | " + " | ".join(systems) + " |")
    print("|---|---|---|" + "---|" * len(systems))
    for name in sets:
        found = {system: [row for (of, _), row in by_system[system].items() if of == name] for system in systems}
        shared = set.intersection(*[{row.fold for row in rows} for rows in found.values() if rows])
        losses = {
            system: np.mean([row.loss for row in rows if row.fold in shared]) for system, rows in found.items() if rows
        }
        best = min(losses.values())
        cells = [
            ("**{:.5g}**" if losses[system] == best else "{:.5g}").format(abs(losses[system]))
            if system in losses
            else "-"
            for system in systems
        ]
        task = found[OURS][0].task
        print(f"| {name} | {METRICS[task]} | {len(shared)} | " + " | ".join(cells) + " |")


def _ranks(rows: list[Row]) -> dict[str, float]:
    """1 is best; equal ones share theirs."""
    return dict(zip([row.system for row in rows], rankdata([row.loss for row in rows]).tolist(), strict=True))


def _mean_rank(ranks: dict[tuple[str, int], dict[str, float]], system: str) -> float:
    return float(np.mean([of[system] for of in ranks.values()])) if ranks else float("nan")


def _summary(
    system: str,
    rows: dict[tuple[str, int], Row],
    ours: dict[tuple[str, int], Row],
    ranks: dict[tuple[str, int], dict[str, float]],
    predictions: Predictions | None,
) -> str:
    pairs = [(ours[fold], row) for fold, row in rows.items() if fold in ours]
    wins: dict[str, list[float]] = defaultdict(list)
    for mine, theirs in pairs:
        is_tie = mine.loss == theirs.loss or (predictions is not None and not predictions.differ(mine, theirs))
        wins[mine.set].append(0.5 if is_tie else float(mine.loss < theirs.loss))
    ahead = float(np.mean([np.mean(of_set) for of_set in wins.values()])) if wins else float("nan")
    ties = sum(one == 0.5 for of_set in wins.values() for one in of_set)
    told = [f"{ahead:.0%}", f"{ties}"] if system != OURS else ["", ""]
    beyond = [row.fit_s - row.budget_s for _, row in pairs]
    row_us, rows_per_s, size_mb = (
        float(np.median([getattr(row, name) for _, row in pairs])) for name in ("row_us", "rows_per_s", "size_mb")
    )
    first_s = [row.first_s for _, row in pairs if row.first_s is not None]
    cells = [f"{np.median(beyond):+.1f}", f"{max(beyond):+.1f}"] if system != "lightgbm" else ["", ""]
    numbers = [f"{row_us:,.0f}", f"{rows_per_s:,.0f}", f"{size_mb:.3g}", f"{np.median(first_s):.2g}" if first_s else ""]
    rank = f"{_mean_rank(ranks, system):.2f}"
    return "| " + " | ".join([system, str(len(pairs)), rank, *told, *cells, *numbers]) + " |"
