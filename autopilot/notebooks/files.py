"""The two notebooks as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autopilot.events import Asked, Checked
from autopilot.fit import read_whole, table_of
from autopilot.notebooks.candidate import candidate_of
from autopilot.notebooks.exploration import exploration_of
from autopilot.notebooks.subject import Subject, asked_of, source_of
from autopilot.table.findings import Finding
from storage.errors import InputError
from storage.records import Run
from storage.store import Store


def write_notebooks(
    store: Store, run: Run, folder: str | Path, *, data: Any = None, findings: Sequence[Finding] | None = None
) -> tuple[Path, Path]:
    """Write a run's notebooks to a folder, which is made if there is none; gives the exploration and the candidate.

    Their names are the model's name and version, so that those of another run do not take their place.

    data: the run's table, where it is not there any more, or was given in memory: a path, a URL, or a table, of which a
    copy is kept beside the notebooks. findings: of the run; by default the table is read to find them again.

    Raises InputError for a run that has no model, and if the table cannot be found.
    """
    if run.model is None:
        raise InputError(
            f"Run {run.id!r} is {run.status} and has no model. Notebooks are made of a run that has ended."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    version = store.models.get(f"{run.model}:{run.version}")
    asked, checked = asked_of(store, run)
    stem = f"{version.name}-{version.version}"
    source = source_of(run, data, folder, stem)
    told = tuple(_found_again(run, asked, checked, data) if findings is None else findings)
    subject = Subject(run, version, tuple(store.runs.trials(run.id)), asked, checked, told, str(store.root), source)
    return (
        _write(folder / f"{stem}-exploration.ipynb", exploration_of(subject)),
        _write(folder / f"{stem}-candidate.ipynb", candidate_of(subject)),
    )


def _found_again(run: Run, asked: Asked, checked: Checked, data: Any) -> tuple[Finding, ...]:
    """What is to be said of a run's table."""
    place = run.data if data is None else data
    frame = read_whole(place, asked.columns, asked.delimiter, sensitive=bool(asked.sensitive))
    return table_of(frame, run.target, asked, checked).findings


def _write(path: Path, notebook: bytes) -> Path:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(notebook)
    return part.replace(path)
