"""A folder that tasks read, wherever they run."""

from pathlib import Path

from msgspec import Struct

#: Folders that came over the network to this process, by digest.
_arrived: dict[str, Path] = {}


class Shared(Struct, frozen=True):
    """Stands for a folder in the arguments of a task; `Workers.share` makes it.

    path: of the folder in the process that shared it. digest: of what is in it, where it has to travel; "" where all
    workers see the path.

    It is found in a task's arguments themselves, not in what they hold.

    >>> Shared("/data/study").here().name
    'study'
    """

    path: str
    digest: str = ""

    def here(self) -> Path:
        """The folder on the machine that this runs on. What a task writes there stays there."""
        return _arrived.get(self.digest, Path(self.path))


def arrive(digest: str, folder: Path) -> None:
    """Note where a folder lies on this machine."""
    _arrived[digest] = folder


def has_arrived(digest: str) -> bool:
    """Whether the folder is on this machine already."""
    return digest in _arrived
