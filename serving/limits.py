"""How much of a request is read: the settings that formats have to know."""

from typing import NamedTuple

from storage.records import EndpointLimits
from storage.settings import Settings


class Limits(NamedTuple):
    """max_body_bytes: of a body, unpacked. max_rows: in one request. Beyond them a request is refused with 413."""

    max_body_bytes: int
    max_rows: int

    def or_tighter(self, own: EndpointLimits) -> "Limits":
        """These, and an endpoint's own where they are tighter.

        >>> Limits(6_000, 50).or_tighter(EndpointLimits(max_rows=10))
        Limits(max_body_bytes=6000, max_rows=10)
        """
        return Limits(
            self.max_body_bytes if own.max_body_bytes is None else min(own.max_body_bytes, self.max_body_bytes),
            self.max_rows if own.max_rows is None else min(own.max_rows, self.max_rows),
        )


#: What holds where nothing is set.
USUAL = Limits(Settings().max_body_bytes, Settings().max_rows)
