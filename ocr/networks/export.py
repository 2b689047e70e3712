"""Writes a served network as an ONNX file for CPUs, and takes such a file apart to be checked."""

import io
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx.utils import Extractor
from torch import Tensor, nn

from ocr import onnx_graph
from ocr.networks.architectures import Architecture
from ocr.networks.folding import folded
from ocr.networks.served import Served

IMAGES = "images"
PLANES = "planes"  # inside the file: what the network itself takes
AXES = {"height": 1, "width": 2}  # of the images
OPSET = 17


def write(served: Served, architecture: Architecture, path: Path) -> None:
    """Write `path`: (n, height, width, 3) uint8 RGB in, the architecture's outputs out.

    Inside, the tensors between the network and its head keep the names of the architecture's maps.
    """
    inner = [PLANES, *_inner_maps(architecture)]
    names = [*inner, *architecture.outputs]
    free = {0: "n"} | {AXES[side]: side for side in architecture.free}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: sizes it thinks are constant are meant so
        torch.onnx.export(
            _Open(folded(served), len(inner) - 1).eval(),
            (torch.zeros((1, *architecture.size, 3), dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]
            input_names=[IMAGES],
            output_names=names,
            dynamic_axes={IMAGES: free} | {name: {0: "n"} for name in names},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    kept = [output for output in model.graph.output if output.name not in inner]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx_graph.flush_subnormals(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def network_alone(path: Path, architecture: Architecture) -> onnx.ModelProto:
    """The part of a written file that is the network itself: planes in, its maps out."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    part: onnx.ModelProto = Extractor(model).extract_model([PLANES], list(architecture.maps))
    return part


def _inner_maps(architecture: Architecture) -> list[str]:
    """The maps that are not outputs themselves."""
    return [name for name in architecture.maps if name not in architecture.outputs]


class _Open(nn.Module):
    """A served network that shows its planes and maps as well."""

    def __init__(self, served: Served, maps: int) -> None:
        super().__init__()
        self.served = served
        self.count = maps

    def forward(self, images: Tensor) -> Any:
        planes = self.served.planes(images)
        maps = self.served.maps(planes)
        found = self.served.head(*maps)
        outputs = (found,) if isinstance(found, Tensor) else found
        return (planes, *maps[: self.count], *outputs)
