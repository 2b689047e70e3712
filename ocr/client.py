"""A client of the service, to be called or to be awaited.

    with Client("http://127.0.0.1:9533") as client:
        print(client.read(Path("scan.pdf")).pages[0].text)

It needs httpx.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, cast

import httpx

from ocr import __version__
from ocr.calls import (
    Call,
    Calls,
    File,
    Files,
    Job,
    Outcome,
    Steps,
    load,
    load_all,
)
from ocr.document import Document
from ocr.errors import ServerUnreachable
from ocr.retries import Retries
from ocr.wanted import Wanted

__all__ = ["AsyncClient", "Client", "File", "Files", "Job", "Retries", "ServerUnreachable"]

URL = "http://127.0.0.1:9533"
TIMEOUT_S = 300.0
CONNECT_S = 10.0
RETRIES = Retries()
WANTED = Wanted()

T = TypeVar("T")


def _options(url: str, api_key: str | None, timeout: float) -> dict[str, Any]:
    """What httpx's clients are made with."""
    headers = {"User-Agent": f"ocr-service/{__version__}"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_S), pool=None),
        "limits": httpx.Limits(max_connections=None),
    }


class Client:
    """Calls of the service at `url`, to be closed when done with, best by `with`.

    `timeout` is in seconds, for one answer; `api_key` is sent as a bearer token. A service that is
    busy or starts is asked again as `retries` allows.

    Every call raises the OcrError that the service tells, of the class that its code stands for;
    ServerUnreachable, TimedOut, and OSError where a file cannot be read.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: Retries = RETRIES,
    ) -> None:
        self._calls = Calls(url, retries)
        self._http = httpx.Client(**_options(url, api_key, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def read(self, file: File, *, wanted: Wanted = WANTED, source: str = "") -> Document:
        """Read one file, with its words, whatever `wanted` says of the format.

        `source` names it where its own name should not, or where it has none.
        """
        return self._run(self._calls.read(load(file, source), wanted))

    def render(
        self,
        files: Files,
        wanted: Wanted,
        *,
        sources: Sequence[str] = (),
        skip_failed: bool = False,
    ) -> bytes:
        """Read files and give one file of them all, in the format wanted.

        Raises the error of the first that could not be read, but with `skip_failed`, which leaves
        them out, only if none could.
        """
        return self._run(self._calls.render(load_all(files, sources), wanted, skip_failed))

    def capabilities(self) -> dict[str, Any]:
        """What the service runs and takes."""
        return self._run(self._calls.capabilities())

    def submit(self, files: Files, wanted: Wanted, *, sources: Sequence[str] = ()) -> Job:
        """Have files read without waiting for them."""
        return self._run(self._calls.submit(load_all(files, sources), wanted))

    def job(self, job_id: str) -> Job:
        """A job as it is now. Raises JobUnknown."""
        return self._run(self._calls.job(job_id))

    def result(self, job_id: str, *, skip_failed: bool = False) -> bytes:
        """What came of a job, as `render` gives it. Raises JobNotDone, JobUnknown."""
        return self._run(self._calls.result(job_id, skip_failed))

    def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        told: Callable[[Job], None] | None = None,
    ) -> Job:
        """Wait for a job's end; `told` is called with what is known of it, from time to time.

        Raises its error if it failed, OcrError if it was cancelled, TimedOut after `timeout_s`.
        """
        return self._run(self._calls.wait(job_id, timeout_s, told))

    def delete(self, job_id: str) -> None:
        """End a job and forget it, with its result. Raises JobUnknown."""
        self._run(self._calls.delete(job_id))

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast(T, end.value)
            outcome = self._do(step)

    def _do(self, step: Call | float) -> Outcome:
        if not isinstance(step, Call):
            time.sleep(step)
            return None
        try:
            return self._http.request(**step.arguments)
        except httpx.RequestError as error:
            return error


class AsyncClient:
    """The same calls as Client's, to be awaited; best by `async with`."""

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: Retries = RETRIES,
    ) -> None:
        self._calls = Calls(url, retries)
        self._http = httpx.AsyncClient(**_options(url, api_key, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def read(self, file: File, *, wanted: Wanted = WANTED, source: str = "") -> Document:
        """As Client.read."""
        upload = await asyncio.to_thread(load, file, source)
        return await self._run(self._calls.read(upload, wanted))

    async def render(
        self,
        files: Files,
        wanted: Wanted,
        *,
        sources: Sequence[str] = (),
        skip_failed: bool = False,
    ) -> bytes:
        """As Client.render."""
        uploads = await asyncio.to_thread(load_all, files, sources)
        return await self._run(self._calls.render(uploads, wanted, skip_failed))

    async def capabilities(self) -> dict[str, Any]:
        """As Client.capabilities."""
        return await self._run(self._calls.capabilities())

    async def submit(self, files: Files, wanted: Wanted, *, sources: Sequence[str] = ()) -> Job:
        """As Client.submit."""
        uploads = await asyncio.to_thread(load_all, files, sources)
        return await self._run(self._calls.submit(uploads, wanted))

    async def job(self, job_id: str) -> Job:
        """As Client.job."""
        return await self._run(self._calls.job(job_id))

    async def result(self, job_id: str, *, skip_failed: bool = False) -> bytes:
        """As Client.result."""
        return await self._run(self._calls.result(job_id, skip_failed))

    async def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        told: Callable[[Job], None] | None = None,
    ) -> Job:
        """As Client.wait."""
        return await self._run(self._calls.wait(job_id, timeout_s, told))

    async def delete(self, job_id: str) -> None:
        """As Client.delete."""
        await self._run(self._calls.delete(job_id))

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast(T, end.value)
            outcome = await self._do(step)

    async def _do(self, step: Call | float) -> Outcome:
        if not isinstance(step, Call):
            await asyncio.sleep(step)
            return None
        try:
            return await self._http.request(**step.arguments)
        except httpx.RequestError as error:
            return error
