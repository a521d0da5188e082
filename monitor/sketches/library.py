"""The one door to `datasketches`: it is native code without types, and is loaded when it is first used."""

from typing import Any


def datasketches() -> Any:
    """The module."""
    import datasketches

    return datasketches
