"""Checking a model file: does it give the answers that it gave where it was made?"""

from pathlib import Path

import onnx
import onnxruntime
from msgspec import Struct

from autopilot.card import digest_of
from autopilot.load import load
from autopilot.vectors import replay
from storage.errors import ModelFileError
from storage.store import Store
from storage.vectors import TOLERANCE, Vectors, compare, read_vectors


class Verification(Struct, frozen=True):
    """What `verify` found.

    passed: all of the following is as it should be. intact: the graph is the one of which the card tells the digest.
    rows: test vectors replayed. label_flips: of them, how many have another label (where two classes are as likely,
    both are right). max_abs_diff: of probabilities; for regression in units of the range of the expected answers.
    worst: what the row with the largest difference is. digest: sha256 of the graph. runtime: what replayed them.
    """

    passed: bool
    intact: bool
    rows: int
    label_flips: int
    max_abs_diff: float
    worst: str
    digest: str
    runtime: str


def verify(model: str | Path, *, store: str | Path | Store | None = None) -> Verification:
    """Replay a model's test vectors with onnxruntime, and compare its graph with the digest on its card.

    model: a file, or a registered `name` or `name:3`. Up to 1e-5 of difference passes, as when it was published.
    Raises ModelFileError if the file is no model of ours or has lost its metadata, DataError if there is no file.
    """
    opened = load(model, store=store)
    file = opened.model_bytes
    vectors = _vectors_of(file)
    found = replay(file, vectors.inputs)
    apart, flips = compare(vectors, found)
    worst = int(apart.argmax())
    digest = digest_of(onnx.load_from_string(file))
    intact = digest == opened.card.digest
    return Verification(
        passed=intact and not flips and bool(apart[worst] <= TOLERANCE),
        intact=intact,
        rows=len(vectors.about),
        label_flips=flips,
        max_abs_diff=float(apart[worst]),
        worst=vectors.about[worst],
        digest=digest,
        runtime=f"onnxruntime {onnxruntime.__version__}",
    )


def _vectors_of(file: bytes) -> Vectors:
    vectors = read_vectors(file)
    if vectors is None:
        raise ModelFileError(
            "The file has no test vectors: its metadata were removed. Take the file from where it was made."
        )
    return vectors
