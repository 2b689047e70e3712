"""PP-OCRv6's detection, small: where on a picture there is text.

LCNetV4, a pyramid with large kernels (RepLKFPN) and the head of differentiable binarization (Liao
et al., AAAI 2020) without its map of thresholds, which only training needs. Paper: `lcnet_v4.py`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocr.networks.dbnet_parts import enlarged
from ocr.networks.lcnet_v4 import LCNetV4, Stage, Weighted

STAGES = (  # at 1/4, 1/8, 1/16 and 1/32 of the picture
    Stage(48, 2),
    Stage(96, 2, stride=(2, 2)),
    Stage(192, 4, stride=(2, 2)),
    Stage(384, 2, stride=(2, 2)),
)
PYRAMID = 96
HEAD = 24


class PPOCRv6Detection(nn.Module):
    """(n, 3, h, w) RGB, 0 to 255, multiples of 32, to the probability of text, (n, 1, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = LCNetV4(STAGES)
        self.pyramid = Pyramid([stage.width for stage in STAGES])
        self.head = nn.Sequential(
            nn.Conv2d(PYRAMID, HEAD, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(HEAD, HEAD, 2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(HEAD, 1, 2, stride=2),
            nn.Sigmoid(),
        )

    def forward(self, planes: Tensor) -> Tensor:
        return self.head(self.pyramid(self.backbone(planes)))


class Pyramid(nn.Module):
    """Maps of these widths, finest first, each of half the size of the one before, to one map.

    It is (n, 96, h, w), of the size of the finest.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        # Coarsest first, which is the order of the published graph.
        self.laterals = nn.ModuleList(Lateral(width, PYRAMID) for width in reversed(widths))
        self.outs = nn.ModuleList(Smoothed(PYRAMID, PYRAMID // len(widths)) for _ in widths)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        levels: list[Tensor] = []
        for lateral, level in zip(self.laterals, reversed(maps), strict=True):
            side = lateral(level)
            levels.append(side + enlarged(levels[-1], 2) if levels else side)
        outs = [out(level) for out, level in zip(self.outs, levels, strict=True)]
        times = [2**power for power in range(len(outs) - 1, 0, -1)]
        coarse = [enlarged(out, each) for out, each in zip(outs, times, strict=False)]
        return torch.cat([*coarse, outs[-1]], dim=1)


class Lateral(nn.Module):
    """(n, before, h, w) to (n, after, h, w): channels, and once more as they weigh."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.channels = nn.Conv2d(before, after, 1, bias=False)
        self.weighted = Weighted(after, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channels(x)
        return x + self.weighted(x)


class Smoothed(nn.Sequential):
    """(n, before, h, w) to (n, after, h, w), from 7 x 7 places."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 7, padding=3, groups=before), Lateral(before, after)
        )
