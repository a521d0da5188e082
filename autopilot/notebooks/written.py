"""How a run's values are written in a notebook: as Python, as a name in Markdown, as plain words in Markdown.

Names of columns and files, classes and messages come from a user's table: they may hold quotes, backslashes, backticks,
markup and line ends, and are data wherever they stand.
"""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_WIDTH = 100
#: What means something in Markdown, or to a notebook that looks for formulas.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#$|~&])")


class Written(str):
    """Text that is ready to stand in a page."""

    __slots__ = ()


def as_python(value: Any) -> Written:
    r"""A value of plain data as a literal; dictionaries and lists over several lines where one would be long.

    >>> print(as_python({"a": [1, None], 'it\'s "so"\n': 0.5}))
    {"a": [1, None], 'it\'s "so"\n': 0.5}
    """
    return Written(_literal(value, indent=0))


def _literal(value: Any, indent: int) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    brackets = "{}" if isinstance(value, dict) else "[]"
    items = _items(value, 0)
    line = brackets[0] + ", ".join(items) + brackets[1]
    if indent + len(line) <= _WIDTH:
        return line
    room = " " * (indent + 4)
    lines = [f"{room}{item},\n" for item in _items(value, indent + 4)]
    return f"{brackets[0]}\n{''.join(lines)}{' ' * indent}{brackets[1]}"


def _items(value: dict[str, Any] | list[Any], indent: int) -> list[str]:
    if isinstance(value, dict):
        return [f"{_quoted(name)}: {_literal(item, indent)}" for name, item in value.items()]
    return [_literal(item, indent) for item in value]


def _quoted(text: str) -> str:
    """In double quotes, as formatters have it, unless it holds some."""
    plain = repr(text)
    return plain if '"' in text or plain[0] == '"' else f'"{plain[1:-1]}"'


def as_name(text: object) -> Written:
    r"""A name as a code span, on one line; its fence is longer than any run of backticks in it.

    >>> as_name("age"), as_name("a`b\nc")
    ('`age`', '``a`b c``')
    """
    shown = _on_one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    room = " " if shown[:1] in ("`", "") or shown[-1:] == "`" else ""
    return Written(f"{fence}{room}{shown}{room}{fence}")


def as_words(text: object) -> Written:
    r"""Plain words: what Markdown would read as markup has a backslash before it.

    >>> print(as_words("<b>a_b</b>\n# c"))
    \<b\>a\_b\</b\> \# c
    """
    return Written(_MARKS.sub(r"\\\1", _on_one_line(text)))


def _finished(value: object) -> Written:
    return value if isinstance(value, Written) else as_words(value)


def _on_one_line(text: object) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A template of this package, filled. What no filter has written stands in it as plain words."""
    pages = Environment(  # noqa: S701 - what is filled in is escaped for Markdown, not for HTML: `_finished`
        loader=PackageLoader("autopilot.notebooks"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finished,
    )
    pages.filters |= {"python": as_python, "name": as_name}
    return pages.get_template(template).render(values)
