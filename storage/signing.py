"""How what is posted to other machines is signed, by whichever program posts it.

X-Autopilot-Delivery: 0123...                the same each time that it is tried
X-Autopilot-Timestamp: 1714570200            seconds since 1970
X-Autopilot-Signature: sha256=5f3c...        HMAC-SHA256 of `TIMESTAMP.BODY` with the secret, in hexadecimal
"""

import hashlib
import hmac

from storage.errors import SettingError

#: Characters that a secret has to have.
SHORTEST_SECRET = 16


def check_secret(secret: bytes) -> None:
    """Raises SettingError for a secret that signs nothing."""
    if len(secret) < SHORTEST_SECRET:
        raise SettingError(
            f"The setting webhook_secret, which signs webhooks, has {len(secret)} characters. "
            f"Give it {SHORTEST_SECRET} or more."
        )


def signed_headers(secret: bytes, delivery: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a JSON body. at_s: when it is posted, seconds since 1970."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "autopilot",
        "X-Autopilot-Delivery": delivery,
        "X-Autopilot-Timestamp": str(at_s),
        "X-Autopilot-Signature": signature(secret, at_s, body),
    }


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """What proves that a body is ours, and when it was sent.

    >>> signature(b"a secret of ours", 1714570200, b"{}")[:20]
    'sha256=213c0dbca0292'
    """
    return "sha256=" + hmac.new(secret, b"%d.%b" % (at_s, body), hashlib.sha256).hexdigest()
