"""The benchmarks of what a machine can do count, draw and time what they say."""

import asyncio
from pathlib import Path

import growth
import limit
import numpy as np
import onnx
import plot
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocr.model import NETWORK
from ocr.pipeline import Pipeline


def _value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_operations_are_those_of_convolutions_and_products() -> None:
    weights = {
        "kernel": np.zeros((8, 2, 3, 3), np.float32),  # two groups of two channels
        "matrix": np.zeros((10, 5), np.float32),
    }
    nodes = [
        helper.make_node("Identity", ["kernel"], ["same"]),
        helper.make_node("Conv", ["x", "same"], ["y"], group=2, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("MatMul", ["z", "matrix"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [_value("x", "n", 4, 6, 10)],
        [_value("out", "n", 8, 6, 5)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    convolution, product = 2 * 8 * 6 * 10 * 2 * 9, 2 * 8 * 6 * 5 * 10
    assert limit.operations(model, (1, 4, 6, 10)) == convolution + product


def test_the_embedded_networks_take_what_is_known_of_them(model_folders: tuple[Path, Path]) -> None:
    detection, recognition = (onnx.load(folder / NETWORK) for folder in model_folders)
    assert limit.operations(detection, (1, 736, 1280, 3)) / 1e9 == pytest.approx(19.9, abs=0.1)
    assert limit.operations(recognition, (1, 48, 960, 3)) / 1e9 == pytest.approx(5.95, abs=0.01)


def test_a_drawn_page_has_as_many_lines_as_it_says(reader: Pipeline) -> None:
    row = asyncio.run(growth.read(reader, growth.dense(40, 80), 40))
    assert row.found == row.drawn == 40
    assert 0 < row.host_seconds < row.seconds
    assert growth.dense(4, 80).shape == growth.dense(80, 80).shape
    assert growth.sparse(6).size == pytest.approx(3 * 6e6, rel=0.01)


def test_a_plot_has_a_point_for_each_number_of_clients() -> None:
    def run(rate: float) -> dict[str, float]:
        return {"images_a_second": rate, "p50_ms": 1000.0, "p95_ms": 2000.0, "p99_ms": 4000.0}

    contestants = [
        {"name": "service", "clients": n, "rounds": [run(n), run(n + 2), run(n + 1)]}
        for n in (1, 2, 4)
    ]
    results = {"contestants": [*contestants, {"name": "other", "clients": 9, "rounds": []}]}
    assert plot.points(results, "images_a_second") == [(1, 2), (2, 3), (4, 5)]
    assert plot.points(results, "p99_ms") == [(1, 4), (2, 4), (4, 4)]
    assert plot.draw(results).count("<circle") == 12
