"""Captured traffic: journals that servers append to, and the Parquet files that are made of them.

    traffic/
    ├── journals/endpoint=NAME/ID.open      being written by a server, which holds a lock on it
    │                          ID.journal   complete, waits for compaction
    ├── claims/CLAIM/                       journals that a compaction is working on
    └── parquet/endpoint=NAME/variant=VARIANT/date=2024-05-01/hour=13/CLAIM.MODEL.VERSION.parquet

    journal.py      what a server writes, and how it is read: no Polars
    compaction.py   journals to Parquet, whatever is killed meanwhile
    frames.py       a journal as the frame that readers get
    traffic.py      all of it together: start here

Columns that are to be redacted (`storage/redaction.py`) are so before a journal is written: nothing in this folder, nor
in the memory of what reads it, has ever held their values.
"""

from storage.traffic.frames import (
    HASHED_PREFIX,
    MASKED_PREFIX,
    OUTPUT_PREFIX,
    by_hour,
    frame_of_blocks,
    redactions_of,
)
from storage.traffic.journal import (
    Header,
    Invocation,
    JournalWriter,
    packed,
    packed_inputs,
    read_journal,
)
from storage.traffic.traffic import Traffic

__all__ = [
    "HASHED_PREFIX",
    "MASKED_PREFIX",
    "OUTPUT_PREFIX",
    "Header",
    "Invocation",
    "JournalWriter",
    "Traffic",
    "by_hour",
    "frame_of_blocks",
    "packed",
    "packed_inputs",
    "read_journal",
    "redactions_of",
]
