"""The store: the one door to everything that is kept."""

import shutil
from pathlib import Path

from msgspec import Struct

from storage.aliases import Aliases
from storage.async_invocations import AsyncInvocations
from storage.baselines.baselines import Baselines
from storage.blobs import Blobs
from storage.database import Database
from storage.endpoints import Endpoints
from storage.errors import StoreError
from storage.idempotency import IdempotencyKeys
from storage.jobs import Jobs
from storage.labels.labels import Labels
from storage.models import Models
from storage.monitors import Monitors
from storage.profiles import Profiles
from storage.reports import Reports
from storage.rollouts import Rollouts
from storage.runs import Runs
from storage.schedules import Schedules
from storage.servers import Servers
from storage.tables import HEAD
from storage.traffic import Traffic
from storage.work import Work

#: Below this, doctor calls the disk full: a model with its reference sample takes a few MB.
_LOW_DISK_BYTES = 200_000_000


class Health(Struct, frozen=True):
    """What `autopilot doctor` tells of a store: complaints is empty where all is well. free_bytes: on the disk of its
    folders that has the least."""

    path: str
    schema: str
    free_bytes: int
    complaints: tuple[str, ...]


class Store:
    """A folder with all records, blobs and traffic. Several processes may use it at once.

        autopilot-store/
        ├── autopilot.db    records: runs, trials, events, model versions, endpoints, reports, schedules
        ├── blobs/          files by the sha256 of their bytes
        ├── async/          the same of async invocations: inputs, answers and failures, for some time
        ├── work/           what runs that have not ended need to go on after a kill
        └── traffic/        journals that servers write, Parquet made of them

    Open it by `Store.open`; the attributes are its collections.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._database = Database(root / "autopilot.db")
        self.blobs = Blobs(root / "blobs")
        self.runs = Runs(self._database)
        self.models = Models(self._database, self.blobs)
        self.aliases = Aliases(self._database)
        self.endpoints = Endpoints(self._database)
        self.servers = Servers(self._database)
        self.monitors = Monitors(self._database)
        self.rollouts = Rollouts(self._database, self.models)
        self.jobs = Jobs(self._database)
        self.async_invocations = AsyncInvocations(self._database, root / "async")
        self.labels = Labels(self._database)
        self.idempotency = IdempotencyKeys(self._database)
        self.reports = Reports(self._database, self.blobs)
        self.baselines = Baselines(self._database)
        self.profiles = Profiles(self._database, self.blobs)
        self.schedules = Schedules(self._database)
        self.traffic = Traffic(root / "traffic")
        self.work = Work(root / "work")

    @classmethod
    def open(cls, url: "str | Path | Store") -> "Store":
        """Open the store in a folder; makes it if there is none.

        Raises StoreError if the folder cannot be used, StoreVersionError if a newer version of autopilot wrote it.
        """
        if isinstance(url, Store):
            return url
        if "://" in str(url) and not str(url).startswith("file://"):
            raise StoreError(f"The store {str(url)!r} is no folder. This version keeps stores in folders; name one.")
        root = Path(str(url).removeprefix("file://")).expanduser().resolve()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The store {str(root)!r} cannot be made: {error.strerror}. Name another folder."
            ) from error
        return cls(root)

    def health(self) -> Health:
        """Look at the database, and for space on the disks: a folder of the store may be on one of its own."""
        verdict = self._database.check()
        damages = [f"the database is damaged: {verdict}"] if verdict != "ok" else []
        disks = _disks(self.root)
        low = [
            f"only {free // 1_000_000} MB are free on the disk of {str(folder)!r}: remove files there, or give it more"
            for folder, free in disks.items()
            if free < _LOW_DISK_BYTES
        ]
        return Health(str(self.root), HEAD, min(disks.values()), (*damages, *low))

    def close(self) -> None:
        """Let go of the database; the object cannot be used afterwards."""
        self._database.close()


def _disks(root: Path) -> dict[Path, int]:
    """Free bytes of each disk that holds something of a store, by the first of its folders that is there."""
    found: dict[int, tuple[Path, int]] = {}
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        found.setdefault(folder.stat().st_dev, (folder, shutil.disk_usage(folder).free))
    return dict(found.values())
