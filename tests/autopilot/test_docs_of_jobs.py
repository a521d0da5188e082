"""The guide to jobs runs, and names commands that there are."""

import re
from pathlib import Path

import pytest

from autopilot.cli import app, jobs

GUIDE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_runs_and_gives_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with an answer beside it."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    answers: list[object] = []
    for line in "".join(re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)).splitlines():
        code, _, told = line.partition("  # ")
        if told:
            assert eval(code, names) == eval(told)  # noqa: S307 - our own guide
            answers.append(told)
        else:
            exec(code, names)  # noqa: S102
    assert answers == ["True", "True"]


def test_its_commands_are_those_of_the_command_line() -> None:
    """Each of `autopilot NAME` and `autopilot jobs NAME`."""
    found = set(re.findall(r"^autopilot ([a-z]+)", GUIDE, flags=re.MULTILINE))
    assert found == {"jobs", "fit", "worker", "replay"}
    assert found <= set(app)
    assert set(re.findall(r"^autopilot jobs ([a-z]+)", GUIDE, flags=re.MULTILINE)) == {
        name for name in jobs if not name.startswith("-")
    }
