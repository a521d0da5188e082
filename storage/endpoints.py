"""Endpoints: which model versions are served under which name, and to what share of requests."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, update

from storage.database import Database, insert_record, record_of, values_of
from storage.errors import ConflictError, InputError, UnknownNameError, listed
from storage.executions import remove_schedules
from storage.models import check_name
from storage.records import MAIN, CapturePolicy, Endpoint, ModelVersion, Variant
from storage.signature import Signature
from storage.tables import baselines, endpoints, models, rollouts, schedules, tallies

#: What servers count of an endpoint's shadows: the revision's number follows.
SHADOWS_OF = "shadow:{}:"

_KEPT_COUNTS = timedelta(days=7)


class Endpoints:
    """Endpoint records. Servers poll `list` and follow each change of `revision`.

    Each change is checked whole before anything is written; one of nothing leaves the revision. expected: the revision
    that whoever changes it has seen; a ConflictError tells that another changed it since. None changes whatever there
    is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(
        self,
        name: str,
        version: ModelVersion,
        now: datetime,
        *,
        capture: CapturePolicy | None = None,
        expected: int | None = None,
    ) -> Endpoint:
        """Give all of an endpoint's requests to a model version; makes the endpoint if it is new.

        capture: None leaves what the endpoint has; a new one captures all. Raises InputError for a bad name.
        """
        check_name(name, "an endpoint")
        variants = (Variant(MAIN, version.name, version.version),)
        with self._database.write() as connection:
            old = _find(connection, name)
            new = replace(old, variants=variants) if old else Endpoint(name, variants, 0, now, now)
            return _put(connection, old, replace(new, capture=capture or new.capture), now, expected)

    def put(self, endpoint: Endpoint, now: datetime, *, expected: int | None = None) -> Endpoint:
        """Make or replace an endpoint; its revision and times are set here. expected: 0 makes a new one only.

        Raises InputError for what `check` finds, and ConflictError.
        """
        check_name(endpoint.name, "an endpoint")
        with self._database.write() as connection:
            return _put(connection, _find(connection, endpoint.name), endpoint, now, expected)

    def set_weights(
        self, name: str, weights: Mapping[str, float], now: datetime, *, expected: int | None = None
    ) -> Endpoint:
        """Give variants other weights; those not named keep theirs. Raises InputError, UnknownNameError."""
        with self._database.write() as connection:
            old = _known(connection, name)
            return _put(connection, old, with_weights(old, weights), now, expected)

    def delete(self, name: str, now: datetime, *, expected: int | None = None) -> None:
        """Delete an endpoint, its schedules and its baseline; captured traffic, executions and reports stay. Raises
        UnknownNameError."""
        with self._database.write() as connection:
            _check_revision(name, _known(connection, name), expected)
            remove_schedules(connection, schedules.c.endpoint == name, now)
            connection.execute(delete(baselines).where(baselines.c.endpoint == name))
            _forget_counts(connection, name)
            connection.execute(delete(endpoints).where(endpoints.c.name == name))

    def get(self, name: str) -> Endpoint:
        """An endpoint by name. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, name)

    def list(self) -> list[Endpoint]:
        """All endpoints by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(endpoints).order_by(endpoints.c.name)).mappings().all()
        return [record_of(Endpoint, row) for row in rows]


def with_weights(endpoint: Endpoint, weights: Mapping[str, float]) -> Endpoint:
    """An endpoint whose variants have other weights; those not named keep theirs. Raises InputError for a name that no
    variant has."""
    names = [variant.name for variant in endpoint.variants]
    if unknown := [name for name in weights if name not in names]:
        raise InputError(
            f"Endpoint {endpoint.name!r} has no variant {unknown[0][:80]!r}. Its variants are {listed(names)}."
        )
    variants = tuple(replace(v, weight=float(weights.get(v.name, v.weight))) for v in endpoint.variants)
    return replace(endpoint, variants=variants)


def endpoint_within(connection: Connection, name: str) -> Endpoint:
    """As `Endpoints.get`, in a transaction that does more."""
    return _known(connection, name)


def put_within(connection: Connection, endpoint: Endpoint, now: datetime, *, expected: int | None) -> Endpoint:
    """As `Endpoints.put`, in a transaction that does more."""
    return _put(connection, _find(connection, endpoint.name), endpoint, now, expected)


def _find(connection: Connection, name: str) -> Endpoint | None:
    row = connection.execute(select(endpoints).where(endpoints.c.name == name)).mappings().first()
    return None if row is None else record_of(Endpoint, row)


def _known(connection: Connection, name: str) -> Endpoint:
    found = _find(connection, name)
    if found is None:
        raise UnknownNameError(
            f"The store has no endpoint {name[:80]!r}. `autopilot endpoints` lists those that it has."
        )
    return found


def _put(connection: Connection, old: Endpoint | None, new: Endpoint, now: datetime, expected: int | None) -> Endpoint:
    _check_revision(new.name, old, expected)
    _check(connection, new)
    if old is not None:
        if replace(new, revision=old.revision, created_at=old.created_at, updated_at=old.updated_at) == old:
            return old
        if new.variants == old.variants:
            _refuse_under_rollout(connection, old.name)
    created_at, revision = (old.created_at, old.revision + 1) if old else (now, 1)
    new = replace(new, revision=revision, created_at=created_at, updated_at=now)
    _forget_counts(connection, new.name, now - _KEPT_COUNTS if old else None)
    if old is None:
        insert_record(connection, endpoints, new)
    else:
        connection.execute(update(endpoints).where(endpoints.c.name == new.name).values(values_of(new)))
    return new


def _refuse_under_rollout(connection: Connection, name: str) -> None:
    """Raise ConflictError while a roll-out runs, for a change of all else but variants: it would end the roll-out,
    which compares what is answered under one configuration."""
    query = select(rollouts.c.id).where(rollouts.c.endpoint == name, rollouts.c.status == "running")
    if connection.execute(query).first() is not None:
        raise ConflictError(
            f"A roll-out runs on endpoint {name!r}, and other changes wait for its end. End it first: "
            f"autopilot endpoints rollback {name}, or stop {name}, which leaves the shares as they are."
        )


def _forget_counts(connection: Connection, name: str, before: datetime | None = None) -> None:
    """Forget what servers have counted of an endpoint's shadows: all, or what they last told before a time."""
    of_endpoint = tallies.c.subject.startswith(SHADOWS_OF.format(name), autoescape=True)
    old = delete(tallies).where(of_endpoint)
    connection.execute(old if before is None else old.where(tallies.c.at < before))


def _check_revision(name: str, old: Endpoint | None, expected: int | None) -> None:
    """Raise ConflictError if the endpoint is not as whoever changes it has seen it."""
    revision = old.revision if old else 0
    if expected is not None and expected != revision:
        found = f"is at revision {revision}" if old else "is not there"
        raise ConflictError(
            f"Endpoint {name!r} {found}, and revision {expected} was to be changed: another changed it in between. "
            "Look at it again, and repeat what is still wanted."
        )


def _check(connection: Connection, endpoint: Endpoint) -> None:
    """Raise InputError for what cannot be served, or not as it is said."""
    variants = (*endpoint.variants, *endpoint.shadows)
    names = [variant.name for variant in variants]
    for name in names:
        check_name(name, "a variant")
    if not endpoint.variants:
        raise InputError(f"Endpoint {endpoint.name!r} has no production variant. Give it one.")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Endpoint {endpoint.name!r} has two variants {min(twice)!r}. Give each its own name.")
    _check_weights(endpoint)
    signatures = [_signature(connection, variant) for variant in variants]
    _check_alike(variants, signatures)
    _check_shadows(endpoint, signatures)
    _check_capture(endpoint.capture, signatures)
    _check_limits(endpoint)


def _check_weights(endpoint: Endpoint) -> None:
    for variant in (*endpoint.variants, *endpoint.shadows):
        if not (math.isfinite(variant.weight) and variant.weight >= 0):
            raise InputError(f"The weight of variant {variant.name!r} is {variant.weight}. Use 0 or more.")
    total = sum(variant.weight for variant in endpoint.variants)
    if not total:
        raise InputError(f"The weights of endpoint {endpoint.name!r} sum to 0. Give one variant more than 0.")
    if total == math.inf:
        raise InputError(
            f"The weights of endpoint {endpoint.name!r} sum to more than a number can hold, 1.8e308. Only their ratio "
            "counts: give smaller ones, such as 90 and 10."
        )
    for shadow in endpoint.shadows:
        if shadow.weight > 1:
            raise InputError(f"Shadow {shadow.name!r} sees a share of {shadow.weight} of requests. Use 0 to 1.")


def _signature(connection: Connection, variant: Variant) -> Signature:
    query = select(models.c.signature).where(models.c.name == variant.model, models.c.version == variant.version)
    found = connection.execute(query).scalar()
    if found is None:
        raise UnknownNameError(
            f"The store has no model {variant.spec[:80]!r}, which variant {variant.name!r} names. "
            "`autopilot models` lists those that it has."
        )
    return found


def _check_alike(variants: tuple[Variant, ...], signatures: list[Signature]) -> None:
    """One client asks all variants the same way, and reads their answers the same way."""
    first = signatures[0]
    for variant, signature in zip(variants, signatures, strict=True):
        if (signature.task, signature.classes) != (first.task, first.classes):
            raise InputError(
                f"Variant {variant.name!r} predicts {_predicts(signature)}, variant {variants[0].name!r} "
                f"{_predicts(first)}. Variants of one endpoint answer alike; use another endpoint."
            )


def _check_shadows(endpoint: Endpoint, signatures: list[Signature]) -> None:
    """A shadow reads the rows that production variants were asked: it can have no column that one of them lacks."""
    count = len(endpoint.variants)
    for variant, signature in zip(endpoint.variants, signatures[:count], strict=True):
        kinds: dict[str, str] = {column.name: column.kind for column in signature.columns}
        for shadow, wanted in zip(endpoint.shadows, signatures[count:], strict=True):
            for column in wanted.columns:
                if (kind := kinds.get(column.name)) != column.kind:
                    has = "does not take it" if kind is None else f"takes it as {kind}"
                    raise InputError(
                        f"Shadow {shadow.name!r} takes column {column.name!r} as {column.kind}, and variant "
                        f"{variant.name!r} {has}. A shadow sees the columns of the rows that the variants are asked: "
                        "take a version that needs no other, or make it a production variant."
                    )


def _predicts(signature: Signature) -> str:
    return "a number" if signature.task == "regression" else f"one of {listed([str(c) for c in signature.classes])}"


def _check_capture(capture: CapturePolicy, signatures: list[Signature]) -> None:
    if not 0 <= capture.share <= 1:
        raise InputError(f"The share of requests to capture is {capture.share}. Use 0 to 1.")
    known = {name for signature in signatures for name in signature.names}
    if unknown := [name for name in capture.redact if name not in known]:
        raise InputError(
            f"Column {unknown[0][:80]!r} is to be redacted, and no variant takes it. "
            f"The columns are {listed(sorted(known))}."
        )


def _check_limits(endpoint: Endpoint) -> None:
    for name in ("max_body_bytes", "max_rows"):
        value = getattr(endpoint.limits, name)
        if value is not None and value < 1:
            raise InputError(f"{name} of endpoint {endpoint.name!r} is {value}. Use 1 or more, or leave it out.")
