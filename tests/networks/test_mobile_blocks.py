from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from ocr.networks.layers import Pair
from ocr.networks.mobile_blocks import (
    Bottleneck,
    BottleneckBlock,
    Squeeze,
    SqueezeBlock,
    Summed,
    condensed,
)
from tests import seeded


def fill(block: nn.Module) -> nn.Module:
    shapes = {name: tuple(value.shape) for name, value in block.state_dict().items()}
    tensors = seeded.checkpoint(shapes, seed=1)
    block.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    return block.eval()


def maps(width: int) -> Tensor:
    return torch.randn((2, width, 6, 10), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("share", ["sum", "split", "each"])
@pytest.mark.parametrize("kernels", [((3, 5),), ((1, 3), (3, 5)), ((1, 1), (1, 3), (3, 3), (5, 5))])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 2)])
@torch.no_grad()
def test_a_condensed_block_computes_the_same(
    share: Literal["sum", "split", "each"], kernels: tuple[Pair, ...], stride: Pair
) -> None:
    block = fill(BottleneckBlock(8, Bottleneck(8, 2, kernels, stride, share)))
    small, wanted = condensed(block), block(maps(8))
    assert wanted.shape == (2, 8, 6 // stride[0], 10 // stride[1])
    torch.testing.assert_close(small(maps(8)), wanted, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, Summed | nn.PReLU) for module in small.modules())


@torch.no_grad()
def test_condensing_leaves_the_network_as_it_was() -> None:
    block = fill(BottleneckBlock(8, Bottleneck(8, 2, ((1, 1), (3, 3)))))
    before = {name: value.clone() for name, value in block.state_dict().items()}
    condensed(block)
    after = block.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@torch.no_grad()
def test_slopes_for_each_channel_stay() -> None:
    network = fill(nn.Sequential(nn.PReLU(8)))
    torch.testing.assert_close(condensed(network)(maps(8)), network(maps(8)))


@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_squeezing_weighs_whole_channels(residual: bool) -> None:
    given = maps(8)
    ratio = fill(SqueezeBlock(8, Squeeze(4, residual)))(given) / given - int(residual)
    torch.testing.assert_close(ratio, ratio.mean((2, 3), keepdim=True).expand_as(ratio))
    assert ((ratio > 0) & (ratio < 1)).all()
