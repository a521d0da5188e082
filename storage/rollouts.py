"""Roll-outs: an endpoint's variants changed in steps, watched, and taken back where they do harm.

    start ── step 0: the new are loaded, the old measured ── step 1 ── ... ── the last step ── completed
                              └────────────── harm, or by hand ── rolled back: the variants are as before

Servers act (`serving/rollouts`); here is what they, the command line and the control plane do to the records. Each step
is one transaction that changes the endpoint and the roll-out: whoever is killed in the middle of one has done it, or
has not, and the next who looks goes on from there.
"""

import math
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, and_, delete, or_, select, update

from storage.database import Database, insert_record, record_of
from storage.endpoints import endpoint_within, put_within
from storage.errors import ConflictError, InputError, UnknownNameError, listed
from storage.models import Models
from storage.records import Endpoint, Guard, Measured, Rollout, RolloutProgress, Tally, Variant
from storage.servers import EndpointStatus
from storage.tables import rollouts, tallies

#: How often a server that has a roll-out says so, at least, and how long the others wait for it.
LEASE_S = 3.0
#: Whose tally is what the acting server goes on from.
EVIDENCE = "evidence"

_SUBJECT = "rollout:{}"
_LEAST_STEP = 0.01  # of a linear one: a hundred steps
_LONGEST_WAIT_S = 30 * 24 * 3600.0

Status = Literal["running", "completed", "rolled back", "stopped"]


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be rolled out, and how; see `Rollout` for the words.

    model: a version, as `churn:4`, or `churn` for the newest. variants: in its place several, or one with a name of its
    own; a name that is left empty is made up.
    """

    model: str | None = None
    variants: tuple[Variant, ...] = ()
    strategy: Literal["canary", "linear", "blue_green"] = "canary"
    share: float = 0.1
    wait_s: float = 300.0
    alpha: float = 0.01
    guards: tuple[Guard, ...] = (Guard("errors"), Guard("latency", floor=0.005))
    minimum: int = 30


class Rollouts:
    """Roll-out records. At most one runs on an endpoint.

    `start`, `stop` and `rollback` are for people. The rest is for servers: one of them owns a roll-out as long as it
    renews its lease, and only the owner can report, advance or end it: each of these tells by False or None that it is
    another's by now, or has ended.
    """

    def __init__(self, database: Database, models: Models) -> None:
        self._database = database
        self._models = models

    # ---------------------------------------------------------------------------------------------- for people

    def start(self, endpoint: str, plan: Plan, now: datetime, *, expected: int | None = None) -> Rollout:
        """Begin a roll-out: the endpoint gets the new variants beside those that it has, with weight 0.

        Raises UnknownNameError for an endpoint or a model version that there is not, InputError for a plan that cannot
        be followed, and ConflictError if one runs on the endpoint, or it is not at the revision `expected`.
        """
        _check_plan(plan)
        wanted = self._variants(plan)
        with self._database.write() as connection:
            if (other := _running(connection, endpoint)) is not None:
                raise ConflictError(
                    f"Roll-out {other.id} runs on endpoint {endpoint!r}. Wait for its end, or take it back: "
                    f"autopilot endpoints rollback {endpoint}."
                )
            old = endpoint_within(connection, endpoint)
            new = Rollout(
                id=f"rollout-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
                endpoint=endpoint,
                status="running",
                strategy=plan.strategy,
                share=1.0 if plan.strategy == "blue_green" else plan.share,
                wait_s=plan.wait_s,
                alpha=plan.alpha,
                guards=plan.guards,
                before=old.variants,
                after=_named(wanted, old),
                step=0,
                step_at=now,
                created_at=now,
                minimum=plan.minimum,
            )
            _check_change(old, new)
            put = put_within(connection, replace(old, variants=variants_at(new, 0)), now, expected=expected)
            new = replace(new, revision=put.revision)
            insert_record(connection, rollouts, new)
        return new

    def stop(self, endpoint: str, now: datetime) -> Rollout:
        """End the roll-out that runs on an endpoint, and leave its variants as they are. Raises UnknownNameError for
        the endpoint, InputError if none runs."""
        with self._database.write() as connection:
            found = endpoint_within(connection, endpoint)
            rollout = _running(connection, endpoint)
            if rollout is None:
                raise InputError(f"No roll-out runs on endpoint {endpoint!r}. There is nothing to stop.")
            reason = f"Stopped by hand; the variants stay as they are: {shares_of(found.variants)}."
            return _end(connection, rollout, now, "stopped", reason)

    def rollback(self, endpoint: str, now: datetime) -> Rollout:
        """Take back the roll-out that runs on an endpoint, or without one the last that was completed or stopped.

        Raises UnknownNameError for the endpoint, and InputError if there is none to take back, or the endpoint has
        changed since: then nobody knows what would be lost.
        """
        with self._database.write() as connection:
            found = endpoint_within(connection, endpoint)
            rollout = _running(connection, endpoint)
            if rollout is None:
                rollout = _last_ended(connection, found)
            elif rollout.revision != found.revision:
                raise _changed(found, rollout)
            put_within(connection, replace(found, variants=rollout.before), now, expected=None)
            reason = "Taken back by hand." if rollout.status == "running" else "Taken back by hand, after its end."
            return _end(connection, rollout, now, "rolled back", reason)

    def get(self, rollout_id: str) -> Rollout:
        """A roll-out by id. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, rollout_id)

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: Status | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> "list[Rollout]":
        """Roll-outs, the newest first. before: id of the last one that was seen. Raises UnknownNameError for that."""
        query = select(rollouts).order_by(rollouts.c.created_at.desc(), rollouts.c.id.desc()).limit(limit)
        if endpoint is not None:
            query = query.where(rollouts.c.endpoint == endpoint)
        if status is not None:
            query = query.where(rollouts.c.status == status)
        with self._database.read() as connection:
            if before is not None:
                last = _known(connection, before)
                earlier = and_(rollouts.c.created_at == last.created_at, rollouts.c.id < last.id)
                query = query.where(or_(rollouts.c.created_at < last.created_at, earlier))
            return [record_of(Rollout, row) for row in connection.execute(query).mappings()]

    def _variants(self, plan: Plan) -> tuple[Variant, ...]:
        """The new variants, of versions that there are."""
        asked = plan.variants or (Variant("", plan.model or "", 0),)
        specs = [plan.model or ""] if plan.model else [variant.spec for variant in asked]
        found = [self._models.get(spec) for spec in specs]
        return tuple(replace(v, model=m.name, version=m.version) for v, m in zip(asked, found, strict=True))

    # --------------------------------------------------------------------------------------------- for servers

    def running(self, endpoint: str) -> Rollout | None:
        """The roll-out that runs on an endpoint."""
        with self._database.read() as connection:
            return _running(connection, endpoint)

    def tell(self, rollout: Rollout, server_id: str, now: datetime, body: str) -> None:
        """Keep what a server has counted for a roll-out so far, in place of what it told before."""
        with self._database.write() as connection:
            if _known(connection, rollout.id).status == "running":
                _put_tally(connection, Tally(_SUBJECT.format(rollout.id), server_id, "", now, body))

    def told(self, rollout: Rollout) -> "list[Tally]":
        """What servers have counted, and under `EVIDENCE` what was made of it; by server."""
        query = select(tallies).where(tallies.c.subject == _SUBJECT.format(rollout.id)).order_by(tallies.c.server_id)
        with self._database.read() as connection:
            return [record_of(Tally, row) for row in connection.execute(query).mappings()]

    def claim(self, rollout: Rollout, owner: str, now: datetime) -> bool:
        """Take a roll-out, or keep it, for `LEASE_S`; False if another has it."""
        is_free = or_(rollouts.c.owner.is_(None), rollouts.c.owner == owner, rollouts.c.lease_until <= now)
        mine = and_(rollouts.c.id == rollout.id, rollouts.c.status == "running", is_free)
        lease = {"owner": owner, "lease_until": now + timedelta(seconds=LEASE_S)}
        with self._database.write() as connection:
            return connection.execute(update(rollouts).where(mine).values(lease)).rowcount == 1

    def release(self, owner: str) -> None:
        """Give up all that an owner has, so that others need not wait for the end of its lease."""
        with self._database.write() as connection:
            connection.execute(update(rollouts).where(rollouts.c.owner == owner).values(owner=None, lease_until=None))

    def report(
        self,
        rollout: Rollout,
        owner: str,
        now: datetime,
        progress: RolloutProgress,
        measured: Measured | None,
        body: str,
    ) -> bool:
        """Keep how a roll-out fares, what was measured, and the evidence to go on from: all of it, or nothing. It
        renews the lease."""
        lease_until = now + timedelta(seconds=LEASE_S)
        changes = {"progress": progress, "measured": measured, "lease_until": lease_until}
        with self._database.write() as connection:
            if not _change_own(connection, rollout, owner, changes):
                return False
            _put_tally(connection, Tally(_SUBJECT.format(rollout.id), EVIDENCE, "", now, body))
            return True

    def advance(self, rollout: Rollout, owner: str, now: datetime) -> Rollout | None:
        """Do the next step, or complete after the last. Raises ConflictError if another has changed the endpoint, and
        what `Endpoints.put` raises."""
        with self._database.write() as connection:
            if not _is_own(connection, rollout, owner):
                return None
            step = rollout.step + 1
            is_last = step > len(shares_by_step(rollout))
            found = endpoint_within(connection, rollout.endpoint)
            variants = rollout.after if is_last else variants_at(rollout, step)
            put = put_within(connection, replace(found, variants=variants), now, expected=rollout.revision)
            if is_last:
                told = f"All requests go to {shares_of(rollout.after)}."
                return _end(connection, replace(rollout, revision=put.revision), now, "completed", told)
            new = replace(rollout, step=step, step_at=now, revision=put.revision)
            _change_own(connection, rollout, owner, {"step": step, "step_at": now, "revision": put.revision})
            return new

    def take_back(self, rollout: Rollout, owner: str, now: datetime, reason: str) -> Rollout | None:
        """Return to the variants before. Raises ConflictError if another has changed the endpoint."""
        with self._database.write() as connection:
            if not _is_own(connection, rollout, owner):
                return None
            found = endpoint_within(connection, rollout.endpoint)
            put = put_within(connection, replace(found, variants=rollout.before), now, expected=rollout.revision)
            return _end(connection, replace(rollout, revision=put.revision), now, "rolled back", reason)

    def give_up(self, rollout: Rollout, owner: str, now: datetime, reason: str) -> Rollout | None:
        """End a roll-out and change nothing else."""
        with self._database.write() as connection:
            return _end(connection, rollout, now, "stopped", reason) if _is_own(connection, rollout, owner) else None


# ------------------------------------------------------------------------------------------------------ the steps


def shares_by_step(rollout: Rollout) -> tuple[float, ...]:
    """What share of requests the new variants get in each step from step 1 on; after the last they get all.

    >>> from tests.records import NOW
    >>> linear = Rollout("r", "e", "running", "linear", 0.3, 60, 0.01, (), (), (), 0, NOW, NOW)
    >>> shares_by_step(linear), shares_by_step(replace(linear, strategy="canary"))
    ((0.3, 0.6, 0.9), (0.3,))
    """
    if rollout.strategy != "linear":
        return (rollout.share,)
    count = math.ceil(round(1 / rollout.share, 6))
    return tuple(round(number * rollout.share, 6) for number in range(1, count))


def share_at(rollout: Rollout, step: int) -> float:
    """The share of requests that the new variants get in a step: 0 in step 0, all after the last."""
    shares = (0.0, *shares_by_step(rollout))
    return shares[step] if step < len(shares) else 1.0


def old_variants(rollout: Rollout) -> tuple[Variant, ...]:
    """Those that the new ones are compared with, and replace: the ones before that do not stay."""
    stay = {variant.name for variant in rollout.after}
    return tuple(variant for variant in rollout.before if variant.name not in stay)


def variants_at(rollout: Rollout, step: int) -> tuple[Variant, ...]:
    """An endpoint's variants in a step, the old ones first: so only ids over which the border passes change sides."""
    share = share_at(rollout, step)
    return (*_scaled(old_variants(rollout), 1 - share), *_scaled(rollout.after, share))


def shares_of(variants: Sequence[Variant]) -> str:
    """What each variant gets, in words.

    >>> shares_of([Variant("main", "m", 1, 90), Variant("v2", "m", 2, 10)])
    'main (m:1) 90 %, v2 (m:2) 10 %'
    """
    total = sum(variant.weight for variant in variants)
    return ", ".join(f"{v.name} ({v.spec}) {100 * (v.weight / total):.3g} %" for v in variants)


def with_stopped(status: EndpointStatus, endpoint: Endpoint, rollouts: Sequence[Rollout]) -> EndpointStatus:
    """A status that also tells of a roll-out that was stopped, as long as what it has left is served: nothing takes
    the new variants back any more, and `InService` alone would hide that. rollouts: the endpoint's, newest first."""
    last = rollouts[0] if rollouts else None
    if last is None or last.status != "stopped":
        return status
    if endpoint.variants == variants_at(last, last.step):
        remedy = f"To return to the variants before it: autopilot endpoints rollback {endpoint.name}."
    elif _serves(endpoint, last.after) and _serves(endpoint, old_variants(last)):
        remedy = f"To give all requests to one version: autopilot deploy MODEL:VERSION --endpoint {endpoint.name}."
    else:
        return status
    told = f"Roll-out {last.id} watches its variants no more. {last.reason} {remedy}"
    return replace(status, reason=" ".join(filter(None, (status.reason, told))))


def _serves(endpoint: Endpoint, variants: Iterable[Variant]) -> bool:
    """Whether some of these variants get requests."""
    weights = {(variant.name, variant.spec): variant.weight for variant in endpoint.variants}
    return any(weights.get((variant.name, variant.spec)) for variant in variants)


def _scaled(variants: Iterable[Variant], share: float) -> tuple[Variant, ...]:
    """The variants with weights that sum to a share, in percent."""
    variants = tuple(variants)
    total = sum(variant.weight for variant in variants)
    return tuple(replace(variant, weight=round(100 * share * (variant.weight / total), 6)) for variant in variants)


# ----------------------------------------------------------------------------------------------------- the checks


def _check_plan(plan: Plan) -> None:
    """Raise InputError for what cannot be followed."""
    if bool(plan.model) == bool(plan.variants):
        raise InputError("A roll-out takes a model, such as churn:4, or variants. Name one of the two.")
    if plan.strategy != "blue_green" and not 0 < plan.share < 1:
        raise InputError(f"The share of a step is {plan.share:g}. Use more than 0 and less than 1, such as 0.1.")
    if plan.strategy == "linear" and plan.share < _LEAST_STEP:
        raise InputError(f"Steps of {plan.share:g} are too many. Use {_LEAST_STEP} or more.")
    if not 0 <= plan.wait_s <= _LONGEST_WAIT_S:
        raise InputError(f"The wait is {plan.wait_s:g} s. Use 0 s to 30 days.")
    if not 0 < plan.alpha <= 0.5:
        raise InputError(f"alpha is {plan.alpha:g}, the chance of a false alarm. Use more than 0 and at most 0.5.")
    if plan.minimum < 1:
        raise InputError(f"The minimum is {plan.minimum} requests. Use 1 or more.")
    _check_guards(plan.guards)


def _check_guards(guards: Sequence[Guard]) -> None:
    if not guards:
        raise InputError("The roll-out has no guard, and nothing would take it back. Use errors, latency or scores.")
    kinds = [guard.kind for guard in guards]
    if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
        raise InputError(f"Guard {twice[0]!r} is given twice. Give it once.")
    for guard in guards:
        if not 0 <= guard.floor < 1:
            raise InputError(f"The floor of guard {guard.kind!r} is {guard.floor:g}. Use 0 or more and less than 1.")
        if guard.limit is not None and guard.kind != "latency":
            raise InputError(f"Guard {guard.kind!r} has a limit of {guard.limit:g} ms. Only latency has one.")
        if guard.limit is not None and not 0 < guard.limit < math.inf:
            raise InputError(f"The limit of guard 'latency' is {guard.limit:g} ms. Use more than 0.")


def _named(wanted: Sequence[Variant], endpoint: Endpoint) -> tuple[Variant, ...]:
    """The new variants, each with a name: its own, that of the same version where it is served already, or `v4`."""
    known = {variant.spec: variant.name for variant in endpoint.variants}
    taken = {variant.name for variant in (*endpoint.variants, *endpoint.shadows, *wanted)}
    named: list[Variant] = []
    for variant in wanted:
        name = variant.name or known.get(variant.spec) or _free(f"v{variant.version}", taken)
        taken.add(name)
        named.append(replace(variant, name=name))
    return tuple(named)


def _free(name: str, taken: Iterable[str]) -> str:
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(found for found in names if found not in taken)


def _check_change(endpoint: Endpoint, rollout: Rollout) -> None:
    """Raise InputError if old and new variants cannot stand side by side, or nothing would change."""
    known = {variant.name: variant for variant in endpoint.variants}
    names = [variant.name for variant in rollout.after]
    for variant in rollout.after:
        if names.count(variant.name) > 1:
            raise InputError(f"Two of the new variants are called {variant.name[:80]!r}. Give each its own name.")
        if variant.name in known and known[variant.name].spec != variant.spec:
            raise InputError(
                f"Endpoint {endpoint.name!r} has a variant {variant.name!r}, with {known[variant.name].spec}: the new "
                "one stands beside it. Give it another name, or none."
            )
        if not (math.isfinite(variant.weight) and variant.weight >= 0):
            raise InputError(f"The weight of variant {variant.name[:80]!r} is {variant.weight}. Use 0 or more.")
    total = sum(variant.weight for variant in rollout.after)
    if not total:
        raise InputError("The weights of the new variants sum to 0. Give one more than 0.")
    if total == math.inf:
        raise InputError(
            "The weights of the new variants sum to more than a number can hold, 1.8e308. Only their ratio counts: "
            "give smaller ones, such as 90 and 10."
        )
    if not sum(variant.weight for variant in old_variants(rollout)):
        raise InputError(
            f"All requests of endpoint {endpoint.name!r} go to {listed([v.spec for v in rollout.after])} already. "
            "There is nothing to roll out."
        )


# --------------------------------------------------------------------------------------------------- the records


def _known(connection: Connection, rollout_id: str) -> Rollout:
    row = connection.execute(select(rollouts).where(rollouts.c.id == rollout_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no roll-out {rollout_id[:80]!r}.")
    return record_of(Rollout, row)


def _running(connection: Connection, endpoint: str) -> Rollout | None:
    query = select(rollouts).where(rollouts.c.endpoint == endpoint, rollouts.c.status == "running")
    row = connection.execute(query).mappings().first()
    return None if row is None else record_of(Rollout, row)


def _last_ended(connection: Connection, endpoint: Endpoint) -> Rollout:
    """The last roll-out that was completed or stopped, if the endpoint is still as that has left it."""
    is_wanted = and_(rollouts.c.endpoint == endpoint.name, rollouts.c.status.in_(("completed", "stopped")))
    query = select(rollouts).where(is_wanted)
    row = connection.execute(query.order_by(rollouts.c.ended_at.desc(), rollouts.c.revision.desc())).mappings().first()
    if row is None:
        raise InputError(
            f"No roll-out runs on endpoint {endpoint.name!r}, and none has ended but those that were taken back: there "
            "is nothing to go back to. "
            "Deploy the version that you want: autopilot deploy MODEL:VERSION --endpoint NAME."
        )
    rollout = record_of(Rollout, row)
    left = rollout.after if rollout.status == "completed" else variants_at(rollout, rollout.step)
    if endpoint.variants != left:
        raise _changed(endpoint, rollout)
    return rollout


def _changed(endpoint: Endpoint, rollout: Rollout) -> InputError:
    return InputError(
        f"Endpoint {endpoint.name!r} was changed by another after roll-out {rollout.id}: it serves "
        f"{shares_of(endpoint.variants)}. Deploy the version that you want: "
        f"autopilot deploy MODEL:VERSION --endpoint {endpoint.name}."
    )


def _is_own(connection: Connection, rollout: Rollout, owner: str) -> bool:
    """Whether a roll-out still runs, in the step that is known, and is an owner's."""
    query = select(rollouts.c.id).where(_own(rollout, owner))
    return connection.execute(query).first() is not None


def _change_own(connection: Connection, rollout: Rollout, owner: str, changes: dict[str, Any]) -> bool:
    return connection.execute(update(rollouts).where(_own(rollout, owner)).values(changes)).rowcount == 1


def _own(rollout: Rollout, owner: str) -> Any:
    return and_(
        rollouts.c.id == rollout.id,
        rollouts.c.owner == owner,
        rollouts.c.status == "running",
        rollouts.c.step == rollout.step,
    )


def _end(connection: Connection, rollout: Rollout, now: datetime, status: Status, reason: str) -> Rollout:
    """Write how a roll-out ended, and forget what servers have counted."""
    changes = {
        "status": status,
        "ended_at": now,
        "reason": reason,
        "revision": rollout.revision,
        "owner": None,
        "lease_until": None,
    }
    connection.execute(update(rollouts).where(rollouts.c.id == rollout.id).values(changes))
    connection.execute(delete(tallies).where(tallies.c.subject == _SUBJECT.format(rollout.id)))
    return _known(connection, rollout.id)


def _put_tally(connection: Connection, tally: Tally) -> None:
    same = (tallies.c.subject == tally.subject, tallies.c.server_id == tally.server_id)
    if not connection.execute(update(tallies).where(*same).values(at=tally.at, body=tally.body)).rowcount:
        insert_record(connection, tallies, tally)
