"""Runs a network file: ONNX Runtime on a CPU, or its CUDA provider where one was asked for."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ocr.errors import DeviceUnavailable, ModelMissing

Device = Literal["cpu", "cuda"]
T = TypeVar("T")
PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Network:
    """An ONNX network that many threads may call.

    The same file is opened twice on a CPU: calls that come together run side by side on one
    thread each, which costs least in all, and a call that is alone gets every thread, which
    answers soonest. Both give the same bits.

    Raises ModelMissing if there is no file at `path`, DeviceUnavailable if `device` is "cuda"
    and ONNX Runtime cannot run on one.
    """

    def __init__(self, path: Path, device: Device = "cpu", threads: int = 1) -> None:
        if not path.is_file():
            raise ModelMissing(f"no network at {path}")
        self._alone = _open(path, device, threads)
        self._beside = self._alone if device == "cuda" or threads == 1 else _open(path, device, 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=path.stem)
        self._slots = threading.BoundedSemaphore(threads)  # bounds memory as well as threads
        self._pending = 0
        self._lock = threading.Lock()
        self.provider: str = self._alone.get_providers()[0]

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Run one input, (1, height, width, 3) uint8 RGB; gives the network's outputs."""
        with self._lock:
            self._pending += 1
            session = self._alone if self._pending == 1 else self._beside
        try:
            with self._slots:
                outputs: list[np.ndarray] = session.run(None, {session.get_inputs()[0].name: image})
        finally:
            with self._lock:
                self._pending -= 1
        return outputs

    def map(self, task: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        """Do `task`, which calls `run`, for each item, as many at once as there are threads."""
        if len(items) == 1:
            return [task(items[0])]
        return list(self._pool.map(task, items))


def _open(path: Path, device: Device, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory plan is kept for every shape ever seen; without it memory stays flat.
    options.enable_mem_pattern = False
    # Waiting threads sleep: they would take the cores from the other runner.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "cpu":
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    wanted = check_device(device)
    session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
    if session.get_providers()[0] != wanted:
        raise DeviceUnavailable(f"device {device!r} was asked for, but {wanted} did not start")
    return session


@cache
def _share_memory() -> None:
    """Let all networks of this process take their CPU memory from one arena."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    # No limit; grow by what is asked for, not by powers of two; defaults for the rest.
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, 1, -1, -1))


def check_device(device: Device) -> str:
    """The execution provider for a device. Raises DeviceUnavailable if there is none."""
    import onnxruntime

    wanted = PROVIDERS[device]
    there = onnxruntime.get_available_providers()
    if wanted not in there:
        raise DeviceUnavailable(
            f"device {device!r} was asked for, but ONNX Runtime has only {', '.join(there)}"
        )
    return wanted
