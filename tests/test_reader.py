"""The way of a file through the reader: which pages, when, and what comes along with them."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import numpy as np
import pikepdf
import pytest
from PIL import Image

from ocr.budget import Budget
from ocr.decode import DecodeLimits
from ocr.document import Page, Pixels
from ocr.errors import ImageDamaged, ImageTooLarge, InferenceFailed, PagesOutOfRange
from ocr.pipeline import Pipeline
from ocr.reader import AHEAD, Reader
from ocr.sources import Sources
from ocr.turns import Turns
from ocr.wanted import Wanted
from tests import pdfs, pictures
from tests.pdfs import HEIGHT, WIDTH, text
from tests.pictures import encoded

WRITTEN = text("The quick brown fox", 30, 150)
DRAWN = "0 0 100 100 re f"  # a page that has to be read
PIXELS = 833 * 556  # of such a page


class Watching:
    """Instead of a pipeline: notes what it reads and how much is held meanwhile."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.shapes: list[tuple[int, ...]] = []
        self.held: list[int] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.fails_at = -1

    def without_words(self) -> "Watching":
        return self

    async def read(self, page: Pixels) -> Page:
        index = len(self.shapes)
        self.shapes.append(page.shape)
        await asyncio.sleep(0.05)
        await self.goes_on.wait()
        self.held.append(self.budget.used)
        if index == self.fails_at:
            raise InferenceFailed("it failed")
        return Page(page.shape[1], page.shape[0])


def reader_of(limits: DecodeLimits, total: int, turns: int = 8) -> tuple[Reader, Watching]:
    budget = Budget(total)
    watching = Watching(budget)
    return Reader(cast(Pipeline, watching), Sources(), limits, budget, Turns(turns)), watching


@asynccontextmanager
async def watched(
    limits: DecodeLimits | None = None, total: int = 10 * PIXELS, turns: int = 8
) -> AsyncIterator[tuple[Reader, Watching]]:
    reader, watching = reader_of(limits or DecodeLimits(), total, turns)
    yield reader, watching
    assert reader.budget.used == 0


async def read(data: bytes, wanted: Wanted | None = None) -> list[Page]:
    async with watched() as (reader, _):
        return (await reader.read_file(data, wanted or Wanted())).pages


def tiff(count: int) -> bytes:
    first, *others = (Image.new("RGB", (20 + i, 10), "white") for i in range(count))
    return encoded(first, "TIFF", save_all=True, append_images=others)


# Pages


def test_pages_of_a_pdf_are_taken_or_read() -> None:
    written, drawn = asyncio.run(read(pdfs.of(WRITTEN, DRAWN)))
    assert (written.number, written.text_layer, written.dpi) == (1, True, 200)
    assert (written.text, written.width, written.height) == ("The quick brown fox", 833, 556)
    assert (drawn.number, drawn.text_layer, drawn.dpi) == (2, False, 200)
    assert drawn.lines == []


def test_what_is_taken_comes_in_reading_order() -> None:
    content = text("third", 30, 50) + text("first", 30, 150) + text("second", 30, 100)
    (page,) = asyncio.run(read(pdfs.of(content)))
    assert page.text == "first\nsecond\nthird"
    (turned,) = asyncio.run(read(pdfs.of(content, Rotate=180)))
    assert (turned.text, turned.rotation) == ("first\nsecond\nthird", 180)


def test_only_what_is_read_or_shown_is_drawn() -> None:
    async def run() -> list[tuple[int, ...]]:
        async with watched(DecodeLimits(pixels=1)) as (reader, watching):
            await reader.read_file(pdfs.of(WRITTEN), Wanted())
            with pytest.raises(ImageTooLarge, match="page 1: 833 x 556 pixels at 200 dpi"):
                await reader.read_file(pdfs.of(WRITTEN), Wanted(pictures=True))
            with pytest.raises(ImageTooLarge):
                await reader.read_file(pdfs.of(WRITTEN), Wanted(pdf_text="ignore"))
            return watching.shapes

    assert asyncio.run(run()) == []


@pytest.mark.parametrize("data", [pdfs.of(*[DRAWN] * 5), tiff(5)], ids=["PDF", "TIFF"])
@pytest.mark.parametrize(
    ("pages", "numbers"),
    [("", [1, 2, 3, 4, 5]), ("4-,2", [4, 5, 2]), ("5", [5]), ("3,1-3", [3, 1, 2])],
)
def test_the_wanted_pages_come_as_they_were_asked_for(
    data: bytes, pages: str, numbers: list[int]
) -> None:
    wanted = Wanted(pages=pages)
    reader, _ = reader_of(DecodeLimits(), PIXELS)
    assert asyncio.run(reader.count(data, wanted)) == numbers
    assert [page.number for page in asyncio.run(read(data, wanted))] == numbers


@pytest.mark.parametrize("data", [pdfs.of(DRAWN), tiff(1), pictures.to_png(pictures.empty().image)])
def test_pages_that_are_not_there(data: bytes) -> None:
    assert [page.number for page in asyncio.run(read(data, Wanted(pages="1")))] == [1]
    with pytest.raises(PagesOutOfRange):
        asyncio.run(read(data, Wanted(pages="1-2")))


def test_the_limit_of_pages_is_of_those_that_are_wanted() -> None:
    async def run(pages: str) -> list[int]:
        async with watched(DecodeLimits(pages=2)) as (reader, _):
            found = await reader.read_file(pdfs.of(*[WRITTEN] * 4), Wanted(pages=pages))
            return [page.number for page in found.pages]

    assert asyncio.run(run("3-")) == [3, 4]
    with pytest.raises(ImageTooLarge, match="4 pages, the limit is 2"):
        asyncio.run(run(""))


def test_a_picture_has_the_resolution_that_it_says() -> None:
    data = encoded(Image.new("RGB", (60, 40)), "PNG", dpi=(300, 300))
    (page,) = asyncio.run(read(data))
    assert page.dpi == pytest.approx(300, abs=1)
    (page,) = asyncio.run(read(tiff(1)))
    assert page.dpi is None


# Side by side


def test_pages_of_a_file_are_read_ahead_and_come_in_their_order() -> None:
    async def run() -> tuple[list[int], int]:
        async with watched() as (reader, watching):
            found = await reader.read_file(pdfs.of(*[DRAWN] * 9), Wanted())
            return [page.number for page in found.pages], max(watching.held)

    numbers, most = asyncio.run(run())
    assert numbers == list(range(1, 10))
    assert PIXELS < most <= AHEAD * PIXELS


def test_files_share_the_turns() -> None:
    async def run() -> list[int]:
        async with watched(turns=2) as (reader, watching):
            files = [reader.read_file(pdfs.of(*[DRAWN] * 3), Wanted()) for _ in range(3)]
            await asyncio.wait_for(asyncio.gather(*files), 30)
            return watching.held

    held = asyncio.run(run())
    assert len(held) == 9
    assert max(held) == 2 * PIXELS


def test_pages_that_fit_only_alone_are_read_alone() -> None:
    async def run() -> list[int]:
        async with watched(total=PIXELS * 3 // 2) as (reader, watching):
            files = [reader.read_file(pdfs.of(*[DRAWN] * 3), Wanted()) for _ in range(3)]
            await asyncio.wait_for(asyncio.gather(*files), 30)
            return watching.held

    assert asyncio.run(run()) == [PIXELS] * 9


def test_pages_before_a_broken_one_are_given() -> None:
    def spoil(pdf: pikepdf.Pdf) -> None:
        pdf.Root.Pages.Kids[1] = pikepdf.Dictionary(Type=pikepdf.Name.Font)

    async def run() -> list[int]:
        found = []
        async with watched() as (reader, _):
            data = pdfs.changed(pdfs.of(DRAWN, DRAWN, DRAWN), spoil)
            with pytest.raises(ImageDamaged, match="page 2"):
                async for page in reader.pages(data, Wanted()):
                    found.append(page.number)
        return found

    assert asyncio.run(run()) == [1]


def test_a_page_that_cannot_be_read_gives_back_what_it_holds() -> None:
    async def run() -> None:
        async with watched() as (reader, watching):
            watching.fails_at = 1
            with pytest.raises(InferenceFailed):
                await reader.read_file(pdfs.of(*[DRAWN] * 4), Wanted())

    asyncio.run(run())


def test_who_stops_early_leaves_nothing_behind() -> None:
    async def run() -> None:
        async with watched() as (reader, watching):
            async with aclosing(reader.pages(pdfs.of(*[DRAWN] * 9), Wanted())) as found:
                assert (await anext(found)).number == 1
            assert len(watching.shapes) <= 1 + AHEAD < 9

    asyncio.run(run())


@pytest.mark.parametrize("after", [0.0, 0.02, 0.2])
def test_a_request_that_is_given_up_leaves_nothing_behind(after: float) -> None:
    async def run() -> None:
        async with watched() as (reader, watching):
            watching.goes_on.clear()
            task = asyncio.create_task(reader.read_file(pdfs.of(*[DRAWN] * 4), Wanted()))
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())


# What comes along


def test_a_document_is_called_as_it_came_and_is_a_pdf_only_for_one() -> None:
    async def run() -> None:
        async with watched() as (reader, _):
            data = pdfs.of(WRITTEN)
            document = await reader.read_file(data, Wanted(format="pdf"), "scan.pdf")
            assert (document.source, document.pdf) == ("scan.pdf", data)
            assert (await reader.read_file(data, Wanted(format="png"))).pdf is None
            assert (await reader.read_file(tiff(1), Wanted(format="pdf"))).pdf is None
            assert (await reader.read_bytes(data)).pages[0].text_layer

    asyncio.run(run())


def size(page: Page) -> tuple[int, int]:
    assert page.picture is not None
    with Image.open(io.BytesIO(page.picture.data)) as image:
        return image.size


@pytest.mark.parametrize(
    ("wanted", "width"),
    [
        (Wanted(), None),
        (Wanted(format="text"), None),
        (Wanted(pictures=True, dpi=600), 1600),
        (Wanted(pictures=True), 833),
        (Wanted(format="pdf", dpi=600), 2500),
        (Wanted(format="png", dpi=600), 2500),
    ],
)
def test_pictures_come_only_if_asked_for(wanted: Wanted, width: int | None) -> None:
    for page in asyncio.run(read(pdfs.of(WRITTEN, DRAWN), wanted)):
        assert (page.picture is None) == (width is None)
        if width is not None:
            across, down = size(page)
            assert across == width
            assert down == pytest.approx(width * HEIGHT / WIDTH, abs=1)


def test_a_jpeg_stays_as_it_is_where_that_is_what_is_shown() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 2000, 3), np.uint8)
    data = pictures.to_jpeg(noise)
    (page,) = asyncio.run(read(data, Wanted(format="pdf")))
    assert page.picture is not None
    assert page.picture.data == data
    (page,) = asyncio.run(read(data, Wanted(pictures=True)))
    assert size(page) == (1600, 720)
    small = pictures.to_jpeg(noise[:, :1600])
    (page,) = asyncio.run(read(small, Wanted(pictures=True)))
    assert page.picture is not None
    assert page.picture.data == small


def test_a_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)
    (page,) = asyncio.run(read(data, Wanted(format="pdf")))
    assert size(page) == (40, 60) == (page.width, page.height)


# With the real pipeline


def test_a_scanned_page_of_a_pdf_is_read(reader: Pipeline) -> None:
    drawn = pictures.page(pictures.CHINESE[:3])
    file = io.BytesIO()
    Image.fromarray(drawn.image).save(file, "PDF", resolution=150)
    real = Reader(reader, Sources(), DecodeLimits(), Budget(10**8))
    document = asyncio.run(real.read_file(file.getvalue(), Wanted(dpi=150)))
    (page,) = document.pages
    assert page.text.split("\n") == drawn.texts
    assert np.abs([line.quad for line in page.lines] - drawn.quads).max() < 16


def test_what_is_taken_and_what_is_read_agree(reader: Pipeline) -> None:
    data = pdfs.of(text("Thank you for your patience", 20, 150) + text("Open on Monday", 20, 90))
    real = Reader(reader, Sources(), DecodeLimits(), Budget(10**8))
    (taken,) = asyncio.run(real.read_file(data, Wanted())).pages
    (seen,) = asyncio.run(real.read_file(data, Wanted(pdf_text="ignore"))).pages
    assert (taken.text_layer, seen.text_layer) == (True, False)
    assert taken.text == seen.text == "Thank you for your patience\nOpen on Monday"
    quads = [[line.quad for line in page.lines] for page in (taken, seen)]
    assert np.abs(np.array(quads[0]) - quads[1]).max() < 16
