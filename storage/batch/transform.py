"""What is to be scored, how far it is, and how it ended: plain data that the API reads and writes."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from storage.formats import Format
from storage.records import JobStatus

#: What becomes of a row that is not as in training, or that is broken in the file.
OnBadRow = Literal["raise", "null", "skip"]


class Transform(Struct, frozen=True, forbid_unknown_fields=True):
    """Files to score with a model, and what to write.

    model: a registered `name`, `name:3`, or the path of an .onnx file.
    source: a file, a folder, a pattern such as `in/*.csv`, or the address of one in an object store (`s3://`, `gs://`,
        `az://`, `file://`); csv, tsv, parquet, ndjson or arrow, each also gzipped or by zstd.
    out: a file, or a folder, which then gets a file for each that is read. A folder is one that exists, or a name that
        ends with / or has no ending.
    join: whether the input's columns are written too, before the model's. columns: write these only, in this order, of
        the input's and the model's. id: write this column of the input first.
    probabilities: whether classes have theirs written. interval: whether `lower` and `upper`, or `set`, are written.
    on_error: of a bad row: `raise` fails its file; `null` leaves its outputs empty and tells why in a column `error`;
        `skip` leaves it out, and writes it with its reason to a file beside the output, `NAME.errors.ndjson`.
    fail_fast: whether the first file that fails ends all.
    format: of files in a folder; None is that of the input. suffix: put after their names; `.out` is what SageMaker
        does.
    delimiter: between the cells of csv files. overwrite: whether output that is there is replaced.
    resume: whether to go on with what an earlier job into the same output has done, which failed or was killed.
    workers: threads that score; 0 is one for each core.
    """

    model: str
    source: str
    out: str
    join: bool = False
    columns: tuple[str, ...] | None = None
    id: str | None = None
    probabilities: bool = True
    interval: bool = False
    on_error: OnBadRow = "raise"
    fail_fast: bool = False
    format: Format | None = None
    suffix: str = ""
    delimiter: str = ","
    overwrite: bool = False
    resume: bool = False
    workers: int = 0


class Progress(Struct, frozen=True):
    """How far a transform is. share: of the bytes to read, 0 to 1. left_s: None as long as nobody can tell."""

    rows: int
    bad_rows: int
    files: int
    files_done: int
    files_failed: int
    share: float
    rows_per_s: float
    left_s: float | None


class FileDone(Struct, frozen=True):
    """What became of one input. errors: the file of its bad rows, if they were skipped. reason: why it failed."""

    source: str
    out: str
    rows: int
    bad_rows: int
    errors: str | None = None
    reason: str | None = None


class Summary(Struct, frozen=True):
    """How a transform ended.

    rows: read, bad ones among them. seconds: of this attempt; resumed_rows: that were done before it.
    ignored: files of a folder whose names tell no format.
    """

    rows: int
    bad_rows: int
    seconds: float
    files: tuple[FileDone, ...]
    resumed_rows: int = 0
    ignored: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[FileDone, ...]:
        """Files that could not be scored."""
        return tuple(file for file in self.files if file.reason is not None)


class TransformJob(Struct, frozen=True):
    """A transform that a store keeps as a job; the fields are those of its record."""

    id: str
    status: JobStatus
    transform: Transform
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    reason: str | None
    progress: Progress | None
    result: Summary | None
