"""The guide tells the metrics that there are."""

import doctest
from pathlib import Path

from autopilot.metrics import METRICS, metrics_of
from storage.signature import Task

PATH = Path(__file__).parents[2] / "docs" / "metrics.md"
GUIDE = PATH.read_text(encoding="utf-8")


def told(heading: str) -> set[tuple[str, ...]]:
    """Name, tasks, direction and reports in the rows of the table that is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {tuple(cell.strip() for cell in line.strip("|").split("|")[:4]) for line in lines}


def reports(name: str, tasks: tuple[Task, ...]) -> str:
    """`x` where each of its tasks' reports tells it, else which ones do."""
    telling = [task for task in tasks if name in {metric.name for metric in metrics_of(task)}]
    return "x" if len(telling) == len(tasks) else ", ".join(telling)


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 10) == (0, True)


def test_each_metric_is_in_the_guide() -> None:
    """With its tasks, its direction, and the reports that tell it; and none that is not there."""
    assert told("of classes") | told("of numbers") == {
        (
            f"`{metric.name}`",
            ", ".join(metric.tasks),
            "larger" if metric.greater_is_better else "smaller",
            reports(metric.name, metric.tasks),
        )
        for metric in METRICS.values()
    }
