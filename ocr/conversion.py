"""Makes a model folder of published files, and compares what it holds with what was published.

Needs the packages of the extra `import` or, for the models of ModelScope, `modelscope`; used when
models are imported, never when they run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocr.catalogue import Entry, HubModel
from ocr.errors import ModelDamaged
from ocr.model import (
    CHARSET,
    DESCRIPTION,
    NETWORK,
    WEIGHTS,
    RecognitionModel,
    in_this_edition,
)
from ocr.origins import Published

ONNX_TOLERANCE = 1e-5  # between probabilities of the stored network and the fetched one
TORCH_TOLERANCE = 1e-3  # between raw maps of the stored network and the source network,
LARGE = 100.0  # of which the values are mostly below this; larger ones may differ in proportion


def convert(entry: Entry, published: Published, folder: Path) -> None:
    """Write a model folder, and check it against what was published on a probe picture.

    Raises ModelDamaged if the files are not this entry's or the stored network differs.
    """
    model = in_this_edition(entry.model)
    if isinstance(entry.origin, HubModel):
        half = _convert_torch(entry, entry.origin, published.files, folder)
        model = model.model_copy(update={"half": half})
    else:
        (source,) = published.files.values()
        _convert_onnx(entry, source, folder)
        _check_onnx(entry, source, folder)
    (folder / DESCRIPTION).write_text(model.model_dump_json(indent=2) + "\n", "utf-8")


def _convert_onnx(entry: Entry, source: Path, folder: Path) -> None:
    import onnx

    from ocr import onnx_graph

    network = onnx.load(source)
    _write_weights(onnx_graph.parameters(network), folder)
    onnx_graph.take_rgb_bytes(network, mean=127.5, std=127.5)
    if isinstance(entry.model, RecognitionModel):
        characters = onnx_graph.metadata(network, "character")
        if characters is None:
            raise ModelDamaged(f"{source} carries no character set")
        # The class after the last of them is a space.
        _write_charset([*characters.splitlines(), " "], folder)
        onnx_graph.give_best_class(network)
    onnx_graph.flush_subnormals(network)
    onnx.checker.check_model(network)
    onnx.save(network, folder / NETWORK)


def _write_weights(tensors: list[np.ndarray], folder: Path) -> None:
    """As `ocr.networks.weights.by_place` names them; torch, which CPUs do without, is not needed.

    What they give in torch is not looked at here: the file is known by its digest, and tests do.
    """
    from safetensors.numpy import save_file

    save_file({f"{place:03}": value for place, value in enumerate(tensors)}, folder / WEIGHTS)


def _check_onnx(entry: Entry, source: Path, folder: Path) -> None:
    fetched, stored = _session(source), _session(folder / NETWORK)
    probe = _probe(entry.model.height if isinstance(entry.model, RecognitionModel) else 64, 160)
    planes = ((probe[..., ::-1].astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)
    (expected,) = fetched.run(None, {fetched.get_inputs()[0].name: np.ascontiguousarray(planes)})
    outputs = stored.run(None, {stored.get_inputs()[0].name: probe})
    if isinstance(entry.model, RecognitionModel):
        classes, probabilities = outputs
        if (classes != expected.argmax(axis=2)).any():
            raise ModelDamaged(f"{entry.tag}: the converted network reads other classes")
        outputs, expected = [probabilities], expected.max(axis=2)
    _compare(entry, NETWORK, [expected], outputs, ONNX_TOLERANCE)


def _convert_torch(entry: Entry, origin: HubModel, files: Mapping[str, Path], folder: Path) -> bool:
    """Gives whether half precision will do."""
    import torch

    from ocr.networks import export, precision, weights
    from ocr.networks.architectures import ARCHITECTURES

    _check_configuration(origin, files["configuration.json"])
    if isinstance(entry.model, RecognitionModel):
        _write_charset(read_vocabulary(origin, files["vocab.txt"]), folder)
    architecture = ARCHITECTURES[entry.model.network]
    served = architecture.from_checkpoint(_checkpoint(files))
    weights.write(served.network, folder / WEIGHTS)
    export.write(served, architecture, folder / NETWORK)

    height, width = architecture.size
    probe = _probe(height, width).transpose(0, 3, 1, 2).astype(np.float32)
    reloaded = architecture.from_file(folder / WEIGHTS)
    with torch.inference_mode():
        expected = [each.numpy() for each in served.maps(torch.from_numpy(probe))]
        again = [each.numpy() for each in reloaded.maps(torch.from_numpy(probe))]
    _compare(entry, WEIGHTS, expected, again, TORCH_TOLERANCE)
    part = export.network_alone(folder / NETWORK, architecture)
    maps = _session(part.SerializeToString()).run(None, {export.PLANES: probe})
    _compare(entry, NETWORK, expected, maps, TORCH_TOLERANCE)
    return precision.half_holds(served, entry.model)


def _checkpoint(files: Mapping[str, Path]) -> Mapping[str, np.ndarray]:
    from ocr import checkpoints

    index = next((path for name, path in files.items() if name.endswith(".index")), None)
    if index is not None:
        return checkpoints.restorable(checkpoints.read_tensorflow(index.with_suffix("")))
    return checkpoints.read_torch(files["pytorch_model.pt"])


def _check_configuration(origin: HubModel, path: Path) -> None:
    """Raises ModelDamaged if a configuration.json is of another model than `origin`."""
    try:
        configuration = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelDamaged(f"{path} is no JSON: {error}") from error
    for key, expected in origin.configuration.items():
        found = _look_up(configuration, key)
        if found != expected:
            raise ModelDamaged(
                f"{path} is of another model than {origin.model_id}: "
                f"{key} is {found!r}, expected {expected!r}"
            )


def _look_up(configuration: Any, key: str) -> Any:
    for part in key.split("."):
        configuration = configuration.get(part) if isinstance(configuration, dict) else None
    return configuration


def read_vocabulary(origin: HubModel, path: Path) -> list[str]:
    """The characters of classes 1 upwards; empty where a class has none.

    Raises ModelDamaged if the file has more or fewer lines than the network has classes.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelDamaged(f"{path} is no UTF-8: {error}") from error
    if lines[-1] == "":
        lines.pop()
    if len(lines) != origin.vocabulary:
        raise ModelDamaged(f"{path} has {len(lines)} lines, the network has {origin.vocabulary}")
    return [""] * (origin.first_class - 1) + lines


def _write_charset(characters: list[str], folder: Path) -> None:
    (folder / CHARSET).write_text("\n".join([*characters, ""]), "utf-8", newline="\n")


def _session(source: Path | bytes) -> Any:
    import onnxruntime

    model = source if isinstance(source, bytes) else str(source)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def _probe(height: int, width: int) -> np.ndarray:
    """Words on blots, (1, height, width, 3) uint8, the same each time.

    Without the words a detection network says that there is nothing, whatever else is wrong.
    """
    random = np.random.default_rng(0)
    coarse = random.integers(64, 160, (height // 8 + 1, width // 8 + 1, 3))
    blots = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    picture = np.asarray(blots + random.integers(-40, 41, blots.shape), np.uint8)
    for foot in range(24, height, 64):
        cv2.putText(picture, "Text 123", (4, foot), cv2.FONT_HERSHEY_DUPLEX, 1.0, (250, 240, 20), 2)
    return picture[np.newaxis]


def _compare(
    entry: Entry,
    file: str,
    expected: list[np.ndarray],
    found: list[np.ndarray],
    tolerance: float,
) -> None:
    pairs = list(zip(expected, found, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        raise ModelDamaged(f"{entry.tag}: {file} gives other shapes")
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    largest = max(float(np.abs(a).max()) for a, _ in pairs)
    if not difference <= tolerance * max(1.0, largest / LARGE):  # NaN is no agreement either
        raise ModelDamaged(f"{entry.tag}: {file} differs from the source by {difference:.2g}")
