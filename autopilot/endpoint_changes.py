"""What `autopilot endpoints` reads from its arguments, and shows of an endpoint."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from storage.errors import InputError, UnknownNameError, listed
from storage.models import Models
from storage.predictor import Provider
from storage.records import MAIN, Endpoint, EndpointLimits, Variant
from storage.servers import EndpointStatus, status_of
from storage.shadows import ShadowReport, shadow_reports
from storage.store import Store

_VARIANT = re.compile(r"(?P<name>[^=@]+)=(?P<model>[^@]+)(?:@(?P<weight>[^@]+))?")


class EndpointView(Struct, frozen=True):
    """All that is known of an endpoint: what it should be, what its servers make of it, and how its shadows do."""

    endpoint: Endpoint
    status: EndpointStatus
    shadows: list[ShadowReport]


class Update(Struct, frozen=True):
    """What is to change of an endpoint; None and empty leave what there is.

    variants, shadows: as `new=churn:3@10`: a name, a model version, and behind @ the weight, of a shadow the share of
    requests. Without, those that there are keep theirs; a new variant gets 0, a new shadow 1. remove: names of variants
    and shadows. max_rows, max_body_bytes: 0 takes the limit away.
    """

    variants: Sequence[str] = ()
    shadows: Sequence[str] = ()
    remove: Sequence[str] = ()
    max_rows: int | None = None
    max_body_bytes: int | None = None
    provider: Provider | None = None


def view(store: Store, name: str, now: datetime) -> EndpointView:
    """What is known of an endpoint. Raises UnknownNameError."""
    endpoint = store.endpoints.get(name)
    status = status_of(endpoint, store.servers.list(now), store.rollouts.list(endpoint=name, limit=1))
    return EndpointView(endpoint, status, shadow_reports(store, endpoint))


def update(store: Store, name: str, asked: Update, now: datetime) -> Endpoint:
    """Change an endpoint, or make it, as it was asked; whole or not at all.

    Raises InputError for what cannot be read or served, UnknownNameError for a model version that there is not, and
    ConflictError if another changed it meanwhile.
    """
    try:
        old = store.endpoints.get(name)
    except UnknownNameError:
        if not asked.variants:
            raise
        old = Endpoint(name, (), 0, now, now)
    known = [variant.name for variant in (*old.variants, *old.shadows)]
    if unknown := [name for name in asked.remove if name not in known]:
        raise InputError(f"Endpoint {name!r} has no variant {unknown[0][:80]!r}. Its variants are {listed(known)}.")
    variants = _merged(store.models, old.variants, asked.variants, asked.remove, weight=0.0 if old.variants else 1.0)
    shadows = _merged(store.models, old.shadows, asked.shadows, asked.remove, weight=1.0)
    new = replace(
        old,
        variants=variants,
        shadows=shadows,
        limits=_limits(old.limits, asked),
        provider=asked.provider or old.provider,
    )
    return store.endpoints.put(new, now, expected=old.revision)


def weights_of(pairs: Iterable[str]) -> dict[str, float]:
    """Weights by variant, of texts such as `main=90`. Raises InputError.

    >>> weights_of(["main=90", "new=10"])
    {'main': 90.0, 'new': 10.0}
    """
    weights: dict[str, float] = {}
    for text in pairs:
        name, _, weight = text.partition("=")
        if name in weights:
            raise InputError(f"Variant {name!r} is given two weights. Give it one.")
        weights[name] = _number(weight, text, f"{MAIN}=90")
    if not weights:
        raise InputError(f"No weights are given. Write them as {MAIN}=90 new=10.")
    return weights


def _merged(
    models: Models, old: Sequence[Variant], asked: Sequence[str], remove: Sequence[str], *, weight: float
) -> tuple[Variant, ...]:
    """The old variants with those that are asked for: in the place of one of their name, or behind all."""
    kept = {variant.name: variant for variant in old if variant.name not in remove}
    for text in asked:
        found = _VARIANT.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} is no variant. Write it as NAME=MODEL:3 or NAME=MODEL:3@WEIGHT.")
        version = models.get(found["model"])
        usual = kept[found["name"]].weight if found["name"] in kept else weight
        given = usual if found["weight"] is None else _number(found["weight"], text, "NAME=MODEL:3@10")
        kept[found["name"]] = Variant(found["name"], version.name, version.version, given)
    return tuple(kept.values())


def _limits(old: EndpointLimits, asked: Update) -> EndpointLimits:
    def limit(had: int | None, wanted: int | None) -> int | None:
        return had if wanted is None else wanted or None

    return EndpointLimits(
        limit(old.max_body_bytes, asked.max_body_bytes),
        limit(old.max_rows, asked.max_rows),
    )


def _number(text: str, whole: str, example: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{text!r} in {whole!r} is no weight. Write a number, such as {example}.") from None
