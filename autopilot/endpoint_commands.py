"""The commands below `autopilot endpoints`: what is served, to whom, and what is kept of it.

They change records in the store; servers follow within a second. As in `cli.py`, what a command needs is imported
inside it.
"""

from cyclopts import App

from autopilot.parameters import Json, StorePath, open_store

endpoints = App(name="endpoints", help="Endpoints: list them, and change what they serve and keep.")


@endpoints.default
def endpoints_list(*, store: StorePath = None, json: Json = False) -> None:
    """List the endpoints."""
    from autopilot import terminal

    found = open_store(store).endpoints.list()
    terminal.print_json(found) if json else terminal.print_endpoints(found)
