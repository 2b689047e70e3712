"""What tests of bulk work share: an object store, pages that are done, models without Ray."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ocr.bulk import rows, stages
from ocr.bulk.inputs import DONE, OCCURRENCE, SOURCE
from ocr.bulk.models import Model, Models, ShippedModel
from ocr.bulk.stages import Stages
from ocr.bulk.work import Input, PageWork
from ocr.document import Line, Page
from ocr.errors import OcrError
from ocr.model import read_detection_model, read_recognition_model
from ocr.settings import Settings
from tests.bulk.store import Lake, environment, forget, in_store, on_disk, served

QUAD = np.array([[1, 2], [30.5, 2], [30.5, 12], [1, 12]], np.float32)
NUMBERS = itertools.count(1)  # of buckets


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
    forget()
    with served() as url:
        yield url
    forget()


@pytest.fixture
def bucket(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A bucket of its own for each test."""
    for name, value in environment(store_url).items():
        monkeypatch.setenv(name, value)
    return in_store(store_url, f"bucket-{next(NUMBERS)}")


@pytest.fixture(params=["disk", "S3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """A folder on disk, and one in an object store."""
    if request.param == "disk":
        return on_disk(str(tmp_path))
    made: Lake = request.getfixturevalue("bucket")
    return made


def read_page(
    source: str, number: int = 1, count: int = 1, occurrence: int = 0, text: str = "text"
) -> PageWork:
    """A page that was read, with one line."""
    page = Page(40, 20, [Line(QUAD, text, 0.9876)])
    return PageWork(Input(source, occurrence), number, count, seconds=0.25).read(page)


def failed(source: str, error: OcrError, occurrence: int = 0) -> PageWork:
    """An input that could not be opened."""
    return PageWork(Input(source, occurrence)).failed(error)


def table_of(*works: PageWork) -> pa.Table:
    return rows.table(works, "detection@1", "recognition@2")


def asked(*sources: str, done: tuple[int, ...] = ()) -> pa.Table:
    """Inputs as the first stage gets them."""
    schema = pa.schema(
        [(SOURCE, pa.string()), (OCCURRENCE, pa.int32()), (DONE, pa.list_(pa.int32()))]
    )
    return pa.Table.from_pylist(
        [{SOURCE: source, OCCURRENCE: 0, DONE: list(done)} for source in sources], schema
    )


async def nobody(asked: Any) -> Any:
    raise AssertionError("no network is asked here")


class AtHand(ShippedModel[Model]):
    """A model whose folder is on this machine; `files` is that folder."""

    def folder(self) -> Path:
        return Path(self.files)


@pytest.fixture(scope="session")
def at_hand(model_folders: tuple[Path, Path]) -> Models:
    detection, recognition = model_folders
    return Models(
        AtHand("detection@1", read_detection_model(detection), detection),
        AtHand("recognition@2", read_recognition_model(recognition), recognition),
    )


@pytest.fixture(scope="session")
def decoders() -> Iterator[None]:
    """Ends what the stages have started to open files when the session ends."""
    used: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        made = stages._decoders

        def noted(settings: Settings) -> Any:
            if made(settings) not in used:
                used.append(made(settings))
            return made(settings)

        patch.setattr(stages, "_decoders", noted)
        yield
    for each in used:
        each.close()
    made.cache_clear()


@pytest.fixture
def stages_with(at_hand: Models, decoders: None) -> Callable[..., Stages]:
    """Gives the stages for some settings."""

    def made(**changed: Any) -> Stages:
        settings = Settings(threads=2).model_copy(update=changed)
        return Stages(settings, at_hand)

    return made
