"""What labels say of answers: plain data."""

from msgspec import Struct

from storage.quality import MetricValue


class VersionQuality(Struct, frozen=True):
    """How good a version's answers were, over the rows of it that have labels."""

    model: str
    version: int
    rows: int
    metrics: tuple[MetricValue, ...]


class LabelSummary(Struct, frozen=True):
    """An endpoint's labels, and what they say of its answers. labels: of all times; versions: that answered in the
    window, and have labelled rows."""

    labels: int
    versions: tuple[VersionQuality, ...]
