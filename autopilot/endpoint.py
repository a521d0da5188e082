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

        Raises InputError with the server's words if it refuses a row, FailureError if no server answers.
        """
        from autopilot.data import read

        answer = self._post(read(frame).write_json().encode())
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
            problem = json.loads(error.read() or b"{}")
            raise InputError(str(problem.get("detail", error.reason))) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise FailureError(f"No server answers at {self.address}: {reason}. Start one: autopilot serve.") from error
