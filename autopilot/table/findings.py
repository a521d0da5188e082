"""What the user should know about the data."""

from typing import Literal

from msgspec import Struct

Severity = Literal["info", "warning"]


class Finding(Struct, frozen=True):
    """Something about the data that the user should know.

    column: None where it concerns the table or the target.
    """

    severity: Severity
    code: str
    message: str
    column: str | None = None
