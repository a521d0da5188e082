"""The signature: what a model takes and gives, told in the words of the training table.

It travels in the model file's metadata under the key `signature`, so that a file alone is enough to decode a request,
to document an endpoint and to refuse a row with the name of its faulty column.
"""

from typing import Literal

from msgspec import Struct

Kind = Literal["number", "category", "text", "time"]
Task = Literal["binary", "multiclass", "regression"]

#: What a column of any table is; `other` is of lists, structs and bytes, which no model takes.
AnyKind = Literal[Kind, "other"]

#: The blocks of the packed graph, in the order in which a row's values are laid out.
Block = Literal["number", "text", "time"]
BLOCKS: tuple[Block, ...] = ("number", "text", "time")
BLOCK_OF_KIND: dict[Kind, Block] = {"number": "number", "category": "text", "text": "text", "time": "time"}


#: The way from a column to a value inside it: the column's name, then names of fields and numbers of elements.
FieldPath = tuple[str | int, ...]


class Column(Struct, frozen=True):
    """One raw input column.

    kind: `number` and booleans become float64 (missing NaN), `category` and `text` strings (missing ""), `time`
        int64 microseconds since 1970 UTC (missing the smallest int64).
    dtype: the Polars type in training, as text (`Int64`, `Boolean`, `Date`).
    nullable: whether training rows lacked a value; serving accepts a null either way.
    minimum, maximum: range in training, of numbers and of times in microseconds; None for other kinds and all-null.
    levels: known categories, at most 1,000, most frequent first; empty for other kinds.
    sensitive: no message shows a value of it; it has neither range nor levels here, so that nothing else does.
    format: how training's times were written, one of `storage.boundary.TIME_FORMATS` such as `%d/%m/%Y`, or the unit
        of an epoch, `s`, `ms`, `us`, `ns`; None for ISO 8601 and for typed times.
    path: where the value is inside a struct or list column, `("address", "zip")` for `address.zip` and `("emb", 0)` for
        `emb[0]`; empty for a column of its own.
    """

    name: str
    kind: Kind
    dtype: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[str, ...] = ()
    format: str | None = None
    path: FieldPath = ()
    sensitive: bool = False


class Dropped(Struct, frozen=True):
    """A column of the training table that the model does not take, and why. path, sensitive: as of `Column`."""

    name: str
    reason: str
    path: FieldPath = ()
    sensitive: bool = False


class Signature(Struct, frozen=True):
    """Inputs and outputs of a model.

    columns: inputs, in the training table's order; CSV rows without a header follow it.
    classes: what the outputs `label` and `probabilities` speak of, in the order of the latter; empty for regression.
        All strings or all whole numbers.

    >>> age = Column("age", "number", "Int64")
    >>> town = Column("town", "category", "String", levels=("Ulm", "Bonn"))
    >>> signature = Signature("binary", "paid", (age, town), classes=("no", "yes"))
    >>> signature.block("text")
    ('town',)
    >>> signature.names
    ('age', 'town')
    """

    task: Task
    target: str
    columns: tuple[Column, ...]
    dropped: tuple[Dropped, ...] = ()
    classes: tuple[str | int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Input columns in the table's order."""
        return tuple(column.name for column in self.columns)

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """Names of the columns of these kinds, in the table's order."""
        return tuple(column.name for column in self.columns if column.kind in kinds)

    def block(self, block: Block) -> tuple[str, ...]:
        """Names of the columns that make up one block of the packed graph, in its order."""
        return tuple(column.name for column in self.columns if BLOCK_OF_KIND[column.kind] == block)

    @property
    def ignorable(self) -> frozenset[str]:
        """Columns that a row may carry though the model does not take them: the target, and what training dropped."""
        return frozenset({self.target, *(dropped.name for dropped in self.dropped)})

    @property
    def has_sensitive(self) -> bool:
        """Whether a row may hold what no message shows, in a column that the model takes or in a dropped one."""
        return any(part.sensitive for part in (*self.columns, *self.dropped))

    @property
    def nested(self) -> tuple[FieldPath, ...]:
        """Paths of the training table's values inside structs and lists, of those that were dropped too."""
        return tuple(part.path for part in (*self.columns, *self.dropped) if part.path)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Columns of `Predictor.predict`: `label` and `p_CLASS` for each class, or `prediction`."""
        if self.task == "regression":
            return ("prediction",)
        return ("label", *(f"p_{name}" for name in self.classes))
