"""Roll-outs on the command line: what is read from its arguments, and how one is followed to its end."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.markup import escape

from storage.errors import InputError
from storage.records import Guard, Rollout, RolloutProgress
from storage.rollouts import Plan, share_at, shares_by_step, shares_of
from storage.store import Store

_LOOK_S = 0.25
_UNITS_S = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_News = tuple[int, str | None]

_GUARDS = ("errors", "latency")
_LATENCY_FLOOR = 0.005
_SCORES_FLOOR = 0.05  # models that were trained anew differ; less than this is let pass


def plan_of(
    model: str,
    *,
    canary: str | None = None,
    linear: str | None = None,
    blue_green: bool = False,
    wait: str | None = None,
    every: str | None = None,
    alpha: float = 0.01,
    guards: Sequence[str] = (),
    minimum: int = 30,
) -> Plan:
    """What is asked for. Raises InputError for what cannot be read, or does not go together.

    >>> plan = plan_of("churn:4", linear="20%", every="1m", guards=["errors"])
    >>> plan.strategy, plan.share, plan.wait_s, plan.guards[0].kind
    ('linear', 0.2, 60.0, 'errors')
    """
    if sum([canary is not None, linear is not None, blue_green]) > 1:
        raise InputError("--canary, --linear and --blue-green are three ways to roll out. Choose one.")
    if wait is not None and every is not None:
        raise InputError("--wait and --every say the same. Give --every with --linear, else --wait.")
    return Plan(
        model,
        strategy="blue_green" if blue_green else "canary" if linear is None else "linear",
        share=1.0 if blue_green else share_of(linear or canary or "10%"),
        wait_s=seconds_of(wait or every or "5m"),
        alpha=alpha,
        guards=tuple(map(guard_of, guards or _GUARDS)),
        minimum=minimum,
    )


def guard_of(text: str) -> Guard:
    """A guard, as `errors`, `errors=1%` (a difference that is let pass), `latency`, `latency=50ms` (the limit),
    `scores` or `scores=0.05` (as of errors). Raises InputError.

    >>> guard_of("latency=50ms").limit, guard_of("errors=1%").floor
    (50.0, 0.01)
    """
    kind, _, value = text.strip().partition("=")
    if kind == "errors":
        return Guard("errors", floor=share_of(value) if value else 0.0)
    if kind == "latency":
        return Guard("latency", 1000 * seconds_of(value, "latency") if value else None, _LATENCY_FLOOR)
    if kind == "scores":
        return Guard("scores", floor=share_of(value) if value else _SCORES_FLOOR)
    raise InputError(f"{text[:80]!r} is no guard. Use errors, errors=1%, latency, latency=50ms, scores or scores=0.05.")


def share_of(text: str) -> float:
    """A share from `10%` or `0.1`. Raises InputError.

    >>> share_of("12.5%"), share_of("0.1")
    (0.125, 0.1)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*", text)
    share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= share <= 1:
        raise InputError(f"{text[:80]!r} is no share. Write it as 10% or 0.1.")
    return share


def seconds_of(text: str, what: str = "wait") -> float:
    """Seconds from `30s`, `5m`, `1.5h`, `500ms` or `90`. Raises InputError.

    >>> seconds_of("5m"), seconds_of("500ms")
    (300.0, 0.5)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if found is None or found[2] not in _UNITS_S:
        example = "50ms or 0.2s" if what == "latency" else "30s, 5m or 1h"
        raise InputError(f"The {what} {text[:80]!r} is no time. Write it as {example}.")
    return float(found[1]) * _UNITS_S[found[2]]


def follow(
    store: Store, rollout: Rollout, say: Callable[[str], None], show: Callable[[str], None] = lambda _: None
) -> Rollout:
    """Wait for the end of a roll-out. say: is told what happens, a line each; show: how it stands, many times."""
    told: _News | None = None
    while rollout.status == "running":
        news = (rollout.step, _waits_for(store, rollout))
        if _is_news(news, told):
            say(_told(rollout, news[1]))
            told = news
        show(_standing(rollout))
        time.sleep(_LOOK_S)
        rollout = store.rollouts.get(rollout.id)
    say(ending(rollout))
    return rollout


def ending(rollout: Rollout) -> str:
    """How a roll-out ended, in words."""
    age_s = ((rollout.ended_at or datetime.now(UTC)) - rollout.created_at).total_seconds()
    return f"{rollout.status.capitalize()} after {_clock(age_s)}. {rollout.reason}"


def _is_news(news: _News, told: _News | None) -> bool:
    """Whether it is another step, or something else is waited for; not each count of requests."""
    return told is None or news[0] != told[0] or _without_counts(news) != _without_counts(told)


def _without_counts(news: _News) -> str:
    return re.sub(r"\d+", "", news[1] or "")


def follow_on_terminal(store: Store, rollout: Rollout) -> Rollout:
    """Follow a roll-out on standard error: a line for what happens, and on a terminal one that tells how it stands."""
    from autopilot.terminal import err

    def say(text: str) -> None:
        err.print(f"{datetime.now():%H:%M:%S}  {text}", markup=False, soft_wrap=True)  # noqa: DTZ005 - the user's clock

    try:
        if not err.is_terminal:
            return follow(store, rollout, say)
        with err.status("") as status:
            return follow(store, rollout, say, lambda text: status.update(escape(text)))
    except KeyboardInterrupt:
        say(f"The roll-out goes on. To see it again: autopilot endpoints rollout {rollout.endpoint}")
        raise


def running(store: Store, endpoint: str) -> Rollout:
    """The roll-out that runs on an endpoint. Raises UnknownNameError for the endpoint, InputError if none runs."""
    store.endpoints.get(endpoint)
    found = store.rollouts.running(endpoint)
    if found is None:
        raise InputError(f"No roll-out runs on endpoint {endpoint!r}. Name the model version that is to be rolled out.")
    return found


def _waits_for(store: Store, rollout: Rollout) -> str | None:
    if rollout.progress is not None:
        return rollout.progress.waits_for
    if not store.servers.list(datetime.now(UTC)):
        return "No server runs: start one with `autopilot serve`."
    return None


def _told(rollout: Rollout, waits_for: str | None) -> str:
    """Which step it is, and when the next is due."""
    steps = len(shares_by_step(rollout))
    if rollout.step == 0:
        return f"Step 0 of {steps}: {waits_for or 'the new variants are being loaded.'}"
    left_s = rollout.wait_s - (datetime.now(UTC) - rollout.step_at).total_seconds()
    then = "completed" if rollout.step == steps else "the next step"
    due = waits_for if waits_for and left_s <= 0 else f"{then} in {_clock(left_s)}."
    return f"Step {rollout.step} of {steps}: the new variants get {100 * share_at(rollout, rollout.step):.3g} %; {due}"


def _standing(rollout: Rollout) -> str:
    """What was found so far, in a line."""
    progress = rollout.progress
    if progress is None:
        return "waiting for a server"
    if progress.waits_for is not None:
        return progress.waits_for
    found = [_found(progress, number) for number in range(len(progress.guards))]
    left_s = rollout.wait_s - (datetime.now(UTC) - rollout.step_at).total_seconds()
    left = f"{_clock(left_s)} left   " if rollout.step else ""
    return f"{left}evidence of harm {progress.evidence:.3g} of {progress.needed:g}   " + "   ".join(filter(None, found))


def _found(progress: RolloutProgress, number: int) -> str:
    guard = progress.guards[number]
    if guard.new_share is None or guard.old_share is None:
        return ""
    return f"{guard.kind} {100 * guard.new_share:.3g} % against {100 * guard.old_share:.3g} %"


def described(rollout: Rollout) -> str:
    """What a roll-out is to do, in a sentence."""
    how = {
        "canary": f"{100 * rollout.share:.3g} % of requests first, all after {_clock(rollout.wait_s)}",
        "linear": f"{100 * rollout.share:.3g} % more each {_clock(rollout.wait_s)}",
        "blue_green": f"all requests at once, the old variants kept for {_clock(rollout.wait_s)}",
    }[rollout.strategy]
    guards = ", ".join(guard.kind for guard in rollout.guards)
    return f"Roll-out {rollout.id}: {shares_of(rollout.after)}; {how}; guarded by {guards}."


def _clock(seconds: float) -> str:
    """Minutes and seconds, `1:05`; days and hours before them where there are any."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes}:{whole % 60:02}" if hours == 0 else f"{hours}:{minutes % 60:02}:{whole % 60:02}"
