"""Checkpoints with random weights, under the publishers' names and in their layouts.

A tensor depends on its name, its shape and the seed alone, so the same ones can be made for the
publisher's own code.
"""

import math
import re
import zlib
from collections.abc import Mapping

import numpy as np
from torch import nn

from ocr.networks.weights import Source

Shape = tuple[int, ...]
AROUND_ZERO = {"beta", "moving_mean", "running_mean"}


def checkpoint(
    shapes: Mapping[str, Shape], seed: int, variance: float = 1.0
) -> dict[str, np.ndarray]:
    """One tensor for each name: float32, and int64 for the counters of batch norms.

    `variance` is the mean of the variances that batch norms divide by. With 1 a plain chain of
    convolutions keeps its signal; networks with many residual blocks want more.
    """
    return {name: _tensor(name, shape, seed, variance) for name, shape in shapes.items()}


def published_shapes(
    network: nn.Module, sources: Mapping[str, Source], shares: Mapping[str, int] | None = None
) -> dict[str, Shape]:
    """The shapes that the tensors of a network have in the publisher's checkpoint.

    `shares`: where one tensor of ours is made of several, the output channels of each, by a part
    of the path of its name; without it they are taken to be alike.
    """
    state = network.state_dict()
    return {
        name: _published(tuple(state[ours].shape), source, channels)
        for ours, source in sources.items()
        for name, channels in _channels(len(state[ours]), source, shares or {}).items()
    }


def _channels(whole: int, source: Source, shares: Mapping[str, int]) -> dict[str, int]:
    found = {
        name: next(
            (shares[part] for part in re.split("[/.]", name) if part in shares),
            whole // len(source.names),
        )
        for name in source.names
    }
    assert len(found) == 1 or sum(found.values()) == whole, source.names
    return found if len(found) > 1 else dict.fromkeys(found, whole)


def _published(ours: Shape, source: Source, channels: int) -> Shape:
    shape = (channels, *ours[1:])
    if source.hwio and len(shape) == 4:
        return (shape[2], shape[3], shape[1], shape[0])
    return shape


def _tensor(name: str, shape: Shape, seed: int, variance: float) -> np.ndarray:
    # The older generator of numpy: its stream never changes.
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    leaf = re.split("[/.]", name)[-1]
    if leaf == "num_batches_tracked":
        return np.array(seed, np.int64)
    if leaf in ("moving_variance", "running_var"):
        value = variance * random.uniform(0.5, 1.5, shape)
    elif leaf in AROUND_ZERO or leaf.startswith("bias"):
        value = 0.1 * random.standard_normal(shape)
    elif leaf in ("weight", "weights") and len(shape) > 1:
        value = random.standard_normal(shape) * math.sqrt(2 / _inputs(name, shape))
    elif leaf.startswith("weight_"):  # of a recurrent layer, as torch calls them
        value = random.uniform(-1, 1, shape) / math.sqrt(shape[-1])
    elif leaf in ("weight", "gamma"):
        value = random.uniform(0.6, 1.4, shape)
    else:  # places, tokens
        value = 0.5 * random.standard_normal(shape)
    return np.asarray(value, np.float32)


def _inputs(name: str, shape: Shape) -> int:
    """How many numbers one output is a sum of. TensorFlow has output channels last, torch first."""
    return math.prod(shape[:-1] if "/" in name else shape[1:])
