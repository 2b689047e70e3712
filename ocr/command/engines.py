"""What turns files into files: the networks of this process, or a server."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ocr import local
from ocr.budget import Budget
from ocr.decode import DecodeLimits, File, numbers
from ocr.document import Page
from ocr.errors import (
    DeviceUnavailable,
    ModelDamaged,
    ModelError,
    ModelMissing,
    OcrError,
    ServerUnreachable,
)
from ocr.formats.catalogue import FORMATS
from ocr.model import DESCRIPTION
from ocr.pipeline import Pipeline
from ocr.progress import FilePages
from ocr.reader import Reader
from ocr.settings import Settings, available_cores
from ocr.sources import Sources
from ocr.turns import Turns
from ocr.wanted import Wanted

Render = Callable[[bytes, str, FilePages], Awaitable[bytes]]  # a file's bytes and its source

CLIENT_JOBS = 4


@dataclass(frozen=True)
class Engine:
    """`render` reads a file; as many calls as there are `jobs` keep it busy.

    `hopeless` are the errors that any other file would meet as well.
    """

    render: Render
    jobs: int
    hopeless: tuple[type[OcrError], ...]


class _ToldReader(Reader):
    """A reader of one file that tells of its pages."""

    def __init__(
        self,
        pipeline: Pipeline,
        sources: Sources,
        limits: DecodeLimits,
        budget: Budget,
        turns: Turns,
        told: FilePages,
    ) -> None:
        super().__init__(pipeline, sources, limits, budget, turns)
        self._told = told

    async def pages_of(self, file: File, wanted: Wanted) -> AsyncGenerator[Page, None]:
        if self._told.shown:
            self._told.begin(len(numbers(file, wanted, self.limits)))
        async with aclosing(super().pages_of(file, wanted)) as pages:
            async for page in pages:
                self._told.page()
                yield page


def here(wanted: Wanted, detection: Path, recognition: Path, settings: Settings) -> Engine:
    """The models of two folders in this process. Raises ModelError, DeviceUnavailable."""
    pipeline = local.pipeline(
        detection, recognition, settings.device, settings.network_threads, settings.min_confidence
    )
    limits = settings.own_limits
    budget, turns = Budget(settings.pixels_in_work), Turns(available_cores() + 1)
    draw = FORMATS[wanted.format].render

    async def render(data: bytes, source: str, told: FilePages) -> bytes:
        reader = _ToldReader(pipeline, Sources(), limits, budget, turns, told)
        document = await reader.read_file(data, wanted, source)
        return await asyncio.to_thread(draw, [document], wanted)

    return Engine(render, available_cores(), (ModelError, DeviceUnavailable))


@asynccontextmanager
async def there(wanted: Wanted, url: str, api_key: str | None) -> AsyncIterator[Engine]:
    """The server at a URL.

    Raises ModuleNotFoundError without httpx, ServerUnreachable and what the client raises if it
    does not say what it can do.
    """
    from ocr.client import AsyncClient, Retries

    async with AsyncClient(url, api_key=api_key, retries=Retries(count=3)) as client:
        await client.capabilities()
    # Busy it is with the files of this very batch, among others, and a restart may be waited for.
    retries = Retries(count=1000, total_s=600)
    async with AsyncClient(url, api_key=api_key, retries=retries) as client:

        async def render(data: bytes, source: str, told: FilePages) -> bytes:
            return await client.render(data, wanted, sources=[source])

        yield Engine(render, CLIENT_JOBS, (ServerUnreachable,))


def folders(settings: Settings, models: Path | None) -> tuple[Path, Path]:
    """The folders of a detection and a recognition model: in a folder, or in BentoML's store.

    Raises ModelMissing, ModelDamaged.
    """
    return _model_folders(models) if models else _stored(settings)


def _stored(settings: Settings) -> tuple[Path, Path]:
    try:
        import bentoml
        from bentoml.exceptions import NotFound
    except ModuleNotFoundError:
        raise ModelMissing("BentoML is not installed: name the models by --models DIR") from None
    try:
        detection, recognition = (
            Path(bentoml.models.get(entry.tag).path)
            for entry in (settings.models.detection, settings.models.recognition)
        )
    except NotFound as error:
        raise ModelMissing(f"{error}: run `python import_models.py`, or name --models") from None
    return detection, recognition


def _model_folders(folder: Path) -> tuple[Path, Path]:
    """The detection and the recognition model among a folder's folders.

    Raises ModelMissing if one is not there, ModelDamaged if there are several.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*/{DESCRIPTION}")):
        found.setdefault(_task(path), []).append(path.parent)
    return _only(found, "detection", folder), _only(found, "recognition", folder)


def _task(description: Path) -> str:
    try:
        return str(json.loads(description.read_text("utf-8"))["task"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"{description} does not describe a model: {error}") from error


def _only(found: dict[str, list[Path]], task: str, folder: Path) -> Path:
    paths = found.get(task, [])
    if not paths:
        raise ModelMissing(f"no folder with a {task} model in {folder}")
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise ModelDamaged(f"several {task} models in {folder}: {names}")
    return paths[0]
