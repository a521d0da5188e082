"""The guide to the report runs, and its figures are those of the code."""

import re
from pathlib import Path

import pytest

from autopilot.cli import app
from autopilot.report import evidence, statistics

GUIDE = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_runs_and_gives_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with an answer beside it; and the page is a file."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    checked = 0
    for block in re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL):
        for line in block.splitlines():
            code, _, told = line.partition("  # ")
            if told:
                assert eval(code, names) == eval(told)  # noqa: S307 - our own guide
                checked += 1
            else:
                exec(code, names)  # noqa: S102
    assert checked == 3
    assert "What the search found, and when" in Path("report.html").read_text(encoding="utf-8")


def test_its_figures_and_its_command_are_those_of_the_code() -> None:
    """Of the text."""
    words = " ".join(GUIDE.split())
    assert f"at most {evidence.MOST_ROWS:,} held-out rows" in words
    assert f"{statistics._LEAST_DRAWS} to {statistics._MOST_DRAWS} times" in words
    assert set(re.findall(r"^autopilot ([a-z]+)", GUIDE, flags=re.MULTILINE)) <= set(app)
