"""Where tables are: files, folders, patterns, and the same in an object store by address.

An object store is read and written with what its own tools take from the environment, such as AWS_ACCESS_KEY_ID and
AWS_ENDPOINT_URL. An input in one is copied to this machine before it is read, so that a lost connection costs a copy
and not half a transform; an output is put there when it is whole. `file://` is treated as an object store too.
"""

import glob
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from storage.errors import DataError, InputError, UnreachableError
from storage.formats import Format, format_of, known_format, suffixes_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_WILD = "*?["
_PIECE_BYTES = 8 << 20
#: A store that does not answer for half a minute is told of.
_RETRIES: "RetryConfig" = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "http", "https", "file")
#: Side files of an earlier transform are no tables to score, although their names end as those of tables do.
ERRORS_ENDING = ".errors.ndjson"
_LONGEST_NAME_BYTES, _LONGEST_PATH_BYTES = 255, 4_000  # of nearly all systems; some of a path's are for our own names
#: What an input of an object store is called on this machine.
COPY = "input"


def path_of(place: str) -> Path:
    """The path that a place names, with the home folder for `~`. Raises InputError for what can be none.

    >>> path_of("new/may.csv").parts
    ('new', 'may.csv')
    """
    if not place or "\0" in place:
        raise InputError(f"{place!r} is no path. Name a file or a folder, or write the address of one.")
    longest = max((len(os.fsencode(part)) for part in Path(place).parts), default=0)
    if longest > _LONGEST_NAME_BYTES or len(os.fsencode(place)) > _LONGEST_PATH_BYTES:
        raise InputError(
            f"The path {place[:40]!r}... is too long. It may have {_LONGEST_PATH_BYTES:,} bytes, and each name in it "
            f"{_LONGEST_NAME_BYTES}."
        )
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place!r} begins with a home folder that nobody has. Write the path whole.") from error


class Input(NamedTuple):
    """A table to read. name: within its folder, such as `2024/may.csv`. stamp: is another when the file is."""

    place: str
    name: str
    size_bytes: int
    stamp: str
    form: Format


class Found(NamedTuple):
    """What a source names. is_one: whether that is a file, and not what a folder or a pattern happens to hold.

    ignored: files whose names tell no format.
    """

    inputs: tuple[Input, ...]
    is_one: bool
    ignored: tuple[str, ...] = ()


def is_address(place: str) -> bool:
    """Whether a place is in an object store, or a path."""
    return "://" in place


def find(source: str) -> Found:
    """The tables that a file, a folder, a pattern or an address names, by name.

    Names that begin with a point or an underscore are passed over in folders. Raises DataError if there are none,
    UnreachableError if an object store does not answer.
    """
    found = _find_remote(source) if is_address(source) else _find_local(source)
    if not found.inputs:
        # Which, whoever asks over HTTP may not be meant to know.
        left_out = " It has files whose names tell no format." if found.ignored else ""
        raise DataError(f"{source!r} holds no table.{left_out} Name csv, tsv, parquet, ndjson or arrow files.")
    return found


def _find_local(source: str) -> Found:
    try:
        return _look_through(source, path_of(source))
    except OSError as error:
        raise DataError(
            f"{source!r} cannot be looked through: {error.strerror}. Give this program's user the right to, or name "
            "another place."
        ) from error


def _look_through(source: str, path: Path) -> Found:
    if path.is_file():
        return Found((_input(str(path), path.name, path.stat()),), is_one=True)
    if path.is_dir():
        files = [(str(one), one.relative_to(path).as_posix()) for one in path.rglob("*") if one.is_file()]
    elif any(mark in source for mark in _WILD):
        start = Path(_fixed_part(str(path)))
        files = [
            (one, Path(one).relative_to(start).as_posix())
            for one in glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path's takes no absolute pattern
            if Path(one).is_file()
        ]
    else:
        start = "" if path.is_absolute() else f"; it is taken from {str(Path.cwd())!r}"
        raise DataError(f"There is no file {source!r}. Check the path{start}.")
    known, ignored = _sorted(files)
    return Found(tuple(_input(place, name, Path(place).stat()) for place, name in known), is_one=False, ignored=ignored)


def _input(place: str, name: str, status: os.stat_result) -> Input:
    return Input(place, name, status.st_size, f"{status.st_size}-{status.st_mtime_ns}", format_of(place))


def _find_remote(source: str) -> Found:
    store, key = _opened(source)
    base = source[: len(source) - len(key)]  # not of a web server, of which files are not listed
    with _answering(source):
        if key and not source.endswith("/") and (meta := _head(store, key)) is not None:
            return Found((_remote_input(source, PurePosixPath(key).name, meta),), is_one=True)
        if source.startswith("http"):
            raise DataError(f"There is no file {source!r}. Check the address; a web server has no folders to list.")
        start = _fixed_part(key) if any(mark in key for mark in _WILD) else f"{key.rstrip('/')}/".lstrip("/")
        metas = {meta["path"]: meta for page in obstore.list(store, prefix=start or None) for meta in page}
    if start != key and any(mark in key for mark in _WILD):
        metas = {name: meta for name, meta in metas.items() if _fits(name.split("/"), key.split("/"))}
    if not metas:
        raise DataError(f"There is nothing at {source!r}. Check the address.")
    known, ignored = _sorted((base + name, name.removeprefix(start)) for name in metas)
    inputs = [_remote_input(place, name, metas[place.removeprefix(base)]) for place, name in known]
    return Found(tuple(inputs), is_one=False, ignored=ignored)


def _remote_input(place: str, name: str, meta: Any) -> Input:
    stamp = meta["e_tag"] or f"{meta['size']}-{meta['last_modified'].timestamp()}"
    return Input(place, name, meta["size"], stamp, format_of(place))


def _head(store: Any, key: str) -> Any:
    """What the object store knows of an object; None if there is none."""
    try:
        return obstore.head(store, key)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return None


def _sorted(files: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Places and names of tables, by name; and the names of other files."""
    shown = sorted(
        ((place, name) for place, name in files if not _is_hidden(name)),
        key=lambda file: file[1],
    )
    known = [file for file in shown if known_format(file[1]) is not None]
    return known, tuple(name for _, name in shown if known_format(name) is None)


def _is_hidden(name: str) -> bool:
    return name.endswith(ERRORS_ENDING) or any(part[0] in "._" for part in name.split("/") if part)


def _fixed_part(pattern: str) -> str:
    """The folder in which a pattern begins to choose, with its slash.

    >>> _fixed_part("in/2024/*/x.csv"), _fixed_part("*.csv")
    ('in/2024/', '')
    """
    first = min(pattern.index(mark) for mark in _WILD if mark in pattern)
    return pattern[: pattern.rfind("/", 0, first) + 1]


def _fits(parts: list[str], pattern: list[str]) -> bool:
    """Whether a name's parts fit a pattern's, of which `**` is any number of parts.

    >>> _fits(["in", "a", "b.csv"], ["in", "**", "*.csv"]), _fits(["in", "b.csv"], ["*.csv"])
    (True, False)
    """
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def local_copy(one: Input, folder: Path) -> Path:
    """Where an input can be read on this machine: as it is, or in the folder that it is copied to.

    Raises DataError if it is gone, UnreachableError if its store does not answer.
    """
    if not is_address(one.place):
        return Path(one.place)
    store, key = _opened(one.place)
    path = folder / COPY
    with _answering(one.place), path.open("wb") as file:
        for piece in obstore.get(store, key).stream(min_chunk_size=_PIECE_BYTES):
            file.write(piece)
    return path


# ------------------------------------------------------------------------------------------------------------- output


def is_folder(out: str) -> bool:
    """Whether output goes into a folder of that name, or into one file: then its name has an ending."""
    if out.endswith("/") or not suffixes_of(out):
        return True
    return not is_address(out) and path_of(out).is_dir()


def joined(folder: str, name: str) -> str:
    """A name within a folder or below an address."""
    return f"{folder.rstrip('/')}/{name}" if is_address(folder) else str(path_of(folder) / name)


def exists(place: str) -> bool:
    """Whether there is a file."""
    if not is_address(place):
        return path_of(place).exists()
    store, key = _opened(place)
    with _answering(place):
        return _head(store, key) is not None


def check_folder(out: str, *, is_one: bool) -> None:
    """Raise DataError unless the folder of the output is there. is_one: whether `out` is a file in it.

    The last folder of a path that is a folder is made when it is needed.
    """
    if is_address(out):
        if out.startswith("http"):
            raise InputError(f"{out!r} cannot be written: it is a web server's. Name a path, or s3://, gs:// or az://.")
        _opened(out)
        return
    parent = path_of(out).parent
    if not parent.is_dir():
        what = "into" if is_one else "in"
        raise DataError(f"There is no folder {str(parent)!r} to write {Path(out).name!r} {what}. Make it first.")
    if not is_one and path_of(out).is_file():
        raise DataError(f"{out!r} is a file, and is to be a folder. Name another, or end a file's name with .parquet.")


def remove(place: str) -> None:
    """Delete a file, if there is one."""
    if not is_address(place):
        path_of(place).unlink(missing_ok=True)
    elif exists(place):
        store, key = _opened(place)
        with _answering(place):
            obstore.delete(store, key)


def put(path: Path, place: str) -> None:
    """Bring a whole file to its place at once, in that of another if there is one: nobody sees a half of it."""
    if is_address(place):
        store, key = _opened(place)
        with _answering(place):
            obstore.put(store, key, path)
        path.unlink()
        return
    target = path_of(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(target)
    except OSError:  # on another disk
        beside = target.with_name(f".{target.name}.part")
        shutil.copyfile(path, beside)
        beside.replace(target)
        path.unlink()


def _opened(address: str) -> tuple[Any, str]:
    """The object store of an address, and the key of what it names in there. Raises InputError."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in _SCHEMES or (not bucket and scheme != "file"):
        raise InputError(
            f"{address!r} is no address of an object store. Write s3://BUCKET/KEY, gs://BUCKET/KEY, "
            "az://CONTAINER/KEY, or a path."
        )
    is_plain = scheme == "http" or os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    client: ClientConfig | None = {"allow_http": True} if is_plain else None
    try:
        store = from_url(f"{scheme}://{bucket}/", client_options=client, retry_config=_RETRIES)
    except (BaseError, ValueError) as error:
        raise InputError(f"{address!r} cannot be opened: {_first_line(error)}. Check the address.") from error
    key = unquote(key) if scheme.startswith("http") else key
    if ".." in key.split("/"):
        raise InputError(f"{address!r} has a '..' in it, which object stores do not know. Write the key whole.")
    return store, key


@contextmanager
def _answering(place: str) -> Generator[None]:
    """Raise errors of an object store as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"There is no {place!r} any more. Check the address.") from error
    except ValueError as error:  # of its key
        raise InputError(f"{place!r} is no address: {_first_line(error)}. Check the address.") from error
    except (BaseError, OSError) as error:
        if "404 Not Found" in str(error):  # of a bucket, where there is no exception of its own
            raise DataError(f"There is nothing at {place!r}. Check the address and its bucket.") from error
        raise UnreachableError(
            f"{place!r} could not be reached: {_first_line(error)}. Check the address, the credentials in the "
            "environment, the network and the disk."
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300].rstrip(".")
