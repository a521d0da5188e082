"""A served endpoint, from the client's side."""

import json
import urllib.error
import urllib.request
from typing import Any

import polars as pl
from msgspec import Struct

from storage.errors import FailureError, InputError
from storage.settings import Settings


class Endpoint(Struct, frozen=True):
    """Sends rows to an endpoint of a running server.

    url: the server; by default the settings' host and port.
    """

    name: str
    url: str | None = None

    @property
    def address(self) -> str:
        """Where invocations are posted."""
        settings = Settings.load()
        base = self.url or f"http://{settings.host}:{settings.port}"
        return f"{base.rstrip('/')}/endpoints/{self.name}/invocations"

    def predict(self, frame: Any) -> pl.DataFrame:
        """Predict a table over HTTP; the same columns as `Result.predict`.

        Raises InputError with the server's words if it refuses a row, FailureError if it fails or none answers.
        """
        from autopilot.table.read import read

        table = read(frame)
        _refuse_infinite(table)
        answer = self._post(table.write_json().encode())
        rows = json.loads(answer)["predictions"]
        if rows and "value" in rows[0]:
            return pl.DataFrame({"prediction": [row["value"] for row in rows]})
        shares = [{f"p_{name}": share for name, share in row["probabilities"].items()} for row in rows]
        return pl.DataFrame([{"label": row["label"], **share} for row, share in zip(rows, shares, strict=True)])

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address, body, headers)  # noqa: S310 - the user's own server
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise (InputError if error.code < 500 else FailureError)(_words_of(error)) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise FailureError(f"No server answers at {self.address}: {reason}. Start one: autopilot serve.") from error


def _refuse_infinite(frame: pl.DataFrame) -> None:
    """JSON has no infinity; Polars writes it as null, which is another value."""
    for series in frame.iter_columns():
        rows = series.is_infinite().arg_true() if series.dtype.is_float() else []
        if len(rows):
            raise InputError(
                f"Column {series.name!r} is {series[rows[0]]} in row {rows[0]}, which JSON cannot say. Send a number "
                "or null."
            )


def _words_of(error: urllib.error.HTTPError) -> str:
    """The detail of the server's problem; a proxy in between may send none."""
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, LookupError, TypeError):
        return f"The server answered {error.code} {error.reason}."
