"""The networks that map text: sizes, filling, what they make of colour and of batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ocr.errors import ModelDamaged
from ocr.networks import dbnet_proxylessnas, dbnet_resnet18, weights
from ocr.networks.layers import CentredBGR
from tests import seeded

MODULES = {"DBNetResNet18": dbnet_resnet18, "DBNetProxylessNAS": dbnet_proxylessnas}

Checkpoint = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=MODULES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(name: str) -> Checkpoint:
    network = empty(name)
    shapes = seeded.published_shapes(network, MODULES[name].sources(network))
    return seeded.checkpoint(shapes, seed=3, variance=3)


@pytest.fixture(scope="module")
def network(name: str, checkpoint: Checkpoint) -> nn.Module:
    return filled(name, checkpoint)


def empty(name: str) -> Any:
    return getattr(MODULES[name], name)().eval()


def filled(name: str, checkpoint: Checkpoint) -> nn.Module:
    network: nn.Module = empty(name)
    weights.fill(network, MODULES[name].sources(network), checkpoint, MODULES[name].UNUSED)
    return network


def pictures(count: int, height: int, width: int) -> Tensor:
    """Noise, (count, 3, height, width)."""
    values = np.random.RandomState(4).randint(0, 256, (count, 3, height, width))
    return torch.from_numpy(values.astype(np.float32))


@torch.no_grad()
def text_map(network: nn.Module, planes: Tensor) -> np.ndarray:
    return np.asarray(network(planes))


@pytest.mark.parametrize("size", [(1, 32, 32), (1, 64, 160), (3, 96, 64)])
def test_a_probability_for_each_pixel(network: nn.Module, size: tuple[int, int, int]) -> None:
    found = text_map(network, pictures(*size))
    count, height, width = size
    assert found.shape == (count, 1, height, width)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.std() > 0.01


def test_a_picture_is_mapped_the_same_whatever_is_beside_it(network: nn.Module) -> None:
    three = pictures(3, 64, 96)
    for i, together in enumerate(text_map(network, three)):
        alone = text_map(network, three[i : i + 1])[0]
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4)


def test_the_mean_colour_is_taken_from_blue_green_red() -> None:
    planes = torch.tensor([103.94 + 3, 116.78 + 2, 123.68 + 1]).view(1, 3, 1, 1)
    torch.testing.assert_close(CentredBGR()(planes).flatten(), torch.tensor([1.0, 2.0, 3.0]))


def test_red_is_not_blue(network: nn.Module) -> None:
    red = torch.tensor([255.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert abs(text_map(network, red) - text_map(network, red.flip(1))).max() > 1e-2


def test_every_published_tensor_is_used_once(name: str) -> None:
    found = [source.names for source in MODULES[name].sources(empty(name)).values()]
    assert len(set(found)) == len(found)


def test_counters_and_what_only_training_needs_may_be_there(
    name: str, network: nn.Module, checkpoint: Checkpoint
) -> None:
    training = {
        "decoder.thresh.0.weight": np.zeros((64, 256, 3, 3), np.float32),
        "decoder.binarize.1.num_batches_tracked": np.array(1),
    }
    again = filled(name, checkpoint | training).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in network.state_dict().items())


SPOILT = {
    "DBNetResNet18": "backbone.layer3.0.downsample.0.weight",
    "DBNetProxylessNAS": "backbone.blocks.8.mobile_inverted_conv.rep_conv.2.conv.weight",
}


def test_a_tensor_that_is_not_there_is_named(name: str, checkpoint: Checkpoint) -> None:
    spoilt = SPOILT[name]
    with pytest.raises(ModelDamaged, match=f"lacks {spoilt}"):
        filled(name, {key: value for key, value in checkpoint.items() if key != spoilt})


@pytest.mark.parametrize(
    "change",
    [lambda value: value[:-1], lambda value: value[..., None], lambda value: value * np.nan],
    ids=["short", "axes", "nan"],
)
def test_a_tensor_that_does_not_fit_is_named(
    name: str, checkpoint: Checkpoint, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    spoilt = SPOILT[name]
    with pytest.raises(ModelDamaged, match=spoilt):
        filled(name, checkpoint | {spoilt: change(checkpoint[spoilt])})


@pytest.mark.parametrize("foreign", ["backbone.fc.weight", "decoder.in6.weight", "thresh.0.weight"])
def test_a_tensor_of_another_network_is_named(
    name: str, checkpoint: Checkpoint, foreign: str
) -> None:
    with pytest.raises(ModelDamaged, match=f"another network: {foreign}"):
        filled(name, checkpoint | {foreign: np.zeros(3, np.float32)})
