"""A network as it is served: pictures as bytes in, and only what is needed out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Served(nn.Module):
    """A network between the step that makes planes of pictures and the one that reads its maps.

    Takes (n, height, width, 3) uint8 RGB. `outputs` names what `head` gives.
    """

    def __init__(self, network: nn.Module, head: nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.outputs = tuple(outputs)

    def planes(self, images: Tensor) -> Tensor:
        """(n, 3, height, width) of the type of the network's weights, 0 to 255."""
        kind = next(self.network.parameters()).dtype
        return images.permute(0, 3, 1, 2).to(kind)

    def maps(self, planes: Tensor) -> tuple[Tensor, ...]:
        """The network's own outputs, as float32."""
        found = self.network(planes)
        several = (found,) if isinstance(found, Tensor) else tuple(found)
        return tuple(each.float() for each in several)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.head(*self.maps(self.planes(images)))
        return (found,) if isinstance(found, Tensor) else tuple(found)


class TextMap(nn.Module):
    """A map that already is one of probabilities."""

    def forward(self, probability: Tensor) -> Tensor:
        return probability


class BestClass(nn.Module):
    """Each step's best class and its probability: a few hundred bytes a line, not millions.

    Takes logits (n, steps, classes), gives `classes` int64 and `probabilities`, both (n, steps).
    """

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        best, classes = logits.max(dim=2, keepdim=True)
        # ONNX Runtime takes six times as long for a log-sum-exp.
        probabilities = 1 / torch.exp(logits - best).sum(dim=2)
        return classes.squeeze(2), probabilities


class SegmentScores(nn.Module):
    """The probabilities of segments and links, and the segments' offsets.

    Takes the maps of SegLink: nodes (n, N, 2), links (n, L, 4), offsets (n, N, 6). Gives (n, N),
    (n, L), which leaves out what the second half of the links' channels would say (that two
    segments are of different lines: not used), and (n, N, 6) in units of the anchors.
    """

    VARIANCE = 0.1

    def forward(self, nodes: Tensor, links: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
        return (
            torch.softmax(nodes, dim=2)[..., 1],
            torch.softmax(links[..., :2], dim=2)[..., 1],
            offsets * self.VARIANCE,
        )
