"""`autopilot monitor run` and `compare`: what they print of a report, and where they say that it is."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from autopilot import terminal
from autopilot.__main__ import run
from storage import Store
from storage.records import Server
from tests import portable
from tests.monitor import till

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store whose endpoint `till` answered 200 rows an hour ago, of amounts that go with visits."""
    opened = Store.open(tmp_path_factory.mktemp("busy"))
    now = datetime.now(UTC)
    version = till.deploy(opened, portable.classifier(), now - 20 * HOUR)
    unlike = [{**row, "amount": row["amount"] + (4 if row["visits"] > 4 else -4)} for row in till.rows(200, seed=1)]
    till.send(opened, version, unlike, now - HOUR)
    yield opened
    opened.close()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The lines that a command prints."""
    assert run(["monitor", *words]) == 0
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("file", "told"), [("r.md", "The report:"), ("r.json", "The report:"), ("r.html", "The page with charts:")]
)
def test_where_the_report_is_and_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, told: str
) -> None:
    """Only a page has charts. Names that look like markup are names."""
    paths = [str(tmp_path / name) for name in ("a.parquet", "b.parquet", file)]
    for path in paths[:2]:
        pl.DataFrame({"[/bold]": range(50), "day": [date(2024, 5, 1), date(2024, 5, 2)] * 25}).write_parquet(path)
    lines = printed(capsys, "compare", *paths[:2], "--out", paths[2])
    assert lines[-1] == f"{told}  {paths[2]}"
    assert any("[/bold]" in line and "Kolmogorov-Smirnov" in line for line in lines)
    assert [line for line in lines if "day" in line and "not tested" in line]
    assert not [line for line in lines if line.startswith("day:")]  # that times go on says nothing of these
    assert Path(paths[2]).stat().st_size > 100


def test_charts_are_drawn_where_standard_input_is_closed(tmp_path: Path) -> None:
    """As some daemons and job schedulers start a command; whoever asks the monitor has read files by then."""
    rows, page = str(tmp_path / "rows.parquet"), tmp_path / "page.html"
    pl.DataFrame({"x": range(100), "y": range(100)}).write_parquet(rows)
    command = [sys.executable, "-m", "autopilot", "monitor", "compare", rows, rows, "--out", str(page)]
    subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], check=True, capture_output=True)
    assert page.read_text(encoding="utf-8").count('class="drawing"') == 2


def test_what_the_table_does_not_show_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Why a column drifted, why one of a small p-value did not, and what is new."""
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    seldom = [0] * 990 + [1] * 10, [0] * 999 + [1]
    pl.DataFrame({"x": range(1000), "seldom": seldom[0]}).write_parquet(reference)
    pl.DataFrame({"x": ["?"] * 1000, "seldom": seldom[1], "new": range(1000)}).write_parquet(current)
    lines = printed(capsys, "compare", reference, current)
    assert lines[-4:-1] == [
        "x: 1,000 current values are no number (it is String now) and count as missing.",
        "No accident, but less than the 2% that raise an alarm: 'seldom'.",
        "Only the current rows have 'new'; there is nothing to compare them with.",
    ]


def test_names_and_values_in_brackets_are_told_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are no markup of the terminal: neither lost nor an error."""
    usual, odd, folder = (str(tmp_path / name) for name in ("a.parquet", "b.parquet", "baseline"))
    pl.DataFrame({"[/x]": ["a", "b"] * 100, "[red]y": range(200)}).write_parquet(usual)
    pl.DataFrame({"[/x]": ["a", "[none]"] * 100, "[red]y": range(200)}).write_parquet(odd)
    told = printed(capsys, "baseline", usual, "-o", folder)
    assert sum(line.startswith(("│ [/x] ", "│ [red]y ")) for line in told) == 4
    sentence = "Column '[/x]': 100 of 200 values (50%) are none of the 2 levels of the baseline."
    assert printed(capsys, "check", folder, odd)[1] == f"{sentence} Of the baseline's 200, none did. Such as '[none]'."
    assert printed(capsys, "check", folder, odd, "--rules", "sagemaker")[0] == "violations: 200 rows"


def test_columns_of_too_few_rows_are_not_said_to_be_as_usual(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what holds for all of them is told once."""
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    for path, rows in ((reference, 1000), (current, 10)):
        pl.DataFrame({"x": range(rows), "y": range(rows)}).write_parquet(path)
    lines = printed(capsys, "compare", reference, current)
    for name in ("x", "y"):
        (row,) = (line for line in lines if line.startswith(f"│ {name} "))
        assert [cell.strip() for cell in row.split("│")[1:-1]] == [name, "not tested", "-", "-", "-", "not tested"]
    assert lines[-2] == "'x', 'y': A comparison needs 30 rows on either side; there are 1,000 and 10."
    assert sum("comparison needs" in line for line in lines) == 1


def test_another_product_s_verdict_is_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of three columns is not enough to Evidently, and its values are no p-values."""
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    same = {"y": range(2000), "z": range(2000)}
    pl.DataFrame({"x": range(2000), **same}).write_parquet(reference)
    pl.DataFrame({"x": range(1000, 3000), **same}).write_parquet(current)
    lines = printed(capsys, "compare", reference, current, "--method", "evidently")
    assert lines[0] == "no drift of the table: 2,000 rows against the reference"
    assert "value" in lines[2]
    assert all(">= 0.1" in line for line in lines if line.startswith(("│ x ", "│ y ", "│ z ")))


def test_an_infinite_distance_is_a_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That of a level that is gone, by Kullback-Leibler; no column has a p-value."""
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    pl.DataFrame({"x": ["a", "b", "c"] * 40}).write_parquet(reference)
    pl.DataFrame({"x": ["a", "b"] * 60}).write_parquet(current)
    lines = printed(capsys, "compare", reference, current, "--method", "kullback-leibler")
    heading, row = (
        [cell.strip() for cell in line[1:-1].replace("┃", "│").split("│")] for line in lines if line[:1] in ("┃", "│")
    )
    assert heading[:3] == ["column", "test", "value"]
    assert row[:4] == ["x", "Kullback-Leibler", "inf", ">= 0.1"]


def test_a_difference_that_nobody_can_judge_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of months in the order of time."""
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    slow = np.cumsum(np.random.default_rng(0).normal(size=400))
    pl.DataFrame({"x": [None, *slow]}).write_parquet(reference)
    pl.DataFrame({"x": [None, *(slow[::-1] + 500)]}).write_parquet(current)
    lines = printed(capsys, "compare", reference, current)
    (row,) = (line for line in lines if line.startswith("│ x "))
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["x", "not tested", "-", "0.05", "1", "not judged"]
    assert any(
        line.endswith("A difference of 100.0% may be usual there; rows of a longer time would tell.") for line in lines
    )


def test_a_report_that_cannot_be_written_is_told(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """It is kept in the store all the same; where a name cannot be that of a report, none is made."""
    words, folder = (
        ("monitor", "run", till.ENDPOINT, "--store", str(busy.root), "--hours", "2"),
        busy.root / "page.html",
    )
    folder.mkdir()
    before = len(busy.reports.list(till.ENDPOINT))
    assert run([*words, "--out", str(folder)]) == 2
    told = f"autopilot: {str(folder)!r} cannot be written: Is a directory. Name another place."
    assert capsys.readouterr().err.strip() == told
    assert len(busy.reports.list(till.ENDPOINT)) == before + 1
    assert run([*words, "--out", str(busy.root / "absent" / "page.html")]) == 2
    told = f"autopilot: There is no folder {str(busy.root / 'absent')!r} to write 'page.html' into. Make it first."
    assert capsys.readouterr().err.strip() == told
    assert len(busy.reports.list(till.ENDPOINT)) == before + 1


@pytest.mark.parametrize("place", ["x.pdf", "x"])
def test_a_report_has_one_of_three_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    """A page in x.pdf could not be opened; nothing is read before that is told."""
    place = str(tmp_path / place)
    told = f"autopilot: {place!r} does not tell the form of the report. Name it with one of .html, .md, .json."
    for words in (("compare", "absent.csv", "absent.csv"), ("run", "nobody")):
        assert run(["monitor", *words, "--out", place]) == 2
        assert capsys.readouterr().err.strip() == told


def test_sections_of_an_endpoint_are_told(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups that are treated otherwise by name, a threshold with its sign."""
    words = ("run", till.ENDPOINT, "--store", str(busy.root), "--hours", "2", "--check", "attribution")
    lines = printed(capsys, *words, "--facet", "visits>4")
    assert "Bias: drift ('visits > 4')" in lines
    assert lines[0].startswith("For 'yes' the model looks at the columns in ")
    (attribution,) = (line for line in lines if line.startswith("What the model looks at"))
    assert attribution in ("What the model looks at for 'yes': no drift", "What the model looks at for 'yes': drift")
    (quality,) = (line for line in lines if line.startswith("Quality by labels: "))
    how = f"`autopilot endpoints labels {till.ENDPOINT} FILE` brings them, or PUT /api/endpoints/{till.ENDPOINT}/labels"
    assert quality == f"Quality by labels: no labels. {how}"
    (page,) = (line for line in lines if line.startswith("The page with charts:"))
    assert f"/reports/{busy.reports.list(till.ENDPOINT, 1)[0].id}" in page


def test_the_page_is_at_the_server_that_runs(
    busy: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this machine, the one that was started last; without one, where it would be by the settings."""
    monkeypatch.setenv("AUTOPILOT_PORT", "8123")
    now = datetime.now(UTC)
    here = Server("a", socket.gethostname(), 1, now - HOUR, now + HOUR, {}, "http://127.0.0.1:9999")
    for one in (here, replace(here, id="b", started_at=now - 2 * HOUR, url="http://127.0.0.1:9998")):
        busy.servers.beat(one)
    busy.servers.beat(replace(here, id="c", host="elsewhere", started_at=now, url="http://127.0.0.1:9997"))
    addresses: list[str] = []
    for gone in ("", "a", "b"):
        busy.servers.remove(gone)
        lines = printed(capsys, "run", till.ENDPOINT, "--store", str(busy.root), "--hours", "2")
        (page,) = (line.split()[-1] for line in lines if line.startswith("The page with charts:"))
        addresses.append(page.split("/reports/")[0])
    assert addresses == ["http://127.0.0.1:9999", "http://127.0.0.1:9998", "http://127.0.0.1:8123"]


def test_what_was_not_looked_at_is_not_told_as_no_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve rows are too few to explain answers."""
    store = Store.open(tmp_path / "store")
    now = datetime.now(UTC)
    version = till.deploy(store, portable.classifier(), now - 2 * HOUR)
    till.send(store, version, till.rows(12, seed=2), now - HOUR)
    lines = printed(capsys, "run", till.ENDPOINT, "--store", str(store.root), "--check", "attribution")
    store.close()
    told = "What the model looks at for 'yes': not looked at. It takes 30 rows on either side; there are 200 and 12."
    assert told in lines


def test_the_json_of_a_report_names_groups_as_people_do(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the name that Clarify's files have."""
    words = ["monitor", "run", till.ENDPOINT, "--store", str(busy.root), "--hours", "2", "--json"]
    assert run([*words, "--facet", "visits>4", "--facet", "town=Ulm"]) == 0
    facets = json.loads(capsys.readouterr().out)["bias"]["facets"]
    assert [(one["name"], one["value_or_threshold"]) for one in facets] == [("visits > 4", "4"), ("town Ulm", "Ulm")]


def test_files_with_other_delimiters_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the delimiter that the error names; so for baselines and checks."""
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    for away, path in enumerate(paths):
        pl.DataFrame({"x": [number + 60 * away for number in range(200)], "y": range(200)}).write_csv(
            path, separator=";"
        )
    assert run(["monitor", "compare", *paths]) == 2
    assert "use --delimiter ';'" in capsys.readouterr().err
    assert printed(capsys, "compare", *paths, "--delimiter", ";")[0] == "drift: 200 rows against the reference"
    folder = str(tmp_path / "baseline")
    assert printed(capsys, "baseline", paths[0], "--delimiter", ";", "--out", folder)
    assert run(["monitor", "check", folder, paths[1], "--delimiter", ";", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 200


def test_a_check_tells_how_many_rows_and_which_baseline_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without one is told how it is made, and few rows without a violation are no verdict."""
    usual, few, folder = (str(tmp_path / name) for name in ("a.parquet", "b.parquet", "the baseline"))
    for path, rows in ((usual, 1000), (few, 10)):
        pl.DataFrame({"x": range(rows)}).write_parquet(path)
    Path(folder).mkdir()
    for place, rules in ((folder, "chance"), (folder, "sagemaker"), (f"{folder} 2", "chance")):
        assert run(["monitor", "check", place, few, "--rules", rules]) == 2
        assert f"autopilot monitor baseline FILE -o '{place}'" in capsys.readouterr().err
    assert printed(capsys, "baseline", usual, "-o", folder)
    why = "There are 10 rows, and the baseline has 1,000: that nothing was found in fewer than 30 says nothing."
    assert printed(capsys, "check", folder, few) == ["too few rows: 10 rows", why]
    assert printed(capsys, "check", folder, usual) == ["no violations: 1,000 rows"]


def test_a_tab_may_be_typed_as_the_error_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shells hand on a backslash and a letter."""
    path = str(tmp_path / "a.csv")
    pl.DataFrame({"x": range(200), "y": range(200)}).write_csv(path, separator="\t")
    assert printed(capsys, "compare", path, path, "--delimiter", r"\t")[0] == "no drift: 200 rows against the reference"


def test_what_is_no_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder, and a name without an ending of nothing."""
    for place, told in ((tmp_path, "is a folder. Name a file in it."), (tmp_path / "absent", "There is no file ")):
        assert run(["monitor", "compare", str(place), str(place)]) == 2
        assert told in capsys.readouterr().err


def test_one_is_told_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A window, a row, a column; a value that breaks a rule, and one that cannot be read."""
    found = {"rows": 1, "windows": 1, "power": 0.8, "level": 0.05, "columns": [], "left_out": 1}
    terminal.print_finds(found)
    told = " ".join(capsys.readouterr().out.split())
    assert "80% of windows of 1 row, as the last window had, at level 0.05" in told
    assert "Not looked at: 1 more column." in told
    reference, current = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    pl.DataFrame({"x": range(1000)}).write_parquet(reference)
    pl.DataFrame({"x": ["n/a", *map(str, range(400))]}).write_parquet(current)
    lines = printed(capsys, "compare", reference, current, "--out", str(tmp_path / "page.html"))
    assert "x: 1 current value is no number (it is String now) and counts as missing." in lines
    page = (tmp_path / "page.html").read_text()
    assert "Drift in 1 of 1 column<" in page
    assert "all 1 tested" not in page
    pl.DataFrame({"x": [1]}).write_parquet(current)
    assert printed(capsys, "compare", reference, current)[0] == "too few rows: 1 row against the reference"
