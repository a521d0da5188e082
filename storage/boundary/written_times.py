"""Times as text: one regular expression for each way of writing a date, which Python and Polars both run.

The text is then read by its groups with the arithmetic of the calendar, so that a string is the same instant in a row
and in a frame. The time of day may follow each whole date: hours and minutes, seconds, a fraction (microseconds are
kept), AM or PM, and a zone (`Z`, `UTC`, `GMT`, `+02:00`); without a zone it is in UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from storage.boundary.numbers import SPACE

if TYPE_CHECKING:
    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what is subtracted from times without a zone
_MICROSECOND = timedelta(microseconds=1)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME = (
    r"(?P<B>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\.?"
)
_WEEKDAY = "(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*[.,]?[ ]+)?"
_YEAR, _SHORT_YEAR, _MONTH, _DAY = "(?P<Y>[12][0-9]{3})", "(?P<y>[0-9]{2})", "(?P<m>[0-9]{1,2})", "(?P<d>[0-9]{1,2})"
_TWO = {"%d": "(?P<d>[0-9]{2})", "%m": "(?P<m>[0-9]{2})"}
_ZONE = r"(?:Z|UTC|GMT|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?[0-5][0-9](?:\.[0-9]+)?)?)?)"
_CLOCK = (
    r"(?:(?:[ ,]*T|[ ,]+|:)(?P<H>[0-9]{1,2}):(?P<M>[0-5][0-9])(?::(?P<S>[0-5][0-9])(?:[.,](?P<f>[0-9]+))?)?"
    rf"(?:[ ]*(?P<p>[AaPp])\.?[Mm]\.?)?(?:[ ]*(?P<z>{_ZONE}))?)?"
)
_ISO = "(?P<Y>[1-9]000|[0-9][1-9]00|[0-9]{2}[1-9]0|[0-9]{3}[1-9])-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"  # from year 1
_MINUTES = "[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]"
#: Usual spellings of a time of day as a regular expression, and as Polars' own parser knows them.
_PLAIN_CLOCKS = {
    "": "",
    f"{_MINUTES}Z?": " %H:%M",
    f"{_MINUTES}:[0-5][0-9]Z?": " %H:%M:%S",
    rf"{_MINUTES}:[0-5][0-9]\.[0-9]{{1,9}}Z?": " %H:%M:%S%.f",
}


def _numeric_dates() -> dict[str, str]:
    """Day, month and year as numbers between slashes, points or hyphens."""
    found: dict[str, str] = {}
    for mark in "/.-":
        by = re.escape(mark)
        for first, second in (("%d", "%m"), ("%m", "%d")):
            parts = {"%d": _DAY, "%m": _MONTH} if mark == "/" else _TWO
            long = {"%d": _DAY, "%m": _MONTH}
            found[f"{first}{mark}{second}{mark}%Y"] = by.join((long[first], long[second], _YEAR))
            found[f"{first}{mark}{second}{mark}%y"] = by.join((parts[first], parts[second], _SHORT_YEAR))
    return found


#: Formats of dates that are not ISO, in the words of `strptime`, and the regular expression of each. Years of two
#: digits are 1969 to 2068, as POSIX has it. 1.2.03 is more often a version than a date: with points and hyphens, short
#: years ask for two digits in each place. A month without a day is its first day.
TIME_FORMATS: dict[str, str] = {
    **_numeric_dates(),
    "%Y/%m/%d": f"{_YEAR}/{_MONTH}/{_DAY}",
    "%Y.%m.%d": rf"{_YEAR}\.{_MONTH}\.{_DAY}",
    "%Y%m%d": "(?P<Y>(?:19|20)[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})",
    "%d %B %Y": f"{_WEEKDAY}{_DAY}(?:[ ]+|-){_MONTH_NAME}(?:[ ]+|-|,[ ]*){_YEAR}",
    "%B %d, %Y": f"{_WEEKDAY}{_MONTH_NAME}[ ]+{_DAY}(?:,[ ]*|[ ]+){_YEAR}",
    "%B %Y": f"{_MONTH_NAME}[ -]+{_YEAR}",
    "%Y %B": f"{_YEAR}[ -]+{_MONTH_NAME}",
    "%m/%Y": f"{_MONTH}/{_YEAR}",
    "%Y-%m": f"{_YEAR}-(?P<m>[0-9]{{2}})",
}


class _Reader(NamedTuple):
    """One format, ready for both languages."""

    pattern: "re.Pattern[str]"
    rust: str


@cache
def _reader(time_format: str | None) -> _Reader:
    date_part = _ISO if time_format is None else TIME_FORMATS[time_format]
    with_clock = date_part if time_format in ("%B %Y", "%Y %B", "%m/%Y", "%Y-%m") else date_part + _CLOCK
    return _Reader(re.compile(with_clock), f"^(?:{with_clock})$")


# ------------------------------------------------------------------------------------------------------------ rows


def micros_of_text(text: str, time_format: str | None = None) -> int | None:
    """A time in microseconds since 1970 UTC, by ISO 8601 or by one of TIME_FORMATS; None if the text is not of it.

    >>> micros_of_text("1970-01-01T00:00:01Z"), micros_of_text(" 2 Jan 1970", "%d %B %Y"), micros_of_text("2/1/1970")
    (1000000, 86400000000, None)
    """
    if time_format is None and _is_usual(text):
        try:
            return micros_of_datetime(datetime.fromisoformat(text))
        except ValueError:  # 7:30 PM
            pass
    match = _reader(time_format).pattern.fullmatch(text.strip(SPACE))
    return None if match is None else _micros_of_parts(match.groupdict())


def _is_usual(text: str) -> bool:
    """Whether Python's own reader, which costs a third, reads no other time from the text than `_ISO` would."""
    length = len(text)
    if length < 10 or text[4] != "-" or text[7] != "-":
        return False
    return length == 10 or (length > 13 and text[13] == ":" and text[10] in "T " and text[11:13] < "24")


def micros_of_datetime(when: datetime) -> int:
    """Microseconds since 1970 UTC; without a zone it is in UTC."""
    return (when - (_EPOCH if when.tzinfo else _NAIVE_EPOCH)) // _MICROSECOND


def _micros_of_parts(part: dict[str, str | None]) -> int | None:
    try:
        when = datetime(_year(part), _month(part), int(part.get("d") or 1), _hour(part), tzinfo=UTC)
    except ValueError:  # the 31st of April, 25 o'clock
        return None
    minutes, seconds = int(part.get("M") or 0), int(part.get("S") or 0)
    micros = int(((part.get("f") or "") + "000000")[:6])
    return (when - _EPOCH) // _MICROSECOND + (60 * minutes + seconds) * 1_000_000 + micros - _offset_us(part.get("z"))


def _year(part: dict[str, str | None]) -> int:
    if part.get("Y") is not None:
        return int(part["Y"] or 0)
    short = int(part["y"] or 0)
    return short + (1900 if short >= 69 else 2000)


def _month(part: dict[str, str | None]) -> int:
    name = part.get("B")
    return int(part["m"] or 0) if name is None else _MONTHS.index(name[:3].lower()) + 1


def _hour(part: dict[str, str | None]) -> int:
    """0 to 23. Raises ValueError for 13 PM."""
    hour, half = int(part.get("H") or 0), part.get("p")
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if half in "Pp" else 0)


def _offset_us(zone: str | None) -> int:
    if zone is None or zone[0] not in "+-":
        return 0
    digits = re.sub("[+:-]", "", zone)
    whole, _, fraction = digits.partition(".")
    seconds = int(whole[:2]) * 3600 + int(whole[2:4] or 0) * 60 + int(whole[4:6] or 0)
    micros = seconds * 1_000_000 + int((fraction + "000000")[:6])
    return -micros if zone[0] == "-" else micros


# ---------------------------------------------------------------------------------------------------------- frames


def parse_times(series: "pl.Series", time_format: str | None = None) -> "pl.Series":
    """Strings to Datetime("us") in UTC: by ISO 8601, or by one of TIME_FORMATS; null where a string is not of it.

    >>> import polars as pl
    >>> parse_times(pl.Series(["31.12.2024 23:59", "2024"]), "%d.%m.%Y").to_list()
    [datetime.datetime(2024, 12, 31, 23, 59), None]
    """
    import polars as pl

    distinct = series.drop_nulls().unique()
    if 2 * len(distinct) > len(series):
        return _parse(series, time_format)
    parsed = _parse(distinct, time_format)
    return series.replace_strict(distinct, parsed, default=None, return_dtype=pl.Datetime("us"))


def _parse(series: "pl.Series", time_format: str | None) -> "pl.Series":
    bare = series.str.strip_chars(SPACE)
    found = _parse_plain(bare, time_format)
    left = (bare.is_not_null() & found.is_null()).arg_true()
    return found.scatter(left, _parse_any(bare.gather(left), time_format)) if len(left) else found


def _parse_plain(series: "pl.Series", time_format: str | None) -> "pl.Series":
    """The most usual spellings, by Polars' own parser: a million ISO times in 0.3 s, where `_parse_any` takes 2 s.

    It takes a 60th second, and short years after 69 for another century, so those are left to the other.
    """
    import polars as pl

    strptime = time_format or "%Y-%m-%d"
    found = pl.Series(series.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(series))
    if not {"%Y", "%m", "%d"} <= set(re.findall("%.", strptime)):
        return found
    date_part = _ISO if time_format is None else TIME_FORMATS[time_format]
    for shape, clock in _PLAIN_CLOCKS.items():
        if (fits := series.str.contains(f"^{date_part}{shape}$")).any():
            plain = series.set(~fits, None).str.strip_suffix("Z").str.replace("T", " ", literal=True)
            parsed = plain.str.to_datetime(strptime + clock, time_unit="us", strict=False)
            found = found.zip_with(found.is_not_null(), parsed)
    return found


def _parse_any(series: "pl.Series", time_format: str | None) -> "pl.Series":
    """Whole numbers from the groups of the format's expression, and the calendar's arithmetic on them.

    A day beyond its month's last is found by the month that it falls into.
    """
    import polars as pl

    reader = _reader(time_format)
    groups = series.str.extract_groups(reader.rust).struct.unnest()
    parts = groups.select(
        year=_years(groups),
        month=_months(groups),
        day=_whole(groups, "d", 1),
        hour=_hours(groups),
        minute=_whole(groups, "M", 0),
        second=_whole(groups, "S", 0),
        micro=_micros(groups),
        offset=_offsets_us(groups),
    )
    days = _days_from_civil(pl.col("year"), pl.col("month"), pl.col("day"))
    seconds = ((days * 24 + pl.col("hour")) * 60 + pl.col("minute")) * 60 + pl.col("second")
    micros = seconds * 1_000_000 + pl.col("micro") - pl.col("offset")
    is_real = (
        (days.cast(pl.Int32).cast(pl.Date).dt.month() == pl.col("month"))
        & (pl.col("day") >= 1)
        & (pl.col("hour") <= 23)
    )
    found = parts.select(pl.when(is_real).then(micros).cast(pl.Datetime("us")).alias(series.name))
    return found.get_column(series.name)


def _whole(groups: "pl.DataFrame", name: str, default: int) -> "pl.Expr":
    """A group of digits; its default where the expression has no such group, or where it took no part."""
    import polars as pl

    return pl.col(name).cast(pl.Int64).fill_null(default) if name in groups.columns else pl.lit(default, pl.Int64)


def _years(groups: "pl.DataFrame") -> "pl.Expr":
    import polars as pl

    if "Y" in groups.columns:
        return pl.col("Y").cast(pl.Int64)
    short = pl.col("y").cast(pl.Int64)
    return short + pl.when(short >= 69).then(1900).otherwise(2000)


def _months(groups: "pl.DataFrame") -> "pl.Expr":
    import polars as pl

    if "m" in groups.columns:
        return pl.col("m").cast(pl.Int64)
    numbers = {name: number for number, name in enumerate(_MONTHS, start=1)}
    return pl.col("B").str.slice(0, 3).str.to_lowercase().replace_strict(numbers, default=None, return_dtype=pl.Int64)


def _hours(groups: "pl.DataFrame") -> "pl.Expr":
    """0 to 23; 99 for 13 PM."""
    import polars as pl

    hour = _whole(groups, "H", 0)
    if "p" not in groups.columns or not groups.get_column("p").count():
        return hour
    afternoon = pl.when(pl.col("p").is_in(["P", "p"])).then(12).otherwise(0)
    by_halves = pl.when(hour.is_between(1, 12)).then(hour % 12 + afternoon).otherwise(99)
    return pl.when(pl.col("p").is_null()).then(hour).otherwise(by_halves)


def _micros(groups: "pl.DataFrame") -> "pl.Expr":
    import polars as pl

    if "f" not in groups.columns or not groups.get_column("f").count():
        return pl.lit(0, pl.Int64)
    return (pl.col("f").fill_null("") + "000000").str.slice(0, 6).cast(pl.Int64)


def _offsets_us(groups: "pl.DataFrame") -> "pl.Expr":
    import polars as pl

    if "z" not in groups.columns or not groups.get_column("z").str.contains("^[+-]").any():
        return pl.lit(0, pl.Int64)
    sign = (
        pl.when(pl.col("z").str.starts_with("-")).then(-1).when(pl.col("z").str.starts_with("+")).then(1).otherwise(0)
    )
    digits = pl.col("z").str.replace_all("[^0-9.]", "") + "."
    fraction = (digits.str.extract(r"\.([0-9]*)") + "000000").str.slice(0, 6)
    whole = digits.str.extract("^([0-9]*)") + "0000"
    hours, minutes, seconds = (whole.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (0, 2, 4))
    return (sign * (((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction.cast(pl.Int64))).fill_null(0)


def _days_from_civil(year: "pl.Expr", month: "pl.Expr", day: "pl.Expr") -> "pl.Expr":
    """Days since 1970 of a date in the proleptic Gregorian calendar (Howard Hinnant, days_from_civil)."""
    shifted = year - (month <= 2).cast(int)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
