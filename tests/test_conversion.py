"""Model folders made of published files: the same networks, or none."""

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from ocr import checkpoints, conversion, onnx_graph, origins
from ocr.catalogue import RECOGNITION, Entry, HubModel
from ocr.detection import db, seglink
from ocr.detection.detector import Detector
from ocr.document import Pixels
from ocr.errors import ModelDamaged
from ocr.model import (
    CHARSET,
    DESCRIPTION,
    NETWORK,
    WEIGHTS,
    SegLinkModel,
    in_this_edition,
    read_charset,
    read_detection_model,
    read_recognition_model,
)
from ocr.networks import export, precision, weights
from ocr.networks.architectures import ARCHITECTURES, Architecture
from ocr.networks.served import Served
from ocr.origins import Published
from ocr.recognition import lines
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import OnnxNetwork
from tests import published as publishing
from tests.conftest import BY_HAND, PRESET, known
from tests.published import CHECKPOINT, CONFIGURATION, TENSORFLOW, VOCABULARY, hub_model

DETECTORS = ["seglink-line", "dbnet-resnet18", "dbnet-proxylessnas"]
RECOGNISERS = ["convnext-general", "crnn-general", "lightweight-edge-general"]
SMALL = known(BY_HAND)
Folder = Callable[[str], Path]
Source = Callable[[str], Served]


def architecture(entry: Entry) -> Architecture:
    return ARCHITECTURES[entry.model.network]


def read(folder: Path) -> Mapping[str, np.ndarray]:
    """The tensors that a published checkpoint holds of its network."""
    if (folder / CHECKPOINT).is_file():
        return checkpoints.read_torch(folder / CHECKPOINT)
    return checkpoints.restorable(checkpoints.read_tensorflow(folder / TENSORFLOW))


@pytest.fixture(scope="module")
def source(published: Folder) -> Source:
    """Gives the network of a published checkpoint."""

    @cache
    def network(name: str) -> Served:
        return architecture(known(name)).from_checkpoint(read(published(name)))

    return network


def patches(height: int, width: int) -> Pixels:
    random = np.random.default_rng(9)
    coarse = random.integers(0, 256, (height // 8, width // 8 + 1, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:, :width])


def run(served: Served, image: Pixels) -> list[np.ndarray]:
    with torch.inference_mode():
        return [output[0].numpy() for output in served(torch.from_numpy(image[np.newaxis]))]


@pytest.fixture
def small(published: Folder) -> Published:
    return origins.find(SMALL, published(SMALL.name))


# What is stored


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_gives_the_maps_of_its_source_at_any_size(
    source: Source, converted: Folder, name: str
) -> None:
    network = OnnxNetwork(converted(name) / NETWORK)
    for image in (patches(128, 256), patches(384, 128)):
        expected = run(source(name), image)
        assert max(np.ptp(each) for each in expected) > 0.1
        for found, wanted in zip(network.run(image), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_a_recogniser_gives_the_classes_of_its_source(
    source: Source, converted: Folder, name: str
) -> None:
    line = patches(32, architecture(known(name)).size[1])
    classes, probabilities = run(source(name), line)
    assert len(set(classes)) > 2
    found = OnnxNetwork(converted(name) / NETWORK).run(line)
    np.testing.assert_array_equal(found[0], classes)
    np.testing.assert_allclose(found[1], probabilities, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", RECOGNISERS[1:])
def test_a_line_is_read_as_the_source_reads_it(
    source: Source, converted: Folder, name: str
) -> None:
    line = patches(32, 640)
    classes, _ = run(source(name), line)
    characters = publishing.vocabulary(hub_model(known(name)))
    blanks = hub_model(known(name)).first_class  # classes before those of the vocabulary
    changes = np.flatnonzero(np.diff(classes, prepend=-1))
    expected = "".join(characters[classes[i] - blanks] for i in changes if classes[i] >= blanks)
    assert expected
    ((reading,),) = Recogniser(converted(name)).recognise([lines.pack([line])])  # type: ignore[misc]
    assert reading.text == expected
    assert 0 < reading.confidence < 1


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_are_those_of_the_stored_maps(converted: Folder, name: str) -> None:
    image = patches(256, 384)
    detector = Detector(converted(name))
    outputs = OnnxNetwork(converted(name) / NETWORK).run(image)
    (found,) = detector.detect([image])
    if isinstance(detector.model, SegLinkModel):
        nodes, links, offsets = outputs
        expected = seglink.boxes(nodes, links, offsets, 256, 384, detector.model)
    else:
        expected = db.boxes(outputs[0][0], detector.model)
    assert len(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", DETECTORS + RECOGNISERS)
def test_the_stored_weights_are_those_published(
    source: Source, converted: Folder, name: str
) -> None:
    stored = architecture(known(name)).from_file(converted(name) / WEIGHTS).network.state_dict()
    expected = source(name).network.state_dict()
    assert stored.keys() == expected.keys()
    for tensor, value in expected.items():
        assert weights.COUNTER in tensor or torch.equal(stored[tensor], value), tensor


@pytest.mark.parametrize("name", DETECTORS + RECOGNISERS)
def test_the_folder_describes_its_model(converted: Folder, name: str) -> None:
    entry, folder = known(name), converted(name)
    files = {path.name for path in folder.iterdir()} - {"model.yaml"}  # which is BentoML's
    recognises = entry.task == "recognition"
    model = read_recognition_model(folder) if recognises else read_detection_model(folder)
    expected = in_this_edition(entry.model)
    assert model == expected.model_copy(update={"half": model.half})  # which the import found
    assert files == {DESCRIPTION, NETWORK, WEIGHTS} | ({CHARSET} if recognises else set())


def test_the_folder_says_whether_half_precision_will_do(
    small: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "half_holds", lambda served, model: model == SMALL.model)
    conversion.convert(SMALL, small, tmp_path)
    assert not SMALL.model.half
    assert read_recognition_model(tmp_path).half


@pytest.mark.parametrize("name", RECOGNISERS)
def test_the_charset_has_a_place_for_every_class(converted: Folder, name: str) -> None:
    origin = hub_model(known(name))
    expected = [""] * (origin.first_class - 1) + publishing.vocabulary(origin)
    assert read_charset(converted(name)) == expected
    assert len(expected) == 7643


Default = tuple[Entry, Path, Path]  # a model, its folder, and the file that it was made of


@pytest.fixture(params=[PRESET.detection, PRESET.recognition], ids=lambda entry: entry.task)
def default(request: pytest.FixtureRequest, model_folders: tuple[Path, Path]) -> Default:
    entry: Entry = request.param
    (path,) = origins.find(entry).files.values()
    return entry, model_folders[0 if entry.task == "detection" else 1], path


def test_the_default_networks_answer_as_the_packaged_ones(default: Default) -> None:
    entry, folder, path = default
    packaged = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = patches(48 if entry.task == "recognition" else 96, 192)
    planes = (picture[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[np.newaxis]
    name = packaged.get_inputs()[0].name
    (expected,) = packaged.run(None, {name: np.ascontiguousarray(planes)})
    answer = OnnxNetwork(folder / NETWORK).run(picture)
    if entry.task == "detection":
        np.testing.assert_allclose(answer[0], expected[0], rtol=0, atol=1e-5)
        return
    np.testing.assert_array_equal(answer[0], expected[0].argmax(axis=1))
    np.testing.assert_allclose(answer[1], expected[0].max(axis=1), rtol=0, atol=1e-5)


def test_no_stored_weight_is_subnormal(default: Default) -> None:
    _, folder, path = default
    packaged, stored = (onnx.load(each).graph.initializer for each in (path, folder / NETWORK))
    assert any(subnormal(tensor).any() for tensor in packaged)
    assert not any(subnormal(tensor).any() for tensor in stored)


def subnormal(tensor: onnx.TensorProto) -> np.ndarray:
    value = numpy_helper.to_array(tensor)
    if value.dtype != np.float32:
        return np.zeros(1, bool)
    least = np.finfo(np.float32).tiny
    found: np.ndarray = (value != 0) & (np.abs(value) < least)
    return found


def test_the_default_weights_are_the_packaged_ones(default: Default) -> None:
    entry, folder, path = default
    packaged = [numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    trained = [each for each in packaged if each.dtype == np.float32 and each.ndim > 1]
    stored = architecture(entry).from_file(folder / WEIGHTS).network.state_dict()
    found = {each.numpy().tobytes() for each in stored.values()}
    found |= {each.T.numpy().tobytes() for each in stored.values() if each.ndim == 2}
    assert len(trained) > 100
    assert {each.tobytes() for each in trained} <= found


# Networks that came out otherwise are refused


def test_a_network_that_differs_is_refused(
    small: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altering(served: Served, architecture: Architecture, path: Path) -> None:
        other = copy.deepcopy(served)
        with torch.no_grad():
            other.get_parameter("network.head.bias")[7] += 0.01
        write(other, architecture, path)

    write = export.write
    monkeypatch.setattr(export, "write", altering)
    with pytest.raises(ModelDamaged, match=rf"{SMALL.tag}: {NETWORK} differs .* by 0\.01"):
        conversion.convert(SMALL, small, tmp_path)
    assert not (tmp_path / DESCRIPTION).exists()


@pytest.mark.parametrize(("value", "difference"), [(0.5, r"by \d"), (np.nan, "by nan")])
def test_weights_that_differ_are_refused(
    small: Published,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: float,
    difference: str,
) -> None:
    def altering(network: torch.nn.Module, path: Path) -> None:
        other = copy.deepcopy(network)
        with torch.no_grad():
            other.get_parameter("head.bias")[7] += value
        write(other, path)

    write = weights.write
    monkeypatch.setattr(weights, "write", altering)
    monkeypatch.setattr(export, "write", lambda *arguments: None)  # is not come to
    with pytest.raises(ModelDamaged, match=f"{SMALL.tag}: {WEIGHTS} differs .* {difference}"):
        conversion.convert(SMALL, small, tmp_path)


def test_a_default_network_that_differs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = onnx_graph.take_rgb_bytes

    def brighter(network: onnx.ModelProto, *, mean: float, std: float) -> None:
        take(network, mean=mean + 1, std=std)

    monkeypatch.setattr(onnx_graph, "take_rgb_bytes", brighter)
    entry = PRESET.detection
    with pytest.raises(ModelDamaged, match=rf"{entry.tag}: {NETWORK} differs"):
        conversion.convert(entry, origins.find(entry), tmp_path)


# Files that are not the model's are refused before anything is converted


@pytest.fixture
def spoilt(copied: Folder) -> Path:
    """A copy of a published folder, to be spoilt."""
    return copied(SMALL.name)


def refusal(folder: Path, tmp_path: Path) -> str:
    """What is said of a folder that is not this model's."""
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises(ModelDamaged) as raised:
        conversion.convert(SMALL, origins.find(SMALL, folder), made)
    assert not (made / NETWORK).exists()
    assert not (made / DESCRIPTION).exists()
    return raised.value.message


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("model", "recognizer"), "CRNN"),
        (("model", "recognizer"), None),
        (("model", "inference_kwargs", "img_width"), 804),
        (("model", "inference_kwargs", "img_width"), "640"),
        (("model", "inference_kwargs", "do_chunking"), True),
        (("model", "inference_kwargs"), {}),
        (("model", "inference_kwargs"), [640]),
        (("model",), {}),
        (("model",), "LightweightEdge"),
    ],
)
def test_a_configuration_of_another_model_is_refused_and_its_key_named(
    spoilt: Path, tmp_path: Path, keys: tuple[str, ...], value: object
) -> None:
    content: dict[str, Any] = json.loads((spoilt / CONFIGURATION).read_text("utf-8"))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    publishing.write_configuration(spoilt, content)
    message = refusal(spoilt, tmp_path)
    for part in (str(spoilt / CONFIGURATION), hub_model(SMALL).model_id, ".".join(keys)):
        assert part in message


@pytest.mark.parametrize("content", [b"", b"{", b"<html></html>", b'{"model": "\xff"}'])
def test_a_configuration_that_is_no_json_is_refused(
    spoilt: Path, tmp_path: Path, content: bytes
) -> None:
    (spoilt / CONFIGURATION).write_bytes(content)
    assert f"{spoilt / CONFIGURATION} is no JSON" in refusal(spoilt, tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"model"', b"{}"])
def test_a_configuration_that_is_no_object_is_of_another_model(
    spoilt: Path, tmp_path: Path, content: bytes
) -> None:
    (spoilt / CONFIGURATION).write_bytes(content)
    assert "of another model" in refusal(spoilt, tmp_path)


def test_a_configuration_is_told_by_what_it_lacks_as_well(copied: Folder, tmp_path: Path) -> None:
    """That of SegLink says nothing of a model, so a DBNet's is not taken for it."""
    entry = known("seglink-line")
    folder = copied(entry.name)
    publishing.write_configuration(
        folder, publishing.configuration(hub_model(known("dbnet-resnet18")))
    )
    with pytest.raises(ModelDamaged, match=r"model is .*DBNet.*, expected None"):
        conversion.convert(entry, origins.find(entry, folder), tmp_path)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_vocabulary_of_more_or_fewer_lines_is_refused(
    spoilt: Path, tmp_path: Path, change: int
) -> None:
    count = hub_model(SMALL).vocabulary
    publishing.write_vocabulary(spoilt, [chr(0x4E00 + i) for i in range(count + change)])
    message = refusal(spoilt, tmp_path)
    assert f"{spoilt / VOCABULARY} has {count + change} lines" in message
    assert str(count) in message


def test_a_vocabulary_may_lack_its_last_end_of_line(small: Published, tmp_path: Path) -> None:
    text = small.files[VOCABULARY].read_text("utf-8")
    (tmp_path / VOCABULARY).write_text(text.removesuffix("\n"), "utf-8", newline="\n")
    origin = hub_model(SMALL)
    assert conversion.read_vocabulary(origin, tmp_path / VOCABULARY) == [
        "",
        *publishing.vocabulary(origin),
    ]


def test_a_vocabulary_that_is_not_utf8_is_refused(spoilt: Path, tmp_path: Path) -> None:
    content = "\n".join(chr(0x4E00 + i) for i in range(hub_model(SMALL).vocabulary))
    (spoilt / VOCABULARY).write_bytes(content.encode("gb18030"))
    assert f"{spoilt / VOCABULARY} is no UTF-8" in refusal(spoilt, tmp_path)


def drop(tensors: dict[str, Any]) -> None:
    del tensors["head.bias"]


def add(tensors: dict[str, Any]) -> None:
    tensors["head.scale"] = torch.ones(3)


def cut(tensors: dict[str, Any]) -> None:
    tensors["head.bias"] = tensors["head.bias"][:-1]


def transpose(tensors: dict[str, Any]) -> None:
    tensors["head.weight"] = tensors["head.weight"].T.contiguous()


def spoil(tensors: dict[str, Any]) -> None:
    tensors["head.weight"][5, 5] = torch.nan


def halve(tensors: dict[str, Any]) -> None:
    tensors["head.weight"] = tensors["head.weight"].half()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop, ["lacks", "head.bias"]),
        (add, ["another network", "head.scale"]),
        (cut, ["head.bias", "(7643,)", "(7644,)"]),
        (transpose, ["head.weight", "(128, 7644)", "(7644, 128)"]),
        (spoil, ["head.weight", "not finite"]),
        (halve, ["head.weight", "float16"]),
    ],
)
def test_a_checkpoint_with_a_wrong_tensor_is_refused_and_the_tensor_named(
    spoilt: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], parts: list[str]
) -> None:
    publishing.alter(spoilt, change)
    message = refusal(spoilt, tmp_path)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", ["crnn-general", "dbnet-proxylessnas"])
def test_a_checkpoint_of_another_network_is_refused(
    published: Folder, spoilt: Path, tmp_path: Path, name: str
) -> None:
    shutil.copyfile(published(name) / CHECKPOINT, spoilt / CHECKPOINT)
    assert "the checkpoint lacks" in refusal(spoilt, tmp_path)


def test_each_recogniser_tells_its_own_configuration_from_those_of_others(
    tmp_path: Path,
) -> None:
    """Models of one architecture look alike but for their names, which no file of theirs says."""
    entries = [entry for entry in RECOGNITION.values() if isinstance(entry.origin, HubModel)]
    known_origins = [hub_model(entry) for entry in entries]
    for own in known_origins:
        publishing.write_configuration(tmp_path, publishing.configuration(own))
        accepted = [origin for origin in known_origins if accepts(origin, tmp_path / CONFIGURATION)]
        assert own in accepted
        assert {o.configuration["model.recognizer"] for o in accepted} == {
            own.configuration["model.recognizer"]
        }


def accepts(origin: HubModel, configuration: Path) -> bool:
    try:
        conversion._check_configuration(origin, configuration)
    except ModelDamaged:
        return False
    return True
