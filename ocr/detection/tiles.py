"""Which pictures a detection network is shown of a page, and the boxes of all of them as one.

An ordinary page is one tile. A strip (a receipt, a banner) would lose its detail if it were
squeezed into the network's field, so it is cut into overlapping tiles; so is a huge page whose
text turned out to be small. A picture that is smaller than the field is enlarged a little and
padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isqrt

import cv2
import numpy as np
import numpy.typing as npt

from ocr import geometry
from ocr.document import Pixels, Quad
from ocr.model import DetectionModel

MAX_ENLARGEMENT = 4.0  # more only blurs
MAX_FIELD = 2000 * 1414  # pixels of one tile, a sheet of paper: bounds a runner's memory
MIN_FIELD = 320  # pixels; text that fills the whole field is not found, so tiny pictures get a rim
RIM = 16  # pixels round a picture that is padded anyway
AREA_SCALE = 0.5  # below this, pixels are averaged, or thin strokes fall between the samples
TILE_LENGTH = 1280  # pixels of the network's field, at most, along a side that is tiled
OVERLAP = 192  # of neighbouring tiles, in the same pixels; a line this high is in one of them whole
EDGE = 3.0  # a box this near to a cut edge, in the same pixels, is taken to go on behind it
MAX_TILES = 24
MIN_SIDE = 3.0  # of a quad, in pixels of the page


@dataclass(frozen=True)
class Plan:
    """How a page is shown: resized to a field, of which each tile shows a part.

    A tile is (left, top, right, bottom) in pixels of the field; `scale` is field over page.
    """

    scale: float
    width: int
    height: int
    tiles: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Tile:
    """One model-ready picture, (height, width, 3) uint8 RGB, and where it lies in the field."""

    pixels: Pixels
    box: tuple[int, int, int, int]  # what it shows of the field: left, top, right, bottom
    inset: tuple[int, int]  # columns and rows of padding before the first pixel of the page
    cuts: tuple[bool, bool, bool, bool]  # the page goes on behind left, top, right, bottom


def first_look(width: int, height: int, model: DetectionModel) -> Plan:
    """The plan for a page of which nothing is known."""
    return _plan(width, height, _FIRST_SCALES[model.resize](width, height, model), model)


def _by_least_sides(width: int, height: int, model: DetectionModel) -> float:
    short, long = min(width, height), max(width, height)
    scale = 1.0
    if short <= model.short_side - model.multiple:  # to resample by a few per cent only blurs
        scale = min(model.short_side / short, MAX_ENLARGEMENT)
    if long * scale > model.long_side:
        scale = max(model.long_side / long, min(model.short_side / short, 1.0))
    if long * scale <= model.long_side:
        scale = min(scale, (MAX_FIELD / (width * height)) ** 0.5)
    return scale


def _by_short_side(width: int, height: int, model: DetectionModel) -> float:
    scale = min(model.short_side / min(width, height), MAX_ENLARGEMENT)
    strip = max(width, height) * scale > model.long_side
    return min(scale, 1.0) if strip else scale


def _by_long_side(width: int, height: int, model: DetectionModel) -> float:
    """The long side fills the field, unless the short one would become too short of it."""
    short, long = min(width, height), max(width, height)
    scale = min(model.long_side / long, MAX_ENLARGEMENT)
    return max(scale, min(model.short_side / short, 1.0))


_FIRST_SCALES = {"least": _by_least_sides, "short": _by_short_side, "long": _by_long_side}


def closer_look(
    width: int, height: int, found: npt.NDArray[np.float32], first: Plan, model: DetectionModel
) -> Plan | None:
    """The plan for a reduced page on which the (n, 4, 2) quads `found` are too small, else None."""
    if first.scale >= 1.0:
        return None
    heights = [min(geometry.size(quad)) * first.scale for quad in found]
    typical = float(np.percentile(heights, 25)) if heights else model.small_text / 2
    if typical >= model.small_text:
        return None
    affordable = np.sqrt(MAX_TILES * (_tile_length(model) - OVERLAP) ** 2 / (width * height))
    scale = min(1.0, first.scale * model.readable_text / typical, float(affordable))
    return _plan(width, height, scale, model) if scale > 1.2 * first.scale else None


def _plan(width: int, height: int, scale: float, model: DetectionModel) -> Plan:
    field_width, field_height = (_length(side * scale, model) for side in (width, height))
    # One tile, if its area allows it; else tiles that even as squares are not too large.
    longest = model.long_side
    if field_width * field_height > MAX_FIELD:
        longest = min(longest, isqrt(MAX_FIELD))
    tiles = tuple(
        (left, top, right, bottom)
        for top, bottom in _intervals(field_height, longest, model)
        for left, right in _intervals(field_width, longest, model)
    )
    return Plan(scale, field_width, field_height, tiles)


def _tile_length(model: DetectionModel) -> int:
    return min(TILE_LENGTH, model.long_side)


def _length(side: float, model: DetectionModel) -> int:
    """A side of the field: a multiple that the network takes, or to be padded to one."""
    if side < MIN_FIELD or model.fit == "pad":
        return max(1, round(side))
    return round(side / model.multiple) * model.multiple


def _intervals(length: int, longest: int, model: DetectionModel) -> list[tuple[int, int]]:
    """Cut a length into equal, overlapping parts, or into one if it is not too long."""
    if length <= longest:
        return [(0, length)]
    count = ceil((length - OVERLAP) / (_tile_length(model) - OVERLAP))
    part = ceil((length + (count - 1) * OVERLAP) / count / model.multiple) * model.multiple
    starts = np.linspace(0, length - part, count).round().astype(int)
    return [(int(start), int(start) + part) for start in starts]


def prepare(page: Pixels, plan: Plan, model: DetectionModel) -> list[Tile]:
    """Make the model-ready pictures of a page."""
    height, width = page.shape[:2]
    if (plan.width, plan.height) != (width, height):
        smooth = cv2.INTER_AREA if plan.scale < AREA_SCALE else cv2.INTER_LINEAR
        page = np.asarray(cv2.resize(page, (plan.width, plan.height), interpolation=smooth))
    return [_tile(page, box, model) for box in plan.tiles]


def _tile(field: Pixels, box: tuple[int, int, int, int], model: DetectionModel) -> Tile:
    left, top, right, bottom = box
    height, width = field.shape[:2]
    before_x, after_x = _padding(right - left, model)
    before_y, after_y = _padding(bottom - top, model)
    pixels = field[top:bottom, left:right]
    if before_x or after_x or before_y or after_y:
        padded = cv2.copyMakeBorder(
            pixels, before_y, after_y, before_x, after_x, cv2.BORDER_CONSTANT,
            value=_background(pixels, model),
        )  # fmt: skip
        pixels = np.asarray(padded, np.uint8)
    cuts = (left > 0, top > 0, right < width, bottom < height)
    return Tile(np.ascontiguousarray(pixels), box, (before_x, before_y), cuts)


def _padding(length: int, model: DetectionModel) -> tuple[int, int]:
    """Pixels before and after a side that is no length for the network, or too short a field."""
    if model.fit == "pad":
        return 0, -length % model.multiple
    if length >= MIN_FIELD:
        return 0, 0
    padded = ceil((length + 2 * RIM) / model.multiple) * model.multiple
    before = (padded - length) // 2
    return before, padded - length - before


def _background(pixels: Pixels, model: DetectionModel) -> list[float]:
    """The colour to pad with: black, where the network was trained so, or that of the rim."""
    if model.fit == "pad":
        return [0.0, 0.0, 0.0]
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return [float(value) for value in np.median(rim, axis=0)]


def restore(
    tiles: Sequence[Tile],
    found: Sequence[npt.NDArray[np.float32]],
    plan: Plan,
    width: int,
    height: int,
) -> npt.NDArray[np.float32]:
    """Put the boxes (n, 9) of each tile onto the page and make one of each line's parts.

    Gives (n, 4, 2) quads in pixels of the page.
    """
    parts = [
        _Part(quad, float(row[8]), tile.box, _touches(quad, tile))
        for tile, rows in zip(tiles, found, strict=True)
        for row in rows
        for quad in [_on_field(row, tile)]
    ]
    quads = [part.quad for part in (_join(parts) if len(tiles) > 1 else parts)]
    if not quads:
        return np.zeros((0, 4, 2), np.float32)
    scales = np.array([plan.width / width, plan.height / height], np.float32)
    placed = geometry.clip(np.stack(quads) / scales, width, height)
    sides = np.array([geometry.size(quad) for quad in placed])
    return np.asarray(placed[sides.min(axis=1) > MIN_SIDE], np.float32)


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class _Part:
    quad: Quad  # in the field
    score: float
    tile: tuple[int, int, int, int]
    touches: bool  # reaches an edge behind which the page goes on


def _on_field(row: npt.NDArray[np.float32], tile: Tile) -> Quad:
    offset = np.array(tile.box[:2]) - tile.inset
    quad = row[:8].reshape(4, 2) + offset.astype(np.float32)
    return np.clip(quad, tile.box[:2], tile.box[2:]).astype(np.float32)


def _touches(quad: Quad, tile: Tile) -> bool:
    gaps = np.concatenate([quad.min(axis=0) - tile.box[:2], tile.box[2:] - quad.max(axis=0)])
    return bool(np.any(np.array(tile.cuts) & (gaps < EDGE)))


def _join(parts: Sequence[_Part]) -> list[_Part]:
    """Make one part of those that show the same line in neighbouring tiles."""
    near = _neighbours(parts)
    whole: set[int] = set()
    by_score = sorted(range(len(parts)), key=lambda i: -parts[i].score)
    for i in (i for i in by_score if not parts[i].touches):
        rivals = [parts[j] for j in near[i] if j in whole]
        if not any(_same(parts[i], rival) for rival in rivals):
            whole.add(i)
    cut = [
        part
        for i, part in enumerate(parts)
        if part.touches and not any(_covered(part, parts[j]) > 0.5 for j in near[i] if j in whole)
    ]
    return [parts[i] for i in sorted(whole)] + _join_cut(cut)


def _join_cut(parts: Sequence[_Part]) -> list[_Part]:
    """Make one part of those that go on in one another behind a cut."""
    joined: list[_Part] = []
    for part in parts:
        for other in [other for other in joined if _continues(part, other)]:
            joined.remove(other)
            points = np.concatenate([part.quad, other.quad])
            score = max(part.score, other.score)
            part = replace(part, quad=geometry.enclosing(points), score=score)
        joined.append(part)
    return joined


def _neighbours(parts: Sequence[_Part]) -> list[npt.NDArray[np.intp]]:
    """For each part the others whose upright bounds overlap its own: few, on any page."""
    bounds = geometry.bounds(np.array([part.quad for part in parts]).reshape(-1, 4, 2))
    low, high = bounds[:, :2], bounds[:, 2:]
    return [
        np.flatnonzero(((low < bottom_right) & (top_left < high)).all(axis=1))
        for top_left, bottom_right in zip(low, high, strict=True)
    ]


def _same(part: _Part, other: _Part) -> bool:
    return _covered(part, other) > 0.5 or _covered(other, part) > 0.5


def _covered(part: _Part, other: _Part) -> float:
    """The share of one part that lies inside another one, which another tile shows."""
    if part.tile == other.tile:
        return 0.0
    low = np.maximum(part.quad.min(axis=0), other.quad.min(axis=0))
    high = np.minimum(part.quad.max(axis=0), other.quad.max(axis=0))
    if np.any(high <= low):
        return 0.0
    common, _ = cv2.intersectConvexConvex(part.quad, other.quad)
    return float(common / max(cv2.contourArea(part.quad), 1.0))


def _continues(part: _Part, other: _Part) -> bool:
    """Whether two cut parts meet and are of one line: they share most of their breadth."""
    if _covered(part, other) == 0.0:
        return False
    axis = 1 if part.tile[1::2] == other.tile[1::2] else 0  # side by side: compare heights
    low = max(part.quad[:, axis].min(), other.quad[:, axis].min())
    high = min(part.quad[:, axis].max(), other.quad[:, axis].max())
    breadth = min(np.ptp(part.quad[:, axis]), np.ptp(other.quad[:, axis]))
    return bool(high - low > 0.5 * breadth)
