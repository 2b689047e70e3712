"""Differentiable binarisation: from a map of text probability to quads.

Method: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization"
(AAAI 2020), with the box score and the enlargement of PaddleOCR's post-processing or, for models
that want whole pixels, of ModelScope's.
"""

from collections.abc import Sequence
from math import acos, pi

import cv2
import numpy as np
import numpy.typing as npt

from ocr.geometry import clockwise
from ocr.model import DBModel

MIN_SIDE = 3.0  # of a text kernel, and
MIN_UNCLIPPED_SIDE = 5.0  # of the box grown from it, in pixels of the map
ARC_TOLERANCE = 0.25  # how far a round corner may be cut where pixels are whole, in pixels


def boxes(probability: npt.NDArray[np.float32], model: DBModel) -> npt.NDArray[np.float32]:
    """Find the text boxes of one map.

    Takes a (height, width) float32 map, gives (n, 9) float32: four corners (x, y) clockwise from
    the top left, in pixels of the map, and the mean probability inside the box.
    """
    mask = (probability > model.threshold).astype(np.uint8)
    if model.dilate:
        mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    rows = [
        _box(np.asarray(contour, np.int32), probability, model)
        for contour in contours[: model.max_candidates]
    ]
    return np.array([row for row in rows if row is not None], np.float32).reshape(-1, 9)


def _box(
    contour: npt.NDArray[np.int32], probability: npt.NDArray[np.float32], model: DBModel
) -> npt.NDArray[np.float32] | None:
    centre, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < MIN_SIDE:
        return None
    kernel = _corners(centre, width, height, angle)
    score = _mean_inside(kernel, probability)
    if score < model.box_threshold:
        return None
    if model.whole_pixels:
        centre, (width, height), angle = _grown_in_whole_pixels(kernel, model.unclip_ratio)
    else:
        growth = 2 * width * height * model.unclip_ratio / (2 * (width + height))
        width, height = width + growth, height + growth
    if min(width, height) < MIN_UNCLIPPED_SIDE:
        return None
    quad = clockwise(_corners(centre, width, height, angle))
    if model.whole_pixels:
        quad = np.trunc(quad)
    return np.append(quad.ravel(), np.float32(score))


def _corners(
    centre: Sequence[float], width: float, height: float, angle: float
) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.boxPoints((centre, (width, height), angle)), np.float32)


def _mean_inside(corners: npt.NDArray[np.float32], probability: npt.NDArray[np.float32]) -> float:
    limit = np.array(probability.shape[::-1]) - 1
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, limit)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, limit)
    part = probability[low[1] : high[1] + 1, low[0] : high[0] + 1]
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - low).astype(np.int32)], (1,))
    return cv2.mean(part, inside)[0]


def _grown_in_whole_pixels(
    kernel: npt.NDArray[np.float32], ratio: float
) -> tuple[Sequence[float], Sequence[float], float]:
    """The rectangle round a kernel (4, 2) that was cut down to whole pixels and then grown.

    By how much is measured at the kernel as it was, in float64: where it stands at 45 degrees, less
    would let points of the outline fall to the wrong side of half a pixel.
    """
    sides = np.roll(kernel, -1, axis=0) - kernel.astype(np.float64)
    width, height = np.sqrt((sides[:2] ** 2).sum(axis=1))
    distance = width * height * ratio / (2 * (width + height))
    return cv2.minAreaRect(_outline(np.trunc(kernel).astype(np.float64), distance))


def _outline(polygon: npt.NDArray[np.float64], distance: float) -> npt.NDArray[np.int32]:
    """Points (m, 2) int32 on the line `distance` pixels outside of a polygon, corner by corner.

    The polygon is (n, 2) whole pixels, convex and clockwise on the screen. Corners are rounded, as
    far as the hull of the points shows it, as the Clipper library does: a corner's arc goes from
    the normal of the side before to that of the side after in steps of one size, chosen for a full
    circle to stay within ARC_TOLERANCE; the last may be shorter or left out.
    """
    polygon = polygon[np.any(polygon != np.roll(polygon, 1, axis=0), axis=1)]
    dx, dy = (np.roll(polygon, -1, axis=0) - polygon).T
    after = np.arctan2(-dx, dy)
    before = np.roll(after, 1)
    turn = (after - before) % (2 * pi)
    step = max(2 * acos(1 - min(ARC_TOLERANCE / distance, 0.25)), 2 / distance)
    # Cutting corners down to whole pixels can leave one that bends inwards: it gets no arc.
    steps = np.where(turn <= pi, np.maximum(np.floor(turn / step + 0.5), 1), 1)
    corner, number = np.nonzero(np.arange(steps.max() + 1) <= steps[:, np.newaxis])
    angle = np.where(number == steps[corner], after[corner], before[corner] + number * step)
    points = polygon[corner] + distance * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.trunc(points + np.copysign(0.5, points)).astype(np.int32)
