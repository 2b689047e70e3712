"""Networks run on the device that was asked for, the same alone and side by side."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ocr import runtime
from ocr.document import Pixels
from ocr.errors import DeviceUnavailable, InferenceFailed, ModelMissing
from ocr.geometry import crop
from ocr.model import NETWORK
from ocr.recognition import lines
from ocr.recognition.lines import PackedLines
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import OnnxNetwork, open_network
from tests import pictures
from tests.conftest import PRESET

HEIGHT = 48


@pytest.fixture(scope="module")
def recogniser(model_folders: tuple[Path, Path]) -> Recogniser:
    return Recogniser(model_folders[1], threads=2)


@pytest.fixture(scope="module")
def crops() -> list[Pixels]:
    """Lines of many widths."""
    drawn = pictures.page((*pictures.CHINESE[:3], *pictures.ENGLISH[:3], *pictures.MIXED[:2]))
    return [crop(drawn.image, quad, HEIGHT) for _, quad in drawn.lines]


def bits(outputs: list[np.ndarray]) -> list[bytes]:
    return [output.tobytes() for output in outputs]


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=str(tmp_path / NETWORK)):
        OnnxNetwork(tmp_path / NETWORK)


def test_a_cpu_without_onnx_runtime_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceUnavailable, match=r"'cpu'.*ONNX Runtime is missing"):
        open_network(tmp_path, PRESET.detection.model, "cpu", 1)


def test_onnx_runtime_keeps_no_records_to_report(
    model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """Where it reports to its makers, it leaves an identity and a database under HOME first."""
    script = "import pathlib, sys; from ocr.runtime import OnnxNetwork as open_network; "
    script += "open_network(pathlib.Path(sys.argv[1]))"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, str(model_folders[1] / NETWORK)]
    subprocess.run(command, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_provider_that_runs_is_named(recogniser: Recogniser) -> None:
    assert recogniser.network.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("threads", [2, 3])
def test_alone_and_side_by_side_give_the_same_bits(
    model_folders: tuple[Path, Path], crops: list[Pixels], threads: int
) -> None:
    model = Recogniser(model_folders[1]).model
    inputs = [lines.pad(line, model) for line in crops]
    expected = OnnxNetwork(model_folders[1] / NETWORK, threads=1)
    network = OnnxNetwork(model_folders[1] / NETWORK, threads=threads)
    alone = [bits(network.run(each)) for each in inputs]
    beside = network.each(inputs, lambda image, outputs: bits(outputs))
    assert alone == beside == [bits(expected.run(each)) for each in inputs]


@pytest.mark.parametrize(("threads", "at_once"), [(2, 1), (3, 3)])
def test_on_few_cores_large_pictures_run_alone(
    model_folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, threads: int, at_once: int
) -> None:
    network = OnnxNetwork(model_folders[1] / NETWORK, threads)
    monkeypatch.setattr(runtime, "LARGE", 10)
    together = threading.Barrier(threads)
    running, most = [0], [0]

    class Session:
        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="images")]

        def run(self, names: None, feed: dict[str, Any]) -> list[Any]:
            running[0] += 1
            time.sleep(0.1)  # for others to come in
            most[0] = max(most[0], running[0])
            running[0] -= 1
            return [[0]]

    network._alone = network._beside = Session()

    def call(image: Pixels) -> None:
        together.wait(10)
        network.run(image)

    network.map(call, [np.zeros((4, 4, 3), np.uint8)] * threads)
    assert most == [at_once]
    assert network._free == threads


def test_map_keeps_the_order(recogniser: Recogniser) -> None:
    assert recogniser.network.map(lambda number: number * 2, range(50)) == list(range(0, 100, 2))
    assert recogniser.network.map(str, [7]) == ["7"]
    assert recogniser.network.map(str, []) == []


def test_eight_threads_read_what_one_reads(recogniser: Recogniser, crops: list[Pixels]) -> None:
    requests = [lines.pack([line]) for line in crops]
    alone = [recogniser.recognise([request]) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        beside = list(pool.map(lambda request: recogniser.recognise([request]), requests * 2))
    assert beside == alone * 2


def test_a_line_reads_the_same_beside_others(recogniser: Recogniser, crops: list[Pixels]) -> None:
    one_by_one = [recogniser.recognise([lines.pack([line])])[0] for line in crops]
    (together,) = recogniser.recognise([lines.pack(crops)])
    assert [[reading] for reading in together] == one_by_one  # type: ignore[union-attr]
    assert recogniser.recognise([lines.pack([line]) for line in crops]) == one_by_one


def test_a_bad_request_fails_alone(recogniser: Recogniser, crops: list[Pixels]) -> None:
    good = lines.pack(crops[:2])
    too_short = PackedLines(good.pixels[:-3], good.widths, good.height)
    empty = PackedLines(np.zeros(0, np.uint8), (), good.height)
    first, *failed, last = recogniser.recognise([good, too_short, empty, good])
    assert first == last == recogniser.recognise([good])[0]
    assert [type(each) for each in failed] == [InferenceFailed] * 2


def test_no_requests_no_answers(recogniser: Recogniser) -> None:
    assert recogniser.recognise([]) == []


def test_a_failed_call_does_not_count_as_pending(recogniser: Recogniser) -> None:
    """Or the network would never again use all its threads for a call that is alone."""
    network = recogniser.network
    assert isinstance(network, OnnxNetwork)
    for _ in range(5):
        with pytest.raises(Exception, match=r"rank|dimension"):
            network.run(np.zeros((3,), np.uint8))
    assert network._pending == 0
