"""What `autopilot doctor` looks at."""

import importlib.metadata
import platform
from typing import Any

import msgspec

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
    """Versions, settings with the place that each came from, and the store's health. Raises SettingError."""
    settings, origin = Settings.trace()
    values = msgspec.structs.asdict(settings)
    if store is not None:
        values["store"], origin["store"] = store, "--store"
    health = _health(str(values["store"]))
    return {
        "versions": {"python": f"{platform.python_version()} on {platform.platform()}", **_versions()},
        "settings": {name: {"value": _shown(name, value), "origin": origin[name]} for name, value in values.items()},
        "store": health,
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


def _health(path: str) -> dict[str, Any]:
    try:
        return msgspec.to_builtins(Store.open(path).health())
    except StoreError as error:
        return {"path": path, "schema": "?", "free_bytes": 0, "complaints": [str(error)]}
