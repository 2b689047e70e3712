"""What is used of the GPU, by whomever."""

import sys
import threading

import numpy as np
import torch

SAMPLING = 0.1  # seconds


class Busy:
    """How busy the GPU is between entering and leaving, where NVML (nvidia-ml-py) can tell."""

    def __init__(self, device: str) -> None:
        self._samples: list[int] = []
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._cuda = device == "cuda"

    def __enter__(self) -> "Busy":
        if self._cuda:
            self._sampler.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        if self._cuda:
            self._sampler.join()

    @property
    def share(self) -> float | None:
        return float(np.mean(self._samples)) / 100 if self._samples else None

    def _sample(self) -> None:
        while not self._done.wait(SAMPLING):
            try:
                self._samples.append(torch.cuda.utilization(0))
            except Exception as error:  # whatever NVML lacks: it is not what is measured
                print(f"gpu: nobody knows how busy it is: {error}", file=sys.stderr)
                return


def memory_in_use(device: str) -> int:
    """Bytes of the GPU's that all processes have taken, this one's own context included."""
    if device != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info(0)
    return total - free
