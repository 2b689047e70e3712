"""Runs a network of `ocr.networks` in torch: on CUDA as recorded graphs.

Each shape of input is recorded once as a CUDA graph, at one fixed batch size, and replayed: what a
picture gives does not depend on what else is in its batch, memory stays flat, and a replay costs
one launch where the network has hundreds.

How many pictures one replay takes is a matter of their shape alone. Pages are run one by one. Lines
that are all of one shape come by 64. Lines of any width come by as many as make up some 8,000
columns of pixels, so that a replay costs much the same whatever the width, and few of its places
stay empty where lines of one width are few.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ocr.document import Pixels
from ocr.errors import InferenceFailed, ModelDamaged, ModelMissing
from ocr.model import WEIGHTS, DetectionModel, RecognitionModel
from ocr.networks.architectures import ARCHITECTURES, Architecture
from ocr.networks.folding import folded
from ocr.networks.served import Served
from ocr.runtime import Device, Finish, Network, Outputs, guard

T = TypeVar("T")
Shape = tuple[int, ...]

LINES = 64  # in one batch, at most; a page has some 30
COLUMNS = 8192  # of pixels in one batch of lines of any width
MAX_GRAPHS = 96  # more shapes than that are run as they come; lines of PP-OCRv6 have 76
WARM_UP = 3  # runs before a graph is recorded, as torch's documentation asks for

# Of all networks of this process: while one records a graph, no thread may use CUDA otherwise.
_CUDA = threading.Lock()


class TorchNetwork(Network):
    """A network with the weights of a model folder.

    On CUDA it runs in half precision if `model` says that this will do, else in true single
    precision. On a CPU it runs without graphs: for tests and comparisons.

    Raises ModelMissing if the folder has no weights, ModelDamaged if they are not this network's.
    """

    def __init__(
        self,
        folder: Path,
        model: DetectionModel | RecognitionModel,
        device: Device = "cuda",
        threads: int = 1,
    ) -> None:
        path = folder / WEIGHTS
        if not path.is_file():
            raise ModelMissing(f"no weights at {path}")
        super().__init__(threads)
        architecture = _architecture(model)
        self._device = torch.device(device)
        self._lock = _CUDA if device == "cuda" else threading.Lock()
        half = model.half and device == "cuda"
        with self._lock:
            self._served = _prepare(architecture.from_file(path), self._device, half)
        self._free = architecture.free
        self._graphs: dict[Shape, _Graph] = {}
        self._pool_of_graphs = torch.cuda.graph_pool_handle() if device == "cuda" else None
        kind = "half" if half else "single"
        self.provider = f"torch {torch.__version__}, {kind} precision, {_name(self._device)}"

    def _each(self, images: Sequence[Pixels], finish: Finish[T]) -> list[T | InferenceFailed]:
        """As Network.each."""
        work: list[tuple[Pixels, Outputs | InferenceFailed]] = []
        order: list[int] = []
        for batch in _batches(images, self.batch_size):
            outputs = guard(partial(self.run, np.stack([images[i] for i in batch])))
            order += batch
            work += [(images[i], _of_one(outputs, k)) for k, i in enumerate(batch)]
        finished = self.map(lambda each: _finished(each[0], each[1], finish), work)
        return [finished[i] for i in np.argsort(order)]

    def batch_size(self, shape: Shape) -> int:
        """How many pictures of this shape, (height, width, 3), are run together."""
        if "height" in self._free:
            return 1
        if "width" in self._free:
            return max(1, min(LINES, COLUMNS // shape[1]))
        return LINES

    def run(self, images: np.ndarray) -> Outputs:
        """Run one batch, (n, height, width, 3) uint8 RGB, n no more than `batch_size` says."""
        count = len(images)
        padded = np.zeros((self.batch_size(images.shape[1:]), *images.shape[1:]), np.uint8)
        padded[:count] = images
        with self._lock, torch.inference_mode():
            outputs = self._run(torch.from_numpy(padded))
            arrays = [output[:count].cpu().numpy() for output in outputs]
        self.motion.moved()
        return arrays

    def _run(self, images: Tensor) -> tuple[Tensor, ...]:
        if self._device.type != "cuda":
            return tuple(self._served(images))
        shape = tuple(images.shape)
        if shape not in self._graphs:
            if len(self._graphs) == MAX_GRAPHS:
                return tuple(self._served(images.to(self._device)))
            self._graphs[shape] = _Graph(self._served, images, self._pool_of_graphs)
        return self._graphs[shape].replay(images)


class _Graph:
    """A network recorded for one shape of input. Its outputs are overwritten by the next replay."""

    def __init__(self, served: Served, images: Tensor, pool: Any) -> None:
        self._staged = images.pin_memory()
        self._images = images.cuda()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                served(self._images)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._outputs = tuple(served(self._images))

    def replay(self, images: Tensor) -> tuple[Tensor, ...]:
        self._staged.copy_(images)
        self._images.copy_(self._staged, non_blocking=True)
        self._graph.replay()
        return self._outputs


def _architecture(model: DetectionModel | RecognitionModel) -> Architecture:
    if model.network not in ARCHITECTURES:
        raise ModelDamaged(f"{model.name} names a network that is not here: {model.network}")
    return ARCHITECTURES[model.network]


def _prepare(served: Served, device: torch.device, half: bool) -> Served:
    """Fold what can be folded and take the type and the layout that are fast on the device."""
    served = folded(served).to(device)
    if device.type == "cuda":
        # Else what is called single precision rounds as coarsely as half precision does.
        torch.backends.cudnn.allow_tf32 = False
        # Else half precision may add up in half precision, which its import has not tried.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cudnn.deterministic = True  # else a replay may add up in another order
        served.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if half:
        served.network.half()
    return served


def _batches(images: Sequence[Pixels], size: Callable[[Shape], int]) -> list[list[int]]:
    """Positions of images of one shape, no more together than `size` says of it."""
    alike: dict[Shape, list[int]] = {}
    for i, image in enumerate(images):
        alike.setdefault(image.shape, []).append(i)
    return [
        positions[start : start + size(shape)]
        for shape, positions in alike.items()
        for start in range(0, len(positions), size(shape))
    ]


def _of_one(outputs: Outputs | InferenceFailed, position: int) -> Outputs | InferenceFailed:
    if isinstance(outputs, InferenceFailed):
        return outputs
    return [output[position] for output in outputs]


def _finished(
    image: Pixels, outputs: Outputs | InferenceFailed, finish: Finish[T]
) -> T | InferenceFailed:
    if isinstance(outputs, InferenceFailed):
        return outputs
    return guard(partial(finish, image, outputs))


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
