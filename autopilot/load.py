"""Opening a model by path or by name."""

from pathlib import Path

from storage.predictor import Predictor
from storage.settings import Settings
from storage.store import Store


def load(model: str | Path, *, store: str | Path | Store | None = None) -> Predictor:
    """Open a model: a file `m.onnx`, or a registered `name` (its latest version) or `name:3`.

    Raises DataError if there is no such file, UnknownNameError if the store has no such model.
    """
    if str(model).endswith(".onnx") or Path(model).is_file():
        return Predictor.open(model)
    opened = Store.open(Settings.load().store if store is None else store)
    return Predictor(opened.models.read_file(opened.models.get(str(model))))
