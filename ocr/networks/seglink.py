"""SegLink++: segments of text on six levels, and which neighbours each of them goes on to.

Method: J. Tang and others, "SegLink++: Detecting Dense and Arbitrary-shaped Scene Text by
Instance-aware Component Grouping" (Pattern Recognition, 2019), in the form that ModelScope
publishes as cv_resnet18_ocr-detection-{line,word}-level_damo.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from ocr.networks.layers import CentredBGR, ConvNorm
from ocr.networks.weights import COUNTER, Source

# Channels before, after and stride of each stage; all but the first have a head.
STAGES = (
    (64, 64, 1),
    (64, 128, 1),
    (128, 256, 2),
    (256, 512, 2),
    (512, 256, 2),
    (256, 256, 2),
    (256, 256, 2),
)
STRIDES = (4, 8, 16, 32, 64, 128)  # pixels from one node to the next, by level
NEIGHBOURS = 8  # of a node on its own level
FINER = 4  # nodes of the level below that lie in one
CLASSES, LINK_CLASSES, OFFSETS = 2, 4, 6
WIDTH = 256  # channels inside a head

# What a head's convolutions are called in the checkpoint, with their output channels. Those that
# have the same input are one convolution here.
LINE_CUES = {"conv_dir": 2, "conv_cen": 2, "conv_pol": 8}
CHARACTER_CUES = {"conv_char_cls": CLASSES, "conv_char_reg": OFFSETS}
SEGMENTS = {"conv_cls": CLASSES, "conv_reg": OFFSETS}
SHARES = LINE_CUES | CHARACTER_CUES | SEGMENTS


class SegLink(nn.Module):
    """Raw maps of SegLink++ over a ResNet-18 with three stages more.

    Takes (n, 3, height, width) float32 RGB, 0 to 255, both sides multiples of 128. Gives, without
    any softmax or scale:

    - nodes (n, N, 2): no text, text;
    - links (n, L, 4): apart, joined; then a pair for "of different lines", which is not used;
    - offsets (n, N, 6): centre x and y, width, height, cosine, sine, all ten times too large.

    The N nodes are the six levels one after another, strides 4 to 128, each row by row. The links
    of a node follow each other: to its 8 neighbours row by row and, on all levels but the first, to
    the 4 nodes of the finer level that lie in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.centre = CentredBGR()
        self.stem = ConvNorm(3, 64, (7, 7), (2, 2))
        self.stages = nn.ModuleList(_stage(*stage) for stage in STAGES)
        self.heads = nn.ModuleList(
            Head(after, NEIGHBOURS + (FINER if level else 0))
            for level, (_, after, _) in enumerate(STAGES[1:])
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = relu(self.stem(self.centre(planes)))  # (n, 64, h/2, w/2)
        features = self.stages[0](max_pool2d(features, 3, 2, 1))  # (n, 64, h/4, w/4)
        levels = []
        for stage, head in zip(self.stages[1:], self.heads, strict=True):
            features = stage(features)  # (n, 128, h/4, w/4) to (n, 256, h/128, w/128)
            levels.append(head(features))
        nodes, links, offsets = (torch.cat(maps, 1) for maps in zip(*levels, strict=True))
        return nodes, links, offsets


class Unit(nn.Module):
    """Two convolutions beside a shortcut. Unlike elsewhere, a ReLU comes before the sum too."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(before, after, (3, 3), (stride, stride))
        self.second = ConvNorm(after, after, (3, 3))
        self.shortcut = (
            _Thinned(stride) if before == after else ConvNorm(before, after, (1, 1), (stride,) * 2)
        )

    def forward(self, features: Tensor) -> Tensor:
        found = relu(self.second(relu(self.first(features))))
        return relu(found + self.shortcut(features))


class _Thinned(nn.Module):
    """Every `stride`-th row and column."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        if self.stride == 1:
            return features
        return features[:, :, :: self.stride, :: self.stride]


class Head(nn.Module):
    """Nodes, links and offsets of one level: (n, channels, h, w) to three lists of h w nodes.

    Links also see what the level makes of lines (direction, centre, polarity), nodes and offsets
    what it makes of characters.
    """

    def __init__(self, channels: int, links: int) -> None:
        super().__init__()
        line, characters = sum(LINE_CUES.values()), sum(CHARACTER_CUES.values())
        self.inner = nn.Conv2d(channels, WIDTH, 1)
        self.cues = nn.Conv2d(WIDTH, line + characters, 3, padding=1)
        self.line = nn.Conv2d(line, WIDTH, 1)
        self.characters = nn.Conv2d(characters, WIDTH, 1)
        self.links = nn.Conv2d(WIDTH, links * LINK_CLASSES, 3, padding=1)
        self.segments = nn.Conv2d(WIDTH, sum(SEGMENTS.values()), 3, padding=1)
        self.widths = [line, characters]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inner = self.inner(features)  # (n, 256, h, w)
        line, characters = self.cues(inner).split(self.widths, dim=1)  # 12 and 8 channels
        links = self.links(inner + relu(self.line(line)))  # (n, 32 or 48, h, w)
        segments = self.segments(inner + relu(self.characters(characters)))  # (n, 8, h, w)
        nodes, offsets = segments.split([CLASSES, OFFSETS], dim=1)
        return _listed(nodes, CLASSES), _listed(links, LINK_CLASSES), _listed(offsets, OFFSETS)


def _listed(maps: Tensor, width: int) -> Tensor:
    """(n, k width, h, w) to (n, h w k, width)."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, width)


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Unit(before, after, stride), Unit(after, after, 1))


BACKBONE = "resnet_v1_18"
LAYERS = {"first": "conv1", "second": "conv2", "shortcut": "shortcut"}
TENSORS = {
    "conv.weight": "weights",
    "norm.weight": "BatchNorm/gamma",
    "norm.bias": "BatchNorm/beta",
    "norm.running_mean": "BatchNorm/moving_mean",
    "norm.running_var": "BatchNorm/moving_variance",
}
HEAD = {
    "inner": ("conv_inter",),
    "cues": (*LINE_CUES, *CHARACTER_CUES),
    "line": ("lnk_embedding",),
    "characters": ("conv_char_embedding",),
    "links": ("conv_lnk",),
    "segments": tuple(SEGMENTS),
}


def sources(network: nn.Module) -> dict[str, Source]:
    """Where each tensor of a SegLink is in the checkpoint, as `checkpoints.restorable` names it."""
    names = (name for name in network.state_dict() if COUNTER not in name)
    return {name: Source(_published(name), hwio=True) for name in names}


def _published(name: str) -> tuple[str, ...]:
    match name.split("."):
        case ["stem", *tensor]:
            return (f"{BACKBONE}/conv1/{TENSORS['.'.join(tensor)]}",)
        case ["stages", stage, unit, layer, *tensor]:
            place = f"{BACKBONE}/block{int(stage) + 1}/unit_{int(unit) + 1}/bottleneck_v1"
            return (f"{place}/{LAYERS[layer]}/{TENSORS['.'.join(tensor)]}",)
        case ["heads", level, layer, tensor]:
            return tuple(f"dete_{level}/{part}/{tensor}" for part in HEAD[layer])
    raise AssertionError(f"{name} has no published name")
