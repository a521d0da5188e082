"""How much of a request is read: the settings that formats have to know."""

from typing import NamedTuple

from storage.settings import Settings


class Limits(NamedTuple):
    """max_body_bytes: of a body, unpacked. max_rows: in one request. Beyond them a request is refused with 413."""

    max_body_bytes: int
    max_rows: int


#: What holds where nothing is set.
USUAL = Limits(Settings().max_body_bytes, Settings().max_rows)
