"""Single objects by address: `s3://BUCKET/KEY`, `gs://`, `az://CONTAINER/KEY`, and `file:///PATH`.

Which addresses may be read or written is for the caller to say (`Prefixes`): whoever sends one is not trusted. Object
stores are opened with what their own tools take from the environment, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from storage.errors import DataError, FailureError, InputError

_SCHEMES = ("s3", "gs", "az", "file")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_WAIT = timedelta(seconds=20)  # for a store that does not answer: whoever asks tries again later
_CHUNK_BYTES = 1 << 20


class Address(NamedTuple):
    """Where an object is. key: without a slash in front; of a file the path, with it."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, text: str) -> "Address":
        """An address as it is written. Raises InputError for one that is none, or has a part that is `.`, `..` or
        empty."""
        scheme, separator, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if separator and scheme == "file":
            bucket, key = "", unquote(f"/{key}") if not bucket else ""
        parts = (key.removeprefix("/") if scheme == "file" else key).split("/")
        is_sound = scheme in _SCHEMES and key.isprintable() and not {"", ".", ".."}.intersection(parts)
        if not (separator and is_sound and (scheme == "file" or _BUCKET.fullmatch(bucket))):
            raise InputError(
                f"{text[:200]!r} is no address of an object. Write s3://BUCKET/KEY, gs://BUCKET/KEY, "
                "az://CONTAINER/KEY or file:///PATH."
            )
        return cls(scheme, bucket, key)


class Prefixes:
    """The beginnings of addresses that may be used; none if there are none.

    >>> allowed = Prefixes(["s3://inputs/in"])
    >>> allowed.allow("s3://inputs/in/a.csv"), allowed.allow("s3://inputs/internal.csv")
    (True, False)
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        self._all = [_beginning(text) for text in self.texts]

    def allow(self, text: str) -> bool:
        """Whether an address begins so, by whole parts of its path. Raises InputError for one that is none."""
        address = Address.of(text)
        return any(
            (address.scheme, address.bucket) == (known.scheme, known.bucket) and address.key.startswith(known.key[:-1])
            for known in self._all
        )

    def holds_file(self, path: Path) -> bool:
        """Whether a file lies below one of the folders, whatever links its path goes by."""
        folders = [Path(known.key[:-1]).resolve() for known in self._all if known.scheme == "file"]
        return any(path.resolve().is_relative_to(folder) for folder in folders)


def fetch(text: str, allowed: Prefixes, most_bytes: int) -> bytes:
    """The bytes of an object.

    Raises InputError if it may not be read, DataError if there is none or it is longer than `most_bytes`, FailureError
    if its store does not answer.
    """
    address = Address.of(text)
    if not allowed.allow(text) or (address.scheme == "file" and not allowed.holds_file(Path(address.key))):
        raise InputError(f"{text[:200]!r} may not be read. {told(allowed)}")
    with _answering(text):
        pieces = _file(Path(address.key)) if address.scheme == "file" else _object(address)
        return _joined(pieces, text, most_bytes)


def put(text: str, data: bytes) -> None:
    """Write an object, whole or not at all, over one that is there. Raises FailureError if that cannot be done."""
    address = Address.of(text)
    if address.scheme == "file":
        path = Path(address.key)
        with _answering(text):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.part")
            beside.write_bytes(data)
            beside.replace(path)
        return
    with _answering(text):
        obstore.put(_opened(address), address.key, data)


def _beginning(text: str) -> Address:
    try:
        return Address.of(f"{text.rstrip('/')}/-")
    except InputError as error:
        raise InputError(
            f"{text[:200]!r} is no beginning of addresses. Write s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, "
            "az://CONTAINER/FOLDER or file:///FOLDER."
        ) from error


def told(allowed: Prefixes) -> str:
    """Which addresses are allowed, for people."""
    if not allowed.texts:
        return "No addresses are allowed here: send the input itself, or allow some by AUTOPILOT_ASYNC_INPUTS."
    return f"Addresses have to begin with {' or '.join(allowed.texts)}."


def _object(address: Address) -> Iterable[Any]:
    return obstore.get(_opened(address), address.key).stream(min_chunk_size=_CHUNK_BYTES)


def _file(path: Path) -> Iterable[bytes]:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise DataError(f"{str(path)!r} is no file. Name one.")
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _joined(pieces: Iterable[Any], text: str, most_bytes: int) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += bytes(piece)
        if len(found) > most_bytes:
            raise DataError(f"{text[:200]!r} is longer than {most_bytes} bytes. Send fewer rows in each.")
    return bytes(found)


def _opened(address: Address) -> Any:
    return from_url(f"{address.scheme}://{address.bucket}/", retry_config={"max_retries": 1, "retry_timeout": _WAIT})


@contextmanager
def _answering(text: str) -> Generator[None]:
    """Raise errors of a store as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"There is no {text[:200]!r}. Check the address.") from error
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0][:300].rstrip(".")
        raise FailureError(
            f"{text[:200]!r} could not be reached: {reason}. Check the address, the credentials in the environment, "
            "the network and the disk."
        ) from error
