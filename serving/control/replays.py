"""Replays: captured requests asked again, of the version that answered or of another."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace

from serving.control.bodies import decode
from serving.control.captures import in_utc
from serving.control.changes import Done, repeatable
from serving.control.documented import changing
from serving.parts import AnyRequest, Parts
from storage.replay import Replay, ReplaySpec


@post("/api/endpoints/{name:str}/replay", summary="Replay captured requests", **changing(ReplaySpec))
async def replay_captures(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Replay]:
    """Ask captured requests again: is each answer the same to the bit, or what would another version have said? It
    changes nothing, and answers when it is done: `most_rows` bounds how long that takes."""

    def work(body: bytes) -> Done:
        from storage.replay.replay import replay

        asked = decode(body, ReplaySpec)
        spec = replace(asked, start=in_utc(asked.start), end=in_utc(asked.end))
        return Done(200, replay(parts.store, name, spec, datetime.now(UTC)))

    return await repeatable(request, parts, work)


ROUTES: tuple[Any, ...] = (replay_captures,)
