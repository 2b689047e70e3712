"""Whether a network still says the same in half precision."""

from typing import Any

import cv2
import numpy as np
import torch

from ocr.detection import db, seglink
from ocr.document import Pixels
from ocr.model import DBModel, DetectionModel, RecognitionModel, SegLinkModel
from ocr.networks.folding import folded
from ocr.networks.served import Served
from ocr.recognition import ctc, lines

ENOUGH = 0.99  # F of one set of boxes against the other
SAME_PLACE = 0.9  # IoU from which two boxes are one

WORDS = ("invoice", "total", "2024", "ABC-123", "net", "45.90", "EUR", "street", "The quick fox")
LINES = 40
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)


def rounded(served: Served) -> Served:
    """A folded copy whose weights, and what every layer gives, are rounded to half precision.

    So a GPU computes that adds up in single precision; a CPU has no units for it.
    """
    served = folded(served)
    with torch.no_grad():
        for tensor in (*served.network.parameters(), *served.network.buffers()):
            tensor.copy_(_rounded(tensor))
    for module in served.network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, inputs, output: _rounded(output))
    return served


def half_holds(served: Served, model: DetectionModel | RecognitionModel) -> bool:
    """Whether half precision finds the same boxes, or reads the same lines, on drawn pictures."""
    half = rounded(served)
    if isinstance(model, RecognitionModel):
        return _reads_alike(served, half, model)
    return _agreement(served, half, model) >= ENOUGH


def agreement(expected: np.ndarray, found: np.ndarray) -> float:
    """F of one set of convex quads, (n, 4, 2), against another, one to one."""
    if not len(expected) and not len(found):
        return 1.0
    free = [np.asarray(quad, np.float32) for quad in found]
    pairs = 0
    for quad in expected:
        match = next((i for i, other in enumerate(free) if _same_place(quad, other)), None)
        if match is not None:
            del free[match]
            pairs += 1
    return 2 * pairs / (len(expected) + len(found))


def _reads_alike(served: Served, half: Served, model: RecognitionModel) -> bool:
    random = np.random.default_rng(0)
    widths = random.integers(60, model.max_width + 1, LINES)
    drawn = (_draw(random, model.height, int(width), 1) for width in widths)
    return all(
        np.array_equal(_classes(served, window), _classes(half, window))
        for line in drawn
        for window in lines.windows(line, model)
    )


def _classes(served: Served, window: Pixels) -> np.ndarray:
    """The best classes, without repeats and blanks, as CTC has them."""
    (classes, _) = _run(served, window)
    found = classes[np.flatnonzero(np.diff(classes, prepend=-1))]
    return np.asarray(found[found != ctc.BLANK])


def _agreement(served: Served, half: Served, model: DetectionModel) -> float:
    random = np.random.default_rng(0)
    found = []
    for width, height in ((512, 512), (512, 768)):
        page = _draw(random, height, width, 12)
        found.append(agreement(_quads(served, page, model), _quads(half, page, model)))
    return float(np.mean(found))


def _quads(served: Served, page: Pixels, model: DetectionModel) -> np.ndarray:
    outputs = _run(served, page)
    if isinstance(model, DBModel):
        boxes = db.boxes(outputs[0][0], model)
    else:
        assert isinstance(model, SegLinkModel)  # noqa: S101 - there is no third kind
        nodes, links, offsets = outputs
        boxes = seglink.boxes(nodes, links, offsets, page.shape[0], page.shape[1], model)
    return np.asarray(boxes[:, :8].reshape(-1, 4, 2))


def _run(served: Served, picture: Pixels) -> list[np.ndarray]:
    with torch.inference_mode():
        outputs = served(torch.from_numpy(picture[np.newaxis]))
    return [output[0].numpy() for output in outputs]


def _draw(random: np.random.Generator, height: int, width: int, rows: int) -> Pixels:
    """Rows of words in the fonts that OpenCV has, on paper that is not quite plain."""
    paper = random.normal(225, 6, (height, width, 3))
    picture = np.asarray(np.clip(paper, 0, 255), np.uint8)
    pitch = height / rows
    for row in range(rows):
        text = " ".join(random.choice(WORDS, 1 + width // 120))
        scale = pitch / 45 * random.uniform(0.8, 1.1)
        colour = [float(value) for value in random.integers(0, 110, 3)]
        foot = (int(random.integers(0, 10)), int((row + 0.75) * pitch))
        font = FONTS[random.integers(len(FONTS))]
        cv2.putText(picture, text, foot, font, scale, colour, 1 + (pitch > 40), cv2.LINE_AA)
    return picture


def _same_place(one: np.ndarray, other: np.ndarray) -> bool:
    areas = [cv2.contourArea(np.asarray(quad, np.float32)) for quad in (one, other)]
    if min(areas) == 0:
        return bool(np.array_equal(one, other))
    common, _ = cv2.intersectConvexConvex(np.asarray(one, np.float32), other)
    return bool(common >= SAME_PLACE * (sum(areas) - common))


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_rounded(each) for each in value)
    return value.half().to(value.dtype) if value.is_floating_point() else value
