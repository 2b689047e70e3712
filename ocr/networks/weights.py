"""From the tensors of a published checkpoint to those of a network of ours, and nothing less.

A checkpoint is a mapping from the publisher's names to arrays, as `ocr.checkpoints` reads it. Each
architecture says with `sources()` which of them its own tensors are made of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ocr.errors import ModelDamaged

COUNTER = "num_batches_tracked"  # of a batch norm: used in training only


@dataclass(frozen=True)
class Source:
    """The published tensors that one tensor of ours is made of.

    Several `names` are joined along the first axis (output channels). `hwio`: convolution weights
    in TensorFlow's order (height, width, in, out), which become (out, in, height, width).
    """

    names: tuple[str, ...]
    hwio: bool = False

    def read(self, checkpoint: Mapping[str, np.ndarray]) -> np.ndarray:
        parts = [checkpoint[name] for name in self.names]
        if self.hwio:
            parts = [part.transpose(3, 2, 0, 1) if part.ndim == 4 else part for part in parts]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def by_place(network: nn.Module) -> dict[str, Source]:
    """One published tensor for each of a network's own, in the order of both.

    For networks that are published as a graph, whose tensors are known by the place at which it
    uses them: "000", "001" and so on, as `ocr.onnx_graph.parameters` has them.
    """
    names = (name for name in network.state_dict() if COUNTER not in name)
    return {name: Source((f"{place:03}",)) for place, name in enumerate(names)}


def fill(
    network: nn.Module,
    sources: Mapping[str, Source],
    checkpoint: Mapping[str, np.ndarray],
    unused: tuple[str, ...] = (),
) -> None:
    """Put a checkpoint's tensors into a network.

    `sources` has one entry for each name of the network's state (but for the counters of batch
    norms). Names of the checkpoint that begin with one of `unused` may be there and are passed
    over.

    Raises ModelDamaged, naming the tensors, if one is missing, unexpected, misshapen, of another
    type or not finite; the network is then as it was.
    """
    state = {name: value for name, value in network.state_dict().items() if COUNTER not in name}
    if state.keys() != sources.keys():
        raise AssertionError(f"unmapped: {sorted(state.keys() ^ sources.keys())}")
    _check_names(sources, checkpoint, unused)
    filled = {name: _tensor(name, state[name], sources[name], checkpoint) for name in state}
    network.load_state_dict(filled, strict=False)  # all names were compared above


def _check_names(
    sources: Mapping[str, Source], checkpoint: Mapping[str, np.ndarray], unused: tuple[str, ...]
) -> None:
    wanted = {name for source in sources.values() for name in source.names}
    missing = sorted(wanted - checkpoint.keys())
    if missing:
        raise ModelDamaged(f"the checkpoint lacks {_some(missing)}")
    foreign = sorted(
        name
        for name in checkpoint.keys() - wanted
        if COUNTER not in name and not name.startswith(unused or ("\0",))
    )
    if foreign:
        raise ModelDamaged(f"the checkpoint has tensors of another network: {_some(foreign)}")


def _tensor(
    name: str, wanted: torch.Tensor, source: Source, checkpoint: Mapping[str, np.ndarray]
) -> torch.Tensor:
    parts = ", ".join(source.names)
    for part in source.names:
        if checkpoint[part].dtype != np.float32:
            raise ModelDamaged(f"{part} is {checkpoint[part].dtype}, not float32")
        if not np.isfinite(checkpoint[part]).all():
            raise ModelDamaged(f"{part} has values that are not finite")
    try:
        value = source.read(checkpoint)
    except ValueError as error:
        raise ModelDamaged(f"{parts}: {error}") from error
    if value.shape != tuple(wanted.shape):
        raise ModelDamaged(f"{parts}: shape {value.shape}, {name} is {tuple(wanted.shape)}")
    return torch.from_numpy(np.ascontiguousarray(value))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def read_published(path: Path) -> Mapping[str, np.ndarray]:
    """The published tensors that a safetensors file holds. Raises ModelDamaged if it is none."""
    try:
        return {name: value.numpy() for name, value in load_file(path).items()}
    except Exception as error:  # as in `read`
        raise ModelDamaged(f"{path}: {error}") from error


def write(network: nn.Module, path: Path) -> None:
    """Write a network's tensors, under our names, as a safetensors file."""
    state = network.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path)


def read(network: nn.Module, path: Path) -> None:
    """Fill a network from such a file. Raises ModelDamaged if it is not this network's."""
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch have a kind of their own for each fault
        raise ModelDamaged(f"{path}: {error}") from error
