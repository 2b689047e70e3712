"""PP-OCRv6's recognition, small: reads lines of any width by CTC.

LCNetV4 and a light encoder (LightSVTR) after Du et al., "SVTR: Scene Text Recognition with a Single
Visual Model", IJCAI 2022: a step sees its neighbours by a convolution, all others by attention.
Paper: `lcnet_v4.py`.
"""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, scaled_dot_product_attention

from ocr.networks.layers import ConvNorm, Pair
from ocr.networks.lcnet_v4 import LCNetV4, Stage

STAGES = (  # of a line 48 pixels high the maps have 12, 12, 6 and 3 rows
    Stage(96, 2),
    Stage(96, 0, stride=(1, 1)),
    Stage(192, 6, stride=(2, 1)),
    Stage(384, 2, stride=(2, 1)),
)
ROWS = 3
WIDTH = 120  # channels of a step
BLOCKS = 2
HEADS = 8


class PPOCRv6Recognition(nn.Module):
    """(n, 3, 48, width) RGB, 0 to 255, to logits, (n, width / 8, classes); class 0 is CTC's blank.

    The width is a multiple of 8.
    """

    def __init__(self, classes: int = 18710) -> None:
        super().__init__()
        self.backbone = LCNetV4(STAGES)
        self.encoder = Encoder(STAGES[-1].width)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, planes: Tensor) -> Tensor:
        return self.head(self.encoder(avg_pool2d(self.backbone(planes)[-1], (ROWS, 2))))


class Encoder(nn.Module):
    """(n, before, 1, steps) to (n, steps, 120)."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.skip = Activated(before, WIDTH)
        self.reduce = Activated(before, WIDTH)
        self.near = Activated(WIDTH, WIDTH, (1, 7), groups=WIDTH)
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        skipped = self.skip(x)
        x = self.reduce(x)
        x = x + self.near(x)
        return self.norm(self.blocks(_steps(x))) + _steps(skipped)


class Activated(ConvNorm):
    """A convolution, its batch norm and Swish."""

    def __init__(self, before: int, after: int, kernel: Pair = (1, 1), groups: int = 1) -> None:
        super().__init__(before, after, kernel, groups=groups)
        self.act = nn.SiLU()


def _steps(x: Tensor) -> Tensor:
    """(n, channels, 1, steps) to (n, steps, channels)."""
    return x.squeeze(2).transpose(1, 2)


class TransformerBlock(nn.Module):
    """(n, steps, 120) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH, 1e-5)
        self.attention = Attention()
        self.norm = nn.LayerNorm(WIDTH, 1e-5)
        self.channels = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.channels(self.norm(x))


class Attention(nn.Module):
    """(n, steps, 120) to the same, by eight heads."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, 3 * WIDTH)  # queries, keys and values
        self.merge = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.project(x).unflatten(2, (3, HEADS, WIDTH // HEADS))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind()
        found = scaled_dot_product_attention(queries, keys, values)
        return self.merge(found.transpose(1, 2).flatten(2))
