"""From a page of Markdown to the bytes of a notebook."""

import re
from typing import Any

import msgspec
from msgspec import Struct

_BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


class Prose(Struct, frozen=True, tag_field="cell_type", tag="markdown"):
    """A cell of Markdown."""

    id: str
    source: str
    metadata: dict[str, Any] = {}


class Code(Struct, frozen=True, tag_field="cell_type", tag="code"):
    """A cell of Python that has not run yet."""

    id: str
    source: str
    metadata: dict[str, Any] = {}
    execution_count: int | None = None
    outputs: tuple[Any, ...] = ()


class Kernel(Struct, frozen=True):
    """What opens it: any Python 3."""

    name: str = "python3"
    display_name: str = "Python 3"
    language: str = "python"


class Metadata(Struct, frozen=True):
    """Of a whole notebook."""

    kernelspec: Kernel = Kernel()


class Notebook(Struct, frozen=True):
    """A notebook of the format 4.5, the first in which cells have ids.

    Its fields: https://nbformat.readthedocs.io/en/latest/format_description.html
    """

    cells: tuple[Prose | Code, ...]
    metadata: Metadata = Metadata()
    nbformat: int = 4
    nbformat_minor: int = 5


def notebook_of(page: str) -> bytes:
    """The notebook of a page: its Python blocks are the code cells, what stands between them is Markdown.

    A block begins with a line of ```python and ends with one of ```. Cells are numbered in their ids.

    >>> msgspec.json.decode(notebook_of("# Two"))["cells"]
    [{'cell_type': 'markdown', 'id': 'cell-01', 'source': '# Two', 'metadata': {}}]
    """
    pieces = [piece.strip("\n") for piece in _BLOCK.split(page)]  # Markdown and Python take turns
    cells = [
        (Code if at % 2 else Prose)(f"cell-{number:02}", piece)
        for number, (at, piece) in enumerate(((at, piece) for at, piece in enumerate(pieces) if piece), start=1)
    ]
    return msgspec.json.format(msgspec.json.encode(Notebook(tuple(cells))), indent=1)
