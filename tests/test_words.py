import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from time import process_time
from typing import Any

import numpy as np
import pytest
from PIL import ImageFont
from shapely.geometry import Polygon

from ocr import geometry
from ocr.document import Line, Pixels, Quad, Word
from ocr.pipeline import Pipeline
from ocr.recognition.ctc import Span
from ocr.words import stands_alone, words
from tests import pictures
from tests.pictures import CHINESE, ENGLISH, MIXED, Drawn, Face

PUNCTUATION = (
    "《中国人民》：第一，第二；第三。",
    "“今天”我们去公园…好！",
    "一、二、三，上下。",
    "说明（一）：人口、地区。",
)
TEXTS = {
    "Chinese": (*CHINESE[:3], *PUNCTUATION[:2]),
    "English": ENGLISH[:3],
    "mixed": MIXED[:3],
}
STRIP = np.array([[10, 20], [410, 20], [410, 60], [10, 60]], np.float32)
ENOUGH = 0.7  # of a word's box and its truth together, that they have in common


def even(text: str) -> list[Span]:
    """Spans of characters that share a line's length equally."""
    return [Span(c, i / len(text), (i + 1) / len(text)) for i, c in enumerate(text)]


def texts(found: Sequence[Word]) -> list[str]:
    return [word.text for word in found]


def overlap(found: Quad, truth: Quad) -> float:
    """What two quads have in common, as a share of what they cover together."""
    a, b = Polygon(found), Polygon(truth)
    return float(a.intersection(b).area / a.union(b).area)


# Truth: where the ink of each word was drawn


@cache
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    path = pictures.FONTS / f"Noto{face}SC-subset.otf"
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def ink(text: str, face: Face, size: int) -> tuple[float, float, float, float]:
    """The box of a text's ink; it is written from (0, 0) along the baseline."""
    mask, (x, y) = font(face, size).getmask2(text, "L", anchor="ls")
    left, top, right, bottom = mask.getbbox()
    return left + x, top + y, right + x, bottom + y


def truth(text: str, quad: Quad, face: Face, size: int) -> list[tuple[str, Quad]]:
    """The words of a drawn line: the ink of each, by the height of the line's ink."""
    pen = font(face, size)
    box = pen.getbbox(text, anchor="ls")
    _, top, _, bottom = ink(text, face, size)
    found = []
    for start, end in ranges(text):
        left, _, right, _ = ink(text[start:end], face, size)
        x = np.array([left, right, right, left]) + pen.getlength(text[:start])
        y = np.array([top, top, bottom, bottom])
        found.append((text[start:end], placed(quad, box, x, y)))
    return found


def placed(quad: Quad, box: Sequence[float], x: Any, y: Any) -> Quad:
    """Points of a box as they lie in the quad that the box has become."""
    left, top, right, bottom = box
    across, down = ((x - left) / (right - left))[:, None], ((y - top) / (bottom - top))[:, None]
    above, below = quad[0] + across * (quad[1] - quad[0]), quad[3] + across * (quad[2] - quad[3])
    return np.asarray(above + down * (below - above), np.float32)


def ranges(text: str) -> list[tuple[int, int]]:
    """Where words start and end: each Chinese character, and runs of others without spaces."""
    found: list[tuple[int, int]] = []
    open_run = False
    for i, character in enumerate(text):
        alone = character >= "\u3000"
        if open_run and not alone and character != " ":
            found[-1] = (found[-1][0], i + 1)
        elif character != " ":
            found.append((i, i + 1))
        open_run = not alone and character != " "
    return found


def shown(text: str, height: int, stride: int, size: int = 32) -> tuple[Quad, Pixels, list[Span]]:
    """A drawn line's quad, its crop, and its spans: a step at the middle of each character."""
    drawn = pictures.page([text], size)
    ((_, quad),) = drawn.lines
    line = geometry.crop(drawn.image, quad, height)
    pen, steps = font("Sans", size), line.shape[1] / stride
    spans = []
    for i, character in enumerate(text):
        middle = (pen.getlength(text[:i]) + pen.getlength(text[: i + 1])) / 2
        step = int(middle / pen.getlength(text) * steps)
        spans.append(Span(character, step / steps, min((step + 1) / steps, 1.0)))
    return quad, line, spans


# Words of pages that are read


FORMS: dict[str, tuple[Face, int, Callable[[Drawn], Drawn]]] = {
    "small": ("Sans", 16, lambda drawn: drawn),
    "serif": ("Serif", 24, lambda drawn: drawn),
    "large": ("Sans", 48, lambda drawn: drawn),
    "clockwise": ("Sans", 28, lambda drawn: pictures.rotated(drawn, 4)),
    "anticlockwise and noisy": (
        "Serif",
        28,
        lambda drawn: pictures.noisy(pictures.rotated(drawn, -3)),
    ),
    "on its side": ("Serif", 32, lambda drawn: pictures.turned(drawn, 1)),
    "upside down": ("Sans", 32, lambda drawn: pictures.turned(drawn, 2)),
}


@pytest.fixture(scope="module")
def measured(reader: Pipeline) -> dict[tuple[str, str], list[float]]:
    """How well each word was found, by kind of text and form of page."""
    found: dict[tuple[str, str], list[float]] = {}
    for form, (face, size, change) in FORMS.items():
        written = [text for texts_of in TEXTS.values() for text in texts_of]
        drawn = change(pictures.page(written, size, face))
        page = asyncio.run(reader.read(drawn.image))
        lines = {line.text: line for line in page.lines}
        for kind, texts_of in TEXTS.items():
            found[kind, form] = [
                share
                for text, quad in drawn.lines
                if text in texts_of
                for share in overlaps(lines.get(text), truth(text, quad, face, size))
            ]
    return found


def overlaps(line: Line | None, wanted: Sequence[tuple[str, Quad]]) -> list[float]:
    """How well each word of a line was found; 0 if the line was not read rightly."""
    if line is None:
        return [0.0] * len(wanted)
    assert texts(line.words) == [text for text, _ in wanted]
    pairs = zip(line.words, wanted, strict=True)
    return [overlap(word.quad, quad) for word, (_, quad) in pairs]


def share_found(measured: dict[tuple[str, str], list[float]], *, of: str = "") -> float:
    """The share of words, all or of one kind or form, that were found where they are."""
    shares = [share for key, each in measured.items() if not of or of in key for share in each]
    assert len(shares) > 60
    return float(np.mean(np.array(shares) >= ENOUGH))


def test_words_lie_where_they_were_drawn(measured: dict[tuple[str, str], list[float]]) -> None:
    assert share_found(measured) >= 0.97


@pytest.mark.parametrize("kind", TEXTS)
def test_words_of_each_kind_of_text(
    measured: dict[tuple[str, str], list[float]], kind: str
) -> None:
    assert share_found(measured, of=kind) >= 0.95


@pytest.mark.parametrize("form", FORMS)
def test_words_of_each_form_of_page(
    measured: dict[tuple[str, str], list[float]], form: str
) -> None:
    assert share_found(measured, of=form) >= 0.9


def test_words_of_a_line_that_was_split_to_be_read(reader: Pipeline) -> None:
    text = " ".join(ENGLISH)
    drawn = pictures.banner(text, 36)
    (line,) = asyncio.run(reader.read(drawn.image)).lines
    ((_, quad),) = drawn.lines
    assert line.text == text
    shares = np.array(overlaps(line, truth(text, quad, "Sans", 36)))
    assert (shares >= ENOUGH).mean() >= 0.95


# Words of steps of any length


@pytest.mark.parametrize(("height", "stride"), [(48, 8), (32, 4)])
@pytest.mark.parametrize("text", [CHINESE[0], PUNCTUATION[0], ENGLISH[1], MIXED[3]])
def test_any_recogniser_s_steps_will_do(text: str, height: int, stride: int) -> None:
    quad, line, spans = shown(text, height, stride)
    wanted = truth(text, quad, "Sans", 32)
    found = words(quad, 0, spans, line)
    assert texts(found) == [word for word, _ in wanted]
    assert min(overlap(a.quad, b) for a, (_, b) in zip(found, wanted, strict=True)) >= ENOUGH


@pytest.mark.parametrize(
    "change",
    [lambda line: 255 - line, lambda line: (line // 8 + 100).astype(np.uint8)],
    ids=["light on dark", "faint"],
)
def test_ink_may_be_light_or_faint(change: Callable[[Pixels], Pixels]) -> None:
    quad, line, spans = shown(ENGLISH[0], 48, 8)
    plain, other = words(quad, 0, spans, line), words(quad, 0, spans, change(line))
    assert max(np.abs(a.quad - b.quad).max() for a, b in zip(plain, other, strict=True)) < 2


@pytest.mark.parametrize("text", [CHINESE[0], ENGLISH[0]])
def test_words_that_are_underlined_are_parted_halfway(text: str) -> None:
    quad, line, spans = shown(text, 48, 8)
    line[-3:] = 0
    wanted = truth(text, quad, "Sans", 32)
    found = words(quad, 0, spans, line)
    shares = [overlap(a.quad, b) for a, (_, b) in zip(found, wanted, strict=True)]
    assert min(shares) > 0.5
    assert np.mean(shares) > 0.75


def test_what_stands_far_before_a_line_is_not_its_first_word() -> None:
    _, line, spans = shown(ENGLISH[0], 48, 8)
    before = np.full((48, 96, 3), 255, np.uint8)
    before[10:40, 5:30] = 0
    width = line.shape[1] + 96
    moved = [
        replace(
            span,
            start=(span.start * line.shape[1] + 96) / width,
            end=(span.end * line.shape[1] + 96) / width,
        )
        for span in spans
    ]
    box = np.array([[0, 0], [width, 0], [width, 48], [0, 48]], np.float32)
    first, *_ = words(box, 0, moved, np.concatenate([before, line], axis=1))
    assert first.quad[0, 0] > 60


# Words of any spans


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("turns", range(4))
def test_words_are_in_order_within_the_line_and_apart(seed: int, turns: int) -> None:
    random = np.random.default_rng(seed)
    text = "".join(random.choice(list("ab  中，é한.7"), 30)).strip()
    places = np.sort(random.random((len(text), 2)) * 1.1, axis=None).clip(0, 1).reshape(-1, 2)
    spans = [Span(c, float(a), float(b)) for c, (a, b) in zip(text, places, strict=True)]
    line = random.integers(0, 256, (48, 480, 3), np.uint8)
    line[:, random.integers(0, 480, 300)] = 255
    found = words(np.roll(STRIP, turns, axis=0), turns, spans, line)
    assert "".join(texts(found)) == "".join(text.split())
    quads = np.array([np.roll(word.quad, -turns, axis=0) for word in found])
    left, right, top, bottom = quads[:, 0, 0], quads[:, 1, 0], quads[:, 0, 1], quads[:, 2, 1]
    assert left.min() >= 10 and right.max() <= 410.001
    assert top.min() >= 20 and bottom.max() <= 60.001
    assert (right > left).all() and (bottom > top).all()
    assert (np.diff(left) >= 0).all()
    assert (right[:-1] - left[1:]).max(initial=0) < 1


@pytest.mark.parametrize("colour", [0, 255])
def test_a_line_without_ink_is_parted_halfway(colour: int) -> None:
    line = np.full((48, 480, 3), colour, np.uint8)
    found = words(STRIP, 0, even("文字都在这里了吗"), line)
    quads = np.array([word.quad for word in found])
    assert np.abs(quads[:-1, 1, 0] - quads[1:, 0, 0]).max() < 0.01
    assert np.abs(quads[:-1, 1, 0] - np.arange(60, 410, 50)).max() < 1
    assert (quads[:, 0, 1] == 20).all() and (quads[:, 2, 1] == 60).all()


def test_without_a_picture_words_are_as_wide_as_their_spans() -> None:
    one, two = words(STRIP, 0, even("ab c"))
    assert one.quad.tolist() == [[10, 20], [210, 20], [210, 60], [10, 60]]
    assert two.quad.tolist() == [[310, 20], [410, 20], [410, 60], [310, 60]]


@pytest.mark.parametrize("turns", range(4))
def test_a_word_starts_at_the_corner_at_which_its_line_starts(turns: int) -> None:
    first, _ = words(STRIP, turns, even("中文"))
    assert first.quad[turns].tolist() == STRIP[turns].tolist()


def test_a_word_is_as_sure_as_its_characters_on_the_mean() -> None:
    spans = [Span("a", 0, 0.2, 0.5), Span("b", 0.2, 0.4, 0.7), Span("中", 0.4, 1, 0.9)]
    assert [word.confidence for word in words(STRIP, 0, spans)] == [pytest.approx(0.6), 0.9]


def test_nothing_has_no_words() -> None:
    assert words(STRIP, 0, []) == ()
    assert words(STRIP, 0, even("  \u3000")) == ()


# Which characters are a word


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("你好", ["你", "好"]),
        ("the end", ["the", "end"]),
        ("  a   b ", ["a", "b"]),
        ("订单号20240518", ["订", "单", "号", "20240518"]),
        ("Python版v2", ["Python", "版", "v2"]),
        ("好，好。", ["好", "，", "好", "。"]),
        ("，“好”……", ["，", "“", "好", "”……"]),
        ("don’t (stop)", ["don’t", "(stop)"]),
        ("ひらカナ", ["ひ", "ら", "カ", "ナ"]),
        ("ｶﾞｷﾞ", ["ｶﾞ", "ｷﾞ"]),
        ("カ\u3099", ["カ\u3099"]),
        ("한국어 문자", ["한국어", "문자"]),
        ("中한국", ["中", "한국"]),
        ("ＡＢ１２！", ["ＡＢ１２", "！"]),
        ("cafe\u0301 x", ["cafe\u0301", "x"]),
        (" \u0301ab", ["\u0301ab"]),
        ("a\u3000b", ["a", "b"]),
        ("𠮷野", ["𠮷", "野"]),
        ("a\ud842\udfb7", ["a\ud842\udfb7"]),
        ("Привет, мир", ["Привет,", "мир"]),
    ],
)
def test_words_of_a_text(text: str, found: list[str]) -> None:
    assert texts(words(STRIP, 0, even(text))) == found


@pytest.mark.parametrize("character", "中々〇あアー、。「」（！￥𠮷ｶ")
def test_characters_that_stand_alone(character: str) -> None:
    assert stands_alone(character)


@pytest.mark.parametrize("character", ["", *"a7.é‘’…—·한ㅎ가Ａ９ﾡЖ "])
def test_characters_that_do_not_stand_alone(character: str) -> None:
    assert not stands_alone(character)


# Cost


def test_a_long_line_costs_little() -> None:
    line = np.random.default_rng(0).integers(0, 256, (48, 3840, 3), np.uint8)
    spans = even("中" * 80)
    times = []
    for _ in range(20):
        start = process_time()
        assert len(words(STRIP, 0, spans, line)) == 80
        times.append(process_time() - start)
    assert min(times) < 0.003  # a thousandth of a second where nothing else runs
