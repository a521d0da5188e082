"""What `autopilot doctor` looks at."""

import importlib.metadata
import platform
from typing import Any

import msgspec

from storage.alerts import obstacle
from storage.errors import StoreError
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


def examine(store: str | None = None) -> dict[str, Any]:
    """Versions, settings with the place that each came from, the store's health, and why a monitor that is started here
    could not tell some of its channels. Raises SettingError."""
    settings, origin = Settings.trace()
    values = msgspec.structs.asdict(settings)
    if store is not None:
        values["store"], origin["store"] = store, "--store"
    health = _health(str(values["store"]))
    return {
        "versions": {"python": f"{platform.python_version()} on {platform.platform()}", **_versions()},
        "settings": {name: {"value": _shown(name, value), "origin": origin[name]} for name, value in values.items()},
        "store": health,
        "channels": _untold(str(values["store"]), settings),
        "healthy": not health["complaints"],
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


def _untold(path: str, settings: Settings) -> dict[str, str]:
    """By channel, why it could not be told; nothing of a store that cannot be opened, whose health says so."""
    try:
        channels = Store.open(path).schedules.alerts.list_channels()
    except StoreError:
        return {}
    return {one.name: found for one in channels if (found := obstacle(one, settings)) is not None}


def _health(path: str) -> dict[str, Any]:
    try:
        return msgspec.to_builtins(Store.open(path).health())
    except StoreError as error:
        return {"path": path, "schema": "?", "free_bytes": 0, "complaints": [str(error)]}
