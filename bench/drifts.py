"""Real drift: what was found in real tables, when, and was the model's quality really lost then? As Markdown.

    python -m bench.drifts --data FOLDER                 electricity.parquet, bike_sharing_hourly.parquet,
                                                         nyc_flights.parquet, aq_data.csv.gz (air by the hour, in
                                                         the wheel of aqeval 0.7.3); six minutes of one core
    options: --sets electricity,bikes,flights,air   --shuffles 20   --budget 20 (seconds of each fit)

A model is fitted on the first part in time, and what came later is watched month by month, as an endpoint would be
against the reference sample that the fit left:

    drifted     columns (inputs and prediction) by `monitor.compare` at 5%, and the one with the largest likely harm
    together    multivariate drift
    estimated   quality without labels, with its 95% interval (CBPE or DLE)
    realised    quality by the labels; DROP where it is worse than the reference's beyond chance and by no trifle
    others      columns that others' conventions alarm on, and TABLE where their verdict is on the table

The control: the same rows, outputs and labels, shuffled over time, so that nothing drifts and all alarms are false. A
reference and windows of the same sizes; the share of windows with any alarm, which is promised to be at most 5%.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

LEVEL = 0.05
METHODS = ("evidently", "nannyml", "nannyml-window", "sagemaker-robust", "psi")
TIME, TRUTH = "autopilot.time", "autopilot.truth"


class Set(NamedTuple):
    """A table whose rows have a time.

    read: of its file, with `autopilot.time`; columns that no model may have are gone. until: what is before is learnt
    from. metric: that is shown.
    """

    file: str
    target: str
    until: datetime
    metric: str
    read: Callable[[pl.DataFrame], pl.DataFrame]


def electricity(frame: pl.DataFrame) -> pl.DataFrame:
    """Half an hour a row since 7 May 1996; prices in Victoria are constant until the market grew in May 1997."""
    start = datetime(1996, 5, 7, tzinfo=UTC)
    times = pl.datetime_range(start, interval="30m", end=pl.lit(start) + pl.duration(minutes=30 * (frame.height - 1)))
    return frame.drop("date").with_columns(times.cast(pl.Datetime("us", "UTC")).alias(TIME))


def bikes(frame: pl.DataFrame) -> pl.DataFrame:
    """An hour a row, 2011 and 2012; `casual` and `registered` add up to the target."""
    days = pl.col("dteday").str.to_datetime("%Y-%m-%d", time_zone="UTC", time_unit="us")
    frame = frame.with_columns((days + pl.duration(hours="hr")).alias(TIME))
    return frame.drop("instant", "dteday", "yr", "casual", "registered")


def flights(frame: pl.DataFrame) -> pl.DataFrame:
    """Of 2013, January to April and September to December; what is known when a flight has left."""
    times = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    gone = ("year", "month", "day", "dep_time", "arr_time", "air_time", "time_hour", "flight", "tailnum")
    return frame.with_columns(times.alias(TIME)).drop(gone).drop_nulls("arr_delay")


def air(frame: pl.DataFrame) -> pl.DataFrame:
    """An hour a row, 2001 to 2003: nitrogen dioxide beside a road in Britain, by that around it and the weather."""
    times = pl.col("date").str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC", time_unit="us")
    known = frame.with_columns(times.alias(TIME)).drop("date").drop_nulls("no2")
    return known.with_columns(hour=pl.col(TIME).dt.hour(), weekday=pl.col(TIME).dt.weekday())


SETS = {
    "electricity": Set("electricity.parquet", "class", datetime(1997, 3, 1, tzinfo=UTC), "roc_auc", electricity),
    "bikes": Set("bike_sharing_hourly.parquet", "cnt", datetime(2012, 1, 1, tzinfo=UTC), "rmse", bikes),
    "flights": Set("nyc_flights.parquet", "arr_delay", datetime(2013, 3, 1, tzinfo=UTC), "rmse", flights),
    "air": Set("aq_data.csv.gz", "no2", datetime(2002, 1, 1, tzinfo=UTC), "rmse", air),
}


class Watched(NamedTuple):
    """A model and what it is watched by: all rows with its outputs and what happened, and the stored reference."""

    result: Any
    kinds: dict[str, Any]
    reference: pl.DataFrame
    traffic: pl.DataFrame
    learnt: pl.DataFrame


def watch(one: Set, frame: pl.DataFrame, budget_s: float, store: Path) -> Watched:
    """Fit on the first part, and answer all rows."""
    import io

    import autopilot
    from monitor.looked import compared_kinds

    known = frame.filter(pl.col(TIME) < one.until)
    result = autopilot.fit(
        known.rename({TIME: "time"}), one.target, time="time", ignore=["time"], budget=budget_s, store=store,
        candidates=["lightgbm"], quality="fast", progress=False,
    )  # fmt: skip
    signature = result.best.signature
    reference = pl.read_parquet(io.BytesIO(result.store.models.read_reference(result.best)))
    outputs = result.predict(frame)
    answered = pl.concat(
        [
            frame.select(*signature.names, TIME, pl.col(one.target).alias(TRUTH)),
            outputs.rename({name: f"autopilot.{name}" for name in outputs.columns}),
        ],
        how="horizontal",
    )
    kinds = compared_kinds(signature)
    named = {name: name if name in signature.names else f"autopilot.{name}" for name in kinds}
    compared = {named[name]: kind for name, kind in kinds.items()}
    is_later = pl.col(TIME) >= one.until
    return Watched(result, compared, reference, answered.filter(is_later), answered.filter(~is_later))


def months(frame: pl.DataFrame, until: datetime) -> list[Any]:
    """Calendar months that have rows, from the end of what was learnt."""
    from monitor.performance.windows import Window

    starts = frame.get_column(TIME).dt.truncate("1mo").unique().sort().to_list()
    return [Window(start, (start.replace(day=28) + _DAYS_5).replace(day=1)) for start in starts if start >= until]


_DAYS_5 = datetime(1970, 1, 6, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)


def report(name: str, one: Set, watched: Watched) -> None:
    """The table of a set, month by month."""
    from monitor import compare
    from monitor.attribution import attribution_drift, importances
    from monitor.harm import rank_harm
    from monitor.multivariate import multivariate
    from monitor.performance.estimated import estimated_of
    from monitor.performance.realised import realised_of, within
    from monitor.performance.reference import reference_of

    signature, windows = watched.result.best.signature, months(watched.traffic, one.until)
    reference = watched.reference
    quality = realised_of(
        signature, watched.traffic, reference_of(signature, reference), windows, windows[-1].end,
        metric=one.metric, level=LEVEL,
    )  # fmt: skip
    guess = estimated_of(signature, reference, watched.traffic.drop(TRUTH), windows, metric=one.metric, level=LEVEL)
    looked = attribution_drift(watched.result.model, reference, watched.traffic)
    matters = importances(looked)
    before = next(figure for figure in quality.reference if figure.metric == one.metric)
    print(f"\n### {name}: {one.metric} {_number(before.value)} in the reference of {reference.height:,} rows\n")
    print(f"| month | rows | drifted | most harmful | together | estimated | realised | {' | '.join(METHODS)} |")
    print("|---|---|---|---|---|---|---|" + "---|" * len(METHODS))
    compared = reference.select(*watched.kinds)
    for window, said, happened in zip(windows, guess.windows, quality.windows, strict=True):
        rows = within(watched.traffic, window).select(*watched.kinds)
        drift = compare(compared, rows, kinds=watched.kinds, level=LEVEL)
        worst = rank_harm(drift.columns, matters).columns[0].column if drift.drifted else ""
        inputs = [column for column in watched.kinds if not column.startswith("autopilot.")]
        together = multivariate(compared.select(inputs), rows.select(inputs), kinds=watched.kinds, level=LEVEL)
        cells = [
            f"{window.start:%Y-%m}",
            f"{rows.height:,}",
            f"{sum(c.drifted for c in drift.columns)} of {drift.tested}" if drift.tested else drift.verdict,
            worst.removeprefix("autopilot."),
            together.verdict,
            _estimate(said, one.metric),
            _figure(happened, one.metric),
            *(_others(compared, rows, watched.kinds, method) for method in METHODS),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _others(reference: pl.DataFrame, rows: pl.DataFrame, kinds: dict[str, Any], method: str) -> str:
    from monitor import compare

    found = compare(reference, rows, method=method, kinds=kinds)
    table = " TABLE" if method == "evidently" and found.drifted else ""
    return f"{sum(column.drifted for column in found.columns)}{table}"


def _estimate(window: Any, metric: str) -> str:
    if not window.figures:
        return window.verdict
    figure = window.figure(metric)
    dropped = " DROP" if window.verdict == "drop" else ""
    return f"{_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)}){dropped}"


def _figure(window: Any, metric: str) -> str:
    told = {"drop": " DROP", "no drop": ""}.get(window.verdict, f" ({window.verdict})")
    return f"{_number(window.figure(metric).value)}{told}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def control(name: str, one: Set, watched: Watched, shuffles: int) -> list[str]:
    """Of windows without drift, the share with any alarm, by each method; and of multivariate drift, once."""
    from monitor import compare
    from monitor.multivariate import multivariate
    from monitor.performance.realised import within

    sizes = [within(watched.traffic, window).height for window in months(watched.traffic, one.until)]
    rows = pl.concat([watched.learnt, watched.traffic]).select(*watched.kinds)
    alarms, together, windows = dict.fromkeys(("calibrated", *METHODS), 0), 0, 0
    for seed in range(shuffles):
        shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)
        reference, place = shuffled.head(watched.reference.height), watched.reference.height
        for size in sizes:
            window = shuffled.slice(place, size)
            place += size
            if window.height < size:
                break
            windows += 1
            for method in alarms:
                found = compare(reference, window, method=method, kinds=watched.kinds, level=LEVEL)
                alarms[method] += any(column.drifted for column in found.columns)
            if seed == 0:
                together += multivariate(reference, window, kinds=watched.kinds, level=LEVEL).drifted
    shares = [f"{count / windows:.0%}" for count in alarms.values()]
    once = windows // shuffles
    return [name, str(windows), f"{watched.reference.height:,}", *shares, f"{together} of {once}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    import autopilot

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--budget", type=float, default=20.0)
    chosen = parser.parse_args(arguments)
    controls: list[list[str]] = []
    for name in chosen.sets.split(","):
        one = SETS[name]
        path = chosen.data / one.file
        if not path.exists():
            print(f"\n{name}: no {path}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            watched = watch(one, one.read(autopilot.read(path)), chosen.budget, Path(folder))
            report(name, one, watched)
            controls.append(control(name, one, watched, chosen.shuffles))
    heads = ["set", "windows", "reference", "ours", *METHODS, "ours, together"]
    print("\n### Shuffled over time: windows with an alarm, all of them false\n")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in controls:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
