"""A network for inference, with all that a trained one no longer needs folded away."""

from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ocr.networks.mobile_blocks import condensed

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy that computes the same with fewer layers; its tensors have other names.

    Branches that are summed become one convolution, and batch norms become part of the convolution
    before them. In half precision that is needed: the variance of what a convolution gives may be
    more than half precision can hold.
    """
    network = condensed(network)
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            _fold(module)
    return network


def _fold(sequence: nn.Sequential) -> None:
    for (name, conv), (next_name, norm) in pairwise(list(sequence.named_children())):
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        # torch does not know how to fold one into a grouped transposed convolution.
        if isinstance(conv, nn.Conv2d):
            setattr(sequence, name, fuse_conv_bn_eval(conv, norm))
        elif isinstance(conv, nn.ConvTranspose2d) and conv.groups == 1:
            setattr(sequence, name, fuse_conv_bn_eval(conv, norm, transpose=True))
        else:
            continue
        setattr(sequence, next_name, nn.Identity())
