"""Quads and the crops they cut out of a page. Quads are (4, 2) float32, x then y, in pixels."""

from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from ocr.document import Pixels, Quad

STANDING = 1.5  # a quad this many times higher than wide holds a line that was turned
MAX_LINE_PIXELS = 20_000_000  # of one line while it is cut out


def clockwise(corners: npt.NDArray[np.floating]) -> Quad:
    """Order four corners clockwise from the top left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.array([top_left, top_right, bottom_right, bottom_left], np.float32)


def size(quad: Quad) -> tuple[float, float]:
    """A quad's width and height: the longer of each two opposite sides."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def stands(quad: Quad) -> bool:
    """Whether a quad is so high that it must hold a line that was turned."""
    width, height = (max(1, round(side)) for side in size(quad))
    return height >= STANDING * width


def clip(quads: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """Move the corners of (n, 4, 2) quads that lie outside a page onto its edge."""
    return np.clip(quads, 0, np.array([width, height], np.float32)).astype(np.float32)


def held(quads: npt.NDArray[np.float32], turns: int) -> npt.NDArray[np.float32]:
    """(n, 4, 2) quads as they lie when the page is held so that text which starts at their corner
    number `turns` is upright."""
    for _ in range(turns):
        quads = np.roll(np.stack([quads[..., 1], -quads[..., 0]], axis=2), -1, axis=1)
    return quads


def bounds(quads: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Upright boxes (n, 4) as left, top, right, bottom, of (n, 4, 2) quads."""
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)


def enclosing(points: npt.NDArray[np.float32]) -> Quad:
    """The smallest rectangle, at any angle, round (n, 2) points."""
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32)))
    return clockwise(np.asarray(corners, np.float32))


def crop(page: Pixels, quad: Quad, height: int, turns: int = 0) -> Pixels:
    """Cut one line out of a page at a given height, its width in proportion.

    The text runs from the quad's corner number `turns`: 0 as seen, 1 downwards, 2 upside down,
    3 upwards. Pixels are resampled once, and averaged where the line is much reduced.
    """
    quad = np.roll(quad, -turns, axis=0)
    seen_width, seen_height = (max(side, 1.0) for side in size(quad))
    width = ceil(seen_width * height / seen_height)
    finer = max(1, min(int(seen_height / height), MAX_LINE_PIXELS // (width * height)))
    fine_width, fine_height = width * finer, height * finer
    target = np.array(
        [[0, 0], [fine_width, 0], [fine_width, fine_height], [0, fine_height]], np.float32
    )
    # Warp only what lies around the quad: OpenCV cannot address more than 32,767 pixels a side.
    low = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(quad.max(axis=0)).astype(int) + 3
    part = page[low[1] : high[1], low[0] : high[0]]
    matrix = cv2.getPerspectiveTransform((quad - low).astype(np.float32), target)
    line = cv2.warpPerspective(
        part,
        matrix,
        (fine_width, fine_height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if finer > 1:
        line = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(line, np.uint8)
