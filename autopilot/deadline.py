"""Points in time by which work has to end."""

import re
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Self

from autopilot.errors import BudgetError, TapeError

#: What a training was told of the time, in turn: an answer, and how many times in a row it was given. 1 and 0 stand for
#: yes and no.
Answers = tuple[tuple[float, int], ...]

_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LEAST_S = 1.0


class Deadline(NamedTuple):
    """A point on the monotonic clock. Training loops look at it once a round and stop.

    at: by `time.monotonic`. stopped: set, it is over at once, for all deadlines that were made of this one too.
    """

    at: float
    stopped: threading.Event

    @classmethod
    def at_time(cls, at: float) -> Self:
        """At a point on the clock of `time.monotonic`."""
        return cls(at, threading.Event())

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now."""
        return cls.at_time(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return 0.0 if self.stopped.is_set() else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.left_s == 0.0

    def share(self, fraction: float) -> "Deadline":
        """The deadline after this fraction of what is left."""
        return Deadline(time.monotonic() + fraction * self.left_s, self.stopped)

    def earlier(self, seconds: float) -> "Deadline":
        """The same, so many seconds sooner."""
        return Deadline(self.at - seconds, self.stopped)


class TapedDeadline(Deadline):
    """A deadline whose answers are written down, and can be given again.

    A training does as many steps as its clock lets it do, so that with a time limit no two are alike. Given the answers
    of an earlier training, the same one asks the same questions and does the same steps, however long they take now.

    >>> earlier = TapedDeadline.after(60)
    >>> earlier.passed, earlier.passed
    (False, False)
    >>> earlier.answers
    ((0.0, 2),)
    >>> again = TapedDeadline.given(((0.0, 2), (1.0, 1)))
    >>> again.passed, again.passed, again.passed
    (False, False, True)
    """

    _tape: "_Tape"

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now, with nothing written down yet."""
        return cls._on(Deadline.after(seconds), _Recorder())

    @classmethod
    def given(cls, answers: Answers) -> Self:
        """Gives these in turn. Raises TapeError when it is asked for more."""
        return cls._on(Deadline.after(0.0), _Player(answers))

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return self._tape.answer(lambda: self._untaped.left_s)

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return bool(self._tape.answer(lambda: float(self._untaped.passed)))

    def share(self, fraction: float) -> "TapedDeadline":
        """The deadline after this fraction of what is left, written down in the same place."""
        return TapedDeadline._on(self._untaped.share(fraction), self._tape)

    @property
    def answers(self) -> Answers:
        """All that were given so far, by this deadline and by shares of it."""
        return self._tape.answers

    @classmethod
    def _on(cls, deadline: Deadline, tape: "_Tape") -> Self:
        made = cls(*deadline)
        made._tape = tape
        return made

    @property
    def _untaped(self) -> Deadline:
        return Deadline(self.at, self.stopped)


class _Recorder:
    """Writes answers down."""

    def __init__(self) -> None:
        self._answers: list[tuple[float, int]] = []

    def answer(self, ask: Callable[[], float]) -> float:
        found = ask()
        last, times = self._answers[-1] if self._answers else (None, 0)
        if found == last:
            self._answers[-1] = (found, times + 1)
        else:
            self._answers.append((found, 1))
        return found

    @property
    def answers(self) -> Answers:
        return tuple(self._answers)


class _Player:
    """Gives answers that were written down."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._rest = [value for value, times in reversed(answers) for _ in range(times)]

    def answer(self, ask: Callable[[], float]) -> float:
        if not self._rest:
            raise TapeError(
                "The training asks for the time more often than when it was recorded, so it is not the same. Replay "
                "with the versions of libraries that the model's card names."
            )
        return self._rest.pop()


_Tape = _Recorder | _Player


def parse_budget(budget: str | float) -> float:
    """Seconds from `60s`, `5m`, `1.5h`, `90` or a number. Raises BudgetError.

    >>> parse_budget("5m"), parse_budget(30)
    (300.0, 30.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", str(budget))
    if found is None:
        raise BudgetError(f"The budget {budget!r} is no time. Write it as 60s, 5m or 1h.")
    seconds = float(found[1]) * _UNITS_S.get(found[2], 1.0)
    if seconds < _LEAST_S:
        raise BudgetError(f"The budget {budget!r} is too short to train anything. Give at least {_LEAST_S:g} s.")
    return seconds
