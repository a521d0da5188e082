"""The one place where raw values become a model's inputs, and a missing value gets its sentinel.

ONNX knows no null, and onnxruntime turns None into the string "None" without a word. So each way in (a frame, a row, a
decoded request) passes through here: numbers become float64 with NaN for missing, text becomes str with "" for
missing, times become int64 microseconds since 1970 UTC with the smallest int64 for missing.

Each kind of block has a file that reads it twice, a few lines apart: a value of a row in Python, and a whole column in
Polars. Both follow the same rules, so that a row means the same whichever way it comes; where a rule is about text, it
is one regular expression that both run. docs/columns.md tells the rules to users.

    numbers.py   texts.py   times.py    a value, a column
    written_times.py                    times as text
    nested.py                           structs and lists, taken apart
    frames.py    rows.py                whole tables: raise for the first wrong cell, or tell it for each row
    blocks.py    faults.py              what comes out, and how a wrong cell is told

Polars is imported where a frame asks for it: a serving process reads rows without it.
"""

from storage.boundary.blocks import MISSING_TIME, Blocks
from storage.boundary.faults import absent_column, held, refuse_unknown, wrong_value
from storage.boundary.frames import blocks_of_frame, checked, typed
from storage.boundary.nested import child_name
from storage.boundary.numbers import number_of_text, number_value
from storage.boundary.rows import RowReader, blocks_of_rows
from storage.boundary.texts import level_of, text_value
from storage.boundary.times import EPOCH_UNITS, time_value
from storage.boundary.written_times import TIME_FORMATS, micros_of_text, parse_times

__all__ = [
    "EPOCH_UNITS",
    "MISSING_TIME",
    "TIME_FORMATS",
    "Blocks",
    "RowReader",
    "absent_column",
    "blocks_of_frame",
    "blocks_of_rows",
    "checked",
    "child_name",
    "held",
    "level_of",
    "micros_of_text",
    "number_of_text",
    "number_value",
    "parse_times",
    "refuse_unknown",
    "text_value",
    "time_value",
    "typed",
    "wrong_value",
]
