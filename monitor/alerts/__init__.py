"""Telling of alerts: what waits in the store (`storage/alerts.py`) is brought to its channel, at least once.

    waiting ──take──> told | failed, after the last attempt
       ^────────────── retry, later each time; or the process died, and its lease ended

Here are the ways: webhooks (`webhook.py`), commands (`command.py`) and e-mail (`mail.py`). Start reading at
`messenger.py`. Whether there is an alert is decided elsewhere, in the transaction that ends an execution.

Decisions:
    Channels are made on the command line alone: whoever could name a command or an address over HTTP could have this
    machine run or ask anything. Over HTTP, a schedule names channels that are there.
    A command is a list of words and no shell reads it: nothing that traffic holds can become a part of it.
"""

from monitor.alerts.mail import Mailbox
from monitor.alerts.messenger import Messenger
from monitor.alerts.senders import Senders

__all__ = ["Mailbox", "Messenger", "Senders"]
