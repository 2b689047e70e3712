"""The networks that read lines: shapes, filling, what they make of colour and of batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ocr.errors import ModelDamaged
from ocr.networks import convnext_vit, crnn, lightweight_edge, weights
from tests import seeded

CLASSES = 24
WIDTHS = {"ConvNextViT": 300, "CRNN": 160, "LightweightEdge": 160}  # the last two take any
VARIANCES = {"ConvNextViT": 1.0, "CRNN": 0.5, "LightweightEdge": 3.0}
MODULES = {"ConvNextViT": convnext_vit, "CRNN": crnn, "LightweightEdge": lightweight_edge}

Checkpoint = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=MODULES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(name: str) -> Checkpoint:
    network = empty(name)
    shapes = seeded.published_shapes(network, MODULES[name].sources(network))
    return seeded.checkpoint(shapes, seed=3, variance=VARIANCES[name])


@pytest.fixture(scope="module")
def network(name: str, checkpoint: Checkpoint) -> nn.Module:
    return filled(name, checkpoint)


def empty(name: str) -> Any:
    return getattr(MODULES[name], name)(CLASSES).eval()


def filled(name: str, checkpoint: Checkpoint) -> nn.Module:
    network: nn.Module = empty(name)
    weights.fill(network, MODULES[name].sources(network), checkpoint, MODULES[name].UNUSED)
    return network


def lines(count: int, width: int) -> Tensor:
    """Noise, (count, 3, 32, width)."""
    values = np.random.RandomState(4).randint(0, 256, (count, 3, 32, width))
    return torch.from_numpy(values.astype(np.float32))


def plain(colour: tuple[float, float, float], width: int) -> Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 32, width)


@torch.no_grad()
def logits(network: nn.Module, planes: Tensor) -> np.ndarray:
    return np.asarray(network(planes))


@pytest.mark.parametrize("count", [1, 3])
def test_a_step_for_each_four_columns(name: str, network: nn.Module, count: int) -> None:
    width = WIDTHS[name]
    found = logits(network, lines(count, width))
    assert found.shape == (count, width // 4, CLASSES)
    assert np.isfinite(found).all()


def test_a_line_is_read_the_same_whatever_is_beside_it(name: str, network: nn.Module) -> None:
    three = lines(3, WIDTHS[name])
    for i, together in enumerate(logits(network, three)):
        np.testing.assert_allclose(together, logits(network, three[i : i + 1])[0], atol=1e-4)


def test_colours_count_as_bright_as_they_look(name: str, network: nn.Module) -> None:
    width = WIDTHS[name]
    red = logits(network, plain((255, 0, 0), width))
    blue = logits(network, plain((0, 0, 255), width))
    dark = 255 * 0.2989 / (0.2989 + 0.5870 + 0.1140)
    np.testing.assert_allclose(red, logits(network, plain((dark, dark, dark), width)), atol=1e-4)
    assert abs(red - blue).max() > 1e-2


def test_every_published_tensor_is_used_once(name: str) -> None:
    found = [source.names for source in MODULES[name].sources(empty(name)).values()]
    assert len(set(found)) == len(found)


def test_counters_and_what_only_training_needs_may_be_there(
    name: str, network: nn.Module, checkpoint: Checkpoint
) -> None:
    more = {"a.num_batches_tracked": np.array(1)}
    more |= dict.fromkeys(MODULES[name].UNUSED, np.zeros(1, np.float32))
    again = filled(name, checkpoint | more).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in network.state_dict().items())


SPOILT = {
    "ConvNextViT": "vitstr.blocks.11.attn.qkv.weight",
    "CRNN": "rnn.1.rnn.weight_hh_l0_reverse",
    "LightweightEdge": "our_nas_model.blocks.20.mobile_inverted_conv.rep_conv.1.bn.running_var",
}


def test_a_tensor_that_is_not_there_is_named(name: str, checkpoint: Checkpoint) -> None:
    spoilt = SPOILT[name]
    with pytest.raises(ModelDamaged, match=f"lacks {spoilt}"):
        filled(name, {key: value for key, value in checkpoint.items() if key != spoilt})


@pytest.mark.parametrize(
    "change",
    [lambda value: value[:-1], lambda value: value[None], lambda value: value.astype(np.float16)],
    ids=["short", "axes", "half"],
)
def test_a_tensor_that_does_not_fit_is_named(
    name: str, checkpoint: Checkpoint, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    spoilt = SPOILT[name]
    with pytest.raises(ModelDamaged, match=spoilt):
        filled(name, checkpoint | {spoilt: change(checkpoint[spoilt])})


@pytest.mark.parametrize("foreign", ["cnn_model.stages.4.0.gamma", "conv5.0.weight", "head.scale"])
def test_a_tensor_of_another_network_is_named(
    name: str, checkpoint: Checkpoint, foreign: str
) -> None:
    with pytest.raises(ModelDamaged, match=f"another network: {foreign}"):
        filled(name, checkpoint | {foreign: np.zeros(3, np.float32)})
