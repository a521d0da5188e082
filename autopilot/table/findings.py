"""What the user should know about the data."""

from typing import Literal

from msgspec import Struct

Severity = Literal["info", "warning", "error"]


class Finding(Struct, frozen=True):
    """Something about the data that the user should know.

    severity: `info` is good to know, a `warning` should be looked at, an `error` makes scores too good if it is left.
    column: None where it concerns the table or the target. evidence: numbers with their units. action: what was done
    about it. overrule: what to type to have it otherwise. Empty where there is none.

    >>> print(Finding("warning", "rare_class", "2 classes are rare.", None, "4 and 7 rows", "None was left out.").told)
    2 classes are rare. None was left out.
    """

    severity: Severity
    code: str
    message: str
    column: str | None = None
    evidence: str = ""
    action: str = ""
    overrule: str = ""

    @property
    def told(self) -> str:
        """What a terminal shows of it: the message, what was done, and what to type."""
        return " ".join(part for part in (self.message, self.action, self.overrule) if part)
