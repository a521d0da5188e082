"""Jobs: batch transforms that were asked for, worked off by `serving.batch`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.changes import Done, change, change_slowly
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.batch import Transform, TransformJob
from storage.batch import jobs as transforms
from storage.records import JobStatus


@get("/api/jobs", summary="List jobs", **LIST)
def list_jobs(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    status: Annotated[JobStatus | None, QueryParameter(description="Only jobs in this status.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[TransformJob]]:
    """Batch transforms, newest first."""
    before = after(request, cursor, str)
    found = transforms.list_jobs(parts.store, status=status, limit=limit + 1, before=before)
    return page(request, found, limit, lambda job: job.id, lambda job: job)


@get("/api/jobs/{job_id:str}", summary="Describe a job", **ONE)
def get_job(request: AnyRequest, job_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[TransformJob]:
    """What was asked for, how far it is, and how it ended."""
    return told(request, transforms.get(parts.store, job_id))


@post("/api/jobs/batch", summary="Ask for a batch transform", **changing(Transform, status=201))
async def create_batch(request: AnyRequest, parts: NamedDependency[Parts]) -> Response[TransformJob]:
    """Have files scored with a model. Paths are those of the server's machine."""

    def prepare(asked: Transform) -> Transform:
        return transforms.checked(parts.store, asked, parts.batch_places.refuse)

    def work(asked: Transform) -> Done:
        job = transforms.add(parts.store, asked, datetime.now(UTC))
        return Done(201, job, location=f"/api/jobs/{job.id}")

    return await change_slowly(request, parts, Transform, prepare, work)


@post("/api/jobs/{job_id:str}/stop", summary="Stop a job", **changing())
async def stop_job(request: AnyRequest, job_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[TransformJob]:
    """End a job within a second; whole files that it has written stay."""

    def work() -> Done:
        return Done(200, transforms.stop(parts.store, job_id, datetime.now(UTC)))

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (list_jobs, get_job, create_batch, stop_job)
