"""How near the networks are to what this machine can compute.

    python benchmarks/limit.py [--rounds 7] [--json FILE]

For the models that the OCR_* variables select, at several shapes: the floating point operations of
a network's convolutions and matrix products, its time on one core, and the share that this is of
the best that one core reached in a matrix product; `kernels` is the same for the time that only
the convolutions and products took, as ONNX Runtime's profiler has it. What is missing to the
share of the kernels is spent on everything else: activations, sums, moving data between layouts.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import inprocess
import machine
import numpy as np
import onnx
import onnxruntime
from arguments import count
from onnx import TensorProto, helper, numpy_helper, shape_inference
from tables import table

from ocr.model import NETWORK, DetectionModel, RecognitionModel
from runners import store

PAGES = ((736, 736), (736, 1280), (1472, 1024))
WIDTHS = (160, 320, 960)
PRODUCTS = ((512, 192, 384), (512, 384, 192), (1024, 1024, 1024), (2048, 2048, 2048))
COPIED = 256_000_000  # bytes, far more than any cache
GIGA = 1e9
COUNTED = ("Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm")


@dataclass(frozen=True)
class Row:
    """A network at one shape: operations, seconds on one core, seconds of what was counted."""

    network: str
    shape: tuple[int, ...]
    operations: int
    seconds: float
    kernel_seconds: float


def operations(network: onnx.ModelProto, shape: Sequence[int]) -> int:
    """Multiplications and additions of the convolutions and products, for an input of `shape`."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(network)
    dims = fixed.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, shape, strict=True):
        dim.dim_value = size
    inferred = shape_inference.infer_shapes(fixed, data_prop=True).graph
    shapes = {each.name: _shape(each) for each in (*inferred.value_info, *inferred.output)}
    shapes |= {each.name: tuple(each.dims) for each in inferred.initializer}
    same = {node.output[0]: node.input[0] for node in inferred.node if node.op_type == "Identity"}
    for new, old in same.items():  # in the order of the graph, so that chains resolve
        shapes[new] = shapes.get(old, shapes.get(new, ()))
    return sum(_of_node(node, shapes) for node in inferred.node)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _of_node(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type == "Conv":
        return 2 * prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return 2 * prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type == "MatMul":
        return 2 * prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return 0


def peak(threads: int, rounds: int) -> float:
    """The most operations a second in matrix products of several shapes."""
    return max(_product(*sizes, threads, rounds) for sizes in PRODUCTS)


def _product(rows: int, inner: int, columns: int, threads: int, rounds: int) -> float:
    random = np.random.default_rng(0)
    weights = random.random((inner, columns), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, inner])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = _session(model.SerializeToString(), threads)
    values = random.random((rows, inner), np.float32)
    seconds = _times(partial(session.run, None, {"x": values}), rounds)
    return 2 * rows * inner * columns / min(seconds)


def bandwidth(rounds: int) -> float:
    """Bytes read and written a second when one core copies memory."""
    source = np.ones(COPIED // 8)
    target = np.zeros_like(source)
    return 2 * COPIED / min(_times(partial(np.copyto, target, source), rounds))


def measure(folder: Path, name: str, shapes: Sequence[tuple[int, ...]], rounds: int) -> list[Row]:
    path = folder / NETWORK
    network = onnx.load(path)
    session = _session(str(path), 1)
    rows = []
    for shape in shapes:
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        feed = {session.get_inputs()[0].name: image}
        seconds = statistics.median(_times(partial(session.run, None, feed), rounds))
        kernels = _kernel_seconds(str(path), feed, rounds)
        rows.append(Row(name, shape, operations(network, shape), seconds, kernels))
    return rows


def _kernel_seconds(path: str, feed: dict[str, np.ndarray], rounds: int) -> float:
    """Seconds that the counted nodes take in one run."""
    with tempfile.TemporaryDirectory() as folder:
        session = _session(path, 1, profile=f"{folder}/profile")
        for _ in range(rounds):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    nodes = [event for event in events if event["name"].endswith("_kernel_time")]
    warm = nodes[len(nodes) // rounds :]  # the first run also takes memory
    micro = sum(event["dur"] for event in warm if event["args"]["op_name"] in COUNTED)
    return float(micro) / 1e6 / (rounds - 1)


def _session(model: str | bytes, threads: int, profile: str = "") -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # as the service has it
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _times(task: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of each run, after one that is not timed."""
    task()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    return seconds


def shapes_of(model: DetectionModel | RecognitionModel) -> list[tuple[int, ...]]:
    """Usual inputs of a model, (1, height, width, 3)."""
    if isinstance(model, RecognitionModel):
        if model.windows is not None:
            return [(1, model.height, model.windows.width, 3)]
        widths = sorted({max(width, model.min_width) for width in WIDTHS})
        return [(1, model.height, min(width, model.max_width), 3) for width in widths]
    step = model.multiple
    return [(1, *(-(-side // step) * step for side in sides), 3) for sides in PAGES]


def show(rows: Sequence[Row], best: float) -> str:
    header = ["network", "shape", "GFLOP", "ms", "GFLOP/s", "of the peak", "kernels"]
    return table(
        header,
        [
            [
                row.network,
                "x".join(str(side) for side in row.shape[1:3]),
                f"{row.operations / GIGA:.2f}",
                f"{1e3 * row.seconds:.1f}",
                f"{row.operations / row.seconds / GIGA:.0f}",
                f"{row.operations / row.seconds / best:.0%}",
                f"{row.operations / row.kernel_seconds / best:.0%}",
            ]
            for row in rows
        ],
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=count, default=7, help="of which medians are shown")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    rounds = max(2, options.rounds)
    best, copied = peak(1, rounds), bandwidth(rounds)
    print(machine.describe())
    print(f"one core: {best / GIGA:.0f} GFLOP/s in a product, {copied / GIGA:.1f} GB/s in a copy\n")
    pair = inprocess.SETTINGS.models
    rows = [
        row
        for entry in (pair.detection, pair.recognition)
        for row in measure(store.model_folder(entry), entry.tag, shapes_of(entry.model), rounds)
    ]
    print(show(rows, best))
    if options.json is not None:
        content = {"machine": machine.facts(), "peak": best, "bytes_a_second": copied}
        machine.write_json(options.json, content | {"rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
