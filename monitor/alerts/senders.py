"""What brings a delivery to a channel, by the kind of channel."""

import threading
from datetime import datetime

from msgspec import Struct

from monitor.alerts import command, mail, webhook
from storage.records import Channel, Delivery
from storage.settings import Settings


class Senders(Struct, frozen=True):
    """What channels need beside their targets. secret: signs webhooks. mailbox: of e-mail; None where none is set."""

    secret: bytes = b""
    mailbox: mail.Mailbox | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Senders":
        """As the settings have it. Raises SettingError for a bad one."""
        mailbox = mail.Mailbox.of(settings.smtp_url, settings.smtp_from) if settings.smtp_url else None
        return cls(settings.webhook_secret.encode(), mailbox)

    def send(self, channel: Channel, delivery: Delivery, now: datetime, stop: threading.Event) -> None:
        """Tell a channel; returns when it has taken it.

        Raises SettingError if a setting that it needs is not there, FailureError if it could not be told, and
        StoppedError if `stop` was set meanwhile.
        """
        body = delivery.body.encode()
        match channel.kind:
            case "webhook":
                webhook.tell(channel.target[0], delivery.id, body, self.secret, now, channel.timeout_s)
            case "command":
                command.tell(channel.target, body, channel.timeout_s, stop)
            case "email":
                mail.tell(self.mailbox, channel.target, delivery.id, body, channel.timeout_s)
