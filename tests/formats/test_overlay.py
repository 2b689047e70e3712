import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from ocr.document import Document, Line, Page, Picture, Pixels, Quad
from ocr.errors import ImageDamaged, NoPages, OnePageOnly
from ocr.formats import overlay
from ocr.wanted import Wanted
from tests import pictures
from tests.pictures import Drawn

FAINT = 200  # of 255: what is darker is ink and no tint


def drawn_page(drawn: Drawn, turns: int = 0, confidence: float = 0.99) -> Page:
    height, width = drawn.image.shape[:2]
    lines = [
        Line(np.roll(quad, turns, axis=0), text, confidence, turns) for text, quad in drawn.lines
    ]
    return Page(width, height, lines, picture=picture(drawn.image))


def picture(image: Pixels) -> Picture:
    return Picture(pictures.to_png(image), "image/png")


def render(page: Page) -> Pixels:
    data = overlay.render([Document([page])], Wanted(format="png"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), np.uint8)


def halves(image: Pixels) -> tuple[Pixels, Pixels]:
    """The picture with its quads, and the text."""
    middle = image.shape[1] // 2
    return image[:, :middle], image[:, middle:]


def inside(image: Pixels, quad: Quad) -> Pixels:
    left, top = quad.min(axis=0).astype(int)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    return image[top:bottom, left:right]


def ink(image: Pixels) -> float:
    return float((image.min(axis=2) < FAINT).mean())


@pytest.mark.parametrize("texts", [pictures.CHINESE[:5], pictures.ENGLISH[:5]])
def test_the_text_stands_where_it_was_read(texts: tuple[str, ...]) -> None:
    drawn = pictures.page(texts)
    image = render(drawn_page(drawn))
    assert image.shape == (drawn.image.shape[0], 2 * drawn.image.shape[1], 3)
    _, text = halves(image)
    rest = text.copy()
    for _, quad in drawn.lines:
        here = inside(text, quad)
        assert 0.05 < ink(here) < 0.5
        # To both ends of the quad, and so in the size of the line.
        assert ink(here[:, : here.shape[1] // 10]) > 0.02
        assert ink(here[:, -here.shape[1] // 10 :]) > 0.02
        inside(rest, quad)[:] = 255
    assert ink(rest) < 0.001


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_lines_are_drawn_turned(turns: int) -> None:
    """As if the overlay of the upright page were turned."""
    upright = pictures.page(pictures.CHINESE[:3])
    turned = pictures.turned(upright, (-turns) % 4)
    _, wanted = halves(render(drawn_page(upright)))
    _, got = halves(render(drawn_page(turned, turns)))
    back = np.rot90(got, turns)
    assert back.shape == wanted.shape
    alike = _blurred(wanted) - _blurred(back)
    assert np.abs(alike).mean() < 2
    assert np.abs(_blurred(wanted) - _blurred(np.rot90(back, 2))).mean() > 5


def _blurred(image: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """In cells of 10 pixels, for a turned line may stand a pixel beside."""
    height, width = image.shape[0] // 10 * 10, image.shape[1] // 10 * 10
    cells = image[:height, :width].mean(axis=2).reshape(height // 10, 10, width // 10, 10)
    return np.asarray(cells.mean(axis=(1, 3)), np.float64)


@pytest.mark.parametrize("angle", [20, 2, -40])
def test_text_follows_a_slanted_line(angle: float) -> None:
    drawn = pictures.rotated(pictures.page(pictures.ENGLISH[:1]), angle)
    _, text = halves(render(drawn_page(drawn)))
    rows, columns = np.nonzero(text.min(axis=2) < FAINT)
    slope = np.polyfit(columns, rows, 1)[0]
    assert np.degrees(np.arctan(slope)) == pytest.approx(angle, abs=1)


def test_chinese_is_drawn_as_it_is_written_in_china() -> None:
    font = ImageFont.truetype(overlay.FONT, 20, overlay.SIMPLIFIED)
    assert font.getname() == ("Noto Sans CJK SC", "Regular")


def test_characters_differ() -> None:
    """None is the box that stands for what a font lacks."""
    shapes = set()
    for character in "国這讀書ABCé€①、。Ω":
        drawn = pictures.empty(100, 100)
        quad = np.array([[10, 10], [90, 10], [90, 90], [10, 90]], np.float32)
        page = Page(100, 100, [Line(quad, character, 0.9)], picture=picture(drawn.image))
        shapes.add(halves(render(page))[1].tobytes())
    assert len(shapes) == 13


def test_quads_are_drawn_over_the_picture() -> None:
    drawn = pictures.page(pictures.ENGLISH[:3])
    shown, _ = halves(render(drawn_page(drawn)))
    changed = (shown != drawn.image).any(axis=2)
    for _, quad in drawn.lines:
        for x, y in quad.round().astype(int):
            assert changed[y - 2 : y + 3, x - 2 : x + 3].any()
    assert not changed[:50].any()


def test_the_colour_tells_the_confidence() -> None:
    drawn = pictures.page(pictures.ENGLISH[:1])
    paper = []
    for confidence in (0.5, 0.99):
        image = render(drawn_page(drawn, confidence=confidence))
        paper.append(inside(halves(image)[1], drawn.quads[0]).reshape(-1, 3).max(axis=0))
    doubtful, sure = paper
    assert doubtful[0] > doubtful[2]  # more red than blue
    assert sure[2] > sure[0]


def test_small_text_is_enlarged_with_its_picture() -> None:
    drawn = pictures.page(pictures.ENGLISH[:3], size=9, width=300, margin=10)
    image = render(drawn_page(drawn))
    assert 1.3 < image.shape[0] / drawn.image.shape[0] <= overlay.LARGER


def test_a_picture_smaller_than_the_page_keeps_lines_in_their_places() -> None:
    drawn = pictures.page(pictures.CHINESE[:3], size=60, width=1200)
    half = Image.fromarray(drawn.image).resize((600, drawn.image.shape[0] // 2))
    page = drawn_page(drawn)
    page = Page(page.width, page.height, page.lines, picture=picture(np.asarray(half, np.uint8)))
    image = render(page)
    assert image.shape[1] == 1200
    assert all(ink(inside(halves(image)[1], quad / 2)) > 0.05 for quad in drawn.quads)


def test_a_huge_picture_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "MAX_PIXELS", 100_000)
    height, width = render(drawn_page(pictures.page(pictures.ENGLISH))).shape[:2]
    assert height * width // 2 == pytest.approx(100_000, rel=0.02)


@pytest.mark.parametrize("text", ["", " ", "​", "x" * 3000, "\n"])
def test_odd_text_does_no_harm(text: str) -> None:
    flat = np.array([[10, 10], [90, 10], [90, 10], [10, 10]], np.float32)
    tall = np.array([[10, 10], [12, 10], [12, 90], [10, 90]], np.float32)
    lines = [Line(quad, text, confidence) for quad in (flat, tall) for confidence in (0.0, 1.0)]
    page = Page(100, 100, lines, picture=picture(pictures.empty(100, 100).image))
    assert render(page).shape[1] >= 200


def test_a_page_without_lines_is_its_picture_beside_white() -> None:
    image = pictures.two_columns().image
    height, width = image.shape[:2]
    shown, text = halves(render(Page(width, height, picture=picture(image))))
    assert (shown == image).all()
    assert (text == 255).all()


def test_several_pages_are_refused() -> None:
    page = drawn_page(pictures.label("x"))
    for documents in ([Document([page, page])], [Document([page]), Document([page])]):
        with pytest.raises(OnePageOnly, match="2"):
            overlay.render(documents, Wanted())


def test_a_document_that_failed_does_not_count() -> None:
    page, failed = drawn_page(pictures.label("x")), Document([], error=ImageDamaged("no"))
    assert overlay.render([failed, Document([page])], Wanted())
    with pytest.raises(NoPages):
        overlay.render([failed], Wanted())


def test_a_page_without_a_picture_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="picture"):
        overlay.render([Document([Page(10, 10)])], Wanted())
