"""All architectures by name, and how each is built, filled and served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from ocr.errors import ModelDamaged
from ocr.networks import (
    convnext_vit,
    crnn,
    dbnet_proxylessnas,
    dbnet_resnet18,
    lightweight_edge,
    ppocr_v6_detection,
    ppocr_v6_recognition,
    seglink,
    weights,
)
from ocr.networks.served import BestClass, SegmentScores, Served, TextMap
from ocr.networks.weights import Source

Sources = Callable[[Any], dict[str, Source]]
Side = Literal["height", "width"]


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    `size` is the (height, width) of a picture that it takes; the sides that are `free` may be
    others. `maps` names the outputs of the network itself, `outputs` those of its `head`.
    `as_published`: its model folders hold the published tensors, not those of the network.
    """

    network: Callable[[], nn.Module]
    sources: Sources
    unused: tuple[str, ...]
    head: Callable[[], nn.Module]
    size: tuple[int, int]
    free: tuple[Side, ...]
    maps: tuple[str, ...]
    outputs: tuple[str, ...]
    as_published: bool = False

    def served(self) -> Served:
        """The network with weights that mean nothing yet."""
        return Served(self.network(), self.head(), self.outputs).eval()

    def from_checkpoint(self, checkpoint: Mapping[str, np.ndarray]) -> Served:
        """The network with a published checkpoint's weights. Raises ModelDamaged as fill does."""
        served = self.served()
        weights.fill(served.network, self.sources(served.network), checkpoint, self.unused)
        return served

    def from_file(self, path: Path) -> Served:
        """The network with the weights of a model folder.

        Raises ModelDamaged, naming the file, if they are not this network's.
        """
        if self.as_published:
            published = weights.read_published(path)
            try:
                return self.from_checkpoint(published)
            except ModelDamaged as error:
                raise ModelDamaged(f"{path}: {error.message}") from error
        served = self.served()
        weights.read(served.network, path)
        return served


BOTH: tuple[Side, ...] = ("height", "width")
READ = ("classes", "probabilities")


def _text_map(
    network: Callable[[], nn.Module], sources: Sources, unused: tuple[str, ...]
) -> Architecture:
    maps = ("probability",)
    return Architecture(network, sources, unused, TextMap, (480, 480), BOTH, maps, maps)


def _recognition(
    network: Callable[[], nn.Module], sources: Sources, unused: tuple[str, ...], width: int
) -> Architecture:
    return Architecture(network, sources, unused, BestClass, (32, width), (), ("logits",), READ)


ARCHITECTURES = {
    "seglink": Architecture(
        seglink.SegLink,
        seglink.sources,
        (),
        SegmentScores,
        (512, 512),
        BOTH,
        ("node_map", "link_map", "offset_map"),
        ("nodes", "links", "offsets"),
    ),
    "dbnet-resnet18": _text_map(
        dbnet_resnet18.DBNetResNet18, dbnet_resnet18.sources, dbnet_resnet18.UNUSED
    ),
    "dbnet-proxylessnas": _text_map(
        dbnet_proxylessnas.DBNetProxylessNAS, dbnet_proxylessnas.sources, dbnet_proxylessnas.UNUSED
    ),
    "ppocr-v6-detection": replace(
        _text_map(ppocr_v6_detection.PPOCRv6Detection, weights.by_place, ()), as_published=True
    ),
    "ppocr-v6-recognition": Architecture(
        ppocr_v6_recognition.PPOCRv6Recognition,
        weights.by_place,
        (),
        BestClass,
        (48, 320),
        ("width",),
        ("logits",),
        READ,
        as_published=True,
    ),
    "convnext-vit": _recognition(
        convnext_vit.ConvNextViT, convnext_vit.sources, convnext_vit.UNUSED, 300
    ),
    "crnn": _recognition(crnn.CRNN, crnn.sources, crnn.UNUSED, 640),
    "lightweight-edge": _recognition(
        lightweight_edge.LightweightEdge, lightweight_edge.sources, lightweight_edge.UNUSED, 640
    ),
}
