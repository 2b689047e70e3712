"""OCR, the Bento service: HTTP and nothing else."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

import bentoml
from bentoml import server_context
from bentoml.exceptions import BentoMLException
from pydantic import Field
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from ocr import decode, logs, pipeline
from ocr.budget import Budget
from ocr.decoders import Decoders
from ocr.detection.detector import Boxes
from ocr.document import Document, Pixels
from ocr.errors import (
    BadRequest,
    Busy,
    InferenceFailed,
    OcrError,
    PictureError,
    SourceError,
    TooManyImages,
)
from ocr.formats import hub
from ocr.formats.catalogue import FORMATS
from ocr.malloc import MALLOC
from ocr.model import DetectionModel, RecognitionModel
from ocr.reader import Reader
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.runtime import check_device
from ocr.settings import Settings
from ocr.sources import Sources
from ocr.turns import Turns
from ocr.wanted import Wanted
from runners.calls import call_one
from runners.control import close_control
from runners.detection import Detection
from runners.door import RunnerDoor
from runners.name import process_name
from runners.observer import RunnerObserver
from runners.readiness import tell_who_is_not_ready
from runners.recognition import Recognition
from runners.shutdown import answer_before_ending
from runners.store import model_folder
from runners.tracing import trace_stages, tracing_options
from runners.watchdog import show_life, watch_workers
from runners.wire import receive_readings, send_lines
from web import metrics
from web.app import HEALTH_PICTURE, create_app
from web.cors import cors_options
from web.door import Door, error_response
from web.headers import SecurityHeaders
from web.keys import Keys
from web.observer import Observer
from web.traffic import bound_paths
from web.uploads import Upload

if TYPE_CHECKING:
    from ocr.jobs.work import Jobs

log = logging.getLogger("ocr.service")
# For the workers, which are started with it. Names are looked up in these threads of uvloop, of
# which there are four: a few names that do not resolve would hold up all others.
for variable, value in {**MALLOC, "UV_THREADPOOL_SIZE": "32"}.items():
    os.environ.setdefault(variable, value)
settings = Settings()
models = settings.models
logs.configure(settings.log_format, process_name)
answer_before_ending()
watch_workers(settings.runner_timeout_s)
close_control()
bound_paths()
tell_who_is_not_ready()

# Asked for what it cannot do, the service says so at start, in one line: a worker that fails is
# started again and again.
try:
    check_device(settings.device)
    for entry in (models.detection, models.recognition):
        model_folder(entry)
except OcrError as error:
    raise BentoMLException(f"{error.code}: {error}") from None

# Into an image of a distribution that it knows BentoML puts a compiler and git as well. All that is
# needed here comes in wheels.
IMAGE = bentoml.images.Image(
    base_image="python:3.11-slim", python_version="3.11", distro="slim"
).run("install -d -o 1034 -g 1034 /var/lib/ocr")  # a volume takes its owner from what it hides

JOBS_RETRY_S = 5.0  # between two tries to open the database of jobs
WARM_UP_S = 0.5  # between two tries to read the first picture
Images = Annotated[
    list[str],
    Field(description="each a http(s) URL, a data URI or bare base64"),
]

web_app = create_app(
    lambda: cast(OCR, bentoml.get_current_service()),
    lambda: cast(dict[str, Any], service.openapi_spec.asdict()),
    settings.max_images,
    settings.jobs_url is not None,
)


@bentoml.service(
    name="OCR",
    http={"port": 9533},
    workers=settings.workers,
    image=IMAGE,
    logging={"access": {"enabled": False}},  # the observer's line tells more
    **tracing_options(settings),
)
@bentoml.asgi_app(web_app, path="/")
class OCR:
    """Chinese and English text out of pictures, with where it stands and how sure it is."""

    detection = bentoml.depends(Detection)
    recognition = bentoml.depends(Recognition)

    def __init__(self) -> None:
        self.sources = Sources(
            settings.max_image_bytes, settings.url_timeout_s, settings.allow_private_urls
        )
        self.budget = Budget(settings.pixels_in_work)
        self.decoders = Decoders(
            settings.decoders, settings.decode_timeout_s, settings.decode_bytes
        )
        story = pipeline.Pipeline(
            cast(DetectionModel, models.detection.model),
            cast(RecognitionModel, models.recognition.model),
            self._detect,
            self._recognise,
            settings.min_confidence,
        )
        self.turns = Turns(settings.pages_at_once, settings.max_waiting, settings.timeout_s)
        self.reader = self._make_reader(story, settings.decode_limits)
        self.jobs: Jobs | None = None
        self._long_reader = self._make_reader(story, settings.job_limits)
        self._warm = False
        self._life: asyncio.Task[None] | None = None
        self._starting: list[asyncio.Task[None]] = []

    def _make_reader(self, story: pipeline.Pipeline, limits: decode.DecodeLimits) -> Reader:
        opened, executor = self.decoders.opened, self.decoders.executor
        reader = Reader(story, self.sources, limits, self.budget, self.turns, opened, executor)
        reader.told = lambda page: metrics.count_page(len(page.lines))
        return reader

    @bentoml.on_startup
    async def open(self) -> None:
        trace_stages()
        self._life = show_life()
        await self.sources.__aenter__()
        self._starting.append(asyncio.create_task(self._warm_up()))
        if settings.jobs_url is not None:
            self._starting.append(asyncio.create_task(self._open_jobs(settings.jobs_url)))

    async def __is_ready__(self) -> bool:
        """Whether this process has read a picture; BentoML asks the runners as well."""
        return self._warm

    @bentoml.on_shutdown
    async def close(self) -> None:
        for task in self._starting:
            task.cancel()
        if self.jobs is not None:
            await self.jobs.close()
        await self.sources.__aexit__(None, None, None)
        await asyncio.to_thread(self.decoders.close)

    @bentoml.api(route="/ocr_system", output_spec=hub.HubAnswer)
    async def ocr_system(self, images: Images) -> Response:
        """Read images: the lines of each, in reading order, with confidence and place."""
        return await self._answer(images)

    @bentoml.api(route="/predict/ocr_system", output_spec=hub.HubAnswer)
    async def predict_ocr_system(self, images: Images) -> Response:
        """The same as /ocr_system, under the name that PaddleHub gave it."""
        return await self._answer(images)

    async def capabilities(self) -> dict[str, Any]:
        """What this server runs and takes."""
        detection, recognition = await asyncio.gather(
            self.detection.to_async.describe(), self.recognition.to_async.describe()
        )
        return {
            "preset": settings.preset,
            "device": settings.device,
            "detection": detection,
            "recognition": recognition,
            "formats": {"input": list(decode.FORMATS), "output": list(FORMATS)},
            "jobs": self.jobs is not None,
            "limits": settings.model_dump(
                include={
                    "max_images",
                    "max_request_bytes",
                    "max_image_bytes",
                    "max_pixels",
                    "max_pages",
                    "max_jobs",
                    "max_job_pages",
                    "max_concurrency",
                    "timeout_s",
                    "url_timeout_s",
                }
            ),
        }

    async def read_files(self, uploads: Sequence[Upload], wanted: Wanted) -> list[Document]:
        """Read files side by side; one that cannot be read is a document with its error.

        Raises Busy if too many are waiting.
        """
        with self._admitted(len(uploads)):
            return await asyncio.gather(*(self._document(each, wanted) for each in uploads))

    async def _document(self, upload: Upload, wanted: Wanted) -> Document:
        outcome = await self._outcome(self.reader.read_file(upload.data, wanted, upload.source))
        if isinstance(outcome, OcrError):
            return Document([], upload.source, error=outcome)
        return outcome

    async def render(self, documents: Sequence[Document], wanted: Wanted) -> bytes:
        """All documents in the format that is wanted, as one file."""
        return await asyncio.to_thread(self.decoders.render, documents, wanted)

    async def _warm_up(self) -> None:
        """Read a picture, so that the first client does not wait for what happens only once."""
        told = ""
        while not self._warm:
            try:
                await self.reader.read_bytes(HEALTH_PICTURE.read_bytes())
                self._warm = True
            except Exception as error:  # the runners start at the same time
                if str(error) != told:
                    told = str(error)
                    log.info("not ready yet: %s", error)
                await asyncio.sleep(WARM_UP_S)

    async def _open_jobs(self, url: str) -> None:
        """Work on jobs as soon as their database is there; pictures are read without it."""
        process = f"{settings.jobs_process}-{server_context.worker_index}"
        told = ""
        while self.jobs is None:
            try:
                jobs = await asyncio.to_thread(self._make_jobs, url, process)
                await jobs.open()
                self.jobs = jobs
            except Exception as error:
                if str(error) != told:  # once, not every few seconds
                    told = str(error)
                    log.error("jobs cannot be taken: %s", error, exc_info=_unexpected(error))
                await asyncio.sleep(JOBS_RETRY_S)

    def _make_jobs(self, url: str, process: str) -> "Jobs":
        from ocr.jobs.work import Jobs  # its libraries take 50 MB, which the runners do without

        return Jobs(
            url,
            process,
            self._long_reader,
            self.decoders.render,
            settings.max_jobs,
            settings.jobs_keep_s,
            pages_at_once=max(1, settings.batch_pages // 2),  # leaves room for who waits
        )

    async def _answer(self, images: list[str]) -> Response:
        if not images:
            return error_response(BadRequest("images: at least one is needed"))
        if len(images) > settings.max_images:
            return error_response(
                TooManyImages(f"{len(images)} images, the limit is {settings.max_images}")
            )
        try:
            with self._admitted(len(images)):
                outcomes = await asyncio.gather(
                    *(self._outcome(self.reader.read(image)) for image in images)
                )
        except Busy as error:
            return error_response(error)
        return JSONResponse(hub.answer(outcomes), _status(outcomes))

    @contextmanager
    def _admitted(self, images: int) -> Iterator[None]:
        try:
            with self.turns.admitted(images):
                metrics.images_waiting().set(self.turns.images)
                yield
        finally:
            metrics.images_waiting().set(self.turns.images)

    async def _outcome(self, reading: Awaitable[Document]) -> Document | OcrError:
        """What comes of one file."""
        try:
            outcome = await _outcome(reading)
            metrics.count_image(outcome.code if isinstance(outcome, OcrError) else metrics.READ)
            return outcome
        finally:
            self.turns.done()
            metrics.images_waiting().set(self.turns.images)

    async def _detect(self, image: Pixels) -> Boxes:
        return cast(Boxes, await call_one(self.detection.to_async.detect, image))

    async def _recognise(self, lines: PackedLines) -> list[Reading]:
        answer = await call_one(self.recognition.to_async.recognise, send_lines(lines))
        return receive_readings(answer)


def _unexpected(error: Exception) -> Exception | None:
    """The error if it is none of ours, which say all that there is to say."""
    return None if isinstance(error, OcrError) else error


async def _outcome(reading: Awaitable[Document]) -> Document | OcrError:
    try:
        return await reading
    except InferenceFailed as error:
        log.error("an image could not be read: %s", error)
        return error
    except OcrError as error:
        return error
    except Exception:  # one image must not cost the others their answer
        log.exception("an image could not be read")
        return OcrError("see the server's log")


def _status(outcomes: Sequence[Document | OcrError]) -> int:
    """200 if anything was read; else whose fault it is, the images' or the server's."""
    if not all(isinstance(outcome, OcrError) for outcome in outcomes):
        return 200
    theirs = any(isinstance(outcome, SourceError | PictureError) for outcome in outcomes)
    return 422 if theirs else 500


service: Any = OCR  # what BentoML's decorator made of the class
# Of each the first one is the outermost.
runners: list[Any] = [Detection, Recognition]
for runner in runners:
    runner.add_asgi_middleware(RunnerObserver)
    runner.add_asgi_middleware(RunnerDoor)
service.add_asgi_middleware(Observer)
if settings.cors_origins:
    service.add_asgi_middleware(CORSMiddleware, **cors_options(settings))
service.add_asgi_middleware(SecurityHeaders)
service.add_asgi_middleware(Keys, settings=settings)
service.add_asgi_middleware(Door, settings=settings)
