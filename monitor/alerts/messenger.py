"""Bringing what waits in the store to its channels: taken with a lease, tried until it is told, later each time."""

import logging
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from monitor.alerts.command import StoppedError
from monitor.alerts.senders import Senders
from storage.backoff import TELLING
from storage.errors import AutopilotError, UnknownNameError
from storage.records import ChannelKind, Delivery
from storage.store import Store

#: For how long a delivery belongs to a process that says nothing more of it.
LEASE_S = 60.0

#: A receiver may be away for a quarter of an hour. A command that fails three times is broken.
MOST_ATTEMPTS: dict[ChannelKind, int] = {"webhook": 10, "email": 10, "command": 3}

_log = logging.getLogger("monitor")


class Messenger:
    """Tells channels of alerts: `look` hands what is due to `submit`.

    submit: runs a function without arguments, now or later, in this thread or another. most: told at once.
    """

    def __init__(
        self,
        store: Store,
        senders: Senders,
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        most: int = 4,
    ) -> None:
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._alerts = store.schedules.alerts
        self._senders = senders
        self._submit = submit
        self._clock = clock
        self._most = most
        self._telling: set[str] = set()
        self._stop = threading.Event()
        self._draw = random.Random().random  # noqa: S311 - it spreads attempts, and keeps nothing secret

    def look(self) -> None:
        """Begin what is due. Raises StoreError if the store cannot be used."""
        while len(self._telling) < self._most and not self._stop.is_set():
            delivery = self._alerts.take_delivery(self.owner, self._clock(), lease_s=LEASE_S)
            if delivery is None:
                return
            self._telling.add(delivery.id)
            self._submit(lambda delivery=delivery: self._tell(delivery))

    def renew(self) -> None:
        """Say that this process is still telling. Raises StoreError if the store cannot be used."""
        self._alerts.renew_deliveries(self.owner, self._clock(), lease_s=LEASE_S)

    def stop(self) -> None:
        """Begin nothing more, and end the commands that run: they are given back."""
        self._stop.set()

    def _tell(self, delivery: Delivery) -> None:
        try:
            channel = self._alerts.channel(delivery.channel)
            self._senders.send(channel, delivery, self._clock(), self._stop)
            self._alerts.end_delivery(delivery, self._clock(), "told")
        except UnknownNameError as error:
            self._alerts.end_delivery(delivery, self._clock(), "failed", str(error))
        except StoppedError:
            self._alerts.release_delivery(delivery)
        except AutopilotError as error:
            self._put_off(delivery, str(error))
        finally:
            self._telling.discard(delivery.id)

    def _put_off(self, delivery: Delivery, reason: str) -> None:
        kind = self._alerts.channel(delivery.channel).kind
        _log.warning("Channel %r was not told of schedule %r: %s", delivery.channel, delivery.schedule, reason)
        if delivery.attempts >= MOST_ATTEMPTS[kind]:
            self._alerts.end_delivery(delivery, self._clock(), "failed", reason)
        else:
            due_at = self._clock() + timedelta(seconds=TELLING.pause_s(delivery.attempts, self._draw()))
            self._alerts.retry_delivery(delivery, due_at, reason)
