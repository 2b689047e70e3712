"""Jobs over HTTP: files that take longer to read than one waits for an answer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ocr.errors import JobsNotOpen, JobsUnavailable
from ocr.formats.catalogue import FORMATS
from web.answers import disposition, tell_errors
from web.uploads import receive

if TYPE_CHECKING:
    from ocr.jobs.store import Job
    from ocr.jobs.work import Jobs


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
        return JSONResponse(as_dict(await jobs().get(request.path_params["id"])))

    async def delete(request: Request) -> Response:
        await jobs().delete(request.path_params["id"])
        return Response(status_code=204)

    async def job(request: Request) -> Response:
        return await (delete if request.method == "DELETE" else get)(request)

    async def result(request: Request) -> Response:
        known = await jobs().get(request.path_params["id"])
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
