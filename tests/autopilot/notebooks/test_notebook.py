"""A page of Markdown becomes a notebook that the format's own library accepts."""

import nbformat

from autopilot.notebooks.notebook import notebook_of

PAGE = """# A title

Some `code` in words.

```python
x = 1
print("```")
```

```text
no cell
```

```python
x
```
"""


def test_python_blocks_are_code_and_all_else_is_markdown() -> None:
    """In their order; other blocks stay in the Markdown, and a fence inside a line of code ends nothing."""
    cells = nbformat.reads(notebook_of(PAGE).decode(), as_version=4).cells
    assert [(cell.cell_type, cell.source) for cell in cells] == [
        ("markdown", "# A title\n\nSome `code` in words."),
        ("code", 'x = 1\nprint("```")'),
        ("markdown", "```text\nno cell\n```"),
        ("code", "x"),
    ]


def test_it_is_a_valid_notebook_of_format_4_5() -> None:
    """With an id for each cell, no output, and a Python kernel."""
    found = nbformat.reads(notebook_of(PAGE).decode(), as_version=nbformat.NO_CONVERT)
    nbformat.validate(found)
    assert (found.nbformat, found.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in found.cells}) == 4
    assert found.metadata.kernelspec.name == "python3"
    assert [cell.outputs for cell in found.cells if cell.cell_type == "code"] == [[], []]


def test_the_same_page_gives_the_same_bytes() -> None:
    """So that a notebook that was made again differs only where the run does."""
    assert notebook_of(PAGE) == notebook_of(PAGE)
