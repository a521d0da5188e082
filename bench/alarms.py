"""How often are alarms false, and how much drift do they find? By window, by kind of column, for each method.

    python -m bench.alarms                              all tables; about three quarters of an hour of one core
    python -m bench.alarms --repeats 200 --windows 50,1000 --generators normal,autocorrelated
    options: --methods calibrated,psi   --tables false,stated,detection   --json FILE (written table by table)

False alarms: windows without drift against a reference of 5,000 rows, both drawn anew for each of 2,000 repeats (of
other products' conventions, which promise nothing, a quarter), so that the rate is a binomial's; one column, level 5%.
A budget counts as kept unless the rate's interval (Clopper & Pearson, 99%) lies above it; the command fails if the
calibrated method breaks one. Rows are in the order of time. The autocorrelated column is an AR(1) of 0.9, the weekly
one has a row an hour and begins at any hour of the week.

Detection: the share of windows with an alarm at growing drift, the same of each convention. Columns of numbers move by
so many standard deviations; of others that share of rows turns into the second commonest value, or loses its value.

Stated power: the drift that `monitor.power` says is found in 80% of windows, and the one that was.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

LEVEL = 0.05
REFERENCE_ROWS = 5000
WINDOWS = (50, 200, 1000, 5000, 50_000)
DETECTION_WINDOWS = (200, 1000)
AMOUNTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
REPEATS = 2000
METHODS = ("calibrated", "evidently", "nannyml-window", "sagemaker-robust", "sagemaker-simple", "psi")
WEEK = 168

TEXTS = pl.Series(["x" * length for length in range(200)])
LEVELS = pl.Series([f"level {number}" for number in range(10_000)])
ZIPF = np.cumsum(1 / np.arange(1, 1001) ** 1.1)


class Generator(NamedTuple):
    """A kind of column.

    draw: values of so many neighbouring rows from any moment on. drift: what is made of it. deviation: its standard
    deviation, or what stands for it. to: the second commonest value, which moved rows turn into.
    """

    draw: Callable[[np.random.Generator, int], pl.Series]
    drift: str = "shift"
    deviation: float = 1.0
    to: Any = None


def normal(rng: np.random.Generator, rows: int) -> pl.Series:
    """Independent, standard."""
    return pl.Series(rng.normal(size=rows))


def heavy_tail(rng: np.random.Generator, rows: int) -> pl.Series:
    """Student's t with two degrees of freedom: no variance."""
    return pl.Series(rng.standard_t(2, size=rows))


def discrete(rng: np.random.Generator, rows: int) -> pl.Series:
    """Counts with a mean of 2."""
    return pl.Series(rng.poisson(2, size=rows))


def levels(count: int) -> Callable[[np.random.Generator, int], pl.Series]:
    """So many levels, as likely as one another."""

    def draw(rng: np.random.Generator, rows: int) -> pl.Series:
        return LEVELS[rng.integers(0, count, rows)]

    return draw


def flag(rng: np.random.Generator, rows: int) -> pl.Series:
    """Two levels, one of them in a twentieth of the rows."""
    return LEVELS[(rng.random(rows) < 0.05).astype(np.int64)]


def thousand(rng: np.random.Generator, rows: int) -> pl.Series:
    """1,000 levels, the k-th of them with a share like 1/k."""
    return LEVELS[np.searchsorted(ZIPF, rng.random(rows) * ZIPF[-1])]


def autocorrelated(rng: np.random.Generator, rows: int) -> pl.Series:
    """An autoregression of 0.9."""
    from scipy.signal import lfilter

    noise = rng.normal(size=rows + 200)
    return pl.Series(lfilter([(1 - 0.81) ** 0.5], [1, -0.9], noise)[200:])


def weekly(rng: np.random.Generator, rows: int) -> pl.Series:
    """A row an hour: half of the variance is the week's and the day's."""
    hours = rng.integers(WEEK) + np.arange(rows)
    season = 0.8 * np.sin(2 * np.pi * hours / WEEK) + 0.6 * np.sin(2 * np.pi * hours / 24)
    return pl.Series((season + 0.7 * rng.normal(size=rows)) / (0.5 + 0.49) ** 0.5)


def missing(rng: np.random.Generator, rows: int) -> pl.Series:
    """A tenth is missing."""
    return pl.Series(rng.normal(size=rows)).set(pl.Series(rng.random(rows) < 0.1), None)


def zeros(rng: np.random.Generator, rows: int) -> pl.Series:
    """Nine tenths are zero, the others exponential."""
    return pl.Series(np.where(rng.random(rows) < 0.1, rng.exponential(size=rows), 0.0))


def texts(rng: np.random.Generator, rows: int) -> pl.Series:
    """Texts of about 80 characters."""
    return TEXTS[np.clip(np.rint(rng.gamma(8, 10, rows)), 0, 199).astype(np.int64)]


GENERATORS = {
    "normal": Generator(normal),
    "heavy tail": Generator(heavy_tail),
    "discrete": Generator(discrete, "moved", to=2),
    "2 levels": Generator(flag, "moved", to="level 1"),
    "20 levels": Generator(levels(20), "moved", to="level 1"),
    "1,000 levels": Generator(thousand, "moved", to="level 1"),
    "10,000 levels": Generator(levels(10_000), "moved", to="level 1"),
    "autocorrelated": Generator(autocorrelated),
    "weekly season": Generator(weekly),
    "missing values": Generator(missing, "missing"),
    "zero-inflated": Generator(zeros, "moved", to=1.0),
    "text lengths": Generator(texts, "shift", 28.0),
}


def drifted(generator: Generator, window: pl.Series, amount: float, rng: np.random.Generator) -> pl.Series:
    """The window with so much drift."""
    chosen = pl.Series(rng.random(len(window)) < amount)
    match generator.drift:
        case "missing":
            return window.set(chosen, None)
        case "moved":
            return window.set(chosen, generator.to)
        case _ if window.dtype == pl.String:
            moved = window.str.len_chars().to_numpy() + amount * generator.deviation + rng.random(len(window))
            return TEXTS[np.clip(moved, 0, 199).astype(np.int64)]
        case _:
            return window + amount * generator.deviation


def alarms_of(name: str, method: str, rows: int, repeats: int, amount: float = 0.0) -> int:
    """Alarms among so many windows; each has a reference of its own."""
    from monitor import compare

    generator = GENERATORS[name]
    rng = np.random.default_rng([rows, round(amount * 1e6), *name.encode()])
    alarms = 0
    for _ in range(repeats):
        reference, window = generator.draw(rng, REFERENCE_ROWS), generator.draw(rng, rows)
        if amount:
            window = drifted(generator, window, amount, rng)
        sides = (pl.DataFrame({name: series}) for series in (reference, window))
        alarms += compare(*sides, method=method, level=LEVEL, kinds=_kinds(name)).drifted
    return alarms


def _kinds(name: str) -> Any:
    return {name: "text"} if name == "text lengths" else None


def interval(alarms: int, repeats: int) -> tuple[float, float]:
    """The rate's exact interval of 99% (Clopper & Pearson)."""
    from scipy.stats import binomtest

    found = binomtest(alarms, repeats).proportion_ci(0.99, "exact")
    return float(found.low), float(found.high)


def false_alarms(names: Sequence[str], methods: Sequence[str], windows: Sequence[int], repeats: int) -> list[Any]:
    """The first table. `kept`: whether the interval reaches down to the level."""
    print(f"| column | window | method | repeats | false alarms | interval | {LEVEL:.0%} kept | ms |")
    print("|---|---|---|---|---|---|---|---|")
    rows: list[Any] = []
    for name in names:
        for window in windows:
            for method in methods:
                drawn = repeats if method == "calibrated" else max(repeats // 4, 1)
                begun = time.process_time()
                alarms = alarms_of(name, method, window, drawn)
                took_ms = (time.process_time() - begun) / drawn * 1e3
                low, high = interval(alarms, drawn)
                kept = low <= LEVEL
                rows.append(
                    {"column": name, "window": window, "method": method, "repeats": drawn, "alarms": alarms}
                    | {"rate": alarms / drawn, "low": low, "high": high, "kept": kept}
                )
                said = f"{alarms / drawn:.1%} | {low:.1%} to {high:.1%} | {'yes' if kept else 'NO'} | {took_ms:.1f}"
                print(f"| {name} | {window:,} | {method} | {drawn:,} | {said} |", flush=True)
    return rows


def detection(names: Sequence[str], methods: Sequence[str], windows: Sequence[int], repeats: int) -> list[Any]:
    """The second table: shares of windows with an alarm."""
    print(f"\n| column | window | drift | method | {' | '.join(map(str, AMOUNTS))} |")
    print("|---|---|---|---|" + "---|" * len(AMOUNTS))
    rows: list[Any] = []
    for name in names:
        for window in windows:
            for method in methods:
                found = [alarms_of(name, method, window, repeats, amount) / repeats for amount in AMOUNTS]
                drift = GENERATORS[name].drift
                rows.append(
                    {"column": name, "window": window, "method": method, "drift": drift, "repeats": repeats}
                    | {"amounts": AMOUNTS, "shares": found}
                )
                shares = " | ".join(f"{share:.0%}" for share in found)
                print(f"| {name} | {window:,} | {drift} | {method} | {shares} |", flush=True)
    return rows


def stated(names: Sequence[str], windows: Sequence[int], repeats: int) -> list[Any]:
    """The third table: the drift that is said to be found in 80% of windows, and the one that is."""
    print("\n| column | window | drift | said | found | said / found |\n|---|---|---|---|---|---|")
    rows: list[Any] = []
    for name in names:
        for window in windows:
            said = said_drift(name, window)
            found = said and found_drift(name, window, said, repeats)
            rows.append({"column": name, "window": window, "said": said, "found": found})
            shown = [f"{value:.4f}" if value else "none" for value in (said, found)]
            ratio = f"{said / found:.2f}" if said and found else ""
            print(f"| {name} | {window:,} | {GENERATORS[name].drift} | {' | '.join(shown)} | {ratio} |", flush=True)
    return rows


def said_drift(name: str, window: int) -> float | None:
    """In the unit of the generator's drift; the median of what five references say."""
    from monitor.power import smallest_drifts

    generator, rng = GENERATORS[name], np.random.default_rng([window, *name.encode()])
    said: list[float] = []
    for _ in range(5):
        reference = pl.DataFrame({name: generator.draw(rng, REFERENCE_ROWS)})
        smallest = smallest_drifts(reference, window, level=LEVEL, kinds=_kinds(name))[0]
        drift: float | None = getattr(smallest, generator.drift)
        if drift is None:
            return None
        said.append(drift / generator.deviation if generator.drift == "shift" else drift)
    return float(np.median(said))


def found_drift(name: str, window: int, said: float, repeats: int) -> float | None:
    """Where the probit of the share of alarms, a line in the drift, is that of 80%."""
    from scipy.stats import norm

    amounts = said * np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    shares = np.array([alarms_of(name, "calibrated", window, repeats, float(amount)) for amount in amounts]) / repeats
    probits = norm.ppf(np.clip(shares, 0.5 / repeats, 1 - 0.5 / repeats))
    slope, start = np.polyfit(amounts, probits, 1)
    return float((norm.ppf(0.8) - start) / slope) if slope > 0 else None


def main() -> int:
    """Print the tables; 1 if the calibrated method breaks a budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each rate without drift; others have a tenth")
    parser.add_argument("--windows", default="")
    parser.add_argument("--generators", default=",".join(name.replace(",", "") for name in GENERATORS))
    parser.add_argument("--methods", default=",".join(METHODS), help="names of monitor.compare.METHODS")
    parser.add_argument("--tables", default="false,stated,detection")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    methods, tables = chosen.methods.split(","), chosen.tables.split(",")
    windows = [int(rows) for rows in chosen.windows.split(",") if rows]
    names = [name for name in GENERATORS if name.replace(",", "") in chosen.generators.split(",")]
    makers: dict[str, Callable[[], list[Any]]] = {
        "false": lambda: false_alarms(names, methods, windows or WINDOWS, chosen.repeats),
        "stated": lambda: stated(names, windows or DETECTION_WINDOWS, max(chosen.repeats // 5, 1)),
        "detection": lambda: detection(names, methods, windows or DETECTION_WINDOWS, max(chosen.repeats // 10, 1)),
    }
    found: dict[str, list[Any]] = {}
    for table, make in makers.items():
        if table in tables:
            found[table] = make()
            if chosen.json:
                chosen.json.write_text(json.dumps(found), encoding="utf-8")
    broken = [row for row in found.get("false", []) if row["method"] == "calibrated" and not row["kept"]]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
