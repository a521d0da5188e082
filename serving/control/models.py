"""Models: their versions, and aliases of these."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import Condition, told
from serving.control.pages import Cursor, Limit, after, page, part
from serving.parts import AnyRequest, Parts
from storage import Store, UnknownNameError
from storage.api import AliasTarget, ModelSummary, Page, tag_of
from storage.records import Alias, ModelVersion


@get("/api/models", summary="List model versions", **LIST)
def list_models(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    name: Annotated[str | None, QueryParameter(description="Only versions of this model.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[ModelSummary]]:
    """Model versions by name, newest first."""
    last = after(request, cursor, tuple[str, int])
    found = parts.store.models.list(name, limit=limit + 1, after=last)
    called: dict[tuple[str, int], list[str]] = {}
    for alias in parts.store.aliases.list(name):
        called.setdefault((alias.model, alias.version), []).append(alias.name)
    return page(
        request,
        found,
        limit,
        lambda version: (version.name, version.version),
        lambda version: _summary(version, called.get((version.name, version.version), [])),
    )


@get("/api/models/{name:str}/versions/{version:str}", summary="Describe a model version", **ONE)
def get_model(
    request: AnyRequest, name: FromPath[str], version: FromPath[str], parts: NamedDependency[Parts]
) -> Response[ModelVersion]:
    """A model version with its signature and card, by its number, an alias or `latest`."""
    return told(request, parts.store.models.get(f"{name}:{version}"))


@delete("/api/models/{name:str}/versions/{version:str}", summary="Delete a model version", **changing(status=204))
async def delete_model(
    request: AnyRequest, name: FromPath[str], version: FromPath[str], parts: NamedDependency[Parts]
) -> Response[None]:
    """Delete a version that nothing uses, by its number; it is not given again."""

    def work() -> Done:
        if not version.isdecimal():
            raise UnknownNameError(f"{version[:80]!r} is no number of a version. Name the version itself, such as 3.")
        parts.store.models.delete(name, int(version))
        return Done(204)

    return await change(request, parts, work)


@get("/api/models/{name:str}/aliases", summary="List a model's aliases", **LIST)
def list_aliases(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Alias]]:
    """Aliases by name."""
    found = part(parts.store.aliases.list(name), limit, _name_of, after(request, cursor, str))
    return page(request, found, limit, _name_of, lambda alias: alias)


@get("/api/models/{name:str}/aliases/{alias:str}", summary="Describe an alias", **ONE)
def get_alias(
    request: AnyRequest, name: FromPath[str], alias: FromPath[str], parts: NamedDependency[Parts]
) -> Response[Alias]:
    """Which version has it."""
    found = parts.store.aliases.get(name, alias)
    return told(request, found, tag_of(found))


@put(
    "/api/models/{name:str}/aliases/{alias:str}",
    summary="Give an alias to a version",
    **changing(AliasTarget, told=Alias, conditional=True),
)
async def put_alias(
    request: AnyRequest, name: FromPath[str], alias: FromPath[str], parts: NamedDependency[Parts]
) -> Response[Alias]:
    """Make an alias, or take it from the version that has it. Endpoints stay as they are."""

    def work(asked: AliasTarget) -> Done:
        old = _checked(request, parts.store, name, alias)
        new = parts.store.aliases.put(name, alias, asked.version, datetime.now(UTC))
        return Done(201 if old is None else 200, new, tag_of(new), f"/api/models/{name}/aliases/{alias}")

    return await change_by(request, parts, AliasTarget, work)


@delete(
    "/api/models/{name:str}/aliases/{alias:str}",
    summary="Take an alias away",
    **changing(status=204, conditional=True),
)
async def delete_alias(
    request: AnyRequest, name: FromPath[str], alias: FromPath[str], parts: NamedDependency[Parts]
) -> Response[None]:
    """Take an alias away; the version stays."""

    def work() -> Done:
        _checked(request, parts.store, name, alias)
        parts.store.aliases.remove(name, alias)
        return Done(204)

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (
    list_models,
    get_model,
    delete_model,
    list_aliases,
    get_alias,
    put_alias,
    delete_alias,
)


def _checked(request: AnyRequest, store: Store, model: str, name: str) -> Alias | None:
    """The alias, if there is one, and it is as the request wants it."""
    found = next((alias for alias in store.aliases.list(model) if alias.name == name), None)
    Condition.of(request).check(f"alias {name[:80]!r}", found, tag_of, lambda alias: alias)
    return found


def _name_of(alias: Alias) -> str:
    return alias.name


def _summary(version: ModelVersion, aliases: list[str]) -> ModelSummary:
    scores = version.card.scores
    return ModelSummary(
        name=version.name,
        version=version.version,
        task=version.signature.task,
        target=version.signature.target,
        columns=len(version.signature.columns),
        metric=scores.metric,
        validation_score=scores.validation_score,
        test_score=scores.test_score,
        baseline_score=scores.baseline_score,
        size_bytes=version.size_bytes,
        created_at=version.created_at,
        aliases=tuple(aliases),
    )
