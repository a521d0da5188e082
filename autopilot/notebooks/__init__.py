"""The two notebooks of a run: its table explored, and its best candidate rebuilt step by step.

What people change, they have to be able to run: both are ordinary `.ipynb` files that run from top to bottom as they
are, on the run's own table, with nothing but the public API in them. A reader who wants to know why a column was
dropped, or what another parameter would do, begins where the run ended.

    subject.py       what a notebook tells of: a finished run, and where its table is read
    exploration.py   what the table holds                templates/exploration.md.jinja
    candidate.py     how the best candidate is made      templates/candidate.md.jinja
    notebook.py      from Markdown with Python blocks to the file format
    written.py       how values and names of a run are written in Python and in Markdown
    files.py         both files, and a copy of a table that was given in memory

What may not live here: anything that computes a result. A notebook computes it, where the reader sees how.

Decisions:
    A notebook is written as a page of Markdown, whose Python blocks become its code cells: so it is read, changed and
        reviewed as a page, and what is said stands beside what is done.
    Values of the run stand in the first code cell, written as Python does. The cells after it hold none, so that no
        name of a column, whatever is in it, becomes code.
    In charts a column is a value of a field, never the field itself: Vega-Lite reads dots, brackets and colons in
        names of fields.
    nbformat is not needed: a notebook is one JSON document, and tests hold it against that library.
"""

from autopilot.notebooks.files import write_notebooks

__all__ = ["write_notebooks"]
