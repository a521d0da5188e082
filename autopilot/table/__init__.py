"""Tables: from whatever a user has to a typed frame, and what each of its columns is.

- `read.py`, `write.py`: files, URLs and frames in; files out, whole or not at all;
- `infer.py`: a table to a signature, a typed frame, a target and findings; start reading here. Its steps are
  `expand.py` (structs and lists are taken apart), `target.py` (the target is read), `roles.py` (columns that order,
  group or weigh rows), `columns.py` (each column is judged), `instants.py` (which text and which numbers are times),
  `duplicates.py` (columns that say the same);
- `findings.py`: what a user should know of what was decided.

What may not live here: features (`plan/`), and how raw values are read once a model is there (`storage.boundary`, which
serving shares).
"""
