"""Formats of bodies: bytes to a model's inputs, and a model's answers to bytes; one file a format and direction.

- `formats.py` is the table of formats, and what a reader and a writer promise; start reading there;
- `answer.py` is what there is to tell of rows, for all that write;
- `*_rows.py` read, `*_answers.py` write.

What may not live here: headers, paths and statuses (those are of protocols), and the meaning of a cell, which is
`storage.boundary`'s alone: a reader hands it cells, so that a row means the same in each format.
"""

from serving.formats.answer import Answer, Explained, answer_columns
from serving.formats.formats import FEW_ROWS, Answers, Formats, Rows

__all__ = ["FEW_ROWS", "Answer", "Answers", "Explained", "Formats", "Rows", "answer_columns"]
