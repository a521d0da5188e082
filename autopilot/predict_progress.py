"""How far `autopilot predict` is, on a terminal: a bar, rows a second, the time that is left."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from storage.batch import Progress
from storage.batch.engine import Observe, unobserved

_REFRESH_A_SECOND = 4


@contextmanager
def showing_progress() -> Generator[Observe]:
    """An observer that shows progress until the block ends: where standard error is a terminal or a notebook."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield unobserved
        return
    display = Display()
    with Live(display, console=console, refresh_per_second=_REFRESH_A_SECOND, transient=True):
        yield display.observe


class Display:
    """One line."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def observe(self, progress: Progress) -> None:
        """Take note of how far it is."""
        self._progress = progress

    def __rich__(self) -> Table:
        line = Table.grid(padding=(0, 1))
        if self._progress is None:
            line.add_row(Text("reading ..."))
        else:
            line.add_row(ProgressBar(total=1.0, completed=self._progress.share, width=40), told(self._progress))
        return line


def told(progress: Progress) -> str:
    """Progress in words.

    >>> told(Progress(5_000_000, 2, 3, 1, 0, 0.25, 150_000.0, 100.0))
    '5,000,000 rows, 2 bad   file 2 of 3   150,000 rows/s   1:40 left'
    """
    bad = f", {progress.bad_rows:,} bad" if progress.bad_rows else ""
    number = min(progress.files_done + progress.files_failed + 1, progress.files)
    parts = [
        f"{progress.rows:,} rows{bad}",
        f"file {number:,} of {progress.files:,}" if progress.files > 1 else "",
        f"{progress.rows_per_s:,.0f} rows/s",
        f"{clock(progress.left_s)} left" if progress.left_s is not None else "",
    ]
    return "   ".join(part for part in parts if part)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> clock(59.6), clock(3_700)
    ('1:00', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
