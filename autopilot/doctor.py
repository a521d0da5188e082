"""What `autopilot doctor` looks at."""

import importlib.metadata
import platform
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from storage.alerts import obstacle
from storage.errors import StoreError
from storage.monitors import is_there
from storage.records import Execution, Monitor
from storage.settings import SECRETS, Settings
from storage.store import Store

_LIBRARIES = (
    "autopilot",
    "polars",
    "numpy",
    "scikit-learn",
    "lightgbm",
    "hyperopt",
    "onnx",
    "onnxruntime",
    "litestar",
    "msgspec",
    "uvicorn",
    "sqlalchemy",
    "obstore",
    "apscheduler",
)


class Monitoring(Struct, frozen=True):
    """Whether the schedules of a store are followed. running: the monitors that are there; gone: those that ended
    without a word, the latest first. schedules: how many are not paused. last_check: the last that was made, of any."""

    running: list[Monitor]
    gone: list[Monitor]
    schedules: int
    last_check: Execution | None


def examine(store: str | None = None) -> dict[str, Any]:
    """Versions, settings with the place that each came from, the store's health, whether its schedules are followed,
    and why a monitor that is started here could not tell some of its channels. Raises SettingError."""
    settings, origin = Settings.trace()
    values = msgspec.structs.asdict(settings)
    if store is not None:
        values["store"], origin["store"] = store, "--store"
    looked = _looked_at(str(values["store"]), settings, datetime.now(UTC))
    return {
        "versions": {"python": f"{platform.python_version()} on {platform.platform()}", **_versions()},
        "settings": {name: {"value": _shown(name, value), "origin": origin[name]} for name, value in values.items()},
        **looked,
        "healthy": not looked["store"]["complaints"],
    }


def _shown(name: str, value: Any) -> Any:
    return "(a secret)" if name in SECRETS and value else value


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _looked_at(path: str, settings: Settings, now: datetime) -> dict[str, Any]:
    """The store's health; of one that can be opened also why channels could not be told, by name, and its monitor."""
    try:
        store = Store.open(path)
        return {
            "store": msgspec.to_builtins(store.health()),
            "channels": _untold(store, settings),
            "monitor": msgspec.to_builtins(_monitoring(store, now)),
        }
    except StoreError as error:
        health = {"path": path, "schema": "?", "free_bytes": 0, "complaints": [str(error)]}
        return {"store": health, "channels": {}, "monitor": None}


def _untold(store: Store, settings: Settings) -> dict[str, str]:
    channels = store.schedules.alerts.list_channels()
    return {one.name: found for one in channels if (found := obstacle(one, settings)) is not None}


def _monitoring(store: Store, now: datetime) -> Monitoring:
    heard = store.monitors.list()
    return Monitoring(
        running=[one for one in heard if is_there(one, now)],
        gone=[one for one in heard if not is_there(one, now)],
        schedules=sum(not schedule.paused for schedule in store.schedules.list()),
        last_check=store.schedules.last_made(),
    )
