"""ConvNextViT, a ConvNeXt and a small vision transformer that read chunks of lines by CTC.

ConvNeXt: Liu et al., "A ConvNet for the 2020s", CVPR 2022, of less width and shrinking in height
only after its stem. Transformer: Atienza, "Vision Transformer for Fast and Efficient Scene Text
Recognition" (ViTSTR), ICDAR 2021, of the size that DeiT calls tiny.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ocr.networks.layers import grey, renamed
from ocr.networks.weights import Source

UNUSED = ("vitstr.cls_token",)  # of the class of a whole picture, which is no matter here

HEIGHT, WIDTH = 32, 300  # of a chunk: its places are learnt, so there are no others
STEPS = WIDTH // 4
STAGES = ((96, 3), (192, 3), (256, 8), (512, 3))  # channels and blocks; 8, 4, 2 and 1 rows
EPSILON = 1e-6

TRANSFORMER_BLOCKS = 12
EMBEDDING = 192
HEADS = 3
SCALE = (EMBEDDING // HEADS) ** -0.5


class ConvNextViT(nn.Module):
    """Chunks (n, 3, 32, 300) to logits, (n, 75, classes); class 0 is the blank of CTC."""

    def __init__(self, classes: int = 7644) -> None:
        super().__init__()
        widths = [width for width, _ in STAGES]
        self.stem = nn.Conv2d(1, widths[0], 4, stride=4)
        self.stem_norm = nn.LayerNorm(widths[0], EPSILON)
        self.reductions = nn.ModuleList(map(Reduction, widths[:-1], widths[1:]))
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width) for _ in range(count))) for width, count in STAGES
        )
        self.embedding = nn.Conv2d(widths[-1], EMBEDDING, 1)
        self.places = nn.Parameter(torch.zeros(1, STEPS, EMBEDDING))
        self.transformer = nn.Sequential(*(TransformerBlock() for _ in range(TRANSFORMER_BLOCKS)))
        self.norm = nn.LayerNorm(EMBEDDING, EPSILON)
        self.head = nn.Linear(EMBEDDING, classes)

    def forward(self, planes: Tensor) -> Tensor:
        # Maps are (n, height, width, channels) between the blocks: there layer norm and linear
        # layers take them as they are.
        x = self.stages[0](self.stem_norm(self.stem(grey(planes)).permute(0, 2, 3, 1)))
        for reduction, stage in zip(self.reductions, self.stages[1:], strict=True):
            x = stage(reduction(x))
        steps = self.embedding(x.permute(0, 3, 1, 2)).squeeze(2).transpose(1, 2)
        return self.head(self.norm(self.transformer(steps + self.places)))


class Reduction(nn.Module):
    """(n, h, w, before) to (n, h / 2, w, after)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(before, EPSILON)
        self.conv = nn.Conv2d(before, after, (2, 1), stride=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return convolved(self.conv, self.norm(x))


class ConvNextBlock(nn.Module):
    """(n, h, w, width) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = gelu(self.widen(self.norm(convolved(self.conv, x))))
        return x + self.scale * self.narrow(inner)


class TransformerBlock(nn.Module):
    """(n, 75, 192) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(EMBEDDING, EPSILON)
        self.attention = Attention()
        self.norm = nn.LayerNorm(EMBEDDING, EPSILON)
        self.widen = nn.Linear(EMBEDDING, 4 * EMBEDDING)
        self.narrow = nn.Linear(4 * EMBEDDING, EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.narrow(gelu(self.widen(self.norm(x))))


class Attention(nn.Module):
    """(n, 75, 192) to the same, by three heads."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(EMBEDDING, 3 * EMBEDDING)  # queries, keys and values
        self.merge = nn.Linear(EMBEDDING, EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.project(x).view(-1, STEPS, 3, HEADS, EMBEDDING // HEADS)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind()
        found = scaled_dot_product_attention(queries, keys, values, scale=SCALE)
        return self.merge(found.transpose(1, 2).reshape(-1, STEPS, EMBEDDING))


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of (n, height, width, channels)."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def sources(network: ConvNextViT) -> dict[str, Source]:
    """What each of a network's tensors is called in the published checkpoint."""
    return renamed(network, NAMES)


NAMES = (
    (r"stem\.", "cnn_model.downsample_layers.0.0."),
    (r"stem_norm\.", "cnn_model.downsample_layers.0.1."),
    (r"reductions\.0\.norm\.", r"cnn_model.downsample_layers.1.0."),
    (r"reductions\.0\.conv\.", r"cnn_model.downsample_layers.1.1."),
    (r"reductions\.1\.norm\.", r"cnn_model.downsample_layers.2.0."),
    (r"reductions\.1\.conv\.", r"cnn_model.downsample_layers.2.1."),
    (r"reductions\.2\.norm\.", r"cnn_model.downsample_layers.3.0."),
    (r"reductions\.2\.conv\.", r"cnn_model.downsample_layers.3.1."),
    (r"stages\.(\d)\.(\d)\.conv\.", r"cnn_model.stages.\1.\2.dwconv."),
    (r"stages\.(\d)\.(\d)\.norm\.", r"cnn_model.stages.\1.\2.norm."),
    (r"stages\.(\d)\.(\d)\.widen\.", r"cnn_model.stages.\1.\2.pwconv1."),
    (r"stages\.(\d)\.(\d)\.narrow\.", r"cnn_model.stages.\1.\2.pwconv2."),
    (r"stages\.(\d)\.(\d)\.scale", r"cnn_model.stages.\1.\2.gamma"),
    (r"embedding\.", "vitstr.patch_embed.proj."),
    (r"places", "vitstr.pos_embed"),
    (r"transformer\.(\d+)\.attention_norm\.", r"vitstr.blocks.\1.norm1."),
    (r"transformer\.(\d+)\.attention\.project\.", r"vitstr.blocks.\1.attn.qkv."),
    (r"transformer\.(\d+)\.attention\.merge\.", r"vitstr.blocks.\1.attn.proj."),
    (r"transformer\.(\d+)\.norm\.", r"vitstr.blocks.\1.norm2."),
    (r"transformer\.(\d+)\.widen\.", r"vitstr.blocks.\1.mlp.fc1."),
    (r"transformer\.(\d+)\.narrow\.", r"vitstr.blocks.\1.mlp.fc2."),
    (r"norm\.", "vitstr.norm."),
    (r"head\.", "vitstr.head."),
)
