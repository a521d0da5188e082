"""What the routes of the application work with."""

from dataclasses import dataclass
from typing import Any

from litestar import Request

from serving.batch.allowed import ANYWHERE, Allowed
from serving.endpoints import LiveEndpoints
from serving.exposition import Exposition
from serving.invocations import Invocations
from storage import Store

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True)
class Parts:
    """What the routes work with."""

    store: Store
    live: LiveEndpoints
    invocations: Invocations
    max_body_bytes: int
    exposition: Exposition
    batch_places: Allowed = ANYWHERE
