"""The stages, one by one and one after the other, as Ray calls them but without it."""

import asyncio
import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ocr.budget import Budget
from ocr.bulk import rows, stages
from ocr.bulk.models import Models
from ocr.bulk.networks import Detect, Recognise
from ocr.bulk.stages import Stages
from ocr.bulk.work import Input, LoadedInput, PageWork, UnreadPage, pack, unpack
from ocr.document import Document
from ocr.errors import ImageDamaged
from ocr.pipeline import Pipeline
from ocr.reader import Reader
from ocr.settings import Settings
from ocr.sources import Sources
from ocr.wanted import Wanted
from tests import pdfs, pictures
from tests.bulk.conftest import asked, failed, read_page
from tests.bulk.store import Lake
from tests.hosts import host
from tests.pictures import encoded

Made = Callable[..., Stages]
WRITTEN = pdfs.text("The quick brown fox", 30, 150)
DRAWN = "0 0 100 100 re f"  # a page that has to be read


def tiff(count: int, **options: object) -> bytes:
    first, *others = (Image.new("RGB", (40 + i, 30), "white") for i in range(count))
    return encoded(first, "TIFF", save_all=True, append_images=others, **options)


def with_a_bad_page(number: int, count: int) -> bytes:
    """A TIFF in which one page's pixels are no pixels."""
    data = bytearray(tiff(count, compression="tiff_adobe_deflate"))
    with Image.open(io.BytesIO(data)) as image:
        image.seek(number - 1)
        (start,), (length,) = (image.tag_v2[tag] for tag in (273, 279))  # type: ignore[attr-defined]
    data[start : start + length] = b"\xff" * length
    return bytes(data)


def loaded(*files: bytes, done: tuple[int, ...] = ()) -> pa.Table:
    return pack([LoadedInput(Input(str(i), 0, done), data) for i, data in enumerate(files)])


def works_of(tables: Iterable[pa.Table]) -> list[PageWork]:
    found = []
    for table in tables:
        assert table.num_rows == 1  # or a block would be as large as a file has pages
        found += unpack(table, PageWork)
    return found


def decoded(made: Stages, *files: bytes, done: tuple[int, ...] = ()) -> list[PageWork]:
    return works_of(made.decode(loaded(*files, done=done)))


# Reading


def read(made: Stages, *names: str) -> list[LoadedInput]:
    return [each for table in made.read(asked(*names)) for each in unpack(table, LoadedInput)]


def codes(found: Sequence[LoadedInput]) -> list[str]:
    return ["" if each.error is None else each.error.code for each in found]


def test_inputs_come_in_their_order_with_their_bytes(lake: Lake, stages_with: Made) -> None:
    names = [lake.put(f"空 {i}.png", b"%d" % i) for i in range(20)]
    found = read(stages_with(), *names)
    assert [each.input.source for each in found] == names
    assert [each.data for each in found] == [b"%d" % i for i in range(20)]


def test_what_cannot_be_read_has_its_error_and_the_others_are_read(
    lake: Lake, tmp_path: Path, stages_with: Made
) -> None:
    name = lake.put("a.png", b"a")
    others = [lake.name("nothing.png"), str(tmp_path), "gopher://host/a.png", ""]
    found = read(stages_with(), *others, name)
    assert codes(found) == ["FILE_UNREADABLE"] * 4 + [""]
    assert [each.data for each in found] == [b""] * 4 + [b"a"]
    assert "gopher" in str(found[2].error)


def test_urls_are_fetched_from_one_s_own_network_too(stages_with: Made) -> None:
    with host(b"a picture") as url:
        names = [f"{url}/picture/空 格.png?a=1#b", f"{url}/missing", f"{url}/picture", "http://"]
        found = read(stages_with(), *names)
    assert codes(found) == ["", "URL_UNREACHABLE", "", "URL_FORBIDDEN"]
    assert [each.data for each in found] == [b"a picture", b"", b"a picture", b""]


def test_a_file_of_any_size_is_read(tmp_path: Path, stages_with: Made) -> None:
    (tmp_path / "a.png").write_bytes(b"x" * 100)
    (found,) = read(stages_with(max_image_bytes=10), str(tmp_path / "a.png"))
    assert len(found.data) == 100


def test_an_input_keeps_what_is_known_of_it(tmp_path: Path, stages_with: Made) -> None:
    table = asked(str(tmp_path), done=(2, 5)).set_column(1, "occurrence", pa.array([3], pa.int32()))
    (found,) = (unpack(each, LoadedInput)[0] for each in stages_with().read(table))
    assert found.input == Input(str(tmp_path), 3, (2, 5))


def test_a_mistake_is_the_error_of_its_own_input(
    tmp_path: Path, stages_with: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(name: str) -> bytes:
        if name == "bad":
            raise ZeroDivisionError("strange")
        return b"data"

    monkeypatch.setattr("ocr.bulk.files.read", strange)
    assert codes(read(stages_with(), "good", "bad", "good")) == ["", "INTERNAL_ERROR", ""]


def test_only_so_many_inputs_are_read_ahead() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number

    with ThreadPoolExecutor(stages.AHEAD) as threads:
        results = stages._ahead(threads, work, range(100))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(begun) <= stages.AHEAD + 3
        assert list(results) == list(range(3, 100))


# Decoding


def test_a_picture_is_one_page_with_what_detection_is_shown(stages_with: Made) -> None:
    drawn = pictures.page(pictures.ENGLISH[:2])
    data = encoded(Image.fromarray(drawn.image), "PNG", dpi=(300, 300))
    (work,) = decoded(stages_with(), data)
    assert (work.number, work.count, work.error, work.page) == (1, 1, None, None)
    assert work.unread is not None
    assert (work.unread.pixels == drawn.image).all()
    assert work.unread.dpi == pytest.approx(300, abs=1)
    assert len(work.unread.shown) > 0
    assert work.seconds > 0


@pytest.mark.parametrize("data", [tiff(5), pdfs.of(*[DRAWN] * 5)], ids=["TIFF", "PDF"])
def test_every_page_of_a_document_is_one_and_those_that_are_done_are_left_out(
    data: bytes, stages_with: Made
) -> None:
    made = stages_with()
    found = decoded(made, data)
    assert [(work.number, work.count) for work in found] == [(i, 5) for i in range(1, 6)]
    assert [work.number for work in decoded(made, data, done=(4, 1, 2))] == [3, 5]
    assert decoded(made, data, done=(1, 2, 3, 4, 5)) == []
    assert all(work.unread is not None for work in found)


def test_a_page_with_its_own_text_is_not_read(stages_with: Made) -> None:
    written, drawn = decoded(stages_with(), pdfs.of(WRITTEN, DRAWN))
    assert written.page is not None
    assert (written.page.text, written.page.number, written.page.dpi) == (
        "The quick brown fox", 1, 200,
    )  # fmt: skip
    assert written.page.text_layer
    assert written.unread is None
    assert drawn.page is None
    assert drawn.unread is not None
    assert drawn.unread.dpi == 200


def test_how_pdfs_are_read_is_a_matter_of_what_is_wanted(stages_with: Made) -> None:
    made = stages_with()
    wanted = Wanted(pdf_text="ignore", dpi=100)
    other = Stages(made.settings, made.models, wanted)
    (work,) = decoded(other, pdfs.of(WRITTEN))
    assert work.unread is not None
    assert work.unread.dpi == 100


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "NOT_AN_IMAGE"),
        (b"<html>not here</html>", "NOT_AN_IMAGE"),
        (pictures.to_png(pictures.empty().image)[:60], "IMAGE_DAMAGED"),
        (pdfs.of(WRITTEN)[:300], "IMAGE_DAMAGED"),
    ],
    ids=["empty", "HTML", "cut PNG", "cut PDF"],
)
def test_what_cannot_be_opened_is_one_failure(data: bytes, code: str, stages_with: Made) -> None:
    bad, good = decoded(stages_with(), data, tiff(1))
    assert bad.error is not None
    assert bad.error.code == code
    assert bad.unread is None
    assert good.unread is not None


def test_a_bad_page_costs_the_others_nothing(stages_with: Made) -> None:
    found = decoded(stages_with(), with_a_bad_page(2, 3))
    assert [work.number for work in found] == [1, 2, 3]
    assert [type(work.error) for work in found] == [type(None), ImageDamaged, type(None)]
    assert [work.unread is not None for work in found] == [True, False, True]


def test_pages_have_a_limit_of_pixels_and_documents_none_of_pages(stages_with: Made) -> None:
    large, small = pdfs.of(DRAWN), tiff(3)
    found = decoded(stages_with(max_pixels=40 * 30, max_pages=1), large, small)
    assert [work.error and work.error.code for work in found] == [
        "IMAGE_TOO_LARGE",
        None,
        "IMAGE_TOO_LARGE",
        "IMAGE_TOO_LARGE",
    ]
    assert [(work.number, work.count) for work in found] == [(1, 1), (1, 3), (2, 3), (3, 3)]


def test_an_input_that_could_not_be_read_goes_on_with_its_error(stages_with: Made) -> None:
    lost = pack([LoadedInput(Input("a", 2), b"", ImageDamaged("gone"))])
    (work,) = works_of(stages_with().decode(lost))
    assert (work.input, work.number, work.count) == (Input("a", 2), 0, 0)
    assert isinstance(work.error, ImageDamaged)


def test_a_file_is_closed_when_its_pages_are_not_wanted_any_more(
    stages_with: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Open:
        count = 3

        def frame(self, number: int, wanted: Wanted) -> None:
            raise ImageDamaged(f"page {number}")

        def close(self) -> None:
            closed.append(True)

    class Opening:
        def opened(self, *arguments: object) -> Open:
            return Open()

    monkeypatch.setattr(stages, "_decoders", lambda settings: Opening())
    given = stages_with().decode(loaded(b"data"))
    next(given)
    given.close()  # type: ignore[attr-defined]
    assert closed == [True]


# Cropping, assembling


def test_lines_become_crops(stages_with: Made, at_hand: Models) -> None:
    drawn = pictures.page(pictures.ENGLISH[:3])
    unread = UnreadPage(drawn.image).located(drawn.quads)
    (work,) = unpack(stages_with().crop(pack([PageWork(Input("a"), 1, 1, unread)])), PageWork)
    assert work.unread is not None
    parts = work.unread.parts()
    assert parts is not None
    assert len(parts) == 3
    assert {part.shape[0] for line in parts for part in line} == {at_hand.recognition.model.height}


def test_what_is_over_is_not_cropped_and_what_fails_fails_alone(stages_with: Made) -> None:
    strange = UnreadPage(
        np.zeros((0, 0, 3), np.uint8), quads=np.full((1, 4, 2), np.nan, np.float32)
    )
    unread = UnreadPage(pictures.empty().image)
    given = [
        read_page("read"),
        failed("failed", ImageDamaged("no")),
        PageWork(Input("strange"), 1, 1, strange),
        PageWork(Input("blank"), 1, 1, unread),
    ]
    read_before, failed_before, bad, blank = unpack(stages_with().crop(pack(given)), PageWork)
    assert read_before.page is not None
    assert isinstance(failed_before.error, ImageDamaged)
    assert bad.error is not None
    assert bad.unread is None
    assert blank.unread is not None
    assert blank.unread.parts() == []


def test_pages_become_rows(stages_with: Made) -> None:
    works = [read_page("a", number, 4) for number in (1, 2)]
    table = stages_with().assemble(pack([*works, failed("b", ImageDamaged("no"))]))
    assert table.schema == rows.SCHEMA
    assert table["source"].to_pylist() == ["a", "a", "b"]
    assert table["detection_model"].to_pylist() == ["detection@1"] * 3
    assert table["recognition_model"].to_pylist() == ["recognition@2"] * 3
    assert table["status"].to_pylist() == ["read", "read", "failed"]


def test_stages_travel_to_other_machines(stages_with: Made) -> None:
    made = stages_with()
    travelled = Stages(made.settings, made.models)
    other: Stages = pickle.loads(pickle.dumps(travelled))  # noqa: S301
    assert other.settings == made.settings
    assert [work.count for work in decoded(other, tiff(1))] == [1]


# All of them


def files() -> dict[str, bytes]:
    """One of each kind that takes another way."""
    chinese = pictures.page(pictures.CHINESE[:2])
    blank = pictures.empty(300, 200)
    return {
        "Chinese": pictures.to_png(chinese.image),
        "English": pictures.to_jpeg(pictures.page(pictures.ENGLISH[:2]).image),
        "upside down": pictures.to_png(pictures.turned(pictures.page(pictures.MIXED[:2]), 2).image),
        "standing": pictures.to_png(pictures.standing("开放时间上午九点到下午六点").image),
        "label": pictures.to_png(pictures.label("合计128").image),
        "blank": pictures.to_png(blank.image),
        "strip": pictures.to_png(pictures.receipt(rows=30).image),
        "wide": pictures.to_png(pictures.banner("".join(pictures.CHINESE[:10])).image),
        "TIFF": encoded(
            Image.fromarray(chinese.image), "TIFF", save_all=True, dpi=(150, 150),
            append_images=[Image.fromarray(blank.image)],
        ),
        "PDF": pdfs.of(WRITTEN, DRAWN),
        "damaged": b"nothing",
    }  # fmt: skip


@pytest.fixture(scope="module")
def networks(at_hand: Models) -> tuple[Detect, Recognise]:
    settings = Settings()
    return Detect(at_hand.detection, settings, 2), Recognise(at_hand.recognition, settings, 2)


def batches(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Rows in tables of a size, as Ray gives them to a stage."""
    table = pa.concat_tables(tables)
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


def through(
    made: Stages,
    networks: tuple[Detect, Recognise],
    given: dict[str, bytes],
    size: int,
    *,
    cut: bool = True,
) -> pa.Table:
    """The rows of files that went through all stages in batches of so many pages.

    On CPUs lines are not cut before they are read.
    """
    detect, recognise = networks
    table = pack([LoadedInput(Input(name), data) for name, data in given.items()])
    tables: Iterable[pa.Table] = made.decode(table)
    steps: list[Callable[[pa.Table], pa.Table]] = [detect, recognise, made.assemble]
    if cut:
        steps.insert(1, made.crop)
    for step in steps:
        tables = [step(each) for each in batches(tables, size)]
    return pa.concat_tables(tables)


def content(table: pa.Table) -> list[dict[str, object]]:
    """What does not depend on how long it took."""
    return list(table.drop_columns(["seconds"]).to_pylist())


def by_the_service(pipeline: Pipeline, given: dict[str, bytes]) -> dict[str, Document]:
    """What the service's reader makes of files that can be read."""
    limits = Settings().own_limits
    reader = Reader(pipeline, Sources(), limits, Budget(limits.pixels))

    async def run() -> dict[str, Document]:
        return {name: await reader.read_bytes(data) for name, data in given.items()}

    return asyncio.run(run())


def test_text_and_places_are_those_of_the_service_whatever_the_batches(
    stages_with: Made, networks: tuple[Detect, Recognise], reader: Pipeline
) -> None:
    given = files()
    made = stages_with()
    together = through(made, networks, given, 64)
    readable = {name: data for name, data in given.items() if name != "damaged"}
    expected = [
        PageWork(Input(name), page.number, len(document.pages)).read(page)
        for name, document in by_the_service(reader, readable).items()
        for page in document.pages
    ]
    tags = made.models.detection.tag, made.models.recognition.tag
    assert content(together)[:-1] == content(rows.table(expected, *tags))
    (damaged,) = content(together)[-1:]
    assert (damaged["source"], damaged["error_code"]) == ("damaged", "NOT_AN_IMAGE")
    assert content(through(made, networks, given, 3)) == content(together)
    assert content(through(made, networks, given, 8, cut=False)) == content(together)
    found = dict(zip(together["source"].to_pylist(), together["text"].to_pylist(), strict=True))
    assert found["Chinese"] == "\n".join(pictures.CHINESE[:2])  # or all might be nothing
    assert found["blank"] == ""
    assert found["label"] == "合计128"


def test_the_seconds_of_pages_are_their_share(
    stages_with: Made, networks: tuple[Detect, Recognise]
) -> None:
    given = {name: files()[name] for name in ("Chinese", "blank", "damaged")}
    table = through(stages_with(), networks, given, 8)
    chinese, blank, damaged = table["seconds"].to_pylist()
    assert chinese > 0
    assert blank > 0
    assert 0 <= damaged < chinese
