"""Bets against "the new variants do no harm": what they win is the evidence of harm.

Who starts with 1 and bets at fair or unfair odds as long as there is no harm holds a nonnegative supermartingale. By
Ville's inequality it ever reaches 1/alpha with a chance of at most alpha: one may look as often as one likes, at any
time, and stop when one likes. Nothing has to be known of how much traffic there will be.

    wealth   ┌ cash ──────────┐  each look: each part is multiplied by its ratio of `odds.py`, cash by 1;
             ├ odds 1.02 ─────┤  then a share of the cash is staked anew, evenly.
             ├ ...            │
             └ odds 493 ──────┘  evidence = the sum

The ratios have a mean of at most 1 given what was before, whatever is staked on them, and moving wealth between parts
keeps its sum; so the sum is the supermartingale. Betting on all odds at once costs a factor, not a choice (the method
of mixtures); keeping cash means that a fault that begins after hours of sound answers is found as well, when all that
had been staked on it is lost (fixed share: Herbster & Warmuth 1998).

Sources: Ville (1939); Shafer (2021), "Testing by betting"; Waudby-Smith & Ramdas (2024), "Estimating means of bounded
random variables by betting"; Howard, Ramdas, McAuliffe & Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic
confidence sequences" (mixtures).
"""

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from serving.rollouts.odds import ODDS, Floats, log_ratios, log_ratios_above

_CASH = 0.5  # of the wealth in the beginning
_STAKED = 0.25  # over the number of looks is staked of the cash: after t looks about t ** -0.25 of it is left


class Table(NamedTuple):
    """Answers to one question: of n0 requests that old variants answered k0 are yes, of the new ones' n1 k1."""

    n0: int
    k0: int
    n1: int
    k1: int

    @property
    def no(self) -> "Table":
        """The same of the opposite question."""
        return Table(self.n0, self.n0 - self.k0, self.n1, self.n1 - self.k1)

    def handicapped(self, floor: float, random: np.random.Generator) -> "Table":
        """The table with a difference of `floor` in the shares taken away, by chance.

        Each old answer becomes a yes with a chance of s = floor / (1 + floor), each new one a no. Shares p0 and p1
        become p0 + s (1 - p0) and (1 - s) p1: the second is the greater just where p1 > p0 + floor.
        """
        if not floor:
            return self
        s = floor / (1 + floor)
        more = int(random.binomial(self.n0 - self.k0, s))
        return Table(self.n0, self.k0 + more, self.n1, int(random.binomial(self.k1, 1 - s)))


def _begin() -> list[float]:
    return [math.log(_CASH), *[math.log((1 - _CASH) / len(ODDS))] * len(ODDS)]


class Bet(Struct):
    """A bet that yeses are more frequent among the new than among the old.

    logs: logarithms of the wealth, cash first, then of each of `ODDS`. looks: that told something.
    """

    logs: list[float] = field(default_factory=_begin)
    looks: int = 0

    @property
    def log_evidence(self) -> float:
        """Logarithm of the wealth."""
        most = max(self.logs)
        return most + math.log(sum(math.exp(log - most) for log in self.logs))

    def compare(self, tables: "list[Table]") -> None:
        """Bet on tables of one look, each of one server and one step; their order does not matter."""
        self._take(sum((log_ratios(*table) for table in tables), np.zeros_like(ODDS)))

    def exceed(self, bound: float, n: int, k: int) -> None:
        """Bet on n new answers, k of them yes, that their share exceeds a bound."""
        self._take(log_ratios_above(bound, n, k))

    def _take(self, ratios: Floats) -> None:
        if not ratios.any():
            return
        self.looks += 1
        cash, staked = self.logs[0], np.array(self.logs[1:]) + ratios
        share = _STAKED / (self.looks + 1)
        stake = cash + math.log(share / len(ODDS))
        self.logs = [cash + math.log1p(-share), *np.logaddexp(staked, stake).tolist()]


def mean_of(logs: "list[float]") -> float:
    """The logarithm of the mean. A mean of evidence is evidence, whatever the parts have to do with each other: the
    mean of supermartingales is one (Vovk & Wang 2021, "E-values: calibration, combination and applications"). So it
    needs no correction for the number of questions, and is enough at the latest when one part alone would be by
    Bonferroni's.
    """
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))
