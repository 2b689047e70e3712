"""DBNet on ResNet-18: where on a picture there is text.

Liao et al., "Real-Time Scene Text Detection with Differentiable Binarization", AAAI 2020, on He et
al., "Deep Residual Learning for Image Recognition", CVPR 2016. The map of thresholds, which only
training needs, is not built.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from ocr.networks.dbnet_parts import Doubled, enlarged
from ocr.networks.layers import CentredBGR, ConvNorm, Pair, renamed
from ocr.networks.weights import Source

UNUSED = ("decoder.thresh.",)

STEM = 64
WIDTHS = (64, 128, 256, 512)  # of the maps at 1/4, 1/8, 1/16 and 1/32 of the picture
PYRAMID = 256
HEAD = 64


class DBNetResNet18(nn.Module):
    """(n, 3, h, w), multiples of 32, to the probability of text, (n, 1, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = CentredBGR()
        self.stem = ConvNorm(3, STEM, (7, 7), (2, 2))
        self.stages = nn.ModuleList(map(_stage, (STEM, *WIDTHS), WIDTHS, (1, 2, 2, 2)))
        self.laterals = nn.ModuleList(nn.Conv2d(width, PYRAMID, 1, bias=False) for width in WIDTHS)
        self.outs = nn.ModuleList(
            nn.Conv2d(PYRAMID, PYRAMID // 4, 3, padding=1, bias=False) for _ in WIDTHS
        )
        self.head = nn.Sequential(
            ConvNorm(PYRAMID, HEAD, (3, 3)),
            nn.ReLU(),
            Doubled(HEAD),
            nn.ReLU(),
            nn.ConvTranspose2d(HEAD, 1, 2, stride=2),
            nn.Sigmoid(),
        )

    def forward(self, planes: Tensor) -> Tensor:
        x = max_pool2d(self.stem(self.centre(planes) / 255).relu(), 3, stride=2, padding=1)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return self.head(self._pyramid(levels))

    def _pyramid(self, levels: list[Tensor]) -> Tensor:
        """The levels, finest first, to one map (n, 256, h / 4, w / 4)."""
        sides = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        for finer in (2, 1, 0):
            sides[finer] = sides[finer] + enlarged(sides[finer + 1], 2)
        outs = [out(side) for out, side in zip(self.outs, sides, strict=True)]
        return torch.cat(
            [enlarged(outs[3], 8), enlarged(outs[2], 4), enlarged(outs[1], 2), outs[0]], 1
        )


class ResidualBlock(nn.Module):
    """(n, before, h, w) to (n, after, h / stride, w / stride)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        strides: Pair = (stride, stride)
        self.first = ConvNorm(before, after, (3, 3), strides)
        self.second = ConvNorm(after, after, (3, 3))
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(before, after, (1, 1), strides)

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.second(self.first(x).relu())).relu()


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(before, after, stride), ResidualBlock(after, after))


def sources(network: DBNetResNet18) -> dict[str, Source]:
    """What each of a network's tensors is called in the published checkpoint."""
    return renamed(network, NAMES)


NAMES = (
    (r"stem\.conv\.", "backbone.conv1."),
    (r"stem\.norm\.", "backbone.bn1."),
    *(
        (rf"stages\.{stage}\.(\d)\.{ours}\.", rf"backbone.layer{stage + 1}.\1.{theirs}.")
        for stage in range(4)
        for ours, theirs in (
            (r"first\.conv", "conv1"),
            (r"first\.norm", "bn1"),
            (r"second\.conv", "conv2"),
            (r"second\.norm", "bn2"),
            (r"shortcut\.conv", "downsample.0"),
            (r"shortcut\.norm", "downsample.1"),
        )
    ),
    *((rf"laterals\.{level}\.", f"decoder.in{level + 2}.") for level in range(4)),
    (r"outs\.0\.", "decoder.out2."),
    *((rf"outs\.{level}\.", f"decoder.out{level + 2}.0.") for level in (1, 2, 3)),
    (r"head\.0\.conv\.", "decoder.binarize.0."),
    (r"head\.0\.norm\.", "decoder.binarize.1."),
    (r"head\.2\.conv\.", "decoder.binarize.3."),
    (r"head\.2\.norm\.", "decoder.binarize.4."),
    (r"head\.4\.", "decoder.binarize.6."),
)
