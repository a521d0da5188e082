"""A served endpoint, from the client's side."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import polars as pl


class Endpoint(Struct, frozen=True):
    """Sends rows to an endpoint of a running server: `Client.predict` with a name.

    url: the server; by default the settings' host and port.
    """

    name: str
    url: str | None = None

    @property
    def address(self) -> str:
        """Where invocations are posted."""
        from autopilot.client.client import address_of

        return f"{address_of(self.url)}/endpoints/{self.name}/invocations"

    def predict(self, frame: Any) -> "pl.DataFrame":
        """Predict a table over HTTP; the same columns as `Result.predict`.

        Raises InputError with the server's words if it refuses a row, FailureError if it fails or none answers.
        """
        from autopilot.client import Client

        with Client(self.url) as client:
            return client.predict(self.name, frame)
