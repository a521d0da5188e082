"""Coverage-guided fuzzing of what reads bodies: `python -m tests.conformance.fuzz_decoders TARGET [-atheris_runs=N]`.

Bytes that somebody sends become rows or an error that is the client's; anything else that is raised ends the run with
the bytes that did it. Sound bodies are what the fuzzer starts from.
"""

import contextlib
import gzip
import io
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import atheris
import numpy as np
import zstandard

with atheris.instrument_imports(include=["serving", "storage.boundary"]):
    from serving.endpoints import LiveVariant
    from serving.engine import Asked
    from serving.media import unpack
    from serving.options import DEFAULT
    from serving.protocols.inference_v2.bodies import Bodies, Sent
    from serving.protocols.mlflow import MlflowBodies
    from serving.protocols.tf_serving import TfBodies

from storage import InputError, Predictor
from tests.portable import ROWS, classifier
from tests.records import endpoint_record

_NOW = datetime(2024, 5, 1, tzinfo=UTC)
_LIMIT_BYTES = 1_000_000


def _endpoint() -> LiveVariant:
    record = endpoint_record("demo")
    return LiveVariant(record, Predictor(classifier()))


def targets() -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """What reads bodies, by name, and sound bodies for it."""
    endpoint = _endpoint()
    rows = [json.dumps(row).encode() for row in ROWS]
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    split = {"columns": list(columns), "data": [list(row.values()) for row in ROWS]}
    instances = json.dumps({"instances": list(ROWS)}).encode()
    found: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
        "mlflow": (
            endpoint.of(MlflowBodies).read,
            [json.dumps({"dataframe_split": split}).encode(), json.dumps({"inputs": columns}).encode()],
        ),
        "tf": (partial(endpoint.of(TfBodies).read, DEFAULT), [instances, json.dumps({"inputs": columns}).encode()]),
        "gzip": (lambda body: unpack(body, b"gzip", _LIMIT_BYTES), [gzip.compress(rows[0])]),
        "zstd": (lambda body: unpack(body, b"zstd", _LIMIT_BYTES), [zstandard.compress(rows[0])]),
        "v2": (partial(_read_v2, endpoint.of(Bodies)), _sound_v2()),
    }
    sound = {"npy": [_sound_npy()], "jsonlines": [b"\n".join(rows)], "csv": [b"4,Ulm,2,\n1,,0,2024-05-01"]}
    for name, reader in endpoint.formats.rows.items():
        found[name] = (reader.decode, sound.get(name, [*rows, instances]))
    return found


def _sound_npy() -> bytes:
    file = io.BytesIO()
    dtype = [("amount", "f8"), ("town", "U4"), ("visits", "i4"), ("seen", "M8[us]")]
    np.save(file, np.array([(4.0, "Ulm", 2, "2024-05-01")], dtype), allow_pickle=False)
    return file.getvalue()


def _read_v2(bodies: Bodies, body: bytes) -> Asked:
    """The first three bytes are the header that says where the JSON ends; nothing where there are none."""
    sent = Sent(body[:3].strip() or None, None, "id", is_named=True, at=0.0)
    return bodies.read(sent, body[3:])


def _sound_v2() -> list[bytes]:
    def tensor(name: str, kind: str, **more: object) -> dict[str, object]:
        return {"name": name, "shape": [1, 1], "datatype": kind, **more}

    kinds = {"amount": "FP64", "town": "BYTES", "visits": "INT32", "seen": "INT64"}
    text = json.dumps(
        {
            "inputs": [
                tensor(name, kind, data=[ROWS[0].get(name) if kind != "INT64" else 0]) for name, kind in kinds.items()
            ]
        }
    )
    raw = {"amount": bytes(8), "town": b"\x03\0\0\0Ulm", "visits": bytes(4), "seen": bytes(8)}
    sizes = [tensor(name, kind, parameters={"binary_data_size": len(raw[name])}) for name, kind in kinds.items()]
    head = json.dumps({"inputs": sizes}).encode()
    return [b"   " + text.encode(), f"{len(head):3}".encode() + head + b"".join(raw.values())]


def main() -> None:
    """Fuzz one target until it is told to stop, or until something is found."""
    name, *options = sys.argv[1:]
    read, sound = targets()[name]

    def try_one(body: bytes) -> None:
        with contextlib.suppress(InputError):  # the client's mistake, and told so
            read(body)

    with tempfile.TemporaryDirectory() as corpus:
        for number, body in enumerate(sound):
            (Path(corpus) / str(number)).write_bytes(body)
        atheris.Setup([sys.argv[0], *options, corpus], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
