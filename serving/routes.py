"""Routes: which variant of an endpoint answers a request.

    0 ├──────────── main, weight 3 ────────────┼──── new, weight 1 ────┤ 1
                              ^ the place of an inference id

An inference id has a place between 0 and 1, always the same, and the variants lie there one after another, each as long
as its share. So the same id is answered by the same variant, and when weights change, only ids move over which a
border has passed: of two variants, exactly the difference in their shares.
"""

from bisect import bisect_right
from hashlib import blake2b
from itertools import accumulate
from time import time
from typing import TYPE_CHECKING

from serving.errors import UnknownVariantError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from serving.endpoints import LiveVariant
    from storage.records import Endpoint

#: What SageMaker's examples and SDKs call the variant of an endpoint that has one.
_ONLY = "AllTraffic"


def place_of(inference_id: str, purpose: bytes = b"variant") -> float:
    """Where an inference id lies, from 0 to below 1: evenly spread, the same in each process and at any time.

    purpose: places of one purpose tell nothing of those of another, up to 16 bytes.

    >>> round(place_of("a", b"doctest"), 4)
    0.5109
    """
    digest = blake2b(inference_id.encode(), digest_size=6, person=purpose).digest()  # 0.8 us; CRC-32 of ids that
    return int.from_bytes(digest, "little") / 2**48  # differ in a digit is not spread evenly, and knows no purposes


class Route:
    """The variants of one endpoint, ready to answer.

    only: the one variant, where there is no choice; None where there are several. variants: production, by name, in
    their order; shadows: likewise. since: seconds since 1970 when it began to serve.
    """

    def __init__(
        self, record: "Endpoint", variants: "Sequence[LiveVariant]", shadows: "Sequence[LiveVariant]" = ()
    ) -> None:
        self.record = record
        self.variants: Mapping[str, LiveVariant] = {live.variant.name: live for live in variants}
        self.shadows: Mapping[str, LiveVariant] = {live.variant.name: live for live in shadows}
        self.only: LiveVariant | None = variants[0] if len(variants) == 1 else None
        self.main = self.variants[record.main.name]
        self.since = time()
        self._drawn = [live for live in variants if live.variant.weight > 0]
        sums = list(accumulate(live.variant.weight for live in self._drawn))
        self._ends = [end / sums[-1] for end in sums[:-1]]

    def has_models_of(self, record: "Endpoint") -> bool:
        """Whether all models that another configuration asks for are here, in their places."""
        return all(
            (live := known.get(variant.name)) is not None and live.is_of(record, variant)
            for known, variants in ((self.variants, record.variants), (self.shadows, record.shadows))
            for variant in variants
        )

    def retire(self) -> None:
        """It serves no more."""
        for live in self.all:
            live.retire()

    @property
    def used_at(self) -> float:
        """When it last answered, or began to serve; seconds since 1970."""
        return max(self.since, *(live.metrics.last_at for live in self.variants.values()))

    @property
    def all(self) -> "list[LiveVariant]":
        """Production variants and shadows."""
        return [*self.variants.values(), *self.shadows.values()]

    def choose(self, inference_id: str | None, variant: str | None) -> "LiveVariant":
        """The variant of a name; without one the one drawn by the id; without either the main one.

        Raises UnknownVariantError, which lists those that there are.
        """
        if variant is not None:
            return self._named(variant)
        if inference_id is None:
            return self.main
        return self._drawn[bisect_right(self._ends, place_of(inference_id))]

    def _named(self, name: str) -> "LiveVariant":
        found = self.variants.get(name)
        if found is None and name == _ONLY:
            found = self.only
        if found is None:
            names = [*self.variants, *([_ONLY] if self.only is not None else [])]
            raise UnknownVariantError(
                f"X-Amzn-SageMaker-Target-Variant is {name[:63]!r}. Endpoint {self.record.name!r} has the variants: "
                f"{', '.join(names)}. Name one, or leave the header out."
            )
        return found


class UnloadedRoute:
    """An endpoint whose models are not in memory. refuse: what each request is told; it has them loaded, and raises."""

    only = None

    def __init__(self, record: "Endpoint", refuse: "Callable[[Endpoint], LiveVariant]") -> None:
        self.record = record
        self._refuse = refuse

    def choose(self, inference_id: str | None, variant: str | None) -> "LiveVariant":
        """Raises UnloadedError."""
        return self._refuse(self.record)
