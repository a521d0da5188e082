"""Fitted models on the caller's disk: many trials train many, few of which are wanted in the end."""

from contextlib import suppress
from pathlib import Path

from autopilot.search.matrices import Part


class Kept:
    """Pickled models in a folder, by trial and part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, number: int, part: Part, fitted: bytes) -> None:
        """Write one; a full disk only means that it cannot be had later."""
        with suppress(OSError):
            self._path(number, part).write_bytes(fitted)

    def get(self, number: int, part: Part) -> bytes | None:
        """Read one; None if there is none."""
        path = self._path(number, part)
        return path.read_bytes() if path.exists() else None

    def _path(self, number: int, part: Part) -> Path:
        return self._folder / f"fitted-{number}-{part.key}"
