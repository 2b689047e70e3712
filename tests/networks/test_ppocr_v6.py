"""PP-OCRv6 in torch against the published graphs in ONNX Runtime."""

from functools import cache
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from ocr import onnx_graph, origins
from ocr.document import Pixels
from ocr.errors import ModelDamaged
from ocr.networks.architectures import ARCHITECTURES
from ocr.networks.precision import half_holds
from ocr.networks.served import Served
from tests import pictures
from tests.conftest import PRESET

ENTRIES = {entry.model.network: entry for entry in (PRESET.detection, PRESET.recognition)}
DETECTION, RECOGNITION = ENTRIES
COUNTS = {DETECTION: 162, RECOGNITION: 151}
LOGITS = "p2o.pd_op.add.79.0"  # what the published graph of recognition makes probabilities of

Checkpoint = dict[str, np.ndarray]


@cache
def graph(name: str) -> onnx.ModelProto:
    (path,) = origins.find(ENTRIES[name]).files.values()
    return onnx.load(path)


@cache
def checkpoint(name: str) -> Checkpoint:
    tensors = onnx_graph.parameters(graph(name))
    return {f"{place:03}": tensor for place, tensor in enumerate(tensors)}


@cache
def served(name: str) -> Served:
    return ARCHITECTURES[name].from_checkpoint(checkpoint(name))


@cache
def session(name: str) -> Any:
    model = onnx.ModelProto()
    model.CopyFrom(graph(name))
    if name == RECOGNITION:
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info(LOGITS, 1, None))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def published(name: str, images: Pixels) -> np.ndarray:
    """The map or the logits of the published graph, of (n, height, width, 3)."""
    planes = (images[..., ::-1].astype(np.float32) - 127.5) / 127.5
    (found,) = session(name).run(None, {"x": np.ascontiguousarray(planes.transpose(0, 3, 1, 2))})
    return np.asarray(found)


def ours(name: str, images: Pixels) -> np.ndarray:
    network = served(name)
    with torch.inference_mode():
        (found,) = network.maps(network.planes(torch.from_numpy(images)))
    return np.asarray(found)


def page(height: int, width: int) -> Pixels:
    drawn = pictures.page((*pictures.CHINESE[:4], *pictures.ENGLISH[:4]))
    image = pictures.shaded(pictures.noisy(drawn)).image
    return np.ascontiguousarray(cv2.resize(image, (width, height))[np.newaxis])


def line(width: int, *, colour: bool = False) -> Pixels:
    """A line on grey, as it is padded; in colours that blue for red would change."""
    text = "".join(pictures.MIXED) if width > 640 else pictures.MIXED[0]
    banner = pictures.banner(text, 36).image[:48, :width]
    banner = banner if not colour else np.minimum(banner, (255, 180, 60)).astype(np.uint8)
    field = np.full((1, 48, width, 3), 128, np.uint8)
    field[0, : banner.shape[0], : banner.shape[1]] = banner
    return field


@pytest.mark.parametrize("size", [(32, 32), (96, 416), (320, 256), (480, 640)])
def test_maps_are_those_of_the_published_graph(size: tuple[int, int]) -> None:
    given = page(*size)
    expected, found = published(DETECTION, given), ours(DETECTION, given)
    assert found.shape == expected.shape == (1, 1, *size)
    assert expected.max() > (0.9 if size[0] > 96 else 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [160, 192, 320, 736, 1600])
@pytest.mark.parametrize("colour", [False, True], ids=["black", "colour"])
def test_logits_are_those_of_the_published_graph(width: int, colour: bool) -> None:
    given = line(width, colour=colour)
    expected, found = published(RECOGNITION, given), ours(RECOGNITION, given)
    assert found.shape == expected.shape == (1, width // 8, 18710)
    np.testing.assert_array_equal(found.argmax(axis=2), expected.argmax(axis=2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_red_is_not_blue() -> None:
    given = page(96, 160)
    given[..., 2] //= 2
    assert np.abs(ours(DETECTION, given) - ours(DETECTION, given[..., ::-1].copy())).max() > 1e-2


@pytest.mark.parametrize("name", ENTRIES)
def test_a_picture_gives_the_same_whatever_is_beside_it(name: str) -> None:
    one = page(96, 160) if name == DETECTION else line(160)
    three = np.concatenate([255 - one, one, np.zeros_like(one)])
    np.testing.assert_allclose(ours(name, three)[1], ours(name, one)[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ENTRIES)
def test_half_precision_says_the_same_as_the_catalogue_has_it(name: str) -> None:
    model = ENTRIES[name].model
    assert half_holds(served(name), model) is model.half


# Filling


@pytest.mark.parametrize("name", ENTRIES)
def test_every_trained_tensor_has_its_place(name: str) -> None:
    assert len(checkpoint(name)) == COUNTS[name]
    sources = ARCHITECTURES[name].sources(served(name).network)
    assert [source.names for source in sources.values()] == [(key,) for key in checkpoint(name)]


@pytest.mark.parametrize("name", ENTRIES)
def test_tensors_that_are_missing_foreign_or_misshapen_are_named(name: str) -> None:
    tensors, build = checkpoint(name), ARCHITECTURES[name].from_checkpoint
    with pytest.raises(ModelDamaged, match="lacks 017"):
        build({key: value for key, value in tensors.items() if key != "017"})
    with pytest.raises(ModelDamaged, match="another network: 999"):
        build(tensors | {"999": tensors["000"]})
    with pytest.raises(ModelDamaged, match="018: shape"):
        build(tensors | {"018": tensors["018"][:-1]})
    with pytest.raises(ModelDamaged, match="000 has values that are not finite"):
        build(tensors | {"000": tensors["000"] * np.nan})
