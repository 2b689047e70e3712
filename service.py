"""OCR, the Bento service: HTTP and nothing else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import bentoml
from bentoml import server_context
from bentoml.exceptions import BentoMLException
from pydantic import Field
from starlette.responses import JSONResponse, Response

from ocr import decode, pipeline
from ocr.budget import Budget
from ocr.detection.detector import Boxes
from ocr.document import Document, Pixels
from ocr.errors import BadRequest, OcrError, PictureError, SourceError, TooManyImages
from ocr.formats import hub
from ocr.formats.catalogue import FORMATS
from ocr.model import DetectionModel, RecognitionModel
from ocr.reader import Reader
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.runtime import check_device
from ocr.settings import Settings
from ocr.sources import Sources
from ocr.wanted import Wanted
from runners.calls import call_one
from runners.detection import Detection
from runners.recognition import Recognition
from runners.shutdown import answer_before_ending
from runners.store import model_folder
from runners.wire import receive_readings, send_lines
from web.app import create_app
from web.door import Door, error_response
from web.uploads import Upload

if TYPE_CHECKING:
    from ocr.jobs.work import Jobs

log = logging.getLogger("ocr.service")
settings = Settings()
models = settings.models
answer_before_ending()

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
IMAGES_AT_ONCE = 2 * settings.batch_pages  # of one request, so that it leaves room for others
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
    # The door's limit comes first, this one is for what it cannot see.
    traffic={"timeout": settings.timeout_s + 60},
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
        story = pipeline.Pipeline(
            cast(DetectionModel, models.detection.model),
            cast(RecognitionModel, models.recognition.model),
            self._detect,
            self._recognise,
            settings.min_confidence,
        )
        budget = Budget(settings.pixels_in_work)
        self.reader = Reader(story, self.sources, settings.decode_limits, budget)
        self.jobs: Jobs | None = None
        self._long_reader = Reader(story, self.sources, settings.job_limits, budget)
        self._opening: asyncio.Task[None] | None = None

    @bentoml.on_startup
    async def open(self) -> None:
        await self.sources.__aenter__()
        if settings.jobs_url is not None:
            self._opening = asyncio.create_task(self._open_jobs(settings.jobs_url))

    @bentoml.on_shutdown
    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self.jobs is not None:
            await self.jobs.close()
        await self.sources.__aexit__(None, None, None)

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
        """Read files side by side; one that cannot be read is a document with its error."""
        turns = asyncio.Semaphore(IMAGES_AT_ONCE)
        return await asyncio.gather(*(self._document(each, wanted, turns) for each in uploads))

    async def _document(self, upload: Upload, wanted: Wanted, turns: asyncio.Semaphore) -> Document:
        read = partial(self.reader.read_file, upload.data, wanted, upload.source)
        outcome = await _outcome(read, turns)
        if isinstance(outcome, OcrError):
            return Document([], upload.source, error=outcome)
        return outcome

    async def _open_jobs(self, url: str) -> None:
        """Work on jobs as soon as their database is there; pictures are read without it."""
        process = f"{settings.jobs_process}-{server_context.worker_index}"
        told = ""
        while self.jobs is None:
            try:
                jobs = await asyncio.to_thread(_make_jobs, url, process, self._long_reader)
                await jobs.open()
                self.jobs = jobs
            except Exception as error:
                if str(error) != told:  # once, not every few seconds
                    told = str(error)
                    log.error("jobs cannot be taken: %s", error, exc_info=_unexpected(error))
                await asyncio.sleep(JOBS_RETRY_S)

    async def _answer(self, images: list[str]) -> Response:
        if not images:
            return error_response(BadRequest("images: at least one is needed"))
        if len(images) > settings.max_images:
            return error_response(
                TooManyImages(f"{len(images)} images, the limit is {settings.max_images}")
            )
        turns = asyncio.Semaphore(IMAGES_AT_ONCE)
        outcomes = await asyncio.gather(
            *(_outcome(partial(self.reader.read, image), turns) for image in images)
        )
        return JSONResponse(hub.answer(outcomes), _status(outcomes))

    async def _detect(self, image: Pixels) -> Boxes:
        return cast(Boxes, await call_one(self.detection.to_async.detect, image))

    async def _recognise(self, lines: PackedLines) -> list[Reading]:
        answer = await call_one(self.recognition.to_async.recognise, send_lines(lines))
        return receive_readings(answer)


def _make_jobs(url: str, process: str, reader: Reader) -> "Jobs":
    from ocr.jobs.work import Jobs  # its libraries take 50 MB, which the runners do without

    # Half a batch at once leaves room for who waits.
    at_once = max(1, settings.batch_pages // 2)
    return Jobs(url, process, reader, settings.max_jobs, settings.jobs_keep_s, at_once)


def _unexpected(error: Exception) -> Exception | None:
    """The error if it is none of ours, which say all that there is to say."""
    return None if isinstance(error, OcrError) else error


async def _outcome(
    read: Callable[[], Awaitable[Document]], turns: asyncio.Semaphore
) -> Document | OcrError:
    """What comes of one file, when it is its turn."""
    async with turns:
        try:
            return await read()
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
service.add_asgi_middleware(Door, settings=settings)
