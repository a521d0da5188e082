"""A deployment as servers take it: who serves the new revision, who could not load it, who has not said yet.

`autopilot deploy` writes a record, and that alone tells nothing: a server that cannot load the version goes on with
what it has. So the command waits a little for those that run.
"""

import time
from datetime import UTC, datetime

from msgspec import Struct

from storage.errors import FailureError
from storage.records import Endpoint, Serving
from storage.store import Store

_WAIT_S = 5.0  # servers follow within a second, and load most models in less than another
_LOOK_S = 0.1


class Taken(Struct, frozen=True):
    """What the servers that run made of a revision. serving, waiting: how many have it, and how many have not said yet.
    failed: why each of the others could not load it."""

    serving: int
    waiting: int
    failed: tuple[str, ...] = ()

    @property
    def servers(self) -> int:
        """How many run."""
        return self.serving + self.waiting + len(self.failed)


def follow(store: Store, endpoint: Endpoint, wait_s: float = _WAIT_S) -> Taken:
    """Wait until all servers that run have loaded an endpoint's revision or failed to, `wait_s` at most."""
    until = time.monotonic() + wait_s
    while (found := _taken(store, endpoint)).waiting and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return found


def told(endpoint: Endpoint, taken: Taken) -> str:
    """What became of a deployment, in words. Raises FailureError if a server could not load it."""
    spec, show = endpoint.main.spec, f"autopilot endpoints show {endpoint.name}"
    if taken.failed:
        raise FailureError(
            f"{len(taken.failed)} of {taken.servers} servers could not load {spec} for endpoint {endpoint.name!r}, and "
            f"go on with what they had: {taken.failed[0]} Deploy another version, or see how it stands: {show}."
        )
    if not taken.servers:
        return (
            f"Endpoint {endpoint.name} is to serve {spec}; no server runs yet.\n\n"
            f"Next:  autopilot serve   ({show} tells whether it could load it)"
        )
    if taken.waiting:
        return (
            f"Endpoint {endpoint.name} is to serve {spec}; {taken.waiting} of {taken.servers} servers have not loaded "
            f"it yet. See whether they could: {show}"
        )
    return f"Endpoint {endpoint.name} serves {spec}, on all servers that run ({taken.servers})."


def _taken(store: Store, endpoint: Endpoint) -> Taken:
    """A server at a later revision has been past this one: another changed the endpoint meanwhile."""
    found = [server.serving.get(endpoint.name, Serving(0)) for server in store.servers.list(datetime.now(UTC))]
    serving = sum(one.revision >= endpoint.revision for one in found)
    failed = tuple(one.reason or "" for one in found if one.failed == endpoint.revision > one.revision)
    return Taken(serving, len(found) - serving - len(failed), failed)
