"""The charts are well-formed and say what is in the counts."""

from xml.etree import ElementTree as ET

import pytest

from monitor.charts import mini, number, overlay, percent, ticks
from monitor.drift import Bars, ColumnDrift, Counts, Histogram

HISTOGRAM = Histogram("value", (0.0, 1.0, 2.0), (3, 1), (0, 4), Counts(0, 0), Counts(0, 0))
BARS = Bars(("Ulm", "<b>&Bonn"), (3, 1), (2, 2), 5, Counts(0, 4))


def column(chart: Histogram | Bars | None) -> ColumnDrift:
    """A column that has this chart."""
    return ColumnDrift("x", "number", "none", None, None, None, None, False, "", Counts(0, 0), chart)


@pytest.mark.parametrize("chart", [HISTOGRAM, BARS])
def test_charts_are_xml(chart: Histogram | Bars) -> None:
    """Browsers forgive, files do not."""
    for drawn in (mini(column(chart), "reference"), mini(column(chart), "current"), overlay(column(chart))):
        assert ET.fromstring(drawn).tag == "svg"  # noqa: S314 - our own text


def test_a_thumbnail_shows_shares_on_one_scale() -> None:
    """3 of 4 rows in the first bin and 1 in the second; 4 of 4 on the other side are the full height."""
    assert 'd="M0,1V0.250h1V1zM1,1V0.750h1V1z"' in mini(column(HISTOGRAM), "reference")
    assert 'd="M1,1V0.000h1V1z"' in mini(column(HISTOGRAM), "current")


def test_bars_tell_both_shares() -> None:
    """3 of 4 reference rows are Ulm, and 2 of 8 current ones."""
    drawn = overlay(column(BARS))
    assert "75% → 25%" in drawn
    assert "5 other levels" in drawn
    assert "0% → 50%" in drawn


def test_levels_are_escaped() -> None:
    """Levels come from whoever sends requests."""
    assert "<b>" not in overlay(column(BARS))
    assert "&lt;b&gt;&amp;Bonn" in overlay(column(BARS))


def test_no_chart_is_no_text() -> None:
    """A column without values has nothing to draw."""
    assert mini(column(None), "current") == overlay(column(None)) == ""


def test_axes_of_times_have_dates() -> None:
    """Microseconds since 1970, and instants that no calendar has."""
    spring = Histogram("time", (1_709_251_200e6, 1_711_929_600e6), (1,), (1,), Counts(0, 0), Counts(0, 0))
    assert "2024-03-01" in overlay(column(spring))
    assert "2024-04-01" in overlay(column(spring))
    never = Histogram("time", (-9e18, 9e18), (1,), (1,), Counts(0, 0), Counts(0, 0))
    assert "<text" in overlay(column(never))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1e-12), (-1e300, 1e300), (0.001, 0.0012), (1e17, 1e17 + 64), (3.0, 3.0)]
)
def test_ticks_span_any_range(low: float, high: float) -> None:
    """A handful of numbers, the first at or below the low end, the last at or above the high one."""
    found = ticks(low, high, 5)
    assert 1 <= len(found) <= 9
    assert found[0] <= low * (1 - 1e-9) + 1e-30 or found[0] == pytest.approx(low, rel=1e-6)
    assert found[-1] >= high or found[-1] == pytest.approx(high, rel=1e-6)


def test_numbers_are_short() -> None:
    """What stands at an axis."""
    assert [number(value) for value in (12.0, -0.5, 12345.0, 3.2e6, 0.25)] == ["12", "−0.5", "12,345", "3.2M", "0.25"]
    assert [percent(share) for share in (0.0995, 0.994, 0.9995)] == ["10%", "99%", "100%"]
