"""Charts as SVG text, written by hand: a page of them needs no script, no font and no library.

Sizes in height are pixels, in width per cent, so that text keeps its size on a phone while shapes give way. What comes
from a table (names of levels) is escaped here, by the function that writes it; everything else is numbers.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from markupsafe import Markup, escape

from monitor.drift import Bars, ColumnDrift, Histogram

Side = Literal["reference", "current"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLOT_HEIGHT = 190
_BAR_ROW_HEIGHT = 44
_NAME_CHARACTERS = 32
#: The step of an axis is one of these times a power of ten.
_STEPS = (1, 2, 2.5, 5, 10)


def mini(column: ColumnDrift, side: Side) -> Markup:
    """A thumbnail of one side: share of rows in each bin or level, both sides on one scale. Empty where no chart is."""
    chart = column.chart
    if chart is None:
        return Markup("")
    bins = len(chart.reference)  # without the sum of all other levels, which would dwarf the rest
    heights = shares(chart, side)[:bins]
    top = max(*shares(chart, "reference")[:bins], *shares(chart, "current")[:bins]) or 1.0
    gap = 0.2 if isinstance(chart, Bars) else 0.0
    path = _columns([height / top for height in heights], gap)
    box = f'viewBox="0 0 {len(heights)} 1" preserveAspectRatio="none"'
    return _svg(f'class="mini {side}" {box}', f"{side} distribution", f'<path d="{path}"/>')


def overlay(column: ColumnDrift) -> Markup:
    """The large chart of a column: both sides over one another, with axes. Empty where there is none."""
    chart = column.chart
    if chart is None:
        return Markup("")
    return _bar_chart(chart) if isinstance(chart, Bars) else _histogram_chart(chart)


def _svg(attributes: str, label: str, content: str) -> Markup:
    """An SVG element; `content` has been escaped where it was not ours."""
    return Markup(f'<svg {attributes} role="img" aria-label="{label}">{content}</svg>')  # noqa: S704 - escaped above


# ------------------------------------------------------------------------------------------------------- histograms


def _histogram_chart(chart: Histogram) -> Markup:
    """Reference as a grey area, current as a line over it; share of rows upwards, values to the right."""
    reference, current = shares(chart, "reference"), shares(chart, "current")
    highest = max(*reference, *current) or 1.0
    levels = [level for level in ticks(0.0, highest, 4) if level <= highest * 1.001]
    top = highest * 1.08
    parts = [
        *(_grid_line(level / top, percent(level)) for level in levels),
        f'<svg y="0" width="100%" height="{_PLOT_HEIGHT}" viewBox="0 0 {len(reference)} 1" preserveAspectRatio="none">'
        f'<path class="reference" d="{_columns([share / top for share in reference])}"/>'
        f'<path class="current" d="{_outline([share / top for share in current])}"/></svg>',
        *_x_axis(chart),
    ]
    box = f'class="chart" width="100%" height="{_PLOT_HEIGHT + 24}"'
    return _svg(box, "Both distributions over one another", "".join(parts))


def _grid_line(height: float, label: str) -> str:
    y = _PLOT_HEIGHT * (1 - height)
    if height == 0:
        return f'<line class="base" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/><text x="0" y="{y - 4:.1f}">{label}</text>'


def _x_axis(chart: Histogram) -> list[str]:
    low, high = chart.edges[0], chart.edges[-1]
    marks = _time_marks(low, high) if chart.unit == "time" else _number_marks(low, high)
    return [
        f'<text x="{(value - low) / (high - low):.2%}" y="{_PLOT_HEIGHT + 17}" '
        f'text-anchor="{_anchor((value - low) / (high - low))}">{escape(label)}</text>'
        for value, label in marks
    ]


def _anchor(place: float) -> str:
    """Labels near an end are turned inwards, so that none is cut."""
    return "start" if place < 0.06 else "end" if place > 0.94 else "middle"


def _number_marks(low: float, high: float) -> list[tuple[float, str]]:
    values = [value for value in ticks(low, high, 5) if low <= value <= high]
    return [(value, number(value)) for value in values]


def _time_marks(low: float, high: float) -> list[tuple[float, str]]:
    values = [low + (high - low) * share for share in (0, 0.5, 1)]
    pattern = "%Y-%m-%d" if high - low > 3 * 86_400e6 else "%m-%d %H:%M"
    return [(value, _moment(value, pattern)) for value in values]


def _moment(micros: float, pattern: str) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=micros)).strftime(pattern)
    except OverflowError:  # beyond the years 1 to 9999
        return number(micros)


def _columns(heights: Sequence[float], gap: float = 0.0) -> str:
    """A path of filled columns, one unit wide each, in a box of height 1."""
    near, width = gap / 2, 1 - gap
    return "".join(
        f"M{index + near:g},1V{1 - height:.3f}h{width:g}V1z" for index, height in enumerate(heights) if height > 0
    )


def _outline(heights: Sequence[float]) -> str:
    """A path along the tops of columns, closed at the ground."""
    return "M0,1" + "".join(f"V{1 - height:.3f}h1" for height in heights) + "V1"


# ------------------------------------------------------------------------------------------------------------- bars


def _bar_chart(chart: Bars) -> Markup:
    """For each level its name and both shares, and two bars below: reference in grey, current in colour.

    The sum of all other levels is told without bars, which would be longer than all others and say nothing.
    """
    reference, current = shares(chart, "reference"), shares(chart, "current")
    longest = max(*reference[: len(chart.levels)], *current[: len(chart.levels)]) or 1.0
    names = level_names(chart)
    parts = [
        _bar_row(index * _BAR_ROW_HEIGHT, names[index], reference[index], current[index], longest)
        for index in range(len(chart.levels))
    ]
    height = len(parts) * _BAR_ROW_HEIGHT
    if chart.others:
        parts.append(_row_text(height, names[-1], reference[-1], current[-1]))
        height += 24
    return _svg(f'class="chart" width="100%" height="{height}"', "Share of rows of each level", "".join(parts))


def level_names(chart: Bars) -> list[str]:
    """What the bars are called, and after them the sum of all other levels, if there are any.

    An empty text and that sum have names that no level of the data has: parentheses are added until it is so.

    >>> from monitor.drift import Counts
    >>> level_names(Bars(("", "Ulm", "(empty)"), (3, 2, 1), (1, 2, 3), 5, Counts(9, 9)))
    ['((empty))', 'Ulm', '(empty)', '5 other levels']
    """
    names = [level or _unlike("(empty)", chart.levels) for level in chart.levels]
    return [*names, *([_unlike(f"{chart.others:,} other levels", chart.levels)] if chart.others else [])]


def _unlike(name: str, levels: Sequence[str]) -> str:
    while name in levels:
        name = f"({name})"
    return name


def _bar_row(y: int, name: str, reference: float, current: float, longest: float) -> str:
    return (
        f"{_row_text(y, name, reference, current)}"
        f'<rect class="reference" x="0" y="{y + 20}" width="{reference / longest:.2%}" height="7"/>'
        f'<rect class="current" x="0" y="{y + 28}" width="{current / longest:.2%}" height="7"/>'
    )


def _row_text(y: int, name: str, reference: float, current: float) -> str:
    return (
        f'<text class="level" x="0" y="{y + 14}">{_level(name)}</text>'
        f'<text x="100%" y="{y + 14}" text-anchor="end">{percent(reference)} → {percent(current)}</text>'
    )


def _level(name: str) -> str:
    """A level's name, escaped; a long one is cut, and whole in the tooltip."""
    if len(name) <= _NAME_CHARACTERS:
        return escape(name)
    return f"{escape(name[: _NAME_CHARACTERS - 1])}…<title>{escape(name)}</title>"


# ----------------------------------------------------------------------------------------------- numbers for people


def shares(chart: Histogram | Bars, side: Side) -> list[float]:
    """Share of this side's rows with a value in each bin, or in each level and the rest of them."""
    counts = list(chart.reference if side == "reference" else chart.current)
    if isinstance(chart, Bars) and chart.others:
        counts.append(chart.rest.reference if side == "reference" else chart.rest.current)
    rows = sum(counts) or 1
    return [count / rows for count in counts]


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that span low to high.

    >>> ticks(0.0, 0.27, 4)
    [0.0, 0.1, 0.2, 0.3]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    exponent = math.floor(math.log10(raw))
    power = 10.0**exponent
    step = next(step * power for step in _STEPS if step * power >= raw * 0.999)
    first = math.floor(low / step)
    return [round((first + index) * step, 2 - exponent) for index in range(math.ceil(high / step) - first + 1)]


def number(value: float) -> str:
    """A number in few characters.

    >>> [number(value) for value in (0.0, 0.25, 1500.0, 2_500_000.0, 1e12, -0.00004)]
    ['0', '0.25', '1,500', '2.5M', '1e+12', '−4e-05']
    """
    sign = "−" if value < 0 else ""
    size = abs(value)
    if 1e6 <= size < 1e9:
        return f"{sign}{size / 1e6:.4g}M"
    if size >= 1e9 or 0 < size < 0.001:
        return f"{sign}{size:.3g}"
    return sign + (f"{size:,.0f}" if size >= 1000 else f"{size:.4g}")


def percent(share: float) -> str:
    """A share in per cent: one digit after the point below ten.

    >>> [percent(share) for share in (0.0, 0.0004, 0.0421, 0.5, 1.0)]
    ['0%', '<0.1%', '4.2%', '50%', '100%']
    """
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.1%}".replace(".0%", "%") if share < 0.0995 else f"{share:.0%}"


def p_text(p_value: float) -> str:
    """A p-value in few characters.

    >>> [p_text(p) for p in (1.0, 0.0423, 0.0042, 3e-12, 0.0)]
    ['1.00', '0.042', '0.0042', '3 × 10⁻¹²', '< 10⁻³⁰⁰']
    """
    if p_value < 1e-300:
        return f"< 10{_raised(-300)}"
    if p_value < 0.001:
        digits, exponent = f"{p_value:.0e}".split("e")
        return f"{digits} × 10{_raised(int(exponent))}"
    if p_value < 0.01:
        return f"{p_value:.4f}".rstrip("0")
    return f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def chance(level: float) -> str:
    """A level as a percentage, and as one in so many where that is a whole number.

    >>> chance(0.05), chance(0.001), chance(0.3)
    ('5% (1 in 20)', '0.1% (1 in 1,000)', '30%')
    """
    text, every = f"{level * 100:.3g}%", 1 / level
    return f"{text} (1 in {every:,.0f})" if abs(every - round(every)) < 1e-9 else text
