"""DBNet on a searched backbone: where on a picture there is text.

Liao et al., "Real-Time Scene Text Detection with Differentiable Binarization", AAAI 2020; the
backbone's papers are in `mobile_blocks.py`. The map of thresholds, which only training needs, is
not built.
"""

from torch import Tensor, nn

from ocr.networks.dbnet_parts import Doubled, enlarged
from ocr.networks.layers import CentredBGR, ConvNorm, renamed
from ocr.networks.mobile_blocks import Bottleneck, Squeeze, Table, build, published_names
from ocr.networks.weights import Source

UNUSED = ("decoder.thresh.",)

STEM = 32  # channels at 1/2 of the picture
FIVE = ((5, 5),)
TWO = ((3, 3), (5, 5))
THREE = ((1, 1), (3, 3), (5, 5))
BLOCKS: Table = {
    0: Bottleneck(32, 2, TWO, stride=(2, 2)),  # 1/4 of the picture
    1: Bottleneck(32, 2, THREE),
    2: Bottleneck(32, 2, THREE),
    3: Bottleneck(32, 2, THREE),
    4: Bottleneck(32, 2, THREE),
    5: Squeeze(2, residual=True),
    6: Bottleneck(64, 4, TWO, stride=(2, 2)),  # 1/8
    7: Bottleneck(64, 4, TWO),
    8: Bottleneck(64, 4, THREE),
    9: Bottleneck(64, 4, THREE),
    10: Bottleneck(64, 4, TWO),
    11: Squeeze(8, residual=True),
    12: Bottleneck(96, 4, TWO, stride=(2, 2)),  # 1/16
    13: Bottleneck(96, 4, THREE),
    14: Bottleneck(96, 4, TWO),
    15: Bottleneck(96, 4, THREE),
    16: Bottleneck(96, 4, THREE),
    17: Squeeze(8, residual=True),
    18: Bottleneck(128, 4, FIVE, stride=(2, 2)),  # 1/32
    19: Bottleneck(128, 4, THREE),
    20: Bottleneck(128, 4, THREE),
    21: Bottleneck(128, 4, THREE),
    22: Bottleneck(128, 4, TWO),
    23: Squeeze(8, residual=True),
}
LEVELS = {"5": 32, "11": 64, "17": 96, "23": 128}  # blocks whose maps are used, and their channels
PYRAMID = 64
HEAD = 16


class DBNetProxylessNAS(nn.Module):
    """(n, 3, h, w), multiples of 32, to the probability of text, (n, 1, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = CentredBGR()
        self.stem = ConvNorm(3, STEM, (3, 3), (2, 2))
        self.blocks = build(STEM, BLOCKS)
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, PYRAMID, 1, bias=False) for width in LEVELS.values()
        )
        self.head = nn.Sequential(
            ConvNorm(PYRAMID, PYRAMID, (5, 5), groups=PYRAMID),
            nn.ReLU(),
            ConvNorm(PYRAMID, HEAD),
            nn.ReLU(),
            Doubled(HEAD, groups=HEAD),
            nn.ReLU(),
            ConvNorm(HEAD, HEAD, bias=True),
            nn.ReLU(),
            Doubled(HEAD, groups=HEAD),
            nn.ReLU(),
            nn.Conv2d(HEAD, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, planes: Tensor) -> Tensor:
        x = self.stem(self.centre(planes) / 255).relu()
        levels = []
        for number, block in self.blocks.items():
            x = block(x)
            if number in LEVELS:
                levels.append(x)
        return self.head(self._pyramid(levels))

    def _pyramid(self, levels: list[Tensor]) -> Tensor:
        """The levels, finest first, to one map (n, 64, h / 4, w / 4)."""
        sides = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        return enlarged(sides[3], 8) + enlarged(sides[2], 4) + enlarged(sides[1], 2) + sides[0]


def sources(network: DBNetProxylessNAS) -> dict[str, Source]:
    """What each of a network's tensors is called in the published checkpoint."""
    return renamed(network, [*published_names(BLOCKS, "backbone.blocks"), *NAMES])


NAMES = (
    (r"stem\.conv\.", "backbone.first_conv.0."),
    (r"stem\.norm\.", "backbone.first_conv.1."),
    *((rf"laterals\.{level}\.", f"decoder.in{level + 2}.") for level in range(4)),
    (r"head\.0\.conv\.", "decoder.binarize.0.depthwise."),
    (r"head\.0\.norm\.", "decoder.binarize.0.bn1."),
    (r"head\.2\.conv\.", "decoder.binarize.0.pointwise."),
    (r"head\.2\.norm\.", "decoder.binarize.1."),
    (r"head\.4\.conv\.", "decoder.binarize.3.depthwise."),
    (r"head\.4\.norm\.", "decoder.binarize.3.bn1."),
    (r"head\.6\.conv\.", "decoder.binarize.3.pointwise."),
    (r"head\.6\.norm\.", "decoder.binarize.4."),
    (r"head\.8\.conv\.", "decoder.binarize.6.depthwise."),
    (r"head\.8\.norm\.", "decoder.binarize.6.bn1."),
    (r"head\.10\.", "decoder.binarize.6.pointwise."),
)
