"""Models on their way to other machines, which need none of their own."""

import atexit
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray

from ocr.errors import ModelMissing
from ocr.model import (
    CHARSET,
    DESCRIPTION,
    NETWORK,
    WEIGHTS,
    DetectionModel,
    RecognitionModel,
    read_detection_model,
    read_recognition_model,
)
from ocr.runtime import Device

Model = TypeVar("Model", DetectionModel, RecognitionModel)
Files = dict[str, bytes]
VERSION = 12  # digits of the digest of a model's files


@dataclass(frozen=True)
class ShippedModel(Generic[Model]):
    """A model: its name and version, what it is, and its files, which Ray's object store has."""

    tag: str
    model: Model
    files: Any

    def folder(self) -> Path:
        """Its files in a folder of this process, which goes with it."""
        folder = tempfile.TemporaryDirectory(prefix="ocr-model-")
        atexit.register(folder.cleanup)
        files: Files = ray.get(self.files)
        for name, data in files.items():
            (Path(folder.name) / name).write_bytes(data)
        return Path(folder.name)


@dataclass(frozen=True)
class Models:
    """What pages are read with."""

    detection: ShippedModel[DetectionModel]
    recognition: ShippedModel[RecognitionModel]


def shipped(folders: tuple[Path, Path], device: Device) -> Models:
    """The models of two folders, for a device. Raises ModelMissing, ModelDamaged."""
    detection, recognition = folders
    shown = (DESCRIPTION, WEIGHTS if device == "cuda" else NETWORK)
    return Models(
        _shipped(read_detection_model(detection), _files(detection, shown)),
        _shipped(read_recognition_model(recognition), _files(recognition, (*shown, CHARSET))),
    )


def _shipped(model: Model, files: Files) -> ShippedModel[Model]:
    digest = sha256(b"".join(files[name] for name in sorted(files))).hexdigest()
    return ShippedModel(f"{model.name}@{digest[:VERSION]}", model, ray.put(files))


def _files(folder: Path, names: Sequence[str]) -> Files:
    """Raises ModelMissing."""
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise ModelMissing(f"a file of a model cannot be read: {error}") from None
