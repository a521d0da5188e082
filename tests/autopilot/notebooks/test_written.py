"""Whatever is in a name or a value, it is data in the code and in the words of a notebook."""

import ast

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autopilot.notebooks.written import as_name, as_python, as_words

NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from("`\\'\"\n{}[]<>#*_$|~&!()- "), max_size=20)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5))


@given(VALUES)
def test_a_value_is_a_literal_that_means_the_value(value: object) -> None:
    """As Python's own parser reads it; types too, so that 1, 1.0 and True stay apart."""
    assert repr(ast.literal_eval(as_python(value))) == repr(value)


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=5), max_size=8))
def test_no_line_of_a_literal_begins_as_a_fence_does(value: object) -> None:
    """So that a name cannot end the block of code that it stands in."""
    assert not any(line.lstrip().startswith("```") for line in as_python(value).splitlines())


@given(NAMES.filter(str.strip))
def test_a_name_is_one_code_span(name: str) -> None:
    """With its own letters, and blanks for line ends and what else cannot be printed."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    (paragraph,) = [token for token in MarkdownIt().parse(f"a {as_name(name)} b") if token.type == "inline"]
    assert [token.type for token in paragraph.children or ()] == ["text", "code_inline", "text"]
    found = (paragraph.children or ())[1].content
    assert found.strip() == shown.strip()


@given(NAMES)
def test_words_hold_no_markup(words: str) -> None:
    """A parser of Markdown finds text alone in them, and it is the same text."""
    shown = "".join(letter if letter.isprintable() else " " for letter in words)
    (paragraph,) = [token for token in MarkdownIt().parse(f"a {as_words(words)} b") if token.type == "inline"]
    tokens = paragraph.children or ()
    assert {token.type for token in tokens} <= {"text", "text_special"}
    assert "".join(token.content for token in tokens) == f"a {shown} b"


def test_long_values_stand_over_several_lines() -> None:
    """As a formatter would have them."""
    value = {"names": ["a column with a long name"] * 4, "one": 1}
    assert as_python(value).splitlines()[:3] == [
        "{",
        '    "names": [',
        '        "a column with a long name",',
    ]
