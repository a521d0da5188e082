"""Compaction: complete journals become Parquet.

It moves journals into a claim, writes Parquet named after the claim, renames the claim to `CLAIM.done` and removes
that. Killed anywhere, it finds the claim again and writes the same files over, or finds only what is to be removed: no
row is lost or doubled. A lock lets one process do so at a time.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from storage.errors import StoreError
from storage.traffic.frames import by_hour, frame_of_journal, redacted_text
from storage.traffic.journal import Journal, is_complete, is_of_later_version, read_journal

if TYPE_CHECKING:
    import polars as pl

_DONE = ".done"
_CLAIM_BYTES = 64_000_000  # of journals compacted at once: bounds memory


class Left(NamedTuple):
    """What is not compacted. claims: names of those that were begun, whose Parquet does not count; journals: of these
    claims, and those that are complete."""

    claims: frozenset[str]
    journals: list[Path]


class Compaction:
    """The compaction of a traffic folder; its parts are as `storage.traffic` draws them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._journals = root / "journals"
        self._claims = root / "claims"
        self._parquet = root / "parquet"

    def run(self) -> int:
        """Turn all complete journals into Parquet; returns the number of rows. Raises StoreError."""
        rows = 0
        with self._lock():
            while claim := self._next_claim():
                rows += self._write_parquet(claim)
                done = claim.rename(claim.with_suffix(_DONE))  # else half of a claim could be written over its whole
                shutil.rmtree(done)
        return rows

    def left(self) -> Left:
        """What a compaction that failed has left: rows are either in Parquet, or in one of these journals.

        Raises OSError, also where there is no folder of Parquet to be read but something else.
        """
        if self._parquet.exists() and not self._parquet.is_dir():
            raise NotADirectoryError(str(self._parquet))
        os.listdir(self._root)  # noqa: PTH208 - for its error
        # In the order that journals go. One that another process moves on meanwhile is missed where it was, which is
        # told; in another order it would not be listed at all.
        complete = self._complete()
        claims = list(self._claims.iterdir()) if self._claims.exists() else []
        begun = [claim for claim in claims if claim.suffix != _DONE]
        journals = [path for claim in begun for path in sorted(claim.iterdir()) if path.suffix == ".journal"]
        return Left(frozenset(claim.name for claim in begun), [*journals, *complete])

    @contextmanager
    def _lock(self) -> Generator[None]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with (self._root / "compact.lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreError(
                f"Traffic in {str(self._root)!r} could not be compacted: {error}. Free some disk."
            ) from error

    def _next_claim(self) -> Path | None:
        """A claim that an earlier compaction left, or a new one over the oldest complete journals."""
        if self._claims.exists():
            for claim in sorted(self._claims.iterdir()):
                if claim.suffix != _DONE:
                    return claim
                shutil.rmtree(claim)
        journals = self._complete()
        if not journals:
            return None
        claim = self._claims / uuid.uuid4().hex
        claim.mkdir(parents=True)
        size_bytes = 0
        for path in journals:
            size_bytes += path.stat().st_size
            path.rename(claim / f"{path.stem}.journal")
            if size_bytes >= _CLAIM_BYTES:
                break
        return claim

    def _complete(self) -> list[Path]:
        journals = [path for path in sorted(self._journals.glob("endpoint=*/*")) if is_complete(path)]
        return [path for path in journals if not is_of_later_version(path)]

    def _write_parquet(self, claim: Path) -> int:
        import polars as pl

        subjects: dict[_Subject, dict[str | None, list[pl.DataFrame]]] = {}
        for path in sorted(claim.glob("*.journal")):
            journal = read_journal(path)
            if journal is not None and journal.batches:
                alike = subjects.setdefault(_subject(journal), {})
                alike.setdefault(redacted_text(journal.header.redact), []).append(frame_of_journal(journal))
        rows = 0
        for (endpoint, variant, model, version), kinds in subjects.items():
            for number, parts in enumerate(kinds.values()):
                frame = pl.concat(parts)
                rows += frame.height
                name = f"{claim.name}.{model}.{version}" + (f".{number}" if number else "") + ".parquet"
                for hour, part in by_hour(frame):
                    _write(part, self._parquet / f"endpoint={endpoint}" / f"variant={variant}" / hour / name)
        return rows


#: Endpoint, variant, model and version: what a file is of.
_Subject = tuple[str, str, str, int]


def _subject(journal: Journal) -> _Subject:
    header = journal.header
    return header.endpoint, header.variant, header.model, header.version


def _write(frame: "pl.DataFrame", path: Path) -> None:
    """Write a file whole or not at all, and have it on the disk: the journals that it was made of are removed next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")  # readers look for names that end in .parquet
    try:
        _write_frame(frame, part)
        _sync(part)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    part.rename(path)
    _sync(path.parent)


def _write_frame(frame: "pl.DataFrame", path: Path) -> None:
    """As Polars does, whose error of a full disk is of its own kind. Raises OSError."""
    import polars as pl

    try:
        frame.write_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise OSError(str(error).partition("\n")[0]) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
