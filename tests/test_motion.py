"""A network that hangs is told from one that works, and from one that rests."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ocr.motion import Motion
from ocr.runtime import OnnxNetwork


def test_who_rests_is_never_still() -> None:
    motion = Motion()
    assert motion.still_s == 0
    with motion.batch():
        motion.moved()
    time.sleep(0.02)
    assert motion.still_s == 0


def test_who_works_is_still_since_it_moved() -> None:
    motion = Motion()
    with motion.batch(), motion.batch():
        time.sleep(0.05)
        assert motion.still_s >= 0.05
        motion.moved()
        assert motion.still_s < 0.05


def test_a_batch_that_fails_is_over() -> None:
    motion = Motion()
    with pytest.raises(ValueError), motion.batch():
        raise ValueError
    assert motion.still_s == 0


def test_a_network_tells_of_its_batches_and_runs(model_folders: tuple[Path, Path]) -> None:
    network = OnnxNetwork(model_folders[0] / "network.onnx", 2)
    moved: list[float] = []
    held = threading.Event()

    def finish(image: np.ndarray, outputs: list[np.ndarray]) -> float:
        moved.append(network.motion.still_s)
        held.wait(0.05)
        return network.motion.still_s

    picture = np.zeros((64, 64, 3), np.uint8)
    (still,) = network.each([picture], finish)
    assert moved[0] < 0.05 <= float(still)  # type: ignore[arg-type]
    assert network.motion.still_s == 0
