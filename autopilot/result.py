"""What `fit` gives."""

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from autopilot.endpoint import Endpoint
from autopilot.search.frontier import Point, frontier_frame
from autopilot.table.findings import Finding
from storage.predictor import OnError, Predictor
from storage.records import CapturePolicy, ModelVersion, Run, Scores, Trial
from storage.store import Store

if TYPE_CHECKING:
    import altair as alt

    from autopilot.explain import Explanation
    from autopilot.report.page import Page


class Result(Struct, frozen=True):
    """A finished run: the model, how good it is, and what else was tried.

    model: predicts, and saves the ONNX file. best: the registered version. trials: in the order in which they ended.
    seconds: wall time of the whole call. In a notebook a result shows as a table.
    """

    store: Store
    run: Run
    best: ModelVersion
    model: Predictor
    trials: tuple[Trial, ...]
    findings: tuple[Finding, ...]
    seconds: float
    points: tuple[Point, ...] = ()

    @property
    def frontier(self) -> pl.DataFrame:
        """What a better score costs: ensembles of which none is both slower and worse than another.

        latency_us: one row through the model, in microseconds, predicted from the members' measured ones. score: of
        validation. members: in words. chosen: the one that was published.
        """
        return frontier_frame(self.points)

    @property
    def metrics(self) -> Scores:
        """Validation and test scores, with the constant guess's beside them."""
        return self.best.card.scores

    @property
    def leaderboard(self) -> pl.DataFrame:
        """All trials, best first.

        score: of validation, by the run's metric; test_score: of the rows that no decision has seen. weight: the share
        in the ensemble.
        """
        return pl.DataFrame(
            [
                {
                    "rank": rank,
                    "trial": trial.number,
                    "candidate": trial.candidate,
                    "score": trial.score,
                    "test_score": trial.test_score,
                    "weight": self._weights.get(trial.number, 0.0),
                    "status": trial.status,
                    "seconds": round(trial.seconds, 2),
                    "params": ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items()),
                    "reason": trial.reason,
                }
                for rank, trial in enumerate(self._ranked(), start=1)
            ],
            schema_overrides={"score": pl.Float64, "test_score": pl.Float64, "reason": pl.String, "weight": pl.Float64},
            infer_schema_length=None,
        )

    def predict(self, frame: Any, *, on_error: OnError = "raise") -> pl.DataFrame:
        """Predict a table of raw columns: `label` and `p_CLASS` for each class, or `prediction`.

        Raises DataError for a bad cell; with on_error="null" its row has nulls, and says why in the column `error`.
        """
        return self.model.predict(self._read(frame), on_error=on_error)

    def explain(self, frame: Any, *, class_: str | int | None = None) -> "Explanation":
        """Why the model says what it says of these rows: how much each column added, as a table and as a chart.

        Rows are held against the sample of training rows that is stored with the version. class_: explain only this
        one. A row takes some tens of milliseconds. Raises DataError for a bad cell, InputError for an unknown class.
        """
        from storage.explain import explainer_of

        return explainer_of(self.store, self.best, self.model).explain(self._read(frame), class_=class_)

    def report(self, path: str | Path | None = None) -> "Page":
        """The report on the run: one HTML page, which a notebook shows, and which is written to a file if one is named.

        It is drawn anew from what the run collected at its end, which takes some seconds. Raises FailureError if it
        collected nothing: a note of the run says why.
        """
        from autopilot.report.archive import evidence_of
        from autopilot.report.page import Page, render

        page = Page(render(evidence_of(self.store, self.run.id)))
        if path is not None:
            page.save(path)
        return page

    @property
    def charts(self) -> dict[str, "alt.Chart"]:
        """The report's charts by name, such as `ROC` and `Learning curve`, as Altair charts: change them, save them.

        Raises FailureError as `report` does.
        """
        from autopilot.report.archive import evidence_of
        from autopilot.report.page import charts_of

        return charts_of(evidence_of(self.store, self.run.id))

    def notebooks(self, folder: str | Path, *, data: Any = None) -> tuple[Path, Path]:
        """Write two notebooks that run as they are: the table explored, and the best candidate rebuilt step by step.

        data: the table, where the run was given it in memory, or its file has moved. Raises InputError if it is not
        found.
        """
        from autopilot.notebooks import write_notebooks

        return write_notebooks(self.store, self.run, folder, data=data, findings=self.findings)

    def deploy(self, endpoint: str, *, capture: bool | None = None) -> Endpoint:
        """Serve this version under a name; `autopilot serve` on the same store answers for it. Raises InputError.

        capture: whether requests are kept; None leaves that as it is, and a new endpoint keeps all.
        """
        policy = None if capture is None else CapturePolicy(share=float(capture))
        self.store.endpoints.deploy(endpoint, self.best, datetime.now(UTC), capture=policy)
        return Endpoint(endpoint)

    def summary(self) -> dict[str, Any]:
        """What `autopilot fit --json` prints; scripts may rely on its keys."""
        scores = self.metrics
        return {
            "model": self.best.name,
            "version": self.best.version,
            "run": self.run.id,
            "task": self.run.task,
            "metric": scores.metric,
            "validation_score": scores.validation_score,
            "test_score": scores.test_score,
            "baseline_score": scores.baseline_score,
            "test_rows": scores.test_rows,
            "test": scores.test,
            "baseline": scores.baseline,
            "seconds": round(self.seconds, 3),
            "budget_s": self.run.budget_s,
            "onnx_path": str(self.onnx_path),
            "size_bytes": self.best.size_bytes,
            "parity": self.best.card.parity,
            "members": self.best.card.members,
            "leaderboard": self.leaderboard.to_dicts(),
            "findings": self.findings,
            "store": str(self.store.root),
        }

    @property
    def onnx_path(self) -> Any:
        """Where the store keeps the ONNX file."""
        return self.store.blobs.path(self.best.digest)

    def _read(self, data: Any) -> pl.DataFrame:
        """A table of raw columns as a frame."""
        from autopilot.table.read import read

        signature = self.model.signature
        return read(data, text=signature.block("text"), sensitive=signature.has_sensitive)

    @property
    def _weights(self) -> dict[int, float]:
        return {member.trial: member.weight for member in self.best.card.members}

    def _ranked(self) -> list[Trial]:
        from autopilot.report.evidence import place_of

        is_greater = self.metrics.greater_is_better
        return sorted(self.trials, key=lambda trial: place_of(trial, greater_is_better=is_greater))

    def __repr__(self) -> str:
        scores = self.metrics
        return (
            f"Result({self.best.name}:{self.best.version}, {scores.metric} {scores.test_score:.4g} on "
            f"{scores.test_rows} held-out rows, constant guess {scores.baseline_score:.4g}, "
            f"{len(self.trials)} trials in {self.seconds:.0f} s)"
        )

    def _repr_html_(self) -> str:
        """The table that notebooks show."""
        scores = self.metrics
        rows = "".join(
            f"<tr><td>{row['rank']}</td><td>{escape(row['candidate'])}</td><td>{_cell(row['score'])}</td>"
            f"<td>{_cell(row['weight'] or None)}</td><td>{row['status']}</td><td>{row['seconds']}</td></tr>"
            for row in self.leaderboard.head(10).to_dicts()
        )
        metrics = "".join(
            f"<tr><td>{escape(name)}</td><td>{_cell(value)}</td><td>{_cell(scores.baseline[name])}</td></tr>"
            for name, value in scores.test.items()
        )
        return (
            f"<h4>{escape(self.best.name)}:{self.best.version} &mdash; {escape(self.run.target)}, {self.run.task}</h4>"
            f"<table><tr><th>held-out metric</th><th>model</th><th>constant guess</th></tr>{metrics}</table>"
            f"<table><tr><th>rank</th><th>candidate</th><th>{escape(scores.metric)}</th><th>weight</th><th>status</th>"
            f"<th>seconds</th></tr>{rows}</table>"
        )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
