"""Draws test pictures whose text and places are known. The same call gives the same pixels.

A page function draws; a distortion takes what was drawn and moves the truth along with the
pixels. Quads start where the text starts, so they stay with it when a picture is turned.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ocr.document import Pixels, Quad

Face = Literal["Sans", "Serif"]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (20, 20, 20)
FONTS = Path(__file__).parent / "fonts"

CHINESE = (
    "欢迎使用文字识别服务",
    "今天天气很好我们去公园",
    "北京市海淀区中关村大街",
    "开放时间上午九点到下午六点",
    "请在收到货物后七天内付款",
    "这里的图片可以用手机拍照",
    "每行文字都有位置和可信度",
    "人工智能正在改变我们的生活",
    "学校图书馆在教学楼的后面",
    "公司的地址和电话写在下面",
    "火车明天早上从上海出发",
    "老师说这本书非常有意思",
)
ENGLISH = (
    "The quick brown fox jumps over",
    "the lazy dog in the garden.",
    "Open from Monday to Friday",
    "Please read all of the text",
    "Every line has its own place",
    "and every word has a number.",
    "Trains leave at the main station",
    "Keep this paper in a safe place",
    "Nothing is sent to other people",
    "Thank you for your patience",
)
MIXED = (
    "订单号20240518",
    "合计128.50元",
    "Python 3.11 版本说明",
    "电话 010 6255 8888",
    "Windows 系统下载 56 MB",
    "Total price: $42.75",
)
GOODS = (
    ("苹果", "12.50"),
    ("牛奶", "6.80"),
    ("面包", "9.90"),
    ("红茶", "25.00"),
    ("鸡蛋", "14.20"),
    ("白米", "38.60"),
    ("青菜", "4.30"),
    ("果汁", "11.70"),
)
CELLS = (
    ("Name", "Number", "Price"),
    ("苹果", "14", "12.50"),
    ("牛奶", "23", "6.80"),
    ("面包", "35", "9.90"),
    ("红茶", "46", "25.00"),
)


@dataclass(frozen=True)
class Drawn:
    """A picture, RGB, and its lines in reading order, each with its quad."""

    image: Pixels
    lines: list[tuple[str, Quad]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.lines]

    @property
    def quads(self) -> npt.NDArray[np.float32]:
        return np.array([quad for _, quad in self.lines], np.float32).reshape(-1, 4, 2)


# Pages


def page(
    texts: Sequence[str], size: int = 32, face: Face = "Sans", width: int = 900, margin: int = 60
) -> Drawn:
    """One line under the other."""
    step = size * 2
    sheet = _Sheet(width, margin * 2 + step * len(texts))
    for row, text in enumerate(texts):
        sheet.write(text, margin, margin + row * step, size, face)
    return sheet.drawn()


def receipt(rows: int = 100, size: int = 26, width: int = 463) -> Drawn:
    """A long strip: goods at the left, prices at the right; every row has another price."""
    step = size * 2
    sheet = _Sheet(width, 40 + step * rows)
    for row in range(rows):
        name, _ = GOODS[row % len(GOODS)]
        top = 20 + row * step
        sheet.write(name, 30, top, size)
        sheet.write_right(f"{10 + row * 7 % 90}.{row % 10}5", width - 30, top, size)
    return sheet.drawn()


def two_columns(size: int = 28) -> Drawn:
    """A title, two columns of running text with a gutter between them, and a footer."""
    left, right = CHINESE[:6], CHINESE[6:12]
    step, column = size * 2, size * 14
    gutter = size * 2
    sheet = _Sheet(120 + 2 * column + gutter, 320 + step * 6)
    sheet.write_centred("文字识别服务使用说明", 50, size * 2)
    for start, texts in ((60, left), (60 + column + gutter, right)):
        for row, text in enumerate(texts):
            sheet.write(text, start, 170 + row * step, size)
    sheet.write_centred("公司的地址和电话", 220 + step * 6, size)
    return sheet.drawn()


def banner(text: str, size: int = 32) -> Drawn:
    """One line and hardly any paper round it, however wide that is."""
    sheet = _Sheet(_width(text, size) + size, size * 3 // 2)
    sheet.write(text, size // 2, size // 8, size)
    return sheet.drawn()


def label(text: str, size: int = 16) -> Drawn:
    """A scrap with one short word."""
    sheet = _Sheet(_width(text, size) + 8, size + 12)
    sheet.write(text, 4, 2, size)
    return sheet.drawn()


def standing(text: str, size: int = 32, *, upwards: bool = True) -> Drawn:
    """One line turned by 90 degrees on a page."""
    sheet = _Sheet(_width(text, size) + 200, 300)
    sheet.write(text, 100, 130, size)
    return turned(sheet.drawn(), 1 if upwards else 3)


def table(rows: Sequence[Sequence[str]] = CELLS, size: int = 28) -> Drawn:
    """Rows of short cells between ruled lines."""
    step, cell = size * 5 // 2, size * 8
    width, height = 80 + cell * len(rows[0]), 80 + step * len(rows)
    sheet = _Sheet(width, height)
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            sheet.write(text, 60 + column * cell, 40 + row * step + size // 2, size)
    for row in range(len(rows) + 1):
        sheet.rule((40, 40 + row * step), (width - 40, 40 + row * step))
    for column in range(len(rows[0]) + 1):
        sheet.rule((40 + column * cell, 40), (40 + column * cell, height - 40))
    return sheet.drawn()


def empty(width: int = 600, height: int = 400) -> Drawn:
    return _Sheet(width, height).drawn()


# Distortions


def turned(drawn: Drawn, quarters: int) -> Drawn:
    """Turn anticlockwise by quarters of a circle, without resampling."""
    height, width = drawn.image.shape[:2]
    image = np.ascontiguousarray(np.rot90(drawn.image, quarters))
    turns = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, 1, 0], [-1, 0, width]],
        2: [[-1, 0, width], [0, -1, height]],
        3: [[0, -1, height], [1, 0, 0]],
    }
    matrix = np.array([*turns[quarters % 4], [0, 0, 1]], np.float64)
    return Drawn(image, _moved(drawn, matrix))


def rotated(drawn: Drawn, degrees: float) -> Drawn:
    """Turn clockwise by any angle, on paper that grows with it."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return _warped(drawn, _corners(drawn) @ turn.T)


def sheared(drawn: Drawn, degrees: float) -> Drawn:
    """Let every row fall to the right, as a page that slipped in the scanner."""
    slope = np.tan(np.deg2rad(degrees))
    return _warped(drawn, _corners(drawn) @ np.array([[1.0, slope], [0.0, 1.0]]))


def in_perspective(drawn: Drawn, amount: float = 0.08, seed: int = 0) -> Drawn:
    """Move each corner inwards by up to `amount` of the picture's sides."""
    height, width = drawn.image.shape[:2]
    shares = np.random.default_rng(seed).uniform(0, amount, (4, 2))
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    return _warped(drawn, _corners(drawn) + shares * inwards * (width, height))


def blurred(drawn: Drawn, sigma: float = 1.2) -> Drawn:
    return replace(drawn, image=np.asarray(cv2.GaussianBlur(drawn.image, (0, 0), sigma), np.uint8))


def noisy(drawn: Drawn, sigma: float = 12.0, seed: int = 0) -> Drawn:
    grain = np.random.default_rng(seed).normal(0.0, sigma, drawn.image.shape)
    return replace(drawn, image=_bytes(drawn.image + grain))


def jpeg(drawn: Drawn, quality: int = 30) -> Drawn:
    """Save as JPEG and open again."""
    with Image.open(io.BytesIO(to_jpeg(drawn.image, quality))) as image:
        return replace(drawn, image=np.asarray(image, np.uint8))


def shaded(drawn: Drawn, darkest: float = 0.4) -> Drawn:
    """Light from the left, and a shadow with a soft edge over the lower right corner."""
    height, width = drawn.image.shape[:2]
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)[:, None]
    shadow = 1 / (1 + np.exp(-20 * (across + down - 1.3)))
    light = 1 - (1 - darkest) * (0.4 * across + 0.6 * shadow)
    return replace(drawn, image=_bytes(drawn.image * light[..., None]))


def faded(drawn: Drawn, contrast: float = 0.25) -> Drawn:
    return replace(drawn, image=_bytes(160 + (drawn.image.astype(np.float64) - 128) * contrast))


# Files


def to_png(image: Pixels) -> bytes:
    return encoded(Image.fromarray(image), "PNG")


def to_jpeg(image: Pixels, quality: int = 92) -> bytes:
    return encoded(Image.fromarray(image), "JPEG", quality=quality)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file in memory, of any format that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{to_base64(data)}"


class _Sheet:
    """White paper on which lines are written."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width, height), WHITE)
        self._pen = ImageDraw.Draw(self._image)
        self._lines: list[tuple[str, Quad]] = []

    def write(self, text: str, x: float, y: float, size: int, face: Face = "Sans") -> None:
        """Write one line; its quad is the box round its ink."""
        font = _font(face, size)
        self._pen.text((x, y), text, INK, font, anchor="la")
        left, top, right, bottom = self._pen.textbbox((x, y), text, font, anchor="la")
        corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
        self._lines.append((text, np.array(corners, np.float32)))

    def write_right(self, text: str, right: float, y: float, size: int) -> None:
        """Write one line that ends at `right`."""
        self.write(text, right - _width(text, size), y, size)

    def write_centred(self, text: str, y: float, size: int) -> None:
        self.write(text, (self._image.width - _width(text, size)) // 2, y, size)

    def rule(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        self._pen.line([start, end], (120, 120, 120), 2)

    def drawn(self) -> Drawn:
        return Drawn(np.array(self._image, np.uint8), self._lines)


@cache
def _font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout needs no library that a machine may lack.
    path = FONTS / f"Noto{face}SC-subset.otf"
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _width(text: str, size: int) -> int:
    return round(_font("Sans", size).getlength(text))


def _corners(drawn: Drawn) -> npt.NDArray[np.float64]:
    height, width = drawn.image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _warped(drawn: Drawn, corners: npt.NDArray[np.float64]) -> Drawn:
    """Lay the picture onto four corners, on white paper that is just large enough."""
    target = corners - corners.min(axis=0)
    width, height = (int(side) for side in np.ceil(target.max(axis=0)))
    matrix = np.asarray(
        cv2.getPerspectiveTransform(_corners(drawn).astype(np.float32), target.astype(np.float32)),
        np.float64,
    )
    image = cv2.warpPerspective(
        drawn.image, matrix, (width, height), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT, borderValue=WHITE,
    )  # fmt: skip
    return Drawn(np.asarray(image, np.uint8), _moved(drawn, matrix))


def _moved(drawn: Drawn, matrix: npt.NDArray[np.float64]) -> list[tuple[str, Quad]]:
    return [(text, _projected(quad, matrix)) for text, quad in drawn.lines]


def _projected(quad: Quad, matrix: npt.NDArray[np.float64]) -> Quad:
    points = np.column_stack([quad, np.ones(4)]) @ matrix.T
    return np.asarray(points[:, :2] / points[:, 2:], np.float32)


def _bytes(values: npt.NDArray[np.float64]) -> Pixels:
    return np.clip(values.round(), 0, 255).astype(np.uint8)
