"""LCNetV4, the backbone of PP-OCRv6: blocks that first mix places, then channels.

"PP-OCRv6: From 1.5M to 34.5M Parameters, Surpassing Billion-Scale VLMs on OCR Tasks",
arXiv:2606.13108, 2026. What is built is what is published for inference: branches that were trained
side by side are one convolution, and batch norms are part of the convolution before them.

Submodules stand in the order in which the published graph uses them: its tensors have no other
names (`weights.by_place`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from ocr.networks.layers import Pair


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; if there is a `stride`, after one that leads there."""

    width: int
    blocks: int  # every other one, from the first, weighs channels as well
    stride: Pair | None = None


class LCNetV4(nn.Module):
    """(n, 3, h, w) RGB, 0 to 255, to the map of each stage; the first is (n, width, h/4, w/4)."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        before = stages[0].width
        self.normalised = NormalisedBGR()
        self.stem = Stem(before)
        self.stages = nn.ModuleList()
        for stage in stages:
            self.stages.append(_stage(before, stage))
            before = stage.width

    def forward(self, planes: Tensor) -> list[Tensor]:
        x = self.stem(self.normalised(planes))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class NormalisedBGR(nn.Module):
    """(n, 3, h, w) RGB, 0 to 255, to BGR, -1 to 1."""

    def forward(self, planes: Tensor) -> Tensor:
        return (planes.flip(1) - 127.5) / 127.5


class Stem(nn.Module):
    """(n, 3, h, w) to (n, width, h / 4, w / 4), of convolutions and what is largest nearby."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.reduce = nn.Sequential(nn.Conv2d(3, inner, 3, 2, 1), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(inner, inner // 2, 2), nn.ReLU())
        self.widen = nn.Sequential(nn.Conv2d(inner // 2, inner, 2), nn.ReLU())
        self.merge = nn.Sequential(nn.Conv2d(2 * inner, inner, 3, 2, 1), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(inner, width, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = _extended(self.reduce(x))
        found = self.widen(_extended(self.narrow(x)))
        return self.last(self.merge(torch.cat([max_pool2d(x, 2, 1), found], dim=1)))


def _extended(x: Tensor) -> Tensor:
    """One more row and column, of zeros, for what 2 x 2 kernels would take away."""
    return pad(x, (0, 1, 0, 1))


class Block(nn.Module):
    """(n, before, h, w) to (n, after, h / stride, w / stride)."""

    def __init__(
        self, before: int, after: int, stride: Pair = (1, 1), *, weighs: bool = False
    ) -> None:
        super().__init__()
        self.places = nn.Conv2d(before, before, 3, stride, 1, groups=before)
        self.weighted = Weighted(before, 1 / 6) if weighs else nn.Identity()
        self.channels = nn.Sequential(
            nn.Conv2d(before, 2 * before, 1), nn.GELU(), nn.Conv2d(2 * before, after, 1)
        )
        self.residual = stride == (1, 1) and before == after

    def forward(self, x: Tensor) -> Tensor:
        x = self.weighted(self.places(x))
        y = self.channels(x)
        return x + y if self.residual else y


def _stage(before: int, stage: Stage) -> nn.Sequential:
    blocks = [Block(stage.width, stage.width, weighs=i % 2 == 0) for i in range(stage.blocks)]
    if stage.stride is not None:
        blocks.insert(0, Block(before, stage.width, stage.stride))
    return nn.Sequential(*blocks)


class Weighted(nn.Module):
    """(n, width, h, w) with each channel weighed, 0 to 1, by the means of all (Hu et al. 2018)."""

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv2d(width, width // 4, 1),
            nn.ReLU(),
            nn.Conv2d(width // 4, width, 1),
            HardSigmoid(slope),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x.mean((2, 3), keepdim=True))


class HardSigmoid(nn.Module):
    """A line of this slope through 1/2, cut off at 0 and 1."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.slope + 0.5).clamp(0, 1)
