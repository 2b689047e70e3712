"""The networks' actors: a page fails alone, a network that is broken ends its process."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ocr import geometry
from ocr.bulk import networks
from ocr.bulk.models import Models
from ocr.bulk.networks import Detect, Recognise
from ocr.bulk.work import Input, PageWork, UnreadPage, pack, unpack
from ocr.errors import ImageDamaged, InferenceFailed, ModelMissing
from ocr.locator import Locator
from ocr.model import DetectionModel
from ocr.settings import Settings
from tests import pictures
from tests.bulk.conftest import AtHand, failed, nobody, read_page
from tests.conftest import ROOT
from tests.pictures import Drawn

TEXTS = pictures.ENGLISH[:2]
GOOD, OTHER = pictures.page(TEXTS), pictures.page(pictures.ENGLISH[2:5])
BAD = pictures.page(pictures.ENGLISH[5:6], width=700)
BROKEN = """
import sys
from pathlib import Path
from ocr.bulk.networks import {kind}
from ocr.bulk.work import pack
from ocr.errors import InferenceFailed
from ocr.settings import Settings
from tests.bulk.conftest import AtHand
from tests.bulk.test_networks import GOOD, located, undetected

actor = {kind}(AtHand("model", None, Path(sys.argv[1])), Settings(), 1)
actor.{network}.network.each = lambda items, finish: [InferenceFailed("gone") for _ in items]
print("ready", flush=True)
actor(pack([{page}]))
print("still here")
"""


@pytest.fixture(scope="module")
def detect(at_hand: Models) -> Detect:
    return Detect(at_hand.detection, Settings(), 2)


@pytest.fixture(scope="module")
def recognise(at_hand: Models) -> Recognise:
    return Recognise(at_hand.recognition, Settings(), 2)


@pytest.fixture
def height(at_hand: Models) -> int:
    """Of the crops that recognition takes."""
    return at_hand.recognition.model.height


@pytest.fixture
def unlocated(at_hand: Models) -> Callable[[Drawn], PageWork]:
    return partial(undetected, at_hand.detection.model)


def undetected(model: DetectionModel, drawn: Drawn) -> PageWork:
    """A page as decoding gives it."""
    shown = Locator(model, nobody).prepare(drawn.image)
    return PageWork(Input("a"), 1, 1, UnreadPage(drawn.image, shown=tuple(shown)))


def located(drawn: Drawn, height: int) -> PageWork:
    """A page as cropping gives it, with crops of a height."""
    crops = [[geometry.crop(drawn.image, quad, height, 0)] for quad in drawn.quads]
    return PageWork(Input("a"), 1, 1, UnreadPage(drawn.image).located(drawn.quads).cut(crops))


def run(actor: Detect | Recognise, *works: PageWork) -> list[PageWork]:
    return unpack(actor(pack(works)), PageWork)


def lines_found(work: PageWork) -> int:
    assert work.unread is not None
    return len(work.unread.quads)


def texts(work: PageWork) -> list[str]:
    assert work.page is not None
    return [line.text for line in work.page.lines]


def failing(
    monkeypatch: pytest.MonkeyPatch, network: Any, name: str, bad: Callable[[Any], bool]
) -> None:
    """Make a network fail of some of what it is asked."""
    before = getattr(network, name)

    def call(asked: Sequence[Any]) -> list[Any]:
        found = before(asked)
        return [
            InferenceFailed("it failed") if bad(each) else answer
            for each, answer in zip(asked, found, strict=True)
        ]

    monkeypatch.setattr(network, name, call)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which this process would have ended."""
    statuses: list[int] = []
    monkeypatch.setattr("os._exit", statuses.append)
    return statuses


# Pages


def test_lines_are_found(detect: Detect, unlocated: Callable[[Drawn], PageWork]) -> None:
    first, second = run(detect, unlocated(GOOD), unlocated(OTHER))
    assert (lines_found(first), lines_found(second)) == (2, 3)
    assert first.unread is not None
    assert first.unread.shown == ()  # of no use any more, and large
    assert (first.unread.pixels == GOOD.image).all()
    assert first.seconds == second.seconds > 0


def test_lines_are_read(recognise: Recognise, height: int) -> None:
    first, second = run(recognise, located(GOOD, height), located(OTHER, height))
    assert texts(first) == list(TEXTS)
    assert len(texts(second)) == 3
    assert first.unread is None
    assert first.page is not None
    assert (first.page.width, first.page.height) == (900, GOOD.image.shape[0])
    assert not any(line.words for line in first.page.lines)


def test_what_is_over_already_passes_by(
    detect: Detect, recognise: Recognise, unlocated: Callable[[Drawn], PageWork], height: int
) -> None:
    over = [read_page("a"), failed("b", ImageDamaged("no"))]
    for actor, page in ((detect, unlocated(GOOD)), (recognise, located(GOOD, height))):
        read_before, _, failed_before = run(actor, over[0], page, over[1])
        assert read_before.page is not None
        assert (read_before.page.text, read_before.seconds) == ("text", over[0].seconds)
        assert (str(failed_before.error), failed_before.seconds) == ("no", 0)
        assert [type(each) for each in run(actor, *over)] == [PageWork, PageWork]
        assert run(actor) == []


def test_lines_below_the_least_confidence_are_left_out(at_hand: Models, height: int) -> None:
    strict = Recognise(at_hand.recognition, Settings(min_confidence=1.0), 1)
    (work,) = run(strict, located(GOOD, height))
    assert texts(work) == []


# Failures


def test_a_page_that_detection_fails_of_fails_alone(
    detect: Detect,
    unlocated: Callable[[Drawn], PageWork],
    monkeypatch: pytest.MonkeyPatch,
    ended: list[int],
) -> None:
    bad = unlocated(BAD)
    assert bad.unread is not None
    shapes = {tile.pixels.shape for tile in bad.unread.shown}
    failing(monkeypatch, detect._detector, "detect", lambda shown: shown.shape in shapes)
    first, second, third = run(detect, unlocated(GOOD), bad, unlocated(OTHER))
    assert (lines_found(first), lines_found(third)) == (2, 3)
    assert isinstance(second.error, InferenceFailed)
    assert second.unread is None
    assert ended == []


def test_a_page_that_recognition_fails_of_fails_alone(
    recognise: Recognise, monkeypatch: pytest.MonkeyPatch, height: int, ended: list[int]
) -> None:
    one_line = 1
    failing(
        monkeypatch,
        recognise._recogniser,
        "recognise",
        lambda packed: len(packed.widths) == one_line and packed.widths[0] > height,
    )
    pages = [located(drawn, height) for drawn in (GOOD, BAD, OTHER)]
    first, second, third = run(recognise, *pages)
    assert texts(first) == list(TEXTS)
    assert isinstance(second.error, InferenceFailed)
    assert len(texts(third)) == 3
    assert ended == []


def test_a_mistake_with_a_page_is_its_own(
    recognise: Recognise, height: int, ended: list[int]
) -> None:
    good = located(GOOD, height)
    assert good.unread is not None
    strange = good.is_now(good.unread.cut([]))  # lines without crops
    first, second = run(recognise, strange, good)
    assert first.error is not None
    assert first.error.code == "INTERNAL_ERROR"
    assert texts(second) == list(TEXTS)
    assert ended == []


def test_a_network_that_runs_again_goes_on(
    detect: Detect,
    unlocated: Callable[[Drawn], PageWork],
    monkeypatch: pytest.MonkeyPatch,
    ended: list[int],
) -> None:
    warmed: list[bool] = []
    monkeypatch.setattr(detect._detector, "warm_up", lambda: warmed.append(True))
    run(detect, unlocated(GOOD))
    assert warmed == []
    failing(monkeypatch, detect._detector, "detect", lambda shown: True)
    (work,) = run(detect, unlocated(GOOD))
    assert isinstance(work.error, InferenceFailed)
    assert (warmed, ended) == ([True], [])


@pytest.mark.parametrize("error", [InferenceFailed("gone"), RuntimeError("the device is lost")])
def test_a_network_that_does_not_run_at_all_is_broken(error: Exception, ended: list[int]) -> None:
    def warm_up() -> None:
        raise error

    networks._end_if_broken([failed("a", ImageDamaged("no")), read_page("b")], warm_up)
    assert ended == []
    networks._end_if_broken([read_page("b"), failed("a", InferenceFailed("no"))], warm_up)
    assert ended == [1]


@pytest.mark.parametrize(
    ("kind", "network", "page", "folder"),
    [
        ("Detect", "_detector", "undetected(actor._detector.model, GOOD)", 0),
        ("Recognise", "_recogniser", "located(GOOD, actor._recogniser.model.height)", 1),
    ],
    ids=["detection", "recognition"],
)
def test_a_broken_network_ends_its_process(
    kind: str, network: str, page: str, folder: int, model_folders: tuple[Path, Path]
) -> None:
    script = BROKEN.format(kind=kind, network=network, page=page)
    done = subprocess.run(
        [sys.executable, "-c", script, model_folders[folder]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "ready\n"), done.stderr
    assert "the network of this process is broken" in done.stderr


def test_a_model_that_cannot_be_opened_is_an_error_at_the_start(
    at_hand: Models, tmp_path: Path
) -> None:
    lost = AtHand("lost@1", at_hand.detection.model, tmp_path)
    with pytest.raises(ModelMissing):
        Detect(lost, Settings(), 1)
