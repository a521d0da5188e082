"""The store: the one door to everything that is kept."""

import shutil
from pathlib import Path

from msgspec import Struct

from storage.aliases import Aliases
from storage.async_invocations import AsyncInvocations
from storage.blobs import Blobs
from storage.database import Database
from storage.endpoints import Endpoints
from storage.errors import StoreError
from storage.idempotency import IdempotencyKeys
from storage.jobs import Jobs
from storage.labels.labels import Labels
from storage.models import Models
from storage.reports import Reports, Schedules
from storage.rollouts import Rollouts
from storage.runs import Runs
from storage.servers import Servers
from storage.tables import HEAD
from storage.traffic import Traffic
from storage.work import Work

#: Below this, doctor calls the disk full: a model with its reference sample takes a few MB.
_LOW_DISK_BYTES = 200_000_000


class Health(Struct, frozen=True):
    """What `autopilot doctor` tells of a store: complaints is empty where all is well."""

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
        self.rollouts = Rollouts(self._database, self.models)
        self.jobs = Jobs(self._database)
        self.async_invocations = AsyncInvocations(self._database, root / "async")
        self.labels = Labels(self._database)
        self.idempotency = IdempotencyKeys(self._database)
        self.reports = Reports(self._database, self.blobs)
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
        """Look at the database, and for space on the disk."""
        free_bytes = shutil.disk_usage(self.root).free
        verdict = self._database.check()
        complaints = [f"the database is damaged: {verdict}"] if verdict != "ok" else []
        if free_bytes < _LOW_DISK_BYTES:
            complaints.append(f"only {free_bytes // 1_000_000} MB of disk are free")
        return Health(str(self.root), HEAD, free_bytes, tuple(complaints))

    def close(self) -> None:
        """Let go of the database; the object cannot be used afterwards."""
        self._database.close()
