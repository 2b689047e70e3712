"""Files opened in processes of their own: the same as in this one, whatever becomes of those."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from socket import socketpair

import numpy as np
import psutil
import pytest
from PIL import Image

from ocr import decode
from ocr.decode import DecodeLimits, File, Frame
from ocr.decoder_calls import Channel, Seen, lines_seen, seen_lines
from ocr.decoders import Decoders
from ocr.document import Document, Line, Page, Picture, Pixels
from ocr.errors import (
    ImageDamaged,
    ImageTooLarge,
    NoPages,
    OcrError,
    OnePageOnly,
    PictureError,
)
from ocr.formats.catalogue import FORMATS
from ocr.wanted import Wanted
from tests import pdfs
from tests.formats import documents as drawn
from tests.fuzz.mutations import mutated, seeds
from tests.pictures import encoded

LIMITS = DecodeLimits()
MEMORY = 2_000_000_000
DYING = ("-m", "tests.dying_decoder")
FILES = seeds()
PICTURE = FILES["png"]
QUICK = 400  # files of the fuzzing that is done here
WANTED = {
    "as usual": Wanted(),
    "ignoring text": Wanted(pdf_text="ignore", dpi=100),
    "keeping text": Wanted(pdf_text="keep", dpi=300),
}
STARTED = 20.0  # seconds in which anything should have happened on a busy machine


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(2, 30, MEMORY) as made:
        yield made


@pytest.fixture(scope="module")
def dying() -> Iterator[Decoders]:
    with Decoders(2, 1, MEMORY, DYING) as made:
        yield made


def children(parent: int | None = None) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(parent).children()
        if any("decoder" in part for part in child.cmdline())
    ]


def only(decoders: Decoders, data: bytes) -> Pixels:
    with closing(decoders.opened(data, LIMITS)) as file:
        return file.frame(1, Wanted()).pixels()


def large(width: int, height: int) -> bytes:
    """A file of a picture that takes some memory and is itself small."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    return encoded(picture, "PNG", compress_level=1)


# As in this process


def assert_same_lines(lines: list[Line] | None, expected: list[Line] | None) -> None:
    assert (lines is None) == (expected is None)
    for one, other in zip(lines or [], expected or [], strict=True):
        assert (one.text, one.confidence, one.turns) == (other.text, other.confidence, other.turns)
        assert one.quad.dtype == other.quad.dtype == np.float32
        assert np.array_equal(one.quad, other.quad)
        for word, same in zip(one.words, other.words, strict=True):
            assert (word.text, word.confidence) == (same.text, same.confidence)
            assert np.array_equal(word.quad, same.quad)


def assert_same(frame: Frame, expected: Frame) -> None:
    for name in ("number", "width", "height", "dpi", "size", "original"):
        assert getattr(frame, name) == getattr(expected, name), name
    assert_same_lines(frame.lines, expected.lines)
    pixels, same = frame.pixels(), expected.pixels()
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, same)


@pytest.mark.parametrize("wanted", WANTED.values(), ids=list(WANTED))
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_the_same(decoders: Decoders, name: str, wanted: Wanted) -> None:
    if not name.startswith("pdf") and wanted != Wanted():
        return
    file: File
    with (
        closing(decoders.opened(FILES[name], LIMITS)) as file,
        closing(decode.opened(FILES[name], LIMITS)) as expected,
    ):
        assert (file.count, file.is_pdf) == (expected.count, expected.is_pdf)
        assert file.is_pdf == name.startswith("pdf")
        assert file.executor is decoders.executor
        for number in range(1, file.count + 1):
            assert_same(file.frame(number, wanted), expected.frame(number, wanted))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "CMYK", "I;16", "F"])
def test_every_kind_of_pixels_is_the_same(decoders: Decoders, mode: str) -> None:
    values = np.random.default_rng(1).random((30, 41, 3)) * 255
    plain = Image.fromarray(values.astype(np.uint8))
    image = {
        "I;16": lambda: Image.fromarray((values[..., 0] * 250).astype(np.uint16)),
        "F": lambda: Image.fromarray(values[..., 0].astype(np.float32)),
    }.get(mode, lambda: plain.convert(mode))()
    data = encoded(image, "TIFF")
    assert np.array_equal(only(decoders, data), next(decode.pages(data, LIMITS)))


def test_a_large_picture_is_the_same(decoders: Decoders) -> None:
    data = large(3000, 2000)
    assert np.array_equal(only(decoders, data), next(decode.pages(data, LIMITS)))


def test_lines_that_are_hard_to_write_down_are_the_same() -> None:
    lines = [drawn.line("half \ud83d and both \ud83d\ude00 \x00 你", 1 / 3), drawn.line("")]
    told, corners = seen_lines(lines)
    seen = Seen(width=1, height=1, dpi=None, size="", is_original=False, lines=told)
    here, there = (Channel(end) for end in socketpair())
    with closing(here), closing(there):
        there.answer(seen, corners)
        answer, corners_back = here.answered()
    found = Seen.model_validate(answer.made).lines
    assert found is not None
    assert_same_lines(lines_seen(found, corners_back), lines)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"no picture at all",
        b"%PDF-1.7\n",
        b"\x89PNG\r\n\x1a\n",
        b"\0\0\0\x18ftypheic" + bytes(200),
        PICTURE[: len(PICTURE) // 2],
        FILES["tiff"][:5000],
        pdfs.of(),
        pdfs.of("", MediaBox=[0, 0, 14400, 14400]),
    ],
)
def test_errors_are_the_same(decoders: Decoders, data: bytes) -> None:
    with pytest.raises(PictureError) as expected:
        next(decode.pages(data, LIMITS))
    with pytest.raises(PictureError) as raised:
        only(decoders, data)
    assert type(raised.value) is type(expected.value)
    assert raised.value.message == expected.value.message


def test_limits(decoders: Decoders) -> None:
    with pytest.raises(ImageTooLarge, match="bytes"):
        decoders.opened(PICTURE, DecodeLimits(bytes=len(PICTURE) - 1))
    with (
        closing(decoders.opened(PICTURE, DecodeLimits(pixels=100))) as file,
        pytest.raises(ImageTooLarge, match="56 x 40"),
    ):
        file.frame(1, Wanted()).pixels()


def test_pages_are_had_in_any_order_by_any_thread(decoders: Decoders) -> None:
    expected = list(decode.pages(FILES["tiff"], LIMITS))
    numbers = Random(0).choices(range(1, len(expected) + 1), k=60)
    with closing(decoders.opened(FILES["tiff"], LIMITS)) as file, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: file.frame(n, Wanted()).pixels(), numbers))
    assert all(np.array_equal(p, expected[n - 1]) for p, n in zip(found, numbers, strict=True))
    assert len(children()) <= 4


def test_a_closed_file_is_not_read(decoders: Decoders) -> None:
    file = decoders.opened(PICTURE, LIMITS)
    frame = file.frame(1, Wanted())
    file.close()
    with pytest.raises(ValueError, match="closed"):
        frame.pixels()


def test_pixels_stay_when_all_else_has_gone() -> None:
    with Decoders(1, 30, MEMORY) as decoders:
        pixels = only(decoders, PICTURE)
    assert np.array_equal(pixels, next(decode.pages(PICTURE, LIMITS)))


# Files that are made


def of_picture(data: bytes) -> Document:
    pixels = next(decode.pages(data, LIMITS))
    page = Page(
        pixels.shape[1], pixels.shape[0], [drawn.line("ab")], picture=Picture(data, "image/jpeg")
    )
    return Document([page], "a.jpg")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same(decoders: Decoders, name: str) -> None:
    wanted = Wanted.model_validate({"format": name})
    documents = [of_picture(FILES["jpeg progressive"])]
    assert decoders.render(documents, wanted) == FORMATS[name].render(documents, wanted)


def test_a_pdf_of_a_pdf_is_the_same(decoders: Decoders) -> None:
    page = Page(833, 556, [drawn.line("page")], text_layer=True)
    documents = [Document([page], "a.pdf", pdf=FILES["pdf"])]
    wanted = Wanted(format="pdf")
    assert decoders.render(documents, wanted) == FORMATS["pdf"].render(documents, wanted)


def test_a_pdf_that_cannot_be_written_again_is_made_of_its_pictures(decoders: Decoders) -> None:
    page = of_picture(FILES["jpeg progressive"]).pages[0]
    own = pdfs.of("").replace(b"%PDF-1.", b"%PDF-99999999999.", 1)
    made = decoders.render([Document([page], "a.pdf", pdf=own)], Wanted(format="pdf"))
    with closing(decoders.opened(made, LIMITS)) as file:
        assert file.count == 1
        assert file.frame(1, Wanted(pdf_text="ignore")).pixels().std() > 10


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 20_000), (3, 100)])
def test_a_page_that_is_hardly_one_is_a_pdf(decoders: Decoders, width: int, height: int) -> None:
    picture = Picture(encoded(Image.new("RGB", (width, height)), "PNG"), "image/png")
    documents = [Document([Page(width, height, picture=picture)])]
    made = decoders.render(documents, Wanted(format="pdf"))
    with closing(decoders.opened(made, LIMITS)) as file:
        assert file.frame(1, Wanted()).height >= 8


def test_the_errors_of_a_format_are_the_same(decoders: Decoders) -> None:
    with pytest.raises(NoPages):
        decoders.render([Document([])], Wanted(format="png"))
    with pytest.raises(OnePageOnly, match="there are 2"):
        decoders.render([of_picture(FILES["jpeg"])] * 2, Wanted(format="png"))
    with pytest.raises(OcrError, match="at least one page") as raised:
        decoders.render([Document([])], Wanted(format="pdf"))
    assert raised.value.status == 500


# What kills a process, or would


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"abort", "crash"),
        (b"exit", "crash"),
        (b"hang", "within 1 s"),
        (b"long answer", "crash"),
        (b"no answer", "crash"),
        (b"no pages", "crash"),
        (b"no width", "crash"),
        (b"lines without quads", "crash"),
        (b"other pixels", "crash"),
    ],
)
def test_a_file_that_kills_is_damaged_and_the_next_one_is_read(
    dying: Decoders, data: bytes, message: str
) -> None:
    deaths, start = dying.deaths, time.monotonic()
    with pytest.raises(ImageDamaged, match=message):
        only(dying, data)
    assert time.monotonic() - start < STARTED
    assert dying.deaths == deaths + 1
    assert only(dying, PICTURE).shape == (56, 40, 3)
    assert dying.deaths == deaths + 1


def test_a_file_that_takes_too_much_memory_is_too_large(dying: Decoders) -> None:
    deaths = dying.deaths
    with pytest.raises(ImageTooLarge, match="OCR_DECODE_BYTES, which is 2000000000"):
        only(dying, b"eat")
    assert dying.deaths == deaths + 1
    assert only(dying, PICTURE).shape == (56, 40, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="the system limits no addresses")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF"])
def test_pixels_that_take_too_much_memory(kind: str) -> None:
    picture = Image.linear_gradient("L").resize((4000, 3000)).convert("RGB")
    data = encoded(picture, kind)
    with Decoders(1, 30, 25_000_000) as decoders:
        with pytest.raises(ImageTooLarge, match="OCR_DECODE_BYTES"):
            only(decoders, data)
        assert only(decoders, PICTURE).shape == (56, 40, 3)


def test_a_page_that_says_more_pixels_than_are_allowed(dying: Decoders) -> None:
    with pytest.raises(ImageTooLarge, match="limit is 100000000"):
        only(dying, b"huge")


def test_an_error_that_nobody_expected_is_told_and_logged(
    dying: Decoders, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OcrError, match="ZeroDivisionError") as raised:
        dying.opened(b"fault", LIMITS)
    assert raised.value.code == "INTERNAL_ERROR"
    assert "Traceback" in caplog.text


def test_a_crash_when_a_file_is_made(dying: Decoders) -> None:
    good = of_picture(FILES["jpeg progressive"])
    wanted = Wanted(format="pdf")
    for source, message in (("abort", "crash"), ("hang", "could not be made within 1 s")):
        with pytest.raises(ImageDamaged, match=message):
            dying.render([Document(good.pages, source)], wanted)
    assert dying.render([good], wanted) == FORMATS["pdf"].render([good], wanted)


def test_others_are_read_while_a_file_hangs_and_others_crash() -> None:
    expected = next(decode.pages(PICTURE, LIMITS))
    with Decoders(2, 3, MEMORY, DYING) as decoders, ThreadPoolExecutor(3) as threads:
        only(decoders, PICTURE)
        hanging = threads.submit(only, decoders, b"hang")
        crashing = [threads.submit(only, decoders, b"abort") for _ in range(2)]
        for _ in range(50):
            assert np.array_equal(only(decoders, PICTURE), expected)
        for call in (hanging, *crashing):
            assert isinstance(call.exception(STARTED), ImageDamaged)


def test_a_process_that_was_ended_between_calls_is_replaced() -> None:
    with Decoders(1, 30, MEMORY) as decoders:
        only(decoders, PICTURE)
        (child,) = children()[-1:]
        child.kill()
        child.wait()
        assert only(decoders, PICTURE).shape == (56, 40, 3)


# Nothing is left behind


def descriptors() -> int:
    gc.collect()
    return int(psutil.Process().num_fds())


def test_no_descriptor_stays_open() -> None:
    with Decoders(2, 2, MEMORY, DYING) as decoders:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: only(decoders, PICTURE), range(4)))
        before = descriptors()
        for number in range(200):
            data = b"abort" if number % 50 == 0 else PICTURE
            try:
                only(decoders, data)
            except PictureError:
                assert data == b"abort"
        assert descriptors() <= before + 2  # a second process may have started
        dropped = decoders.opened(PICTURE, LIMITS)
        del dropped
        assert descriptors() <= before + 2


def test_a_call_that_nobody_waits_for_leaves_nothing() -> None:
    async def give_up(decoders: Decoders) -> None:
        call = asyncio.get_running_loop().run_in_executor(
            decoders.executor, decoders.opened, b"hang", LIMITS
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.1)

    with Decoders(1, 0.5, MEMORY, DYING) as decoders:
        only(decoders, PICTURE)
        before = descriptors()
        asyncio.run(give_up(decoders))
        assert only(decoders, PICTURE).shape == (56, 40, 3)
        assert descriptors() <= before + 1  # of the executor's thread


def test_processes_end_when_closed() -> None:
    known = {child.pid for child in children()}
    decoders = Decoders(2, 60, MEMORY, DYING)

    def fails() -> None:
        with pytest.raises(OcrError, match="closed"):
            only(decoders, b"hang")

    only(decoders, PICTURE)
    hanging = threading.Thread(target=fails)
    hanging.start()
    started = [child for child in children() if child.pid not in known]
    assert started
    decoders.close()
    hanging.join(STARTED)
    _, alive = psutil.wait_procs(started, STARTED)
    assert not alive
    with pytest.raises(OcrError, match="closed"):
        only(decoders, PICTURE)


PARENT = """
import sys, threading
from ocr.decode import DecodeLimits
from ocr.decoder_calls import Channel, Seen, lines_seen, seen_lines
from ocr.decoders import Decoders

decoders = Decoders(2, 2, 10**9, ("-m", "tests.dying_decoder"))
threading.Thread(target=decoders.opened, args=(b"hang", DecodeLimits())).start()
try:
    decoders.opened(b"fault", DecodeLimits())
except Exception:
    print("ready", flush=True)
threading.Event().wait()
"""


def test_processes_end_when_the_one_that_asks_is_killed() -> None:
    root = Path(__file__).parents[1]
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=root, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    started = children(parent.pid)
    assert len(started) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(started, STARTED)
    assert not alive


def test_a_signal_for_all_processes_of_the_server_ends_none(dying: Decoders) -> None:
    only(dying, PICTURE)
    deaths = dying.deaths
    for child in children():
        os.kill(child.pid, signal.SIGTERM)
        os.kill(child.pid, signal.SIGINT)
    assert only(dying, PICTURE).shape == (56, 40, 3)
    assert dying.deaths == deaths


# What a process is


def test_it_finds_the_package_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ocr", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    with Decoders(1, 30, MEMORY) as decoders:
        assert only(decoders, PICTURE).shape == (56, 40, 3)


def test_one_that_does_not_start_is_no_fault_of_the_file() -> None:
    with Decoders(1, 30, MEMORY, ("-c", "raise SystemExit(7)")) as decoders:
        with pytest.raises(OcrError, match="does not start: exit status 7") as raised:
            decoders.opened(PICTURE, LIMITS)
        assert raised.value.code == "INTERNAL_ERROR"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_knows_no_secrets_and_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_API_KEYS", "secret")
    known = {child.pid for child in children()}
    with Decoders(1, 30, MEMORY) as decoders:
        only(decoders, PICTURE)
        (child,) = [child for child in children() if child.pid not in known]
        assert "secret" not in child.environ().values()
        folder = Path(f"/proc/{child.pid}/fd")
        shared = {link.name: str(link.readlink()) for link in folder.iterdir()}
        assert sorted(shared) == ["0", "1", "2"]
        assert shared["0"].startswith("socket:")
        assert shared["1"] == "/dev/null"
        assert child.num_threads() == 1


def test_it_loads_no_server_and_no_networks() -> None:
    program = "import sys, ocr.decoder; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"bentoml", "onnxruntime", "torch", "aiohttp", "pikepdf"} & {*done.stdout.split()}


# Bytes at random; tests/fuzz does it for longer


def test_some_files_that_were_changed_at_random(decoders: Decoders) -> None:
    random, read, limits = Random(7), 0, DecodeLimits(pixels=2_000_000, pages=5)
    for _ in range(QUICK):
        name, data = mutated(random, FILES)
        try:
            with closing(decoders.opened(data, limits)) as file:
                for number in decode.numbers(file, Wanted(), limits):
                    frame = file.frame(number, Wanted(dpi=50))
                    decode.check_size(frame, limits)
                    pixels = frame.pixels()
                    assert sorted(pixels.shape) == sorted((frame.width, frame.height, 3)), name
                    read += 1
        except PictureError:
            continue
    assert read > QUICK / 4
    assert decoders.deaths == 0
