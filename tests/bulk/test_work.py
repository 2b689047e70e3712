"""What travels from stage to stage, and what comes out again at the other end."""

import numpy as np
import pyarrow as pa
import pytest

from ocr.bulk.work import (
    Input,
    LoadedInput,
    PageWork,
    UnreadPage,
    guarded,
    pack,
    unpack,
)
from ocr.document import Page, Pixels
from ocr.errors import ImageDamaged, OcrError, RateLimited
from tests.bulk.conftest import QUAD

PIXELS = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)


def crop(width: int, value: int) -> Pixels:
    return np.full((48, width, 3), value, np.uint8)


def test_inputs_travel() -> None:
    sent = [
        LoadedInput(Input("s3://bucket/空 格.png", 3, (1, 2)), b"\x00data"),
        LoadedInput(Input("b"), b"", ImageDamaged("cut off")),
    ]
    table = pack(sent)
    assert table.num_rows == 2
    first, second = unpack(table, LoadedInput)
    assert first == sent[0]
    assert (second.input, type(second.error)) == (Input("b"), ImageDamaged)
    assert second.error is not None
    assert second.error.as_dict() == {"code": "IMAGE_DAMAGED", "message": "cut off"}


def test_nothing_travels_as_nothing() -> None:
    assert unpack(pack([]), PageWork) == []


def test_what_was_put_together_from_several_tables_comes_out_in_order() -> None:
    tables = [pack([Input("a"), Input("b")]), pack([]), pack([Input("c")])]
    joined = pa.concat_tables(tables).slice(1)
    assert unpack(joined, Input) == [Input("b"), Input("c")]


def test_a_page_travels_with_its_pixels_and_its_crops() -> None:
    crops = [[crop(50, 1)], [crop(60, 2), crop(70, 3)], [crop(1, 4)]]
    unread = UnreadPage(PIXELS, 300.0).located(np.array([QUAD] * 3)).cut(crops)
    (work,) = unpack(pack([PageWork(Input("a"), 2, 5, unread)]), PageWork)
    assert (work.number, work.count) == (2, 5)
    assert work.unread is not None
    assert (work.unread.pixels == PIXELS).all()
    assert (work.unread.quads == QUAD).all()
    assert work.unread.quads.dtype == np.float32
    parts = work.unread.parts()
    assert parts is not None
    for line, expected in zip(parts, crops, strict=True):
        assert all((a == b).all() for a, b in zip(line, expected, strict=True))


def test_a_page_that_was_not_cut_says_so() -> None:
    (work,) = unpack(pack([PageWork(Input("a"), unread=UnreadPage(PIXELS))]), PageWork)
    assert work.unread is not None
    assert work.unread.parts() is None


def test_a_page_without_lines_has_no_crops() -> None:
    unread = UnreadPage(PIXELS).cut([])
    assert (unread.crops, unread.parts()) == (None, [])
    (work,) = unpack(pack([PageWork(Input("a"), unread=unread)]), PageWork)
    assert work.unread is not None
    assert work.unread.quads.shape == (0, 4, 2)


def test_a_page_that_is_over_leaves_its_pixels_behind() -> None:
    work = PageWork(Input("a"), 7, 9, UnreadPage(PIXELS), seconds=1.0)
    read = work.read(Page(30, 20))
    assert (read.unread, read.page, read.error) == (None, Page(30, 20, number=7), None)
    lost = work.failed(ImageDamaged("cut off"))
    assert (lost.unread, lost.page) == (None, None)
    assert isinstance(lost.error, ImageDamaged)
    assert (read.with_seconds(0.5).seconds, lost.seconds) == (1.5, 1.0)


def test_a_mistake_is_an_error_like_others(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OcrError, match="KeyError: 'no such thing'") as raised, guarded():
        raise KeyError("no such thing")
    assert raised.value.code == "INTERNAL_ERROR"
    assert "KeyError" in caplog.text


def test_an_error_stays_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ImageDamaged), guarded():
        raise ImageDamaged("cut off")
    assert caplog.text == ""


def test_the_end_of_a_process_is_no_error_of_a_page() -> None:
    with pytest.raises(KeyboardInterrupt), guarded():
        raise KeyboardInterrupt


def test_every_error_travels() -> None:
    (busy,) = unpack(pack([PageWork(Input("a"), error=RateLimited("slower", 2.0))]), PageWork)
    assert isinstance(busy.error, RateLimited)
