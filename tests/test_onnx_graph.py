"""What is done to a network file, and that it answers as before."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ocr import onnx_graph

LEAST = np.finfo(np.float32).tiny  # of the normal numbers


def linear(weights: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    """A network of one layer, (n, 3) to (n, 2), with a shape that is no weight."""
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "weights", "bias"], ["y"]),
            helper.make_node("Reshape", ["y", "shape"], ["z"]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", kind, ["n", 3])],
        [helper.make_tensor_value_info("z", kind, ["n", 2, 1])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([-1, 2, 1]), "shape"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def weights_of(network: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in network.graph.initializer}


def test_subnormal_weights_become_0_and_all_others_stay() -> None:
    weights = np.array([[0.5, LEAST / 2], [-LEAST / 1024, -LEAST], [LEAST, -0.25]], np.float32)
    network = linear(weights, np.array([-1e-40, 1.0], np.float32))
    onnx_graph.flush_subnormals(network)
    onnx.checker.check_model(network)
    found = weights_of(network)
    expected = np.array([[0.5, 0], [0, -LEAST], [LEAST, -0.25]], np.float32)
    np.testing.assert_array_equal(found["weights"], expected)
    np.testing.assert_array_equal(found["bias"], np.array([0, 1], np.float32))
    np.testing.assert_array_equal(found["shape"], [-1, 2, 1])


def test_a_network_answers_as_before() -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(3, 2)).astype(np.float32)
    weights[1] = 1e-40
    network = linear(weights, np.array([0.5, -0.5], np.float32))
    pictures = random.normal(size=(20, 3)).astype(np.float32)
    before = run(network, pictures)
    onnx_graph.flush_subnormals(network)
    np.testing.assert_array_equal(run(network, pictures), before)


def run(network: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        network.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answer: np.ndarray = session.run(None, {"x": pictures})[0]
    return answer
