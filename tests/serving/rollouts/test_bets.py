"""Who bets against a roll-out without harm wins nothing; a fault is found."""

import math

import numpy as np
import pytest

from serving.rollouts.bets import Bet, Table, mean_of


def evidence(
    random: np.random.Generator,
    p0: float,
    p1: float,
    *,
    looks: int = 100,
    rate: int = 20,
    share: float = 0.1,
    floor: float = 0.0,
) -> list[float]:
    """The logarithm of the evidence after each look."""
    bet, found = Bet(), []
    for _ in range(looks):
        n = int(random.poisson(rate))
        n1 = int(random.binomial(n, share))
        table = Table(n - n1, int(random.binomial(n - n1, p0)), n1, int(random.binomial(n1, p1)))
        bet.compare([table.handicapped(floor, random)])
        found.append(bet.log_evidence)
    return found


@pytest.mark.parametrize(
    ("p0", "p1", "share", "floor"),
    [(0.02, 0.02, 0.1, 0.0), (0.3, 0.3, 0.5, 0.0), (0.3, 0.2, 0.5, 0.0), (0.3, 0.35, 0.5, 0.05)],
)
def test_without_harm_the_mean_of_the_evidence_is_at_most_1(p0: float, p1: float, share: float, floor: float) -> None:
    """After a few looks, of many games: the error of the mean is some percent there."""
    random = np.random.default_rng(7)
    games = [evidence(random, p0, p1, looks=4, share=share, floor=floor)[-1] for _ in range(3000)]
    values = np.exp(games)
    assert values.mean() <= 1 + 3 * values.std() / math.sqrt(len(values))


def test_without_harm_it_rarely_ever_reaches_20() -> None:
    """In a twentieth of games at most, by Ville's inequality."""
    random = np.random.default_rng(8)
    reached = sum(max(evidence(random, 0.05, 0.05, looks=150)) >= math.log(20) for _ in range(300))
    assert reached <= 15


def test_a_fault_is_found_within_a_thousand_requests() -> None:
    """5 % of the new variants' requests, which are a tenth of all."""
    random = np.random.default_rng(9)
    games = [np.array(evidence(random, 0.001, 0.051, looks=300)) for _ in range(20)]
    assert np.median([np.argmax(logs >= math.log(100)) for logs in games]) * 20 < 1000


def test_a_fault_that_comes_late_is_found_too() -> None:
    """After a thousand looks without one."""
    random, bet = np.random.default_rng(10), Bet()
    for at in range(1300):
        k1 = int(random.binomial(20, 0.05 if at < 1000 else 0.3))
        bet.compare([Table(180, int(random.binomial(180, 0.05)), 20, k1)])
        if at == 999:
            assert bet.log_evidence < 0
    assert bet.log_evidence > math.log(100)


def test_the_order_of_tables_does_not_matter() -> None:
    """Of several servers in one look."""
    tables = [Table(90, 3, 10, 2), Table(50, 0, 50, 1), Table(7, 7, 3, 2)]
    one, other = Bet(), Bet()
    one.compare(tables)
    other.compare(tables[::-1])
    np.testing.assert_allclose(one.logs, other.logs, rtol=1e-12)


def test_a_look_that_tells_nothing_changes_nothing() -> None:
    """However often one looks without faults."""
    bet = Bet()
    for _ in range(100):
        bet.compare([Table(90, 0, 10, 0)])
    assert bet == Bet()


def test_a_handicap_makes_shares_equal_that_differ_by_the_floor() -> None:
    """30 % and 40 %, with a floor of 10 %."""
    table = Table(1_000_000, 300_000, 1_000_000, 400_000).handicapped(0.1, np.random.default_rng(1))
    assert table.k0 / table.n0 == pytest.approx(table.k1 / table.n1, abs=0.002)


def test_a_mean_of_logarithms_is_that_of_the_numbers() -> None:
    """1, 1 and 10, also where they are too large for floats."""
    assert mean_of([0.0, 0.0, math.log(10)]) == pytest.approx(math.log(4))
    assert mean_of([5000.0, 0.0]) == pytest.approx(5000 - math.log(2))
