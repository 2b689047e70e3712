"""Differentiable binarisation: from a map of text probability to quads.

Method: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization"
(AAAI 2020), with the box score and the enlargement of PaddleOCR's post-processing.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ocr.geometry import clockwise
from ocr.model import DetectionModel

MIN_SIDE = 3.0  # of a text kernel, and
MIN_UNCLIPPED_SIDE = 5.0  # of the box grown from it, in pixels of the map


def boxes(probability: npt.NDArray[np.float32], model: DetectionModel) -> npt.NDArray[np.float32]:
    """Find the text boxes of one map.

    Takes a (height, width) float32 map, gives (n, 9) float32: four corners (x, y) clockwise from
    the top left, in pixels of the map, and the mean probability inside the box.
    """
    mask = (probability > model.threshold).astype(np.uint8)
    mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    rows = [
        _box(np.asarray(contour, np.int32), probability, model)
        for contour in contours[: model.max_candidates]
    ]
    return np.array([row for row in rows if row is not None], np.float32).reshape(-1, 9)


def _box(
    contour: npt.NDArray[np.int32], probability: npt.NDArray[np.float32], model: DetectionModel
) -> npt.NDArray[np.float32] | None:
    centre, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < MIN_SIDE:
        return None
    score = _mean_inside(_corners(centre, width, height, angle), probability)
    if score < model.box_threshold:
        return None
    growth = 2 * width * height * model.unclip_ratio / (2 * (width + height))
    width, height = width + growth, height + growth
    if min(width, height) < MIN_UNCLIPPED_SIDE:
        return None
    quad = clockwise(_corners(centre, width, height, angle))
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
