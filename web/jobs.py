"""Jobs over HTTP: files that take longer to read than one waits for an answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ocr.errors import JobsNotOpen, JobsUnavailable, JobUnknown
from ocr.formats.catalogue import FORMATS
from web.answers import disposition, tell_errors
from web.uploads import receive

if TYPE_CHECKING:
    from ocr.jobs.store import Job
    from ocr.jobs.work import Jobs

ID = re.compile("[0-9a-f]{32}")


def routes(opened: "Callable[[], Jobs | None]", most_files: int, kept: bool) -> list[Route]:
    """The calls of jobs: `opened` gives this process's once they are open, if any are `kept`."""

    def jobs() -> "Jobs":
        found = opened()
        if not kept:
            raise JobsUnavailable("OCR_JOBS is off")
        if found is None:
            raise JobsNotOpen("the database of jobs does not answer yet")
        return found

    async def add(request: Request) -> Response:
        uploads, wanted = await receive(request, most_files)
        job = await jobs().add([(each.source, each.data) for each in uploads], wanted)
        place = {"Location": str(request.url_for("job", id=job.id).path)}
        return JSONResponse(as_dict(job), 202, place)

    async def get(request: Request) -> Response:
        return JSONResponse(as_dict(await jobs().get(_id(request))))

    async def delete(request: Request) -> Response:
        await jobs().delete(_id(request))
        return Response(status_code=204)

    async def job(request: Request) -> Response:
        return await (delete if request.method == "DELETE" else get)(request)

    async def result(request: Request) -> Response:
        known = await jobs().get(_id(request))
        kind = FORMATS[known.wanted.format]
        response = Response(await jobs().result(known.id), media_type=kind.media_type)
        files = await jobs().files(known.id)
        read = [source for source, error in files if error is None]
        response.headers["Content-Disposition"] = disposition(read, kind)
        tell_errors(response, files)
        return response

    return [
        Route("/jobs", add, methods=["POST"]),
        Route("/jobs/{id}", job, methods=["GET", "DELETE"], name="job"),
        Route("/jobs/{id}/result", result, methods=["GET"]),
    ]


def _id(request: Request) -> str:
    """The id of the job that is asked for. Raises JobUnknown if no job can have it."""
    told: str = request.path_params["id"]
    if not ID.fullmatch(told):
        raise JobUnknown("no job has such an id")
    return told


def as_dict(job: "Job") -> dict[str, Any]:
    """What is told of a job."""
    return {
        "id": job.id,
        "state": job.state,
        "format": job.wanted.format,
        "pages_done": job.pages_done,
        "pages": job.pages,
        "created": datetime.fromtimestamp(job.created, UTC).isoformat(timespec="seconds"),
        "error": job.error.as_dict() if job.error else None,
    }
