"""Explanations of what an endpoint answers. What makes them is opened for the first: it loads onnx and Polars."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from serving.errors import OptionError
from serving.formats import Explained
from storage.boundary import Blocks

if TYPE_CHECKING:
    from storage.explain import Explainer

_MOST_ROWS = 100  # 10 to 90 ms each: some seconds


class Explaining:
    """Explains rows of one model; safe to share between threads."""

    def __init__(self, open_explainer: "Callable[[], Explainer]") -> None:
        self._open = open_explainer
        self._explainer: Explainer | None = None
        self._lock = threading.Lock()

    def explain(self, blocks: Blocks, goes_on: Callable[[], None]) -> Explained:
        """What each column added to the answers for these rows.

        goes_on: called before each row; what it raises ends the work. Raises OptionError for more than 100 rows, and
        what opening the explainer raises.
        """
        if blocks.rows > _MOST_ROWS:
            raise OptionError(
                f"Option 'explain' was asked for {blocks.rows} rows; {_MOST_ROWS} are explained at once. "
                "Send fewer, or explain a whole file with `autopilot explain`."
            )
        explainer = self._opened()
        found = []
        for row in range(blocks.rows):
            goes_on()
            with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308 sum to no number, told as null
                found.append(explainer.explain_blocks(blocks.slice(row, row + 1)))
        return Explained(
            tuple(one.outputs[0] for one in found),
            np.concatenate([one.base for one in found]),
            np.concatenate([one.values for one in found]),
            np.concatenate([one.errors for one in found]),
        )

    def _opened(self) -> "Explainer":
        with self._lock:  # the first takes some tenths of a second; whoever comes meanwhile waits for it
            if self._explainer is None:
                self._explainer = self._open()
            return self._explainer
