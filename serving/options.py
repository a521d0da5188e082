"""Options of a prediction: what the answer tells beside the usual, and what it leaves out.

Each protocol has its own way to say them: a query string (`?interval=true&columns=label,lower`), MLflow's `params`,
`parameters` of the Open Inference Protocol, a header of the SageMaker runtime. Names and meanings are the same.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from serving.caches import remembered
from serving.errors import OptionError

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class Options(Struct, frozen=True):
    """What a prediction tells.

    probabilities: of each class beside the label. interval: the interval, or for classes the set of those that the row
    may have. explain: what each column added to the answer. columns: these columns of the answer alone, in this order,
    by their names in `Predictor.predict`; all if empty.
    """

    probabilities: bool = True
    interval: bool = False
    explain: bool = False
    columns: tuple[str, ...] = ()


DEFAULT = Options()


def options_of(given: Mapping[str, Any]) -> Options:
    """Options by name; values are booleans, or text as in a query string. Raises OptionError for any other.

    >>> options_of({"interval": "true", "columns": "label,set"})
    Options(probabilities=True, interval=True, explain=False, columns=('label', 'set'))
    """
    for name in given:
        if name not in Options.__struct_fields__:
            raise OptionError(f"{name!r} is no option. Options are {', '.join(Options.__struct_fields__)}.")
    values: dict[str, Any] = {
        name: _columns(value) if name == "columns" else _truth(name, value) for name, value in given.items()
    }
    return Options(**values)


@remembered
def query_options(query: bytes) -> Options:
    """Options of a query string. Raises OptionError.

    >>> query_options(b"probabilities=false")
    Options(probabilities=False, interval=False, explain=False, columns=())
    """
    return options_of(dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))


def _truth(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    truth = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None
    if truth is None:
        raise OptionError(f"Option {name!r} is {value!r}. Use true or false.")
    return truth


def _columns(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnknownVariableType]
        raise OptionError(f"Option 'columns' is {value!r}. Name columns of the answer, with commas between.")
    columns = tuple(name.strip() for name in names)  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise OptionError(f"Option 'columns' is {value!r}: it names {twice[0]!r} twice. Name each once.")
    return columns
