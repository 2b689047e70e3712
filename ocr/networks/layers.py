"""What several of these networks have in common."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ocr.networks.weights import COUNTER, Source

Pair = tuple[int, int]  # (height, width) of kernels and strides

MEAN = (123.68, 116.78, 103.94)  # of red, green, blue; trained with it as of blue, green, red


def grey(planes: Tensor) -> Tensor:
    """(n, 3, h, w) RGB, 0 to 255, to (n, 1, h, w), 0 to 1 (the luma of ITU-R BT.601)."""
    red, green, blue = torch.split(planes / 255, 1, dim=1)
    return 0.2989 * red + 0.5870 * green + 0.1140 * blue


class CentredBGR(nn.Module):
    """(n, 3, h, w) RGB to BGR less the mean colour, in the units it comes in."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor(MEAN).view(3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)  # a constant, yet of the weights' type

    def forward(self, planes: Tensor) -> Tensor:
        return planes.flip(1) - self.mean


class ConvNorm(nn.Sequential):
    """A convolution and its batch norm: (n, before, h, w) to (n, after, h / stride, w / stride)."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: Pair = (1, 1),
        stride: Pair = (1, 1),
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(after)


def renamed(network: nn.Module, pairs: Iterable[tuple[str, str]]) -> dict[str, Source]:
    """One published tensor for each of a network's own, as `ocr.networks.weights.fill` takes them.

    `pairs`: a regular expression that names of ours begin with, and what the publisher's begin with
    in its place; the first that fits counts.
    """
    rules = [(re.compile(ours), theirs) for ours, theirs in pairs]
    names = [name for name in network.state_dict() if COUNTER not in name]
    return {name: Source((_published(name, rules),)) for name in names}


def _published(name: str, rules: list[tuple[re.Pattern[str], str]]) -> str:
    for ours, theirs in rules:
        found = ours.match(name)
        if found:
            return found.expand(theirs) + name[found.end() :]
    raise AssertionError(f"{name} has no published name")
