"""What a user sees while `fit` works: a live display on a terminal, plain lines elsewhere; always on standard error."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autopilot.events import Event, Note, Observer, Phase, Started, TrialEnded, TrialStarted, Working
from storage.records import Trial

_REFRESH_A_SECOND = 5
_SHOWN_TRIALS = 4


class Clock:
    """Seconds since 1970: those of an event that is read later than it happened, else of now."""

    def __init__(self) -> None:
        self._told: float | None = None

    def tell(self, at: float | None) -> None:
        """The time from here on; None for now."""
        self._told = at

    def __call__(self) -> float:
        return time.time() if self._told is None else self._told


@contextmanager
def showing(clock: Callable[[], float] = time.time) -> Generator[Observer]:
    """An observer that shows events until the block ends: live where standard error is a terminal or a notebook."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield PlainLines(clock).observe
        return
    display = LiveDisplay(clock)
    with Live(display, console=console, refresh_per_second=_REFRESH_A_SECOND, transient=True) as live:
        display.print = live.console.print
        yield display.observe


class PlainLines:
    """One line for each event, with the seconds that the run has taken."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._started = clock, clock()
        self._metric = ""

    def observe(self, event: Event) -> None:
        """Print an event."""
        if isinstance(event, Working):
            self._started = self._clock() - event.spent_s
        line = self._line(event)
        if line:
            print(f"{self._clock() - self._started:6.1f}s  {line}", file=sys.stderr, flush=True)

    def _line(self, event: Event) -> str:
        if isinstance(event, Started):
            self._metric = event.metric
            return headline(event)
        if isinstance(event, Phase):
            return event.name
        if isinstance(event, Note):
            return event.message
        if isinstance(event, TrialEnded):
            return f"{told(event.trial, self._metric)}; best {shown(event.best)}"
        return ""


class LiveDisplay:
    """A header, a bar over the budget, the best score, and what is being tried."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._at_start = clock, clock()
        self._started: Started | None = None
        self._phase = "reading the table"
        self._running: dict[int, str] = {}
        self._ended: list[Trial] = []
        self._best: float | None = None
        self.print = Console(stderr=True).print

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Working):
            self._at_start = self._clock() - event.spent_s
        elif isinstance(event, Started):
            self._started = event
        elif isinstance(event, Phase):
            self._phase = event.name
        elif isinstance(event, Note):
            self.print(Text(f"· {event.message}", style="dim"), highlight=False)
        elif isinstance(event, TrialStarted):
            self._running[event.number] = event.candidate
        elif isinstance(event, TrialEnded):
            self._running.pop(event.trial.number, None)
            self._ended.append(event.trial)
            self._best = event.best

    def __rich__(self) -> Group:
        started = self._started
        if started is None:
            return Group(Text(f"{self._phase} ..."))
        spent = self._clock() - self._at_start
        left = max(0.0, started.budget_s - spent)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=started.budget_s, completed=min(spent, started.budget_s), width=40),
            f"{left:.0f} s left",
        )
        best = Text.assemble(
            (f"best {started.metric} ", "default"),
            (shown(self._best), "bold green"),
            f"   {len(self._ended)} trials   {self._phase}",
        )
        ended = [Text(f"  {told(trial, started.metric)}", style="dim") for trial in self._ended[-_SHOWN_TRIALS:]]
        running = ", ".join(f"{candidate} #{number}" for number, candidate in sorted(self._running.items()))
        return Group(
            Text(headline(started), style="bold"), bar, best, *ended, Text(f"  trying {running}" if running else "")
        )


def headline(started: Started) -> str:
    """What is to be done, in one line."""
    return (
        f"{started.target}: {started.task} by {started.metric}, {started.rows:,} rows x {started.columns} columns, "
        f"budget {started.budget_s:g} s"
    )


def told(trial: Trial, metric: str) -> str:
    """A trial in one line."""
    what = f"#{trial.number} {trial.candidate}"
    if trial.status == "failed":
        return f"{what} failed: {trial.reason}"
    behind = f" ({trial.reason})" if trial.reason else ""
    return f"{what} {metric} {shown(trial.score)} in {trial.seconds:.1f} s{behind}"


def shown(score: float | None) -> str:
    """A score with five significant digits."""
    return "-" if score is None else f"{score:.5g}"
