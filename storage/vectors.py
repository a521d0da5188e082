"""Test vectors: rows and answers inside a model file, by which any runtime can be checked.

Training writes them (`autopilot/vectors.py`), `autopilot verify` replays them on the portable file, and a server on
what it is about to serve. docs/model-file.md tells their layout.
"""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from storage.boundary import Blocks
from storage.errors import ModelFileError
from storage.packed import read_metadata
from storage.predictor import Predictor

#: Largest difference of a probability, or of a prediction in units of the range of those expected; as when a model is
#: published (autopilot/graph/parity.py).
TOLERANCE = 1e-5


class Vectors(Struct, frozen=True):
    """Rows and answers, a list for each input and output; lists of lists for `probabilities`, `interval` and `set`.

    about: what each row is. Numbers that JSON lacks are "NaN", "Infinity" and "-Infinity", and int64 is a string of
    digits, as in https://protobuf.dev/programming-guides/json/.
    """

    about: tuple[str, ...]
    inputs: dict[str, list[float | str]]
    outputs: dict[str, list[Any]]


def read_vectors(file: bytes) -> Vectors | None:
    """The test vectors of a model file; None if it has none. Raises ModelFileError if they cannot be read."""
    try:
        return msgspec.json.decode(read_metadata(file)["vectors"], type=Vectors)
    except KeyError:
        return None
    except msgspec.MsgspecError as error:
        raise ModelFileError(
            f"The file's test vectors cannot be read ({error}). Was the file written by an older version? Fit again."
        ) from error


def decoded(values: list[Any], dtype: Any) -> NDArray[Any]:
    """A list of a vector as an array."""
    return np.array(values, dtype=object).astype(dtype)


def compare(vectors: Vectors, found: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float64], int]:
    """How far each row's answer is from the expected one, and how many labels differ, that were decided.

    found: by output's name, rows first. Raises ModelFileError if these are not of the same model.
    """
    try:
        if "prediction" in found:
            expected = decoded(vectors.outputs["prediction"], np.float64)
            unit = np.ptp(expected) or np.abs(expected).max() or 1.0
            apart, flips = np.abs(found["prediction"] - expected) / unit, 0
        else:
            expected = decoded(vectors.outputs["probabilities"], np.float64)
            apart = np.abs(found["probabilities"] - expected).max(axis=1)
            top = np.sort(expected, axis=1)
            decided = top[:, -1] - top[:, -2] > TOLERANCE
            label = decoded(vectors.outputs["label"], np.object_)
            flips = int(np.sum(decided & (found["label"].astype(str) != label.astype(str))))
    except (KeyError, ValueError) as error:
        raise ModelFileError("The file's test vectors are of another model. Take it from where it was made.") from error
    return np.where(np.isfinite(apart), apart, np.inf), flips


def check_vectors(predictor: Predictor) -> None:
    """Raise ModelFileError if an open model does not give what its file's test vectors say.

    A file without vectors passes, and one whose vectors are of an older layout: stores go on being served.
    """
    try:
        vectors = read_vectors(predictor.model_bytes)
    except ModelFileError:
        return
    if vectors is None or not vectors.about:
        return
    apart, flips = compare(vectors, _answers(predictor, vectors))
    worst = int(apart.argmax())
    if flips or apart[worst] > TOLERANCE:
        raise ModelFileError(
            f"The model {predictor.card.name!r} does not give the answers that it gave where it was made: of its "
            f"{len(vectors.about)} test vectors {flips} have another label, and row {worst} ({vectors.about[worst]}) "
            f"differs by {apart[worst]:.3g}. Take the file from where it was made, or fit again."
        )


def _answers(predictor: Predictor, vectors: Vectors) -> dict[str, NDArray[Any]]:
    """What a model gives for the rows of its vectors."""
    try:
        outputs = predictor.run(_blocks(predictor, vectors))
    except (KeyError, ValueError) as error:
        raise ModelFileError("The file's test vectors are of another model. Take it from where it was made.") from error
    named = {"label": outputs.label, "probabilities": outputs.probabilities, "prediction": outputs.prediction}
    return {name: values for name, values in named.items() if values is not None}


def _blocks(predictor: Predictor, vectors: Vectors) -> Blocks:
    def block(names: tuple[str, ...], dtype: Any) -> NDArray[Any]:
        columns = [decoded(vectors.inputs[name], dtype) for name in names]
        return np.stack(columns, axis=1) if columns else np.empty((len(vectors.about), 0), dtype)

    signature = predictor.signature
    return Blocks(
        block(signature.block("number"), np.float64),
        block(signature.block("text"), np.object_),
        block(signature.block("time"), np.int64),
    )
