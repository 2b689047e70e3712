"""The calls of the service's API as a client makes them, and when one is made again.

Each is a generator that asks for a request to be sent or for time to pass and is handed the
outcome, so that a client that waits and one that is awaited have it in common.
"""

import json
import socket
import ssl
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict

from ocr.document import Document
from ocr.errors import JobsUnavailable, OcrError, ServerUnreachable, TimedOut
from ocr.formats import json as json_format
from ocr.retries import Retries, seconds_told
from ocr.wanted import Wanted

ERRORS = "X-OCR-Errors"  # of files that an answer leaves out
BUSY = (429, 503)
POLL_S = (0.2, 5.0)  # how often a job is asked after: at first, and at last

File = Path | bytes | BinaryIO
Files = File | list[File] | tuple[File, ...]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
T = TypeVar("T")


class Failure(BaseModel):
    """Why a job failed, as the API tells it."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class Job(BaseModel):
    """One job as it was when it was asked after; `pages` is None until it is known."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: JobState
    pages_done: int = 0
    pages: int | None = None
    created: datetime | None = None
    error: Failure | None = None

    @property
    def is_over(self) -> bool:
        return self.state not in ("queued", "running")


@dataclass(frozen=True)
class Upload:
    """A file's bytes, held so that they can be sent again from the start."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Call:
    """One request; `repeatable` where a second one after a lost answer does no harm."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    uploads: tuple[Upload, ...] = ()
    repeatable: bool = True

    @property
    def arguments(self) -> dict[str, Any]:
        """What httpx takes."""
        files = [
            ("files", (upload.name or "file", upload.data, "application/octet-stream"))
            for upload in self.uploads
        ]
        return {
            "method": self.method,
            "url": self.path,
            "params": self.query,
            "files": files or None,
        }


# A call's course: what is to be done next, seconds to wait or a request to send, of which the
# outcome is handed in.
Outcome = httpx.Response | httpx.RequestError | None
Steps = Generator[Call | float, Outcome, T]


def load(file: File, source: str = "") -> Upload:
    """The rest of a file. Raises OSError."""
    if isinstance(file, bytes):
        return Upload(source, file)
    if isinstance(file, Path):
        return Upload(source or file.name, file.read_bytes())
    name = getattr(file, "name", "")  # a number where it was opened by its descriptor
    return Upload(source or (Path(name).name if isinstance(name, str) else ""), file.read())


def load_all(files: Files, sources: Sequence[str]) -> tuple[Upload, ...]:
    several = files if isinstance(files, list | tuple) else [files]
    if sources and len(sources) != len(several):
        raise ValueError(f"{len(several)} files, but {len(sources)} sources")
    names = sources or [""] * len(several)
    return tuple(map(load, several, names))


def _query(wanted: Wanted) -> dict[str, str]:
    """Options that are not the service's own defaults, and the format."""
    chosen = wanted.model_dump(mode="json", exclude_defaults=True) | {"format": wanted.format}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in chosen.items()
    }


@dataclass(frozen=True)
class Calls:
    """The API's calls as steps.

    All raise the errors that the service tells, and ServerUnreachable, TimedOut, or OcrError where
    an answer makes no sense.
    """

    url: str
    retries: Retries

    def read(self, upload: Upload, wanted: Wanted) -> Steps[Document]:
        asked = wanted.model_copy(update={"format": "json", "words": True})
        answer = yield from self._answer(Call("POST", "ocr", _query(asked), (upload,)))
        documents = _made(lambda: json_format.parse(answer.content), answer)
        if len(documents) != 1:
            raise _senseless(answer, f"{len(documents)} documents")
        (document,) = documents
        if document.error is not None:
            raise document.error
        return replace(document, source=upload.name)

    def render(
        self, uploads: tuple[Upload, ...], wanted: Wanted, skip_failed: bool
    ) -> Steps[bytes]:
        call = Call("POST", "ocr", _query(wanted), uploads)
        return _whole((yield from self._answer(call)), skip_failed)

    def capabilities(self) -> Steps[dict[str, Any]]:
        answer = yield from self._answer(Call("GET", "capabilities"))
        told = _made(answer.json, answer)
        if not isinstance(told, dict):
            raise _senseless(answer, "no capabilities")
        return told

    def submit(self, uploads: tuple[Upload, ...], wanted: Wanted) -> Steps[Job]:
        # Whether a job was made before the connection was lost is not known.
        call = Call("POST", "jobs", _query(wanted), uploads, repeatable=False)
        return _job((yield from self._answer(call)))

    def job(self, job_id: str) -> Steps[Job]:
        return _job((yield from self._answer(Call("GET", f"jobs/{quote(job_id, safe='')}"))))

    def result(self, job_id: str, skip_failed: bool) -> Steps[bytes]:
        answer = yield from self._answer(Call("GET", f"jobs/{quote(job_id, safe='')}/result"))
        return _whole(answer, skip_failed)

    def delete(self, job_id: str) -> Steps[None]:
        call = Call("DELETE", f"jobs/{quote(job_id, safe='')}", repeatable=False)
        yield from self._answer(call)

    def wait(
        self, job_id: str, timeout_s: float | None, told: Callable[[Job], None] | None
    ) -> Steps[Job]:
        pause, longest = POLL_S
        start = time.monotonic()
        while True:
            job = yield from self.job(job_id)
            if told is not None:
                told(job)
            if job.is_over:
                return _done(job)
            if timeout_s is not None and time.monotonic() - start + pause > timeout_s:
                raise TimedOut(f"job {job_id} is {job.state} after {timeout_s:g} s")
            yield pause
            pause = min(pause * 1.5, longest)

    def _answer(self, call: Call) -> Steps[httpx.Response]:
        """Make a call, again where that can help."""
        start = time.monotonic()
        attempts = 0
        while True:
            outcome = yield call
            attempts += 1
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            wait = None
            if outcome is not None and _may_help(outcome, call):
                told = _told(outcome)
                wait = self.retries.wait(attempts, time.monotonic() - start, told)
            if wait is None:
                raise self._error(outcome)
            yield wait

    def _error(self, outcome: Outcome) -> OcrError:
        if isinstance(outcome, httpx.Response):
            return _error_told(outcome)
        if isinstance(outcome, httpx.TimeoutException) and not _not_connected(outcome):
            return TimedOut(f"no answer from {self.url} in time ({type(outcome).__name__})")
        return ServerUnreachable(f"{self.url}: {str(outcome) or type(outcome).__name__}")


def _may_help(outcome: httpx.Response | httpx.RequestError, call: Call) -> bool:
    """Whether to ask again: where a server is busy or starts, or a connection fails or is lost.

    Not where the name, the certificate or silence speaks against it, or no jobs are kept there.
    """
    if isinstance(outcome, httpx.Response):
        asked_to_wait = "Retry-After" in outcome.headers
        return outcome.status_code in BUSY and (
            asked_to_wait or not isinstance(_error_told(outcome), JobsUnavailable)
        )
    if _not_connected(outcome):
        return not _is_for_good(outcome)
    lost = isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)
    return lost and call.repeatable


def _not_connected(error: httpx.RequestError) -> bool:
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _is_for_good(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _told(outcome: httpx.Response | httpx.RequestError) -> float | None:
    if isinstance(outcome, httpx.Response):
        return seconds_told(outcome.headers.get("Retry-After"))
    return None


def _error_told(answer: httpx.Response) -> OcrError:
    """The error in an answer's body, or what else it says: a proxy's page, say."""
    try:
        error = answer.json()["error"]
        return OcrError.of(str(error["code"]), str(error["message"]))
    except (KeyError, TypeError, ValueError):
        return _senseless(answer, "")


def _senseless(answer: httpx.Response, why: str) -> OcrError:
    parts = [f"{answer.request.url} answered with status {answer.status_code}", why]
    parts.append(repr(answer.content[:200].decode("utf-8", "replace")))
    return OcrError(", ".join(part for part in parts if part))


def _made(make: Callable[[], T], answer: httpx.Response) -> T:
    """What is made of an answer, if it makes sense."""
    try:
        return make()
    except (KeyError, TypeError, ValueError) as error:  # pydantic's are ValueErrors
        raise _senseless(answer, f"{type(error).__name__} {error}") from error


def _whole(answer: httpx.Response, skip_failed: bool) -> bytes:
    """The file of an answer. Raises the error of the first file that it leaves out."""
    failed = answer.headers.get(ERRORS)
    if failed and not skip_failed:
        first, *_ = _made(lambda: json.loads(failed), answer)
        name = first.get("source") or f"file {first.get('file')}"
        raise OcrError.of(str(first["code"]), f"{name}: {first['message']}")
    return answer.content


def _job(answer: httpx.Response) -> Job:
    return _made(lambda: Job.model_validate_json(answer.content), answer)


def _done(job: Job) -> Job:
    if job.error is not None:
        raise OcrError.of(job.error.code, job.error.message)
    if job.state != "done":
        raise OcrError(f"job {job.id} is {job.state}")
    return job
