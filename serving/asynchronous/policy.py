"""The settings of async invocations, looked at once when the server starts."""

import os
import re
from typing import NamedTuple

from serving.asynchronous.webhooks import Webhooks
from storage.errors import InputError, SettingError
from storage.objects import Prefixes
from storage.settings import Settings
from storage.signing import SHORTEST_SECRET


class Policy(NamedTuple):
    """What is allowed, and how much.

    running: invocations that this process answers at once. inputs: where inputs may be fetched from. output: where
    answers are put; None leaves them with the server. webhook: who is told of invocations that name nobody.
    """

    running: int
    most_queued: int
    attempts: int
    kept_s: int
    inputs: Prefixes
    output: str | None
    webhooks: Webhooks
    webhook: str | None

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """The policy that settings ask for. Raises SettingError."""
        return cls(
            running=settings.async_running or max(1, (os.cpu_count() or 1) // 2),
            most_queued=settings.async_most_queued,
            attempts=settings.async_attempts,
            kept_s=settings.async_kept_s,
            inputs=_prefixes("async_inputs", settings.async_inputs),
            output=_output(settings.async_output),
            webhooks=_webhooks(settings),
            webhook=settings.async_webhook or None,
        )


def _listed(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _prefixes(name: str, text: str) -> Prefixes:
    try:
        return Prefixes(_listed(text))
    except InputError as error:
        raise SettingError(f"The setting {name} is {text!r}. {error}") from error


def _output(text: str) -> str | None:
    found = _prefixes("async_output", text).texts
    if len(found) > 1:
        raise SettingError(f"The setting async_output is {text!r}. Name one address.")
    return found[0].rstrip("/") if found else None


def _webhooks(settings: Settings) -> Webhooks:
    secret = settings.webhook_secret.encode()
    try:
        webhooks = Webhooks(_listed(settings.async_webhooks), secret)
        if settings.async_webhook:
            webhooks.check(settings.async_webhook)
    except InputError as error:
        raise SettingError(f"The settings async_webhooks and async_webhook cannot be followed. {error}") from error
    if webhooks.allowed and len(secret) < SHORTEST_SECRET:
        raise SettingError(
            f"The setting async_webhooks allows webhooks, and webhook_secret, which signs them, has {len(secret)} "
            f"characters. Give it {SHORTEST_SECRET} or more."
        )
    return webhooks
