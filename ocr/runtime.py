"""Runs a model's network: in ONNX Runtime on a CPU, in torch on CUDA.

Neither is needed where the other runs.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ocr.document import Pixels
from ocr.errors import DeviceUnavailable, InferenceFailed, ModelMissing
from ocr.model import NETWORK, DetectionModel, RecognitionModel
from ocr.motion import Motion

Device = Literal["cpu", "cuda"]
Outputs = list[np.ndarray]  # of one picture
FEW = 2  # cores
LARGE = 2_000_000  # pixels of a picture
T = TypeVar("T")
Finish = Callable[[Pixels, Outputs], T]


class Network(ABC):
    """A network that many threads may call; `provider` says what runs it."""

    provider: str

    def __init__(self, threads: int) -> None:
        self.motion = Motion()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="network")

    def each(self, images: Sequence[Pixels], finish: Finish[T]) -> list[T | InferenceFailed]:
        """Run pictures, (height, width, 3) uint8 RGB, and `finish` each one with its outputs.

        What fails, network or `finish`, fails for its own picture only.
        """
        with self.motion.batch():
            return self._each(images, finish)

    @abstractmethod
    def _each(self, images: Sequence[Pixels], finish: Finish[T]) -> list[T | InferenceFailed]:
        """As `each`; `motion` is told of every run."""

    def map(self, task: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        """Do `task` for each item, as many at once as there are threads."""
        if len(items) == 1:
            return [task(items[0])]
        return list(self._pool.map(task, items))


class OnnxNetwork(Network):
    """A network file in ONNX Runtime, on a CPU.

    The same file is opened twice: calls that come together run side by side on one thread each,
    which costs least in all, and a call that is alone gets every thread, which answers soonest.
    Both give the same bits. On few cores a large picture is always alone: beside another one it
    would be an eighth faster, and the two take a gigabyte.

    Raises ModelMissing if there is no file at `path`.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not path.is_file():
            raise ModelMissing(f"no network at {path}")
        super().__init__(threads)
        self._alone = _open(path, threads)
        self._beside = self._alone if threads == 1 else _open(path, 1)
        self._threads = threads
        self._free = threads  # bounds memory as well as threads
        self._pending = 0
        self._changed = threading.Condition()
        self.provider = self._alone.get_providers()[0]

    def run(self, image: Pixels) -> Outputs:
        """Run one picture, (height, width, 3) uint8 RGB."""
        large = self._threads <= FEW and image.size > 3 * LARGE
        with self._taken(self._threads if large else 1) as alone:
            session = self._alone if large or alone else self._beside
            feed = {session.get_inputs()[0].name: image[np.newaxis]}
            outputs = session.run(None, feed)
            self.motion.moved()
            return [output[0] for output in outputs]

    @contextmanager
    def _taken(self, slots: int) -> Iterator[bool]:
        """Wait for free slots and take them; says whether nobody else was there on arrival."""
        with self._changed:
            self._pending += 1
            alone = self._pending == 1
            self._changed.wait_for(lambda: self._free >= slots)
            self._free -= slots
        try:
            yield alone
        finally:
            with self._changed:
                self._free += slots
                self._pending -= 1
                self._changed.notify_all()

    def _each(self, images: Sequence[Pixels], finish: Finish[T]) -> list[T | InferenceFailed]:
        """As Network.each. Pictures run one by one: on a CPU a batch is no faster."""
        return self.map(lambda image: guard(lambda: finish(image, self.run(image))), images)


def guard(task: Callable[[], T]) -> T | InferenceFailed:
    """What a task gives, or that it failed."""
    try:
        return task()
    except Exception as error:
        return InferenceFailed(f"{type(error).__name__}: {error}")


def open_network(
    folder: Path, model: DetectionModel | RecognitionModel, device: Device, threads: int
) -> Network:
    """Open the network of a model folder.

    Raises ModelMissing or ModelDamaged as its files deserve, DeviceUnavailable if the device
    cannot run it.
    """
    check_device(device)
    if device == "cuda":
        from ocr.torch_network import TorchNetwork  # torch is not needed, nor there, on a CPU

        return TorchNetwork(folder, model, device, threads)
    return OnnxNetwork(folder / NETWORK, threads)


def check_device(device: Device) -> None:
    """Raises DeviceUnavailable if this machine cannot run networks on the device."""
    if device == "cuda":
        _check_torch()
    elif find_spec("onnxruntime") is None:
        raise DeviceUnavailable("device 'cpu' was asked for, but ONNX Runtime is missing")


def _check_torch() -> None:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise DeviceUnavailable(
            f"device 'cuda' was asked for, but torch is missing: {error}"
        ) from None
    if not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds none: it takes "
            "NVIDIA's driver, and a container NVIDIA's container toolkit as well"
        )


def _open(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory plan is kept for every shape ever seen; without it memory stays flat.
    options.enable_mem_pattern = False
    # Waiting threads sleep: they would take the cores from the other runner.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@cache
def _share_memory() -> None:
    """Let all networks of this process take their memory from one arena."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    # No limit; grow by what is asked for, not by powers of two; defaults for the rest.
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, 1, -1, -1))
