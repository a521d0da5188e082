"""A client of the server: what `/api` and the endpoints offer, as Python functions.

    client = autopilot.Client()                      async with autopilot.AsyncClient() as client:
    client.endpoints.get("price")                        await client.endpoints.get("price")

Both forms are one implementation. What a function does is a generator (`steps.py`) that yields requests to send and
pauses to make, and is given replies: it neither waits nor awaits. `transports.py` sends them, in one form or the other,
on httpx; `calls.py` makes a method of each generator, with the types of the form. Start reading at `nouns.py`.

What may not live here: what an answer means. The structs are those that the server writes (`storage/api.py`,
`storage/records.py`).
"""

from autopilot.client.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
