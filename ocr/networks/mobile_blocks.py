"""Inverted bottlenecks with several depthwise kernels: what architecture searches choose from.

MobileNetV2's block (Sandler et al. 2018) with the branches of MixConv (Tan and Le 2019) or RepVGG
(Ding et al. 2021), and squeeze-and-excitation (Hu et al. 2018); which of them stand where was found
in the manner of ProxylessNAS (Cai et al. 2019). A network is a table of blocks by the publisher's
number; numbers that are not in it are layers that the search left out.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils import fuse_conv_bn_eval

from ocr.networks.layers import ConvNorm, Pair


@dataclass(frozen=True)
class Bottleneck:
    """Widen `expansion` times, convolve each channel for itself, narrow to `width` channels.

    `share` is how several kernels work together. sum: each sees all channels, results are added;
    split: each sees its part of the channels; each: each sees all channels, results are stacked.
    """

    width: int
    expansion: int
    kernels: tuple[Pair, ...]
    stride: Pair = (1, 1)
    share: Literal["sum", "split", "each"] = "sum"


@dataclass(frozen=True)
class Squeeze:
    """Weigh each channel by the means of all, over `ratio` times fewer channels in between."""

    ratio: int
    residual: bool = False


Table = Mapping[int, Bottleneck | Squeeze]


class BottleneckBlock(nn.Module):
    """(n, before, h, w) to (n, width, h / stride, w / stride)."""

    def __init__(self, before: int, plan: Bottleneck) -> None:
        super().__init__()
        self.residual = plan.stride == (1, 1) and before == plan.width
        inner, count = before * plan.expansion, len(plan.kernels)
        self.expand = Activated(before, inner) if plan.expansion > 1 else nn.Identity()
        self.depthwise: nn.Module
        if plan.share == "sum":
            self.depthwise = Summed(_branches(ConvNorm, inner, plan))
        elif plan.share == "split":
            self.depthwise = Split(_branches(Activated, inner // count, plan))
        else:
            self.depthwise = Stacked(_branches(Activated, inner, plan))
        self.act = nn.Identity() if plan.share == "split" else nn.PReLU()
        self.project = ConvNorm(inner * count if plan.share == "each" else inner, plan.width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.act(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


def _branches(kind: type[ConvNorm], channels: int, plan: Bottleneck) -> Iterator[ConvNorm]:
    return (kind(channels, channels, kernel, plan.stride, channels) for kernel in plan.kernels)


class Activated(ConvNorm):
    """A convolution, its batch norm and a PReLU of one slope for all channels."""

    def __init__(
        self, before: int, after: int, kernel: Pair = (1, 1), stride: Pair = (1, 1), groups: int = 1
    ) -> None:
        super().__init__(before, after, kernel, stride, groups)
        self.act = nn.PReLU()


class Summed(nn.ModuleList):
    """Branches of one input, added: (n, c, h, w) to (n, c, h / stride, w / stride)."""

    def convolutions(self) -> list[ConvNorm]:
        return [branch for branch in self if isinstance(branch, ConvNorm)]

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch(x) for branch in self)
        return sum(others, start=first)


class Split(nn.ModuleList):
    """A branch for each part of the channels: (n, c, h, w) to (n, c, h / stride, w / stride)."""

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(x, x.shape[1] // len(self), dim=1)
        return torch.cat([branch(part) for branch, part in zip(self, parts, strict=True)], dim=1)


class Stacked(nn.ModuleList):
    """Branches of one input side by side: (n, c, h, w) to (n, c * count, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class SqueezeBlock(nn.Module):
    """(n, width, h, w) to the same."""

    def __init__(self, width: int, plan: Squeeze) -> None:
        super().__init__()
        self.residual = plan.residual
        self.reduce = nn.Conv2d(width, width // plan.ratio, 1)
        self.restore = nn.Conv2d(width // plan.ratio, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        y = x * self.restore(self.reduce(means).relu()).sigmoid()
        return x + y if self.residual else y


def build(width: int, table: Table) -> nn.ModuleDict:
    """A table's blocks, by number and in its order; the first takes maps of `width` channels."""
    blocks = nn.ModuleDict()
    for number, plan in table.items():
        if isinstance(plan, Squeeze):
            blocks[str(number)] = SqueezeBlock(width, plan)
        else:
            blocks[str(number)] = BottleneckBlock(width, plan)
            width = plan.width
    return blocks


def published_names(table: Table, publisher: str) -> Iterator[tuple[str, str]]:
    """Pairs for `layers.renamed`: our `blocks.NUMBER.` and what follows the publisher's prefix."""
    for number, plan in table.items():
        ours, theirs = rf"blocks\.{number}\.", f"{publisher}.{number}.mobile_inverted_conv."
        for part, other in _parts(plan).items():
            yield rf"{ours}{part}\.norm\.", f"{theirs}{other}.bn."
            yield rf"{ours}{part}\.", f"{theirs}{other}."


def _parts(plan: Bottleneck | Squeeze) -> dict[str, str]:
    if isinstance(plan, Squeeze):
        return {"reduce": "fc1", "restore": "fc2"}
    ends = {"expand": "inverted_bottleneck", "project": "point_conv"}
    if len(plan.kernels) == 1:
        return {**ends, r"depthwise\.0": "depth_conv", "act": "depth_conv.act"}
    branch = "rep_conv" if plan.share == "sum" else "mix_conv"
    return {**ends, r"depthwise\.(\d)": rf"{branch}.\1", "act": "act"}


Network = TypeVar("Network", bound=nn.Module)


def condensed(network: Network) -> Network:
    """A copy that computes the same in fewer steps: in ONNX Runtime, on a CPU, in half the time.

    Summed branches become one convolution (Ding et al. 2021). A PReLU of one slope becomes a leaky
    ReLU, which runs within the convolution before it. For inference, and no place to put a
    checkpoint: the tensors have other names. Networks without such blocks stay as they are.
    """
    network = deepcopy(network).eval()
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, Summed):
                setattr(parent, name, _merged(module))
            elif isinstance(module, nn.PReLU) and module.num_parameters == 1:
                setattr(parent, name, nn.LeakyReLU(module.weight.item()))
    return network


def _merged(branches: Summed) -> nn.Conv2d:
    """The one convolution that gives what several and their batch norms add up to."""
    convs = [fuse_conv_bn_eval(branch.conv, branch.norm) for branch in branches.convolutions()]
    whole = convs[-1]  # tables list the smaller kernels first
    weights = [_amid_zeros(conv.weight, whole.weight.shape) for conv in convs]
    biases = [conv.bias for conv in convs if conv.bias is not None]  # folding gave them all one
    whole.weight = nn.Parameter(torch.stack(weights).sum(0))
    whole.bias = nn.Parameter(torch.stack(biases).sum(0))
    return whole


def _amid_zeros(kernels: Tensor, shape: torch.Size) -> Tensor:
    rows, columns = (shape[2] - kernels.shape[2]) // 2, (shape[3] - kernels.shape[3]) // 2
    return pad(kernels, (columns, columns, rows, rows))
