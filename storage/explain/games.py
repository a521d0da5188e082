"""Shapley values of games: from the worth of all coalitions, from chains of coalitions, or from the leaves of trees.

The players of a game are raw columns. A row x is held against a row b of the background: a coalition S has the worth
f(x on S, b elsewhere), and the Shapley value of a column is what it adds when columns change from b to x one after the
other, on average over all orders (Shapley 1953). Averaged over the background these are the interventional Shapley
values (Janzing et al., "Feature relevance quantification in explainable AI", AISTATS 2020; Lundberg et al., "From local
explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2020).

A column in which x and b are alike adds nothing: it does not play. So each pair of rows is a game of its own, of as
many players as there are differences, and most games are small.
"""

from collections.abc import Iterator
from math import comb, factorial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.boundary import Blocks
from storage.explain.leaves import Bits, Leaves
from storage.signature import BLOCKS, Signature

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: Games with more players are never enumerated: 2^24 coalitions take gigabytes.
MOST_PLAYERS = 24
#: Coalitions that are written to at once, some tens of bytes each.
_CHUNK_COALITIONS = 2_000_000


class Games(NamedTuple):
    """The games of one row against each row of the background, the smallest first.

    row: blocks of one row. background: blocks. other: int (games,), the background's row of each game. plays: bool
    (games, columns), in the order of the signature's columns. size: int (games,), players. place: int (games, columns),
    the number of a player among those of the game; 0 for columns that do not play.
    """

    signature: Signature
    row: Blocks
    background: Blocks
    other: Numbers
    plays: NDArray[np.bool_]
    size: Numbers
    place: Numbers

    @classmethod
    def of(cls, signature: Signature, row: Blocks, background: Blocks, used: tuple[int, ...]) -> "Games":
        """used: places of the columns that can matter."""
        differs = _differs(signature, row, background)
        can_play = np.zeros(differs.shape[1], dtype=bool)
        can_play[list(used)] = True
        differs &= can_play
        other = np.argsort(differs.sum(axis=1), kind="stable")
        plays = differs[other]
        place = np.where(plays, np.cumsum(plays, axis=1) - 1, 0)
        return cls(signature, row, background, other, plays, plays.sum(axis=1), place)

    @property
    def coalitions(self) -> float:
        """Of all games together; infinite if a game is too large to be enumerated."""
        return float((2.0**self.size).sum()) if self.size.max(initial=0) <= MOST_PLAYERS else np.inf

    def hybrids(self, game: Numbers, has: NDArray[np.bool_]) -> Blocks:
        """Rows that are half x and half b. game: (rows,). has: bool (rows, columns), what they have from x."""
        parts: list[NDArray[Any]] = []
        for block, own, others in zip(BLOCKS, self.row, self.background, strict=True):
            columns = [self.signature.names.index(name) for name in self.signature.block(block)]
            parts.append(np.where(has[:, columns], own, others[self.other[game]]))
        return Blocks(*parts)

    def all_coalitions(self) -> tuple[Numbers, NDArray[np.bool_]]:
        """Each coalition of each game, in binary order: its game (coalitions,), and what it has (coalitions, columns).

        Player number i of a game is in the coalitions whose number has bit i.
        """
        game = np.repeat(np.arange(len(self.size)), 2**self.size)
        number = np.concatenate([np.arange(2**size) for size in self.size.tolist()])
        has = (number[:, None] >> self.place[game] & 1).astype(bool) & self.plays[game]
        return game, has

    def of_size(self) -> Iterator[tuple[int, slice, slice]]:
        """The games of each size: size, which games, and which coalitions in the order of `all_coalitions`."""
        starts = np.concatenate([[0], np.cumsum(2**self.size)])
        for size in np.unique(self.size).tolist():
            first, last = np.searchsorted(self.size, [size, size + 1])
            yield size, slice(int(first), int(last)), slice(int(starts[first]), int(starts[last]))


def _differs(signature: Signature, row: Blocks, background: Blocks) -> NDArray[np.bool_]:
    """Bool (rows, columns): where the background is another than the row; missing is like missing."""
    differs = np.zeros((background.rows, len(signature.columns)), dtype=bool)
    for block, own, others in zip(BLOCKS, row, background, strict=True):
        columns = [signature.names.index(name) for name in signature.block(block)]
        found = own != others
        if block == "number":
            found &= ~(np.isnan(own) & np.isnan(others))
        differs[:, columns] = found
    return differs


def of_coalitions(games: Games, worth: Values) -> Values:
    """Mean Shapley values of games, (columns, outputs), from the worth of all coalitions, (coalitions, outputs).

    φ_i = Σ over S without i of |S|! (n - |S| - 1)! / n! · (worth(S and i) - worth(S)).
    """
    total = np.zeros((games.plays.shape[1], worth.shape[1]))
    for size, which, coalitions in games.of_size():
        cube = worth[coalitions].reshape(which.stop - which.start, 2**size, -1)
        number = np.arange(2**size)
        count = np.bitwise_count(number)
        for player in range(size):
            without = number[(number >> player & 1) == 0]
            gain = cube[:, without | 1 << player] - cube[:, without]
            added = np.tensordot(_SHARES[size][count[without]], gain, axes=(0, 1))
            column = np.argmax(games.plays[which] & (games.place[which] == player), axis=1)
            np.add.at(total, column, added)
    return total / len(games.size)


def _shares(size: int) -> Values:
    """|S|! (n - |S| - 1)! / n! for each |S|."""
    orders = factorial(size)
    return np.array([factorial(before) * factorial(size - before - 1) / orders for before in range(size)])


_SHARES = tuple(map(_shares, range(MOST_PLAYERS + 1)))


class Chains(NamedTuple):
    """Random orders in which the columns of games change from b to x; each order is followed by its reverse.

    Orders in such pairs are further apart than two independent ones, so that their mean errs less (antithetic sampling;
    Mitchell et al., "Sampling permutations for Shapley value estimation", JMLR 2022).

    game: int (chains,). rank: int (chains, columns), when a column changes, from 0; columns that do not play come last.
    """

    game: Numbers
    rank: Numbers

    @classmethod
    def draw(cls, games: Games, times: int, rng: np.random.Generator) -> "Chains":
        """times: pairs of orders for each game."""
        game = np.repeat(np.arange(len(games.size)), times)
        keys = np.where(games.plays[game], rng.random((len(game), games.plays.shape[1])), 2.0)
        rank = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1, kind="stable")
        back = np.where(games.plays[game], games.size[game][:, None] - 1 - rank, rank)
        return cls(np.repeat(game, 2), np.stack([rank, back], axis=1).reshape(-1, rank.shape[1]))

    def coalitions(self, games: Games) -> tuple[Numbers, NDArray[np.bool_]]:
        """Those on the way: the chain (rows,) and what it has (rows, columns), without the first and the last one."""
        between = np.maximum(games.size[self.game] - 1, 0)
        chain = np.repeat(np.arange(len(self.game)), between)
        starts = np.cumsum(between) - between
        step = np.arange(len(chain)) - starts[chain] + 1
        return chain, (self.rank[chain] < step[:, None]) & games.plays[self.game[chain]]

    def values(self, games: Games, worth: Values, ends: tuple[Values, Values]) -> tuple[Values, Values]:
        """Shapley values and their standard errors, (columns, outputs) each.

        worth: (rows, outputs) of `coalitions`. ends: worth of the first, (games, outputs), and of the last, (outputs,).

        Where each game has several pairs of orders, the error is what they differ by within games, as each game is
        there as often as it counts. Where it has one, the error is what games differ by, which is no smaller.
        """
        gains = self._gains(games, worth, ends)
        pairs = gains.reshape(-1, 2, *gains.shape[1:]).mean(axis=1)
        each = pairs.reshape(len(games.size), -1, *pairs.shape[1:])
        count, times = each.shape[:2]
        if times > 1:
            variance = each.var(axis=1, ddof=1).mean(axis=0) / (count * times)
        elif count > 1:
            variance = each[:, 0].var(axis=0, ddof=1) / count * (games.size > 2).any()
        else:
            variance = np.full(each.shape[2:], np.nan)
        return each.mean(axis=(0, 1)), np.sqrt(variance)

    def _gains(self, games: Games, worth: Values, ends: tuple[Values, Values]) -> Values:
        """What each column adds in each chain: (chains, columns, outputs)."""
        first, last = ends
        size = games.size[self.game]
        between = np.maximum(size - 1, 0)
        starts = np.cumsum(between) - between
        gains = np.zeros((*self.rank.shape, worth.shape[1]))
        for step in range(int(size.max(initial=0))):
            goes = np.flatnonzero(size > step)
            column = np.argmax((self.rank[goes] == step) & games.plays[self.game[goes]], axis=1)
            before = first[self.game[goes]] if step == 0 else worth[starts[goes] + step - 1]
            after = np.tile(last, (len(goes), 1))
            goes_on = size[goes] > step + 1
            after[goes_on] = worth[starts[goes[goes_on]] + step]
            gains[goes, column] = after - before
        return gains


class Tally(NamedTuple):
    """Which bits the background has at each leaf, and which share of it has them: (entries,) each, leaf by leaf.

    Most leaves look at few columns, and most rows of the background are alike to them: of 100 rows, 4 to 22 are left.
    """

    leaf: Numbers
    bits: Bits
    share: Values

    @classmethod
    def of(cls, bits: Bits) -> "Tally":
        """bits: (rows, leaves)."""
        ordered = np.sort(bits.T, axis=1)
        is_new = np.ones(ordered.shape, dtype=bool)
        is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        entry = np.flatnonzero(is_new)
        return cls(entry // len(bits), ordered.ravel()[entry], np.diff(entry, append=ordered.size) / len(bits))


def of_leaves(leaves: Leaves, own: Bits, tally: Tally, value: Values, columns: int) -> Values:
    """Mean Shapley values of sums of leaves, (columns, outputs), exactly.

    own: (leaves,) bits of the row. value: (leaves, outputs), what the leaves add.

    A leaf that takes columns A from x and columns B from b is reached by the coalitions that have A and nothing of B.
    With a = |A| and b = |B|, its value is gained by the last of A before any of B, (a-1)! b! / (a+b)! of all orders for
    each column of A, and lost by the first of B after all of A, a! (b-1)! / (a+b)! for each of B.
    """
    own_bits = own[tally.leaf]
    hit = np.flatnonzero((own_bits | tally.bits) == leaves.whole[tally.leaf])
    leaf, own_bits, other_bits = tally.leaf[hit], own_bits[hit], tally.bits[hit]
    needed, banned = own_bits & ~other_bits, other_bits & ~own_bits
    sizes = np.bitwise_count(needed), np.bitwise_count(banned)
    gain, loss = _GAINS[sizes] * tally.share[hit], _GAINS[sizes[::-1]] * tally.share[hit]
    total = np.zeros((columns, value.shape[1]))
    for bit in range(leaves.columns.shape[1]):
        added = np.where(needed >> bit & 1, gain, 0.0) - np.where(banned >> bit & 1, loss, 0.0)
        of_leaf = np.bincount(leaf, added, minlength=len(value))
        for output, each in enumerate(value.T):
            total[:, output] += np.bincount(leaves.columns[:, bit], of_leaf * each, minlength=columns)
    return total


def _gains(most: int) -> Values:
    """(a-1)! b! / (a+b)!, which is 1 / (a · (a+b over a)), for each a and b; 0 for a = 0."""
    return np.array([[1 / (a * comb(a + b, a)) if a else 0.0 for b in range(most + 1)] for a in range(most + 1)])


_GAINS = _gains(64)


def worth_by_leaves(games: Games, leaves: Leaves, own: Bits, others: Bits) -> Values:
    """The sums of the leaves for all coalitions of all games: (coalitions, targets).

    own: (leaves,) bits of the row. others: (rows, leaves), those of the background.

    "Has A and nothing of B" is the sum over subsets C of B of (-1)^|C| times "has A and C". So each leaf is written to
    the coalitions A and C, and then each coalition is given the sum of all that are part of it (the zeta transform).
    """
    game, leaf = np.nonzero((own | others[games.other]) == leaves.whole)
    own_bits, other_bits = own[leaf], others[games.other[game], leaf]
    needed = _of_game(games, leaves, game, leaf, own_bits & ~other_bits)
    banned = _of_game(games, leaves, game, leaf, other_bits & ~own_bits)
    starts = np.cumsum(2**games.size) - 2**games.size
    worth = np.zeros((int((2**games.size).sum()), leaves.value.shape[1]))
    count = np.bitwise_count(banned)
    for size in np.unique(count).tolist():
        entries = np.flatnonzero(count == size)
        step = max(1, _CHUNK_COALITIONS // 2**size)
        for chosen in (entries[first : first + step] for first in range(0, len(entries), step)):
            at, signs = _subsets(needed[chosen], banned[chosen], size)
            at += starts[game[chosen], None]
            for target, value in enumerate(leaves.value.T):
                added = value[leaf[chosen], None] * signs
                worth[:, target] += np.bincount(at.ravel(), added.ravel(), minlength=len(worth))
    for size, which, coalitions in games.of_size():
        for player in range(size):
            halves = worth[coalitions].reshape(which.stop - which.start, -1, 2, 2**player, worth.shape[1])
            halves[:, :, 1] += halves[:, :, 0]  # a view: this adds to `worth`
    return worth + leaves.constant


def _of_game(games: Games, leaves: Leaves, game: Numbers, leaf: Numbers, bits: Bits) -> Numbers:
    """Bits of leaves as bits of the players of their games."""
    found = np.zeros(len(bits), dtype=np.int64)
    for bit in range(leaves.columns.shape[1]):
        place = games.place[game, leaves.columns[leaf, bit]]
        found |= (bits >> bit & 1).astype(np.int64) << place
    return found


def _subsets(needed: Numbers, banned: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """`needed` with each subset of `banned`, (rows, 2^size), and its sign. size: bits of each banned."""
    found, signs, rest = needed[:, None], np.ones(1, dtype=np.int64), banned
    for _ in range(size):
        lowest = rest & -rest
        found = np.hstack([found, found | lowest[:, None]])
        signs = np.concatenate([signs, -signs])
        rest = rest ^ lowest
    return found, signs
