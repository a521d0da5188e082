"""Baselines of endpoints: what checks of data quality ask of the rows, where somebody has said so."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from serving.control.changes import Done, change, change_as
from serving.control.documented import ONE, changing
from serving.control.etags import Condition, told
from serving.parts import AnyRequest, Parts
from storage import Store
from storage.api import BaselineView, tag_of
from storage.baselines import Baseline, ConstraintsFile, Document, parse_document
from storage.baselines.document import json_of
from storage.records import KeptBaseline

#: Of what is sent, as reports name it.
_SOURCE = "HTTP"


@get("/api/endpoints/{name:str}/baseline", summary="Describe an endpoint's baseline", **ONE)
def get_baseline(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[BaselineView]:
    """The baseline that is kept for an endpoint. Without one, the reference of its model suggests what is asked."""
    found = _view(parts.store.baselines.get(name))
    return told(request, found, tag_of(found))


@put(
    "/api/endpoints/{name:str}/baseline",
    summary="Keep a baseline for an endpoint",
    **changing((ConstraintsFile, Baseline), told=BaselineView, conditional=True),
)
async def put_baseline(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]
) -> Response[BaselineView]:
    """Have checks of data quality ask this of the endpoint's rows: SageMaker's `constraints.json`, or our
    `baseline.json`."""

    def work(document: Document) -> Done:
        old = _checked(request, parts.store, name)
        new = KeptBaseline(name, _SOURCE, json_of(document), datetime.now(UTC))
        parts.store.baselines.put(new)
        view = _view(new)
        return Done(201 if old is None else 200, view, tag_of(view), f"/api/endpoints/{name}/baseline")

    return await change_as(request, parts, lambda body: parse_document(body, "The body"), work)


@delete(
    "/api/endpoints/{name:str}/baseline",
    summary="Remove an endpoint's baseline",
    **changing(status=204, conditional=True),
)
async def delete_baseline(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[None]:
    """Have the reference of the endpoint's model suggest again what is asked."""

    def work() -> Done:
        _checked(request, parts.store, name)
        parts.store.baselines.remove(name)
        return Done(204)

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (get_baseline, put_baseline, delete_baseline)


def _checked(request: AnyRequest, store: Store, name: str) -> BaselineView | None:
    """The baseline, if one is kept, and it is as the request wants it."""
    found = store.baselines.find(name)
    view = None if found is None else _view(found)
    Condition.of(request).check(f"the baseline of {name[:80]!r}", view, tag_of, lambda baseline: baseline)
    return view


def _view(kept: KeptBaseline) -> BaselineView:
    document = parse_document(kept.body.encode(), "The baseline")
    is_ours = isinstance(document, Baseline)
    return BaselineView(
        endpoint=kept.endpoint,
        source=kept.source,
        kept_at=kept.kept_at,
        baseline=document if is_ours else None,
        constraints=None if is_ours else document,
    )
