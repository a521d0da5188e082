"""Numbers, times and names of metrics as people read them."""

#: Metrics whose names are not words.
_METRICS = {
    "roc_auc": "ROC AUC",
    "mcc": "Matthews correlation",
    "kappa": "Cohen's kappa",
    "brier": "Brier score",
    "f1": "F1",
    "f1_macro": "F1, mean of classes",
    "f1_weighted": "F1, by rows",
    "rmse": "RMSE",
    "mae": "MAE",
    "median_ae": "median absolute error",
    "r2": "R²",
    "rmsle": "RMSLE",
    "mape": "MAPE",
    "smape": "SMAPE",
}


def number(value: float) -> str:
    """A number in few characters: four digits, all of those before the point up to a million.

    >>> [number(value) for value in (0.0, 0.92841, 48210.4, 2_500_000.0, -0.00004, 1e12)]
    ['0', '0.9284', '48,210', '2.5M', '−4e-05', '1e+12']
    """
    sign, size = "−" if value < 0 else "", abs(value)
    if 1e6 <= size < 1e9:
        return f"{sign}{size / 1e6:.4g}M"
    if size >= 1e9 or 0 < size < 0.001:
        return f"{sign}{size:.3g}"
    return sign + (f"{size:,.0f}" if size >= 1000 else f"{size:.4g}")


def between(lower: float, upper: float) -> str:
    """An interval, both ends with as many digits as tell its width.

    >>> between(0.92341, 0.93188), between(48100.2, 51200.9), between(-0.02, 0.113)
    ('0.9234 to 0.9319', '48,100 to 51,201', '−0.02 to 0.11')
    """
    width = upper - lower
    places = 0 if width >= 100 else next((digits for digits in range(8) if width * 10**digits >= 10), 8)
    return " to ".join(f"{end:,.{places}f}".replace("-", "−") for end in (lower, upper))


def percent(share: float) -> str:
    """A share in per cent: one digit after the point below ten.

    >>> [percent(share) for share in (0.0, 0.0004, 0.0421, 0.5, 0.9996, 1.0)]
    ['0%', '<0.1%', '4.2%', '50%', '>99.9%', '100%']
    """
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}".replace(".0%", "%") if share < 0.0995 or 0.99 < share < 1 else f"{share:.0%}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> [duration(seconds) for seconds in (0.04, 7.31, 59.9, 312.0, 7500.0)]
    ['0.04 s', '7.3 s', '60 s', '5 min 12 s', '2 h 5 min']
    """
    if seconds < 100:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def latency(microseconds: float) -> str:
    """The time of one row.

    >>> latency(41.6), latency(2300.0), latency(0.0)
    ('42 µs', '2.3 ms', 'not measured')
    """
    if not microseconds:
        return "not measured"
    return f"{microseconds:.0f} µs" if microseconds < 1000 else f"{microseconds / 1000:.3g} ms"


def size(count: int) -> str:
    """Bytes, in thousands or millions of them.

    >>> size(730), size(48_210), size(3_512_000)
    ('730 B', '48 kB', '3.5 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number of things.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "category", "categories")
    ('1 row', '1,200 rows', '2 categories')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def metric_name(name: str) -> str:
    """A metric in words.

    >>> metric_name("roc_auc"), metric_name("balanced_accuracy")
    ('ROC AUC', 'balanced accuracy')
    """
    return _METRICS.get(name, name.replace("_", " "))
