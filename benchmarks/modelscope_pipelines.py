"""ModelScope's own pipelines, called as a service over them does: lines one by one.

Runs in a Python of its own, with modelscope 1.40.2, torch, tensorflow-cpu 2.21, tf_keras, tf_slim,
addict, datasets, simplejson, sortedcontainers, OpenCV, pyclipper and shapely.
"""

import importlib
import os
import sys
from typing import Any

import cv2
import numpy as np

NOTHING = "No text detected"  # an exception, there
LAYERS = ("", ".normalization", ".convolutional", ".core", ".pooling", ".base")


def load(detection: str, recognition: str) -> tuple[Any, Any]:
    """The two pipelines over model folders, on the CPU."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    _mend_keras()
    from modelscope.pipelines import pipeline

    return (
        pipeline("ocr-detection", model=detection, device="cpu"),
        pipeline("ocr-recognition", model=recognition, device="cpu"),
    )


def quads(detect: Any, picture: np.ndarray) -> np.ndarray:
    """What the detection finds on a BGR picture, (n, 4, 2)."""
    try:
        found = detect(picture)["polygons"]
    except Exception as error:  # it has no type of its own for it
        if NOTHING not in str(error):
            raise
        return np.zeros((0, 4, 2), np.float32)
    return np.asarray(found, np.float32).reshape(-1, 4, 2)


def crop(picture: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """What lies in a quad, upright, at its own size."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    width, height = (max(1, int(max(sides[i], sides[i + 2]))) for i in (0, 1))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    return np.asarray(cv2.warpPerspective(picture, matrix, (width, height)))


def _mend_keras() -> None:
    """TensorFlow looks for these modules of tf_keras where they no longer are."""
    for name in LAYERS:
        module = importlib.import_module("tf_keras.src.legacy_tf_layers" + name)
        sys.modules.setdefault("tf_keras.legacy_tf_layers" + name, module)
