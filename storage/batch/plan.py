"""What a transform will read and write, and whether it can: looked at before anything is done.

Polars is not needed for it, so that a server can refuse a transform at once.
"""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from storage.batch import places
from storage.batch.places import Found, Input
from storage.batch.transform import OnBadRow, Transform
from storage.errors import DataError, InputError, listed
from storage.formats import Format, Packing, format_of, packing_of, refuse_delimiter


class Output(NamedTuple):
    """A file to write. place: where it is to be in the end."""

    place: str
    form: Format
    packing: Packing

    @property
    def errors(self) -> str:
        """Where bad rows go that are skipped."""
        return self.place + places.ERRORS_ENDING


class Plan(NamedTuple):
    """What is to be done. Inputs and outputs are known by their numbers from here on.

    ignored: files that were found, whose names tell no format.
    """

    transform: Transform
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    ignored: tuple[str, ...]

    def output_of(self, number: int) -> int:
        """The output of an input."""
        return 0 if self.is_one_output else number

    def is_last(self, number: int) -> bool:
        """Whether no other input follows into the same output."""
        return not self.is_one_output or number == len(self.inputs) - 1

    @property
    def is_one_output(self) -> bool:
        """Whether all goes into one file."""
        return len(self.outputs) == 1


def plan_of(transform: Transform) -> Plan:
    """Look at what there is to read and where it goes.

    Raises InputError for what cannot be done, whatever the files hold, and FailureError if an object store does not
    answer.
    """
    _check(transform)
    found = places.find(transform.source)
    outputs = _outputs(transform, found)
    _refuse_own_input(transform, found, outputs)
    return Plan(transform, found.inputs, outputs, found.ignored)


def refuse_existing(plan: Plan, own: Collection[int] = ()) -> None:
    """Raise InputError if output is there and may not be overwritten. own: outputs that the transform itself wrote."""
    if plan.transform.overwrite:
        return
    is_skipping = plan.transform.on_error == "skip"
    wanted = [
        place
        for number, output in enumerate(plan.outputs)
        if number not in own
        for place in ((output.place, output.errors) if is_skipping else (output.place,))
    ]
    if there := [place for place in wanted if places.exists(place)]:
        raise InputError(f"The output is there already: {listed(there)}. Name another, or replace it by --overwrite.")


def parts_folder(out: str, scratch: Path) -> Path:
    """Where parts are kept: beside a path, so that a whole file is there at once; for an object store, in `scratch`."""
    if places.is_address(out):
        return scratch
    path = places.path_of(out)
    return path.parent / f".{path.name}.parts"


def threads_of(workers: int) -> int:
    """How many threads score. Raises InputError."""
    if not 0 <= workers <= 1024:
        raise InputError(f"{workers} workers cannot score. Use 1 to 1024, or 0 for one for each core.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return workers or cores


def _check(transform: Transform) -> None:
    """Raise InputError for options that cannot be, whatever there is to read."""
    threads_of(transform.workers)
    refuse_delimiter(transform.delimiter)
    if transform.on_error not in (choices := get_args(OnBadRow)):
        raise InputError(f"on_error is {transform.on_error!r}. Use {' or '.join(map(repr, choices))}.")
    if "/" in transform.suffix:
        raise InputError(f"The suffix {transform.suffix!r} has a slash. Use one such as .out.")
    _check_columns(transform.columns)
    places.check_folder(transform.out, is_one=not places.is_folder(transform.out))


def _check_columns(names: Sequence[str] | None) -> None:
    if names is None:
        return
    if not names:
        raise InputError("No columns are to be written. Name some, or leave --columns out.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"Column {twice[0]!r} is to be written twice. Name it once.")


def _outputs(transform: Transform, found: Found) -> tuple[Output, ...]:
    if not places.is_folder(transform.out):
        return (_output(transform.out, format_of(transform.out)),)
    outputs = tuple(_output(*_named(transform, one)) for one in found.inputs)
    counts = Counter(output.place for output in outputs)
    if twice := [place for place, count in counts.items() if count > 1]:
        raise InputError(f"Two inputs would be written to {twice[0]!r}. Leave --format out, or name one output file.")
    return outputs


def _named(transform: Transform, one: Input) -> tuple[str, Format]:
    """Where an input's results go in the output's folder, and their format.

    They are called as the input is. Where the format is another, its ending takes the place of the input's.
    """
    name, form = one.name, transform.format or one.form
    stem, dot, ending = name.rpartition(".")
    if f".{ending.lower()}" in (".gz", ".zst") and (form != one.form or form in ("parquet", "arrow")):
        name = stem
        stem, dot, ending = name.rpartition(".")
    if form != one.form:
        name = f"{stem}{dot}{form}"
    return places.joined(transform.out, name) + transform.suffix, form


def _output(place: str, form: Format) -> Output:
    packing = packing_of(place)
    if packing and form in ("parquet", "arrow"):
        ending = place[place.rindex(".") :]
        raise DataError(f"{place!r} cannot be written: leave out {ending}. Parquet is compressed by itself.")
    return Output(place, form, packing)


def _refuse_own_input(transform: Transform, found: Found, outputs: Sequence[Output]) -> None:
    """Raise InputError if an output would be read, now or the next time."""
    read = {one.place for one in found.inputs}
    for output in outputs:
        if output.place in read:
            raise InputError(f"{output.place!r} would be read and written. Name another output.")
    if found.is_one or places.is_address(transform.source) != places.is_address(transform.out):
        return
    source = transform.source if places.is_address(transform.source) else str(Path(transform.source).resolve())
    out = transform.out if places.is_address(transform.out) else str(Path(transform.out).resolve())
    if f"{out.rstrip('/')}/".startswith(f"{source.rstrip('/')}/"):
        raise InputError(
            f"The output {transform.out!r} lies in the input {transform.source!r}, and would be read the next time. "
            "Name a place outside of it."
        )
