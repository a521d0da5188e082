"""What shadow variants would have answered, beside what was answered: tallies that servers count, and reports of them.

A tally can be merged with any other of the same pair of versions, in any order: it holds counts, sums and a greatest.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from storage.endpoints import SHADOWS_OF
from storage.records import Endpoint

if TYPE_CHECKING:
    from storage.store import Store

_PER_OCTAVE = 4  # buckets: their ends are 19 % apart, so that a quantile is told within 9 %


class Durations(Struct):
    """Durations counted in buckets: number n holds those from 2**(n/4) microseconds on. total_s: their sum.

    >>> spent = Durations()
    >>> for seconds in (0.001, 0.001, 0.1):
    ...     spent.add(seconds)
    >>> round(spent.quantile(0.5), 4), spent.count
    (0.0009, 3)
    """

    counts: dict[int, int] = field(default_factory=dict[int, int])
    total_s: float = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration."""
        bucket = math.floor(math.log2(max(seconds, 1e-6) * 1e6) * _PER_OCTAVE)
        self.counts[bucket] = self.counts.get(bucket, 0) + times
        self.total_s += seconds * times

    def merge(self, other: "Durations") -> None:
        """Count what another has counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total_s += other.total_s

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float:
        """The duration in seconds that this share of them does not exceed, as the middle of its bucket; 0 of none."""
        left = share * self.count
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return 2 ** ((bucket + 0.5) / _PER_OCTAVE) / 1e6
        return 0.0


class ShadowTally(Struct):
    """What one server counted of a shadow's answers beside those of one production version.

    model, against: the shadow's version and the one that answered, as `demo:4`. requests: that were compared, of `rows`
    rows. skipped: requests that were to be, and found too many waiting. failed: whose run ended in an error, `error`
    being the last. agreed: rows of the same label. differences: rows of which a difference could be told, their sum and
    the greatest; of a row's probabilities it is that of the class that differs most. shadow, production: what a run of
    each took.
    """

    model: str
    against: str
    requests: int = 0
    rows: int = 0
    skipped: int = 0
    failed: int = 0
    error: str | None = None
    agreed: int = 0
    differences: int = 0
    difference_sum: float = 0.0
    difference_max: float = 0.0
    shadow: Durations = field(default_factory=Durations)
    production: Durations = field(default_factory=Durations)

    def merge(self, other: "ShadowTally") -> None:
        """Count what another has counted of the same versions."""
        self.requests += other.requests
        self.rows += other.rows
        self.skipped += other.skipped
        self.failed += other.failed
        self.error = other.error or self.error
        self.agreed += other.agreed
        self.differences += other.differences
        self.difference_sum += other.difference_sum
        self.difference_max = max(self.difference_max, other.difference_max)
        self.shadow.merge(other.shadow)
        self.production.merge(other.production)


class Latency(Struct, frozen=True):
    """Milliseconds of the model's run: mean, median and 95th percentile."""

    mean_ms: float
    p50_ms: float
    p95_ms: float


class ShadowReport(Struct, frozen=True):
    """A shadow beside what answered: see `ShadowTally` for the counts.

    share: of requests that it sees. against: the version that answered them. agreement: share of rows with the same
    label; None for regression, and before there are any. mean_difference, max_difference: None before there are any.
    """

    shadow: str
    model: str
    share: float
    against: str
    requests: int
    rows: int
    skipped: int
    failed: int
    error: str | None
    agreement: float | None
    mean_difference: float | None
    max_difference: float | None
    shadow_latency: Latency | None
    production_latency: Latency | None


def subject_of(endpoint: Endpoint) -> str:
    """What servers count an endpoint's shadows under."""
    return f"{SHADOWS_OF.format(endpoint.name)}{endpoint.revision}"


def shadow_reports(store: "Store", endpoint: Endpoint) -> list[ShadowReport]:
    """What is known of an endpoint's shadows: each beside each version that has answered, of all servers and of all
    revisions of the last days in which it was the shadow that it is."""
    found: dict[tuple[str, str], ShadowTally] = {}
    models = {shadow.name: shadow.spec for shadow in endpoint.shadows}
    for tally in store.servers.tallies(SHADOWS_OF.format(endpoint.name)):
        for counted in msgspec.json.decode(tally.body, type=list[ShadowTally]):
            if models.get(tally.variant) == counted.model:
                new = ShadowTally(counted.model, counted.against)
                found.setdefault((tally.variant, counted.against), new).merge(counted)
    classifies = _classifies(store, endpoint) if found else False
    shares = {shadow.name: shadow.weight for shadow in endpoint.shadows}
    return [_report(name, shares[name], counted, classifies=classifies) for (name, _), counted in sorted(found.items())]


def encoded(tallies: Iterable[ShadowTally]) -> str:
    """Tallies of one shadow as the body of a record."""
    return msgspec.json.encode(list(tallies)).decode()


def _classifies(store: "Store", endpoint: Endpoint) -> bool:
    return store.models.get(endpoint.main.spec).signature.task != "regression"


def _report(name: str, share: float, counted: ShadowTally, *, classifies: bool) -> ShadowReport:
    told = counted.differences
    return ShadowReport(
        shadow=name,
        model=counted.model,
        share=share,
        against=counted.against,
        requests=counted.requests,
        rows=counted.rows,
        skipped=counted.skipped,
        failed=counted.failed,
        error=counted.error,
        agreement=counted.agreed / counted.rows if classifies and counted.rows else None,
        mean_difference=counted.difference_sum / told if told else None,
        max_difference=counted.difference_max if told else None,
        shadow_latency=_latency(counted.shadow),
        production_latency=_latency(counted.production),
    )


def _latency(spent: Durations) -> Latency | None:
    if not spent.count:
        return None
    return Latency(
        *(round(1000 * seconds, 4) for seconds in (spent.total_s / spent.count, *map(spent.quantile, (0.5, 0.95))))
    )
