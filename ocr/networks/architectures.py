"""All architectures by name, and how each is built, filled and served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ocr.networks import (
    convnext_vit,
    crnn,
    dbnet_proxylessnas,
    dbnet_resnet18,
    lightweight_edge,
    seglink,
    weights,
)
from ocr.networks.served import BestClass, SegmentScores, Served, TextMap
from ocr.networks.weights import Source

Sources = Callable[[Any], dict[str, Source]]


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    `size` is the (height, width) of a picture that it takes, and the only one if not `resizable`.
    `maps` names the outputs of the network itself, `outputs` those of its `head`.
    """

    network: Callable[[], nn.Module]
    sources: Sources
    unused: tuple[str, ...]
    head: Callable[[], nn.Module]
    size: tuple[int, int]
    resizable: bool
    maps: tuple[str, ...]
    outputs: tuple[str, ...]

    def served(self) -> Served:
        """The network with weights that mean nothing yet."""
        return Served(self.network(), self.head(), self.outputs).eval()

    def from_checkpoint(self, checkpoint: Mapping[str, np.ndarray]) -> Served:
        """The network with a published checkpoint's weights. Raises ModelDamaged as fill does."""
        served = self.served()
        weights.fill(served.network, self.sources(served.network), checkpoint, self.unused)
        return served

    def from_file(self, path: Path) -> Served:
        """The network with the weights of a model folder. Raises ModelDamaged as read does."""
        served = self.served()
        weights.read(served.network, path)
        return served


def _text_map(
    network: Callable[[], nn.Module], sources: Sources, unused: tuple[str, ...]
) -> Architecture:
    maps = ("probability",)
    return Architecture(network, sources, unused, TextMap, (480, 480), True, maps, maps)


def _recognition(
    network: Callable[[], nn.Module], sources: Sources, unused: tuple[str, ...], width: int
) -> Architecture:
    outputs = ("classes", "probabilities")
    return Architecture(
        network, sources, unused, BestClass, (32, width), False, ("logits",), outputs
    )


ARCHITECTURES = {
    "seglink": Architecture(
        seglink.SegLink,
        seglink.sources,
        (),
        SegmentScores,
        (512, 512),
        True,
        ("node_map", "link_map", "offset_map"),
        ("nodes", "links", "offsets"),
    ),
    "dbnet-resnet18": _text_map(
        dbnet_resnet18.DBNetResNet18, dbnet_resnet18.sources, dbnet_resnet18.UNUSED
    ),
    "dbnet-proxylessnas": _text_map(
        dbnet_proxylessnas.DBNetProxylessNAS, dbnet_proxylessnas.sources, dbnet_proxylessnas.UNUSED
    ),
    "convnext-vit": _recognition(
        convnext_vit.ConvNextViT, convnext_vit.sources, convnext_vit.UNUSED, 300
    ),
    "crnn": _recognition(crnn.CRNN, crnn.sources, crnn.UNUSED, 640),
    "lightweight-edge": _recognition(
        lightweight_edge.LightweightEdge, lightweight_edge.sources, lightweight_edge.UNUSED, 640
    ),
}
