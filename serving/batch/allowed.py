"""Where jobs that are asked for over HTTP may read and write: who asks may be a stranger, and the files are others'."""

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from storage.batch.places import is_address, path_of
from storage.errors import InputError, SettingError
from storage.settings import Settings


class Allowed:
    """Folders, and beginnings of addresses, below which a job's places may lie; not in the store, which has its own
    ways in.

    >>> allowed = Allowed(["/data", "s3://inputs/in"], store=Path("/data/store"))
    >>> allowed.allows("/data/a.csv"), allowed.allows("/data/../etc/a.csv"), allowed.allows("/data/store/a.csv")
    (True, False, False)
    >>> allowed.allows("s3://inputs/in/a.csv"), allowed.allows("s3://inputs/internal.csv")
    (True, False)
    """

    def __init__(self, places: Iterable[str], store: Path) -> None:
        self._told = tuple(places)
        self._store = store.resolve()
        self._folders = [_local(place).resolve() for place in self._told if _is_local(place)]
        self._addresses = [place.rstrip("/") for place in self._told if not _is_local(place)]

    def allows(self, place: str) -> bool:
        """Whether it lies below one of them, whatever links its path goes by. Raises InputError for no place."""
        if _is_local(place):
            path = _local(place).resolve()
            is_below = any(path.is_relative_to(folder) for folder in self._folders)
            return is_below and not path.is_relative_to(self._store)
        written = unquote(place)
        is_below = any(place == known or place.startswith(f"{known}/") for known in self._addresses)
        return is_below and not {".", ".."}.intersection(written.split("/"))

    def refuse(self, place: str, asked: str) -> None:
        """Raise InputError unless it is allowed. asked: the place, or the folder or pattern that led to it: what is
        outside of the places is not named."""
        if not self.allows(place):
            where = ", ".join(self._told) or "nothing"
            what = "" if place == asked else " leads to what"
            raise InputError(
                f"{asked[:200]!r}{what} may not be read or written by jobs of this server, which may use {where}, and "
                "not its store. Name a place there, or allow this one by the setting batch_places."
            )


class _Anywhere(Allowed):
    """All that the user of the server may read and write."""

    def __init__(self) -> None:
        super().__init__((), Path())

    def allows(self, place: str) -> bool:
        """Whatever it is."""
        return True


ANYWHERE = _Anywhere()


def allowed_of(settings: Settings, store: Path, host: str) -> Allowed:
    """What `batch_places` allows: where it is not set, all if only this machine reaches `host`, the address that the
    server listens on, and the folder that the server was started in otherwise. Raises SettingError."""
    places = [place for part in settings.batch_places.split(",") if (place := part.strip())]
    if not places and ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return ANYWHERE
    try:
        return Allowed(places or [str(Path.cwd())], store)
    except InputError as error:
        raise SettingError(f"The setting batch_places is {settings.batch_places!r}. {error}") from error


def _is_local(place: str) -> bool:
    return not is_address(place) or place.startswith("file://")


def _local(place: str) -> Path:
    """The path of a place on this machine. In `file://HOST/PATH` there can be no other host."""
    if not is_address(place):
        return path_of(place)
    return path_of("/" + place.removeprefix("file://").partition("/")[2])
