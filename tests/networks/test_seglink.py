from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ocr import checkpoints
from ocr.errors import ModelDamaged
from ocr.networks import weights
from ocr.networks.seglink import SHARES, STRIDES, SegLink, sources
from tests import seeded, tensorflow_checkpoint

Checkpoint = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    network = SegLink()
    shapes = seeded.published_shapes(network, sources(network), SHARES)
    return seeded.checkpoint(shapes, seed=1, variance=8)


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> SegLink:
    return filled(checkpoint)


def filled(checkpoint: Checkpoint) -> SegLink:
    network = SegLink().eval()
    weights.fill(network, sources(network), checkpoint)
    return network


def planes(height: int = 128, width: int = 256, count: int = 1) -> torch.Tensor:
    random = np.random.RandomState(2)
    images = random.randint(0, 256, (count, height, width, 3)).astype(np.float32)
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@torch.no_grad()
def maps(network: SegLink, given: torch.Tensor) -> list[np.ndarray]:
    return [found.numpy() for found in network(given)]


@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 128, 128), (2, 128, 384), (1, 256, 128), (3, 256, 256)]
)
def test_every_size_that_is_a_multiple_of_128(
    network: SegLink, count: int, height: int, width: int
) -> None:
    levels = [height // stride * (width // stride) for stride in STRIDES]
    links = 8 * sum(levels) + 4 * sum(levels[1:])
    found = maps(network, planes(height, width, count))
    assert [each.shape for each in found] == [
        (count, sum(levels), 2),
        (count, links, 4),
        (count, sum(levels), 6),
    ]
    assert all(each.dtype == np.float32 and np.isfinite(each).all() for each in found)


def test_a_picture_is_read_the_same_whatever_is_beside_it(network: SegLink) -> None:
    both = planes(count=2)
    for together, alone in zip(maps(network, both), maps(network, both[1:]), strict=True):
        np.testing.assert_allclose(together[1:], alone, rtol=1e-4, atol=1e-3)


def test_links_of_a_node_follow_each_other(checkpoint: Checkpoint) -> None:
    heads = {
        name: np.zeros_like(value)
        for name, value in checkpoint.items()
        if name.endswith("conv_lnk/weight")
    }
    numbers = {
        name: np.arange(len(value), dtype=np.float32)
        for name, value in checkpoint.items()
        if name.endswith("conv_lnk/bias")
    }
    _, links, _ = maps(filled(checkpoint | heads | numbers), planes())
    first = 8 * 32 * 64  # links of the first level, 8 a node
    np.testing.assert_array_equal(links[0, :first].reshape(-1, 32), [np.arange(32)] * 32 * 64)
    rest = links[0, first:].reshape(-1, 48)
    np.testing.assert_array_equal(rest, [np.arange(48)] * len(rest))


def test_a_training_checkpoint_on_disk_gives_the_same_network(
    checkpoint: Checkpoint, network: SegLink, tmp_path: Path
) -> None:
    prefix = tmp_path / "checkpoint-80000"
    tensorflow_checkpoint.write(prefix, tensorflow_checkpoint.training(checkpoint), shards=2)
    read = filled(checkpoints.restorable(checkpoints.read_tensorflow(prefix)))
    wanted = network.state_dict()
    for name, value in read.state_dict().items():
        assert torch.equal(value, wanted[name]), name


def test_a_network_is_written_and_read(network: SegLink, tmp_path: Path) -> None:
    weights.write(network, tmp_path / "weights.safetensors")
    read = SegLink().eval()
    weights.read(read, tmp_path / "weights.safetensors")
    for found, wanted in zip(maps(read, planes()), maps(network, planes()), strict=True):
        np.testing.assert_array_equal(found, wanted)


SPOILT = "dete_3/conv_dir/weight"  # one of several that make one tensor


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:, :, :, :1],
        lambda value: value[..., None],
        lambda value: value[:1],
        lambda value: value.astype(np.float64),
        lambda value: value.astype(np.float16),
        lambda value: np.where(value == value.max(), np.nan, value),
        lambda value: np.where(value == value.max(), np.inf, value),
    ],
    ids=["channels", "axes", "kernel", "double", "half", "nan", "infinite"],
)
def test_a_tensor_that_does_not_fit_is_named(
    checkpoint: Checkpoint, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    with pytest.raises(ModelDamaged, match=SPOILT):
        filled(checkpoint | {SPOILT: change(checkpoint[SPOILT])})


def test_a_tensor_that_is_not_there_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelDamaged, match=f"lacks {SPOILT}"):
        filled({name: value for name, value in checkpoint.items() if name != SPOILT})


def test_a_tensor_of_another_network_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelDamaged, match="another network: dete_6/conv_cls/bias"):
        filled(checkpoint | {"dete_6/conv_cls/bias": np.zeros(2, np.float32)})


def test_the_raw_names_of_averages_are_not_taken(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelDamaged, match="lacks"):
        filled({name + checkpoints.AVERAGE: value for name, value in checkpoint.items()})
