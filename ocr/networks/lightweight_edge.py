"""LightweightEdge, a searched convolutional network that reads lines by CTC.

The publisher names no paper of its own; the blocks' are in `mobile_blocks.py`. Connectionist
temporal classification: Graves et al., ICML 2006.
"""

from torch import Tensor, nn

from ocr.networks.layers import grey, renamed
from ocr.networks.mobile_blocks import (
    Activated,
    Bottleneck,
    Squeeze,
    Table,
    build,
    published_names,
)
from ocr.networks.weights import Source

UNUSED: tuple[str, ...] = ()

STEM = 24
BLOCKS: Table = {  # a line of 32 x 640 is a map of 16 x 320 here
    0: Bottleneck(32, 6, ((5, 5),), stride=(2, 2)),  # 8 x 160
    1: Bottleneck(32, 6, ((3, 3), (5, 5))),
    2: Bottleneck(32, 2, ((1, 1), (3, 3), (5, 5))),
    3: Bottleneck(32, 6, ((1, 1), (3, 3), (5, 5))),
    4: Bottleneck(32, 6, ((5, 5),)),
    5: Squeeze(8),
    6: Bottleneck(64, 6, ((3, 3), (5, 5)), stride=(2, 1), share="split"),  # 4 x 160
    11: Squeeze(8),
    12: Bottleneck(96, 2, ((5, 5),), stride=(2, 1)),  # 2 x 160
    13: Bottleneck(96, 6, ((3, 5),)),
    14: Bottleneck(96, 1, ((3, 3), (3, 5)), share="each"),
    15: Bottleneck(96, 4, ((3, 3), (3, 5)), share="split"),
    17: Squeeze(8),
    18: Bottleneck(128, 6, ((3, 5),), stride=(2, 1)),  # 1 x 160
    19: Bottleneck(128, 6, ((1, 5),)),
    20: Bottleneck(128, 4, ((1, 3), (1, 5))),
    21: Bottleneck(128, 4, ((1, 3), (1, 5)), share="split"),
}


class LightweightEdge(nn.Module):
    """(n, 3, 32, width) to logits, (n, width / 4, classes); class 0 is the blank of CTC."""

    def __init__(self, classes: int = 7644) -> None:
        super().__init__()
        self.stem = Activated(1, STEM, (3, 3), (2, 2))
        self.blocks = build(STEM, BLOCKS)
        self.head = nn.Linear(128, classes)

    def forward(self, planes: Tensor) -> Tensor:
        x = self.stem(grey(planes))
        for block in self.blocks.values():
            x = block(x)
        return self.head(x.squeeze(2).transpose(1, 2))


def sources(network: LightweightEdge) -> dict[str, Source]:
    """What each of a network's tensors is called in the published checkpoint."""
    return renamed(
        network,
        [
            (r"stem\.conv\.", "our_nas_model.first_conv.0."),
            (r"stem\.norm\.", "our_nas_model.first_conv.1."),
            (r"stem\.act\.", "our_nas_model.first_conv.2."),
            *published_names(BLOCKS, "our_nas_model.blocks"),
            (r"head\.", "head."),
        ],
    )
