"""Journals as frames: inputs typed as `boundary.typed` does, answers, and where they came from."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from storage.boundary import MISSING_TIME, Blocks
from storage.predictor import Outputs, frame_of_outputs
from storage.redaction import DIGEST_BYTES, Redaction, names_of, plain_signature
from storage.signature import Signature
from storage.traffic.journal import Batch, Header, Journal

if TYPE_CHECKING:
    import polars as pl

_Item = TypeVar("_Item")

#: Columns that capture adds beside the model's own begin with this.
OUTPUT_PREFIX = "autopilot."
MASKED_PREFIX = OUTPUT_PREFIX + "masked."
HASHED_PREFIX = OUTPUT_PREFIX + "hashed."


def frame_of_journal(journal: Journal) -> "pl.DataFrame":
    """The rows of a journal with at least one invocation, as the frame that `Traffic.read` describes."""
    import polars as pl

    header, batches = journal.header, journal.batches
    outputs = frame_of_outputs(header.signature, _outputs(header.signature, batches))
    plain = plain_signature(header.signature, header.redact)
    return pl.concat(
        [
            frame_of_blocks(plain, _blocks(plain, batches)),
            outputs.rename(lambda name: OUTPUT_PREFIX + name),
            _circumstances(journal),
            *_redacted(header, batches),
        ],
        how="horizontal",
    )


def frame_of_blocks(signature: Signature, blocks: Blocks) -> "pl.DataFrame":
    """Packed inputs as a frame again, typed as `boundary.typed` does: sentinels become nulls."""
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for index, name in enumerate(signature.block("number")):
        columns[name] = pl.Series(blocks.number[:, index], dtype=pl.Float64).fill_nan(None)
    for index, name in enumerate(signature.block("text")):
        text = pl.Series(blocks.text[:, index].tolist(), dtype=pl.String)
        columns[name] = text.set(text == "", None)
    for index, name in enumerate(signature.block("time")):
        micros = pl.Series(blocks.time[:, index], dtype=pl.Int64)
        columns[name] = micros.set(micros == MISSING_TIME, None).cast(pl.Datetime("us"))
    return pl.DataFrame({name: columns[name] for name in signature.names})


def by_hour(frame: "pl.DataFrame") -> "Iterator[tuple[str, pl.DataFrame]]":
    """The rows of each hour, by the folders that they lie in as Parquet, such as `date=2024-05-01/hour=13`."""
    import polars as pl

    hour = pl.col(f"{OUTPUT_PREFIX}time").dt.strftime("date=%Y-%m-%d/hour=%H").alias("hour")
    for (name,), part in frame.with_columns(hour).partition_by("hour", as_dict=True, include_key=False).items():
        yield str(name), part


def redacted_text(redact: Mapping[str, Redaction]) -> str | None:
    """How columns are redacted, as it stands beside each row; None if none is.

    >>> redacted_text({"name": "hash", "age": "drop"})
    '{"age":"drop","name":"hash"}'
    """
    return msgspec.json.encode(redact, order="sorted").decode() if redact else None


def redactions_of(frame: "pl.DataFrame") -> dict[str, Redaction]:
    """The columns of a captured frame that are redacted in any of its rows; where in two ways, one of them."""
    name = OUTPUT_PREFIX + "redacted"
    texts = frame.get_column(name).drop_nulls().unique().sort() if name in frame.columns else ()
    found: dict[str, Redaction] = {}
    for text in texts:
        found |= msgspec.json.decode(text, type=dict[str, Redaction])
    return found


def _circumstances(journal: Journal) -> "pl.DataFrame":
    """Which request each row was of, when, and what answered it."""
    import polars as pl

    header, batches = journal.header, journal.batches
    rows = np.array(_all(batch.rows for batch in batches), dtype=np.int64)
    total = int(rows.sum())
    request = np.repeat(np.arange(len(rows)), rows)
    starts = np.cumsum(rows) - rows

    def repeated(values: Sequence[object], dtype: "pl.DataType | type[pl.DataType]") -> "pl.Series":
        return pl.Series(values, dtype=dtype).gather(request)

    def constant(value: str | int | None, dtype: "type[pl.DataType]") -> "pl.Series":
        return pl.Series([value], dtype=dtype).new_from_index(0, total)

    own = {
        "inference_id": repeated(_all(batch.inference_ids for batch in batches), pl.String),
        "row": pl.Series(np.arange(total) - starts[request], dtype=pl.Int32),
        "time": repeated(_all(batch.time_us for batch in batches), pl.Int64).cast(pl.Datetime("us", "UTC")),
        "model": constant(header.model, pl.String),
        "version": constant(header.version, pl.Int32),
        "variant": constant(header.variant, pl.String),
        "event_id": repeated(_event_ids(journal.id, len(rows)), pl.String),
        "redacted": constant(redacted_text(header.redact), pl.String),
    }
    return pl.DataFrame({OUTPUT_PREFIX + name: series for name, series in own.items()})


def _event_ids(journal: uuid.UUID, count: int) -> list[str]:
    """A UUID for each invocation: its journal's, whose last 48 of 122 random bits give way to the number in it. It is
    the same whenever the journal is read, costs the server nothing, and packs well."""
    start = str(journal)[:-12]
    return [f"{start}{number:012x}" for number in range(count)]


def _redacted(header: Header, batches: Sequence[Batch]) -> "list[pl.DataFrame]":
    """What stands for redacted columns; none where there are none."""
    import polars as pl

    masked, hashed = (names_of(header.signature, header.redact, redaction) for redaction in ("mask", "hash"))
    columns: dict[str, pl.Series] = {}
    for index, name in enumerate(masked):
        present = np.frombuffer(b"".join(batch.masked[index] for batch in batches), dtype=np.bool_)
        columns[MASKED_PREFIX + name] = pl.Series(present, dtype=pl.Boolean)
    for index, name in enumerate(hashed):
        digests = b"".join(batch.hashed[index] for batch in batches)
        columns[HASHED_PREFIX + name] = pl.Series(_hexadecimal(digests), dtype=pl.String)
    return [pl.DataFrame(columns)] if columns else []


def _hexadecimal(digests: bytes) -> list[str | None]:
    starts = range(0, len(digests), DIGEST_BYTES)
    parts = (digests[start : start + DIGEST_BYTES] for start in starts)
    return [part.hex() if any(part) else None for part in parts]


def _blocks(signature: Signature, batches: Sequence[Batch]) -> Blocks:
    rows = sum(sum(batch.rows) for batch in batches)
    number, text, time = (len(signature.block(block)) for block in ("number", "text", "time"))
    return Blocks(
        np.frombuffer(b"".join(batch.number for batch in batches), dtype=np.float64).reshape(rows, number),
        np.array(_all(batch.text for batch in batches), dtype=object).reshape(rows, text),
        np.frombuffer(b"".join(batch.time for batch in batches), dtype=np.int64).reshape(rows, time),
    )


def _outputs(signature: Signature, batches: Sequence[Batch]) -> Outputs:
    if signature.task == "regression":
        values = np.frombuffer(b"".join(batch.prediction or b"" for batch in batches), dtype=np.float64)
        return Outputs(None, None, values)
    shares = np.frombuffer(b"".join(batch.probabilities or b"" for batch in batches), dtype=np.float32)
    labels = _all(batch.label or [] for batch in batches)
    return Outputs(np.array(labels, dtype=object), shares.reshape(-1, len(signature.classes)), None)


def _all(lists: Iterable[Sequence[_Item]]) -> list[_Item]:
    return list(chain.from_iterable(lists))
