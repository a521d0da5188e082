"""Jobs speak of their fields where the command line speaks of its options."""

import ast
import re
from pathlib import Path

import storage.batch
from storage.batch.jobs import in_words_of_jobs

_FOLDER = Path(storage.batch.__path__[0])


def test_each_option_that_a_message_names_is_a_field_of_a_job() -> None:
    """In all that this package has to say."""
    nodes = (node for path in _FOLDER.glob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    named = [text for text in texts if re.search(r"--\w", text) and "\n" not in text]  # docstrings are not told
    assert len(named) > 8
    assert [text for text in named if "--" in in_words_of_jobs(text)] == []


def test_what_looks_like_an_option_in_a_name_stays() -> None:
    """A file may be called so."""
    told = "'in/a--format.csv' would be read and written. Leave --format out."
    assert in_words_of_jobs(told) == "'in/a--format.csv' would be read and written. Leave \"format\" out."
