r"""Makes the golden files of this folder: what ModelScope's own code gives for seeded weights.

Run in the project's folder, in an environment of its own (about 3.6 GB), a minute:

    python3.11 -m venv VENV
    VENV/bin/pip install torch==2.13.0 tensorflow-cpu==2.21.0 tf_keras==2.21.0 tf_slim==1.1.0 \
        modelscope==1.40.2 addict datasets simplejson sortedcontainers opencv-python-headless \
        pillow pyclipper shapely safetensors
    VENV/bin/python -m tests.golden.make [ARCHITECTURE ...]

The files here were made with these versions on Python 3.11. Nothing else needs this script.
"""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ocr.networks.architectures import ARCHITECTURES
from tests.golden.cases import CASES, FOLDER, checkpoint

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before TensorFlow is imported
CLASSES = 7644
MEAN = np.array([123.68, 116.78, 103.94], np.float32)

RECOGNITION = "modelscope.models.cv.ocr_recognition.modules"
DETECTION = "modelscope.models.cv.ocr_detection.modules.dbnet"
SEGLINK = "modelscope.pipelines.cv.ocr_utils.model_resnet_mutex_v4_linewithchar"
MODULES = {
    "dbnet-resnet18": (DETECTION, "DBModel"),
    "dbnet-proxylessnas": (DETECTION, "DBNasModel"),
    "convnext-vit": (f"{RECOGNITION}.ConvNextViT.main_model", "ConvNextViT"),
    "crnn": (f"{RECOGNITION}.CRNN.main_model", "CRNN"),
    "lightweight-edge": (f"{RECOGNITION}.LightweightEdge.main_model", "LightweightEdge"),
}


def make(name: str) -> None:
    planes, tensors = CASES[name].planes(), checkpoint(name)
    centred = planes[:, ::-1] - MEAN[:, None, None]  # blue less the mean of red and so on
    if name == "seglink":
        outputs = run_seglink(tensors, centred.transpose(0, 2, 3, 1))
    else:
        taken = centred if name.startswith("dbnet") else planes
        outputs = [run_torch(name, tensors, (taken / np.float32(255)))]
    parts: dict[str, Any] = {str(i): part for i, part in enumerate(CASES[name].part(outputs))}
    if outputs[0].shape[-1] == CLASSES:
        parts["best"] = outputs[0].argmax(-1).astype(np.int16)
    np.savez_compressed(FOLDER / f"{name}.npz", **parts)
    print(name, [(output.shape, output.min(), output.max()) for output in outputs])


@torch.no_grad()
def run_torch(name: str, tensors: Mapping[str, np.ndarray], given: np.ndarray) -> np.ndarray:
    """A torch module's output. Its tensors must be those of the checkpoint, all and no others."""
    place, kind = MODULES[name]
    network = getattr(importlib.import_module(place), kind)().eval()
    state = {key: torch.from_numpy(value) for key, value in tensors.items()}
    for key, value in network.state_dict().items():
        if key.startswith(ARCHITECTURES[name].unused or "\0") or "num_batches" in key:
            state[key] = value
    network.load_state_dict(state)
    return np.asarray(network(torch.from_numpy(np.ascontiguousarray(given))))


def run_seglink(tensors: Mapping[str, np.ndarray], given: np.ndarray) -> list[np.ndarray]:
    """The maps of the TensorFlow graph, listed as ours are."""
    tf = tensorflow()
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, given.shape)
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
            detector = importlib.import_module(SEGLINK).SegLinkDetector()
            levels = detector.build_model(images, is_training=False)
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        assert variables.keys() == tensors.keys()
        for key, variable in variables.items():
            variable.load(tensors[key], session)
        maps = zip(*session.run(levels, {images: given}), strict=True)
    return [
        np.concatenate([level.reshape(1, -1, width) for level in levels], axis=1)
        for levels, width in zip(maps, (2, 4, 6), strict=True)
    ]


def tensorflow() -> Any:
    """Version 1 of its interface, with tf_keras where tf_slim looks for it."""
    tf = importlib.import_module("tensorflow").compat.v1
    tf.disable_eager_execution()
    for part in ("", ".normalization", ".convolutional", ".core", ".pooling", ".base"):
        found = importlib.import_module(f"tf_keras.src.legacy_tf_layers{part}")
        sys.modules[f"tf_keras.legacy_tf_layers{part}"] = found
    return tf


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name)
