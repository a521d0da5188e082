"""The evidence that a roll-out does harm, made of what all servers have counted.

    Counted of each server ── what is new since the last look ── Table of each question ── Bet ── evidence

The evidence of a guard is the mean over its questions, that of the roll-out the mean over its guards, and harm is found
when it reaches 1 / alpha: a roll-out that does none is taken back with a chance of at most alpha, however long it runs
and however often one looks (Ville's inequality; see `bets.py` and `odds.py`). What is new is taken in as soon as a
server has at least ten requests of both sides: how much is taken in at once depends on how many requests there were,
not on what became of them.

Blue/green has no two sides: half of alpha is spent on bounds for what the old variants did before, and the new are held
to those.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct, field

from serving.rollouts.bets import Bet, Table, mean_of
from serving.rollouts.counts import Counted, Counts, Question, Sides, questions_of
from serving.rollouts.odds import upper_bound
from storage.records import Guard, GuardProgress, Measured, Rollout

_LEAST_REQUESTS = 10  # of a table: tables of two or three tell less than what they are made of
_MOST_TOLD = 700.0  # logarithm; e ** 710 is no float any more


class State(Struct):
    """What a look goes on from, whichever server has it.

    seen: what was taken in, by server and revision. bets: of each guard, one for each question and side. total: what
    was taken in of all. before: blue/green: what the old variants had done when the new took over.
    """

    seen: dict[str, dict[int, Sides]] = field(default_factory=dict[str, dict[int, Sides]])
    bets: dict[str, list[Bet]] = field(default_factory=dict[str, list[Bet]])
    total: Sides = field(default_factory=Sides)
    before: Counts | None = None


class Asked(NamedTuple):
    """One bet: of a guard, on yeses of a question, or on its noes. number: within the guard."""

    guard: Guard
    question: Question
    is_no: bool
    number: int

    def table(self, sides: Sides) -> Table:
        """Answers of which more are harm."""
        table = self.question.table(sides)
        return table.no if self.is_no else table


class Evidence:
    """The evidence in one roll-out. state: of the look before; a new one for the first.

    Guards that need a measure say nothing before there is one.
    """

    def __init__(self, rollout: Rollout, measured: Measured | None, state: State | None = None) -> None:
        self.state = state or State()
        self._rollout = rollout
        self._is_blue_green = rollout.strategy == "blue_green"
        self._asked = [asked for guard in rollout.guards for asked in _asked(guard, measured)]
        for guard in rollout.guards:
            count = sum(asked.guard is guard for asked in self._asked)
            self.state.bets.setdefault(guard.kind, [])
            self.state.bets[guard.kind] += [Bet() for _ in range(count - len(self.state.bets[guard.kind]))]

    @property
    def needed(self) -> float:
        """From what evidence on it is harm."""
        return (2 if self._is_blue_green else 1) / self._rollout.alpha

    @property
    def log_value(self) -> float:
        """Logarithm of the evidence."""
        return mean_of([self._log_of(guard) for guard in self._rollout.guards])

    @property
    def value(self) -> float:
        """The evidence; 1 is none."""
        return math.exp(min(self.log_value, _MOST_TOLD))

    @property
    def is_harm(self) -> bool:
        """Whether it is enough."""
        return self.log_value >= math.log(self.needed)

    def look(self, counted: Mapping[str, Counted]) -> None:
        """Take in what is new, by server."""
        if self._is_blue_green:
            self._look_back(counted)
            return
        news = [new for server in sorted(counted) for new in self._news(server, counted[server])]
        for asked in self._asked:
            tables = [self._handicapped(asked, key, sides) for key, sides in news]
            self._bet(asked).compare(tables)

    def progress(self) -> tuple[GuardProgress, ...]:
        """What each guard has found: by that of its questions whose answers tell most."""
        return tuple(self._progress(guard) for guard in self._rollout.guards)

    def reason(self) -> str:
        """What is the harm, in a sentence."""
        worst = max(self.progress(), key=lambda guard: guard.evidence)
        before = " before" if self._is_blue_green else ""
        return (
            f"Guard {worst.kind!r}: of the new variants' {worst.new_requests:,} requests {_percent(worst.new_share)} "
            f"{worst.question}, of the old ones' {worst.old_requests:,}{before} {_percent(worst.old_share)}. "
            f"Without harm, less than {_percent(self._rollout.alpha)} of roll-outs come to that."
        )

    # --------------------------------------------------------------------------------------------- side by side

    def _news(self, server: str, counted: Counted) -> "list[tuple[str, Sides]]":
        """What a server has counted of each revision since it was taken in; apart for replies and for cells, whichever
        has enough of both sides."""
        known = self.state.seen.get(server, {})
        seen = {revision: known.get(revision, Sides()) for revision in counted.revisions}
        self.state.seen[server] = seen
        found: list[tuple[str, Sides]] = []
        for revision, sides in sorted(counted.revisions.items()):
            new = sides - seen[revision]
            for part in (_replies(new), _cells(new)):
                if _is_enough(part):
                    key = f"{server}/{revision}/{seen[revision].new.replies}/{sum(seen[revision].new.cells)}"
                    seen[revision] += part
                    self.state.total += part
                    found.append((key, part))
        return found

    def _handicapped(self, asked: Asked, key: str, sides: Sides) -> Table:
        """The answers, with the guard's floor taken away: by chance, the same chance whoever looks."""
        table = asked.table(sides)
        if not (asked.guard.floor and table.n1):
            return table
        seed = f"{self._rollout.id}/{key}/{asked.guard.kind}/{asked.number}"
        return table.handicapped(asked.guard.floor, np.random.default_rng(crc32(seed.encode())))

    # ---------------------------------------------------------------------------------------- before and after

    def _look_back(self, counted: Mapping[str, Counted]) -> None:
        """Hold what the new variants have done since the last look to what the old ones did before."""
        rollout, state = self._rollout, self.state
        if rollout.step == 0:
            return
        if state.before is None:
            state.before = old_counts(counted, before=rollout.revision)
        news = Sides()
        for server, told in counted.items():
            now = Sides(new=told.revisions.get(rollout.revision, Sides()).new)
            news += now - state.seen.get(server, {}).get(rollout.revision, Sides())
            state.seen[server] = {rollout.revision: now}
        state.total += news
        for asked in self._asked:
            n0, k0, n1, k1 = asked.table(Sides(state.before, news.new))
            bound = upper_bound(n0, k0, rollout.alpha / 2 / len(self._asked)) + asked.guard.floor
            self._bet(asked).exceed(bound, n1, k1)

    # ------------------------------------------------------------------------------------------------ the guards

    def _bet(self, asked: Asked) -> Bet:
        return self.state.bets[asked.guard.kind][asked.number]

    def _log_of(self, guard: Guard) -> float:
        bets = self.state.bets[guard.kind]
        return mean_of([bet.log_evidence for bet in bets]) if bets else 0.0

    def _progress(self, guard: Guard) -> GuardProgress:
        evidence = math.exp(min(self._log_of(guard), _MOST_TOLD))
        mine = [asked for asked in self._asked if asked.guard is guard]
        if not mine:
            return GuardProgress(guard.kind, evidence, "", 0, None, 0, None)
        worst = max(mine, key=lambda asked: self._bet(asked).log_evidence)
        total = self.state.total if self.state.before is None else Sides(self.state.before, self.state.total.new)
        n0, k0, n1, k1 = worst.question.table(total)
        shares = [k / n if n else None for n, k in ((n0, k0), (n1, k1))]
        return GuardProgress(guard.kind, evidence, worst.question.words, n0, shares[0], n1, shares[1])


def sides_at(counted: Mapping[str, Counted], revision: int) -> Sides:
    """What all servers have counted at one revision."""
    found = Sides()
    for told in counted.values():
        found += told.revisions.get(revision, Sides())
    return found


def old_counts(counted: Mapping[str, Counted], *, before: int) -> Counts:
    """What the old variants did on all servers at revisions before one."""
    found = Counts()
    for told in counted.values():
        for revision, sides in told.revisions.items():
            if revision < before:
                found += sides.old
    return found


def encoded(state: State) -> str:
    """The state as JSON."""
    return msgspec.json.encode(state).decode()


def decoded(body: str) -> State:
    """The state of JSON."""
    return msgspec.json.decode(body, type=State)


def _asked(guard: Guard, measured: Measured | None) -> list[Asked]:
    if measured is None and guard.kind != "errors":
        return []
    questions = questions_of(guard, measured or Measured())
    sides = [
        (question, is_no) for question in questions for is_no in (False, True) if question.is_two_sided or not is_no
    ]
    return [Asked(guard, question, is_no, number) for number, (question, is_no) in enumerate(sides)]


def _replies(sides: Sides) -> Sides:
    return Sides(*(Counts(counts.replies, counts.faults) for counts in (sides.old, sides.new)))


def _cells(sides: Sides) -> Sides:
    return Sides(*(Counts(cells=counts.cells) for counts in (sides.old, sides.new)))


def _is_enough(sides: Sides) -> bool:
    """Whether both sides have requests, and together enough of them."""
    old, new = (counts.replies + sum(counts.cells) for counts in (sides.old, sides.new))
    return old > 0 and new > 0 and old + new >= _LEAST_REQUESTS


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.3g} %"
