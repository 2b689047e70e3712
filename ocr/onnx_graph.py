"""Makes a network file of ours out of a published one: uint8 RGB in, and only what is needed out.

Needs the package `onnx`; used when models are imported, never when they run.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "images"

# Nodes that take trained tensors, and what makes torch's layout of theirs.
LAID_OUT: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "Conv": np.asarray,
    "ConvTranspose": np.asarray,
    "BatchNormalization": np.asarray,
    "MatMul": np.transpose,
    "Add": np.ravel,  # biases
    "Mul": np.ravel,  # the scales of layer norms
}


def take_rgb_bytes(network: onnx.ModelProto, *, mean: float, std: float) -> None:
    """Let a network that takes normalised BGR planes take pictures as they are.

    The new input is (n, height, width, 3) uint8 RGB; the old one was (n, 3, height, width) float32
    BGR, (v - mean) / std. Works in place.
    """
    graph = network.graph
    (old,) = graph.input
    graph.initializer.extend(
        [
            _constant("bgr", TensorProto.INT64, [3], [2, 1, 0]),
            _constant("mean", TensorProto.FLOAT, [], [mean]),
            _constant("std", TensorProto.FLOAT, [], [std]),
        ]
    )
    prologue = [
        helper.make_node("Transpose", [INPUT], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "bgr"], ["bgr_planes"], axis=1),
        helper.make_node("Cast", ["bgr_planes"], ["float_planes"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float_planes", "mean"], ["centred_planes"]),
        helper.make_node("Div", ["centred_planes", "std"], [old.name]),
    ]
    nodes = [*prologue, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    shape: list[str | int | None] = ["n", "height", "width", 3]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape))


def give_best_class(network: onnx.ModelProto) -> None:
    """Let a network that gives (n, steps, classes) give each step's best class and its probability.

    The new outputs are `classes`, int64, and `probabilities`, float32, both (n, steps): a few
    hundred bytes a line in place of three million. Works in place.
    """
    graph = network.graph
    (old,) = graph.output
    graph.node.extend(
        [
            helper.make_node("ArgMax", [old.name], ["classes"], axis=2, keepdims=0),
            helper.make_node("ReduceMax", [old.name], ["probabilities"], axes=[2], keepdims=0),
        ]
    )
    del graph.output[:]
    for name, kind in (("classes", TensorProto.INT64), ("probabilities", TensorProto.FLOAT)):
        graph.output.append(helper.make_tensor_value_info(name, kind, ["n", "steps"]))


def flush_subnormals(network: onnx.ModelProto) -> None:
    """Make 0 of weights below the least normal number of single precision. Works in place.

    They add nothing to any sum, but with one of them Intel's processors take a hundred times as
    long for a product. Training leaves them in channels that it has given up: in two layers of
    PP-OCRv6 small's detection they are a quarter and two thirds of the weights, and took two
    thirds of the network's time.
    """
    for tensor in network.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(tensor)
            subnormal = (value != 0) & (np.abs(value) < np.finfo(np.float32).tiny)
            if subnormal.any():
                flushed = np.where(subnormal, np.float32(0), value)
                tensor.CopyFrom(numpy_helper.from_array(flushed, tensor.name))


def parameters(network: onnx.ModelProto) -> list[np.ndarray]:
    """The trained tensors of a network's layers, in the order in which its graph uses them.

    Laid out as torch has them: a linear layer's weights are (out, in), a bias has one axis. Numbers
    that are part of a formula are none of them.
    """
    graph = network.graph
    constants = {each.name: each for each in graph.initializer}
    found = []
    for node in graph.node:
        for name in node.input:
            if node.op_type in LAID_OUT and name in constants:
                value = numpy_helper.to_array(constants[name])
                if value.ndim and (value.size > 1 or node.op_type != "Mul"):
                    found.append(np.array(LAID_OUT[node.op_type](value), order="C"))
    return found


def metadata(network: onnx.ModelProto, key: str) -> str | None:
    """A text that the file carries beside its graph."""
    return next((entry.value for entry in network.metadata_props if entry.key == key), None)


def _constant(name: str, kind: int, shape: list[int], values: list[Any]) -> onnx.TensorProto:
    return helper.make_tensor(name, kind, shape, values)
