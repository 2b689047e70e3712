"""Jobs at work: durable workflows of DBOS, which go on where they were when a process died.

A job is a workflow of three kinds of steps: count its pages, read some of them, make the result.
What a step has done is in the store, so one that is done again, in this process or another, finds
what is there and adds what is missing.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID

from ocr.errors import (
    Busy,
    DiskFull,
    JobsNotOpen,
    JobUnknown,
    NoPages,
    OcrError,
    PictureError,
)
from ocr.formats.catalogue import Render
from ocr.jobs.store import Job, JobStore, is_full
from ocr.reader import Reader
from ocr.request import Request, current
from ocr.wanted import Wanted

T = TypeVar("T")
log = logging.getLogger("ocr.jobs")
QUEUE = "ocr-jobs"
AT_ONCE = 2  # jobs in one process
LOOK_S = 20.0  # between two looks at what is stalled or old
PATIENCE_S = 2.0  # between two tries to use a database that does not answer, or is full
STALLED_S = 90.0  # a job that nobody has worked on for so long is another process's to go on with
# Jobs that were begun by one version go on in another as long as the steps stay what they are.
STEPS_VERSION = "1"


class Jobs:
    """Takes jobs, and works on them in this process while others may do so in theirs.

    `url` is a database, as SQLAlchemy has it, which all processes share; `process` names this one:
    under the same name it goes on with what it was working on before it ended. A step reads
    `pages_at_once`; `render`, called in a thread, makes documents into a result. Jobs are deleted
    `keep_s` seconds after they came, if they are over.
    """

    def __init__(
        self,
        url: str,
        process: str,
        reader: Reader,
        render: Render,
        most: int,
        keep_s: float,
        pages_at_once: int,
    ) -> None:
        self.store = JobStore(url)
        self.reader = reader
        self.render = render
        self.most = most
        self.keep_s = keep_s
        self.pages_at_once = pages_at_once
        self._config: DBOSConfig = {
            "name": "ocr",
            "system_database_url": url,
            "executor_id": process,
            "application_version": STEPS_VERSION,
            "log_level": "WARNING",
        }
        self._at_work: dict[str, asyncio.Task[Any] | None] = {}
        self._data: dict[str, tuple[int, bytes]] = {}  # the file that each job at work is reading
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to work, on the event loop that calls this. If that fails, nothing is left open."""
        global _jobs
        _jobs = self
        try:
            DBOS(config=self._config)
            DBOS.launch()
            await DBOS.register_queue_async(QUEUE, worker_concurrency=AT_ONCE)
        except BaseException:
            await self.close()
            raise
        self._looking = asyncio.create_task(self._look_after())

    async def close(self) -> None:
        """Stop working. What is not done goes on when a process of this name opens again."""
        tasks = [task for task in (self._looking, *self._at_work.values()) if task is not None]
        for task in tasks:
            task.cancel()  # which DBOS does not take for an end of the workflow
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        self.store.close()

    async def add(self, files: Sequence[tuple[str, bytes]], wanted: Wanted) -> Job:
        """Take a job of files, each a name and its bytes.

        Raises Busy if too many are waiting, DiskFull if there is no room for it.
        """
        waiting = await asyncio.to_thread(self.store.unfinished)
        if waiting >= self.most:
            raise Busy(f"{waiting} jobs are waiting, the limit is {self.most}")
        job = uuid.uuid4().hex
        await asyncio.to_thread(self.store.add, job, files, wanted)
        try:
            with SetWorkflowID(job):
                await DBOS.enqueue_workflow_async(QUEUE, _work, job)
        except Exception as error:
            with suppress(DiskFull, JobsNotOpen):  # then it goes with what nobody began
                await asyncio.to_thread(self.store.delete, job)
            if is_full(error):
                raise DiskFull("no room for jobs") from error
            raise
        return await self.get(job)

    async def get(self, job: str) -> Job:
        """Raises JobUnknown."""
        return await asyncio.to_thread(self.store.get, job)

    async def result(self, job: str) -> bytes:
        """Raises JobUnknown, JobNotDone, or the error with which the job failed."""
        return await asyncio.to_thread(self.store.result, job)

    async def files(self, job: str) -> list[tuple[str, OcrError | None]]:
        """A job's files: their names, and why they cannot be read."""
        return await asyncio.to_thread(self.store.files, job)

    async def delete(self, job: str) -> None:
        """Forget a job, whatever its state. Raises JobUnknown."""
        await asyncio.to_thread(self.store.delete, job)
        await DBOS.cancel_workflow_async(job)

    async def work(self, job: str) -> None:
        """All steps of one job. That it fails is part of what is known of it."""
        self._at_work[job] = asyncio.current_task()
        request = current.set(Request(f"job-{job}"))
        try:
            await self._steps(job)
        except JobUnknown:
            log.info("job %s was deleted while it was worked on", job)
        except Exception as error:
            log.exception("job %s failed", job)
            with suppress(JobUnknown):
                await self._kept(self.store.finish, job, _told(error))
        finally:
            current.reset(request)
            self._data.pop(job, None)
            del self._at_work[job]

    async def _steps(self, job: str) -> None:
        plan = await _count(job)
        for number, pages in enumerate(plan):
            for start in range(0, len(pages), self.pages_at_once):
                if not await _read(job, number, start, pages[start : start + self.pages_at_once]):
                    break
        await _finish(job)

    async def count(self, job: str) -> list[list[int]]:
        """The numbers of the pages to read, file by file; none where a file cannot be opened."""
        known = await self._kept(self.store.get, job)
        files = await self._kept(self.store.files, job)
        plan = []
        for number in range(len(files)):
            data = await self._file(job, number)
            try:
                plan.append(await self.reader.count(data, known.wanted))
            except PictureError as error:
                await self._kept(self.store.fail_file, job, number, error)
                plan.append([])
        await self._kept(self.store.start, job, sum(map(len, plan)))
        return plan

    async def read(self, job: str, number: int, first: int, pages: Sequence[int]) -> bool:
        """Read some pages of a file, those that are not there yet, side by side.

        `first` is the place of the first one among all that were asked for. False if one of them
        cannot be read, which is an error of its file.
        """
        wanted = (await self._kept(self.store.get, job)).wanted
        there = await self._kept(self.store.places, job, number)
        missing = [(first + i, page) for i, page in enumerate(pages) if first + i not in there]
        if not missing:
            return True
        data = await self._file(job, number)
        outcomes = await asyncio.gather(
            *(self._read_page(job, number, place, page, data, wanted) for place, page in missing),
            return_exceptions=True,
        )
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        unreadable = next((each for each in errors if isinstance(each, PictureError)), None)
        if unreadable is not None:
            await self._kept(self.store.fail_file, job, number, unreadable)
        elif errors:
            raise errors[0]
        return not errors

    async def _read_page(
        self, job: str, number: int, place: int, page: int, data: bytes, wanted: Wanted
    ) -> None:
        this = wanted.model_copy(update={"pages": str(page)})
        async with aclosing(self.reader.pages(data, this)) as pages:
            async for found in pages:
                await self._kept(self.store.add_page, job, number, place, found)

    async def finish(self, job: str) -> None:
        """Make the result of all pages; a job of which nothing could be read has failed."""
        wanted = (await self._kept(self.store.get, job)).wanted
        documents = await self._kept(self.store.documents, job)
        if all(each.error is not None for each in documents):
            error = documents[0].error if documents else NoPages("no file")
            await self._kept(self.store.finish, job, error)
            return
        result = await asyncio.to_thread(self.render, documents, wanted)
        await self._kept(self.store.keep_result, job, result)
        await self._kept(self.store.finish, job)

    async def _file(self, job: str, number: int) -> bytes:
        """A file's bytes, kept until the job asks for another one."""
        there, data = self._data.get(job, (None, b""))
        if there != number:
            data = await self._kept(self.store.file, job, number)
            self._data[job] = number, data
        return data

    async def _kept(self, call: Callable[..., T], job: str, *others: Any) -> T:
        """Call the store about a job; while it does not answer, or has no room, wait."""
        told = False
        while True:
            try:
                return await asyncio.to_thread(call, job, *others)
            except (DiskFull, JobsNotOpen) as error:
                if not told:
                    log.error("job %s waits: %s", job, error)
                told = True
            await asyncio.sleep(PATIENCE_S)

    async def _look_after(self) -> None:
        """Say what is worked on, take over what nobody works on, forget what is old."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except Exception:  # a database that does not answer now may do so in a while
                log.exception("jobs could not be looked after")

    async def _look(self) -> None:
        await asyncio.to_thread(self.store.touch, list(self._at_work))
        for job in await asyncio.to_thread(self.store.stalled, STALLED_S):
            log.warning("job %s is taken over", job)
            await asyncio.to_thread(self.store.touch, [job])
            await DBOS.resume_workflow_async(job, queue_name=QUEUE)
        expired = await asyncio.to_thread(self.store.expire, self.keep_s)
        if expired:
            await DBOS.delete_workflows_async(expired)
        await self._forget_refused()

    async def _forget_refused(self) -> None:
        """Delete jobs that could be stored but not begun, of which their clients know nothing."""
        waiting = await asyncio.to_thread(self.store.waiting, STALLED_S)
        begun = await DBOS.list_workflows_async(workflow_ids=waiting) if waiting else []
        for job in set(waiting) - {each.workflow_id for each in begun}:
            with suppress(JobUnknown):
                await asyncio.to_thread(self.store.delete, job)


def _told(error: Exception) -> OcrError:
    """What is told of an error: those that are not the project's own stay in the log."""
    if isinstance(error, OcrError):
        return error
    if is_full(error):
        return DiskFull("no room for jobs")
    return OcrError("see the server's log")


# DBOS finds workflows and steps by the names of functions, so they are functions of this module;
# what they work with is this process's one Jobs.
_jobs: Jobs | None = None
# A runner that died is back in a few seconds.
RETRIES: dict[str, Any] = {
    "retries_allowed": True,
    "max_attempts": 5,
    "interval_seconds": 2.0,
    "should_retry": lambda error: not isinstance(error, JobUnknown),
}


def _this() -> Jobs:
    if _jobs is None:
        raise RuntimeError("no Jobs are open in this process")
    return _jobs


@DBOS.workflow(name="ocr-job")
async def _work(job: str) -> None:
    await _this().work(job)


@DBOS.step(name="count", **RETRIES)
async def _count(job: str) -> list[list[int]]:
    return await _this().count(job)


@DBOS.step(name="read", **RETRIES)
async def _read(job: str, number: int, first: int, pages: list[int]) -> bool:
    return await _this().read(job, number, first, pages)


@DBOS.step(name="finish", **RETRIES)
async def _finish(job: str) -> None:
    await _this().finish(job)
