"""What workers are given to do in tests. They import this module by its name."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autopilot.workers import Shared


class OddError(Exception):
    """Its constructor takes more than a message, so that pickle writes it and cannot read it."""

    def __init__(self, place: str, value: int) -> None:
        super().__init__(f"{place} holds {value}")


def nothing() -> None:
    pass


def pid() -> int:
    return os.getpid()


def parent() -> int:
    return os.getppid()


def threads_of_server() -> list[str]:
    folder = Path(f"/proc/{os.getppid()}/task")
    return sorted((thread / "comm").read_text().strip() for thread in folder.iterdir())


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def begin_and_wait(folder: str, name: str) -> str:
    """Tells that it has begun, and ends when it is told to."""
    (Path(folder) / f"{name} began").touch()
    while not (Path(folder) / "end").exists():
        time.sleep(0.01)
    return name


def end(folder: str) -> str:
    (Path(folder) / "end").touch()
    return "end"


def mark_and_sleep(mark: str, seconds: float) -> None:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(seconds)


def ones(count: int) -> NDArray[np.float64]:
    return np.ones(count)


def total(values: NDArray[np.float64]) -> float:
    return float(values.sum())


def divide(number: float, by: float) -> float:
    return number / by


def raise_odd() -> None:
    raise OddError("row 3", 7)


def leave(code: int) -> None:
    sys.exit(code)


def die(code: int) -> None:
    print("the last thing it said", flush=True)
    os._exit(code)


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


def lock() -> object:
    return threading.Lock()


def take_memory(size: int) -> None:
    taken = np.ones(size // 8)
    time.sleep(30)
    del taken


def keep_memory(size: int, kept: list[object] = []) -> int:  # noqa: B006 - to keep it is what this is for
    kept.append(np.ones(size // 8))
    return os.getpid()


def read_mapped(path: str) -> float:
    values = np.memmap(path, dtype=np.float64, mode="r")
    for _ in range(10):
        found = float(values.sum())
        time.sleep(0.05)
    return found


def start_sleeper(mark: str) -> None:
    """A process of the task's own, and then a long time."""
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(mark).write_text(str(child.pid))
    time.sleep(60)


def surroundings() -> tuple[str, str | None, str | None, list[str]]:
    return str(Path.cwd()), os.environ.get("AUTOPILOT_TEST"), os.environ.get("OMP_NUM_THREADS"), sys.path


def read_shared(folder: Shared) -> tuple[str, str]:
    here = folder.here()
    return str(here), (here / "inner" / "note.txt").read_text()


def is_imported(module: str) -> bool:
    return module in sys.modules


def use_libraries(folder: str) -> list[str]:
    """What trials do, with all libraries that bring threads of their own."""
    import lightgbm
    import onnxruntime
    import polars as pl
    from onnx import TensorProto, helper
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 5))
    y = (X[:, 0] + X @ rng.normal(size=5) > 0).astype(int)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, y), 5)
    assert booster.predict(X).shape == (2000,)
    assert HistGradientBoostingClassifier(max_iter=3).fit(X, y).score(X, y) > 0.5
    assert LogisticRegression().fit(X, y).score(X, y) > 0.5
    assert np.linalg.svd(X @ X[:300].T)[1].shape == (300,)
    frame = pl.DataFrame({"key": y, "value": X[:, 0]})
    frame.write_ipc(Path(folder) / f"{os.getpid()}.arrow", compression="uncompressed")
    mapped = pl.scan_ipc(Path(folder) / f"{os.getpid()}.arrow")
    query = mapped.group_by("key").agg(pl.col("value").sort().mean()).sort("key")
    assert query.collect().height == query.collect(engine="streaming").height == 2
    node = helper.make_node("Identity", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]), ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.ones(3, np.float32)})[0].sum() == 3
    return sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))
