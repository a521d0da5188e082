"""The guide to schedules and alerts tells what the monitor does."""

import doctest
import re
from datetime import timedelta
from pathlib import Path

from monitor.alerts.messenger import MOST_ATTEMPTS
from monitor.power import MOST_COLUMNS, POWER
from monitor.schedule import LEASE_S, SETTLE
from monitor.schedule.due import LATE, MOST_RECORDED, MOST_WAITING
from monitor.schedule.finds import MOST_WINDOWS
from monitor.sketches.hours import SETTLED
from storage.backtests import NOBODY, PERIOD
from storage.budget import LARGEST_LEVEL
from storage.profiles import KEPT
from storage.records import AlertChange
from storage.schedules import CHECKS, MOST_DATAPOINTS
from storage.schedules import MOST_ATTEMPTS as MOST_BEGUN

PATH = Path(__file__).parents[3] / "docs" / "schedules.md"
GUIDE = PATH.read_text(encoding="utf-8")


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 9) == (0, True)


def test_each_key_of_an_alert_is_in_the_guide() -> None:
    """And none that is not there."""
    table = GUIDE.split("| key | |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    keys = {name for line in table for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert keys == {"delivery", "html_path", *AlertChange.__struct_fields__}


def test_each_kind_of_check_is_in_the_guide() -> None:
    """Those that can be made."""
    [line] = [line for line in GUIDE.splitlines() if line.startswith("| `--check` | what")]
    assert tuple(re.findall(r"`([\w-]+)`", line.split("what is looked for: ")[1])) == CHECKS
    table = GUIDE.split("| `--check` | bad is |", 1)[1].split("\n\n", 1)[0]
    assert tuple(re.findall(r"^\| `([\w-]+)`", table, flags=re.MULTILINE)) == CHECKS


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert GUIDE.count(f"a lease of {LEASE_S:.0f} s") == 2
    assert f"if nobody has taken it for {NOBODY.total_seconds():.0f} s" in GUIDE
    assert f"span {KEPT.days} days at most" in GUIDE
    assert f"`--from` is {PERIOD.days} days ago" in GUIDE
    assert f"at most {MOST_WAITING} wait" in GUIDE
    assert f"At most {MOST_RECORDED:,} missed due times" in GUIDE
    assert f"by default, {MOST_DATAPOINTS} at most" in GUIDE
    assert f"the last {MOST_WINDOWS} windows" in GUIDE
    assert f"the first {MOST_COLUMNS} are left out" in GUIDE
    assert f"for {KEPT.days} days" in GUIDE
    assert (0.8, 0.5, timedelta(minutes=5)) == (POWER, LARGEST_LEVEL, SETTLED)
    assert (SETTLE.total_seconds(), LATE.total_seconds(), MOST_BEGUN) == (3, 60, 3)
    assert MOST_ATTEMPTS == {"webhook": 10, "email": 10, "command": 3}
