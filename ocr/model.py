"""A model is a folder: `model.json`, `network.onnx` and, for recognition, `charset.txt`."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ocr.errors import ModelDamaged, ModelMissing

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
CHARSET = "charset.txt"


class DetectionModel(BaseModel):
    """How a detection network wants its pictures and how its map is read; lengths in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Literal["detection"] = "detection"
    architecture: Literal["db"]
    multiple: int  # both sides of the input are multiples of this
    short_side: int  # smaller pictures are enlarged to it
    long_side: int  # longer pictures are reduced to it, or tiled
    threshold: float  # least probability of a text pixel
    box_threshold: float  # least mean probability inside a box
    unclip_ratio: float  # how far a box grows from its shrunken kernel
    max_candidates: int


class RecognitionModel(BaseModel):
    """How a recognition network wants its lines; lengths in pixels of its input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Literal["recognition"] = "recognition"
    architecture: Literal["ctc"]
    height: int  # of every line
    min_width: int  # narrower lines are padded to it
    width_step: int  # wider ones to a multiple of it
    max_width: int  # wider ones still are split
    stride: int  # pixels to one step of the output


Description = TypeVar("Description", DetectionModel, RecognitionModel)


def describe(folder: Path, kind: type[Description]) -> Description:
    """Read a model folder's description.

    Raises ModelMissing if there is none, ModelDamaged if it is not one of this `kind`.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelMissing(f"no model at {folder}: {DESCRIPTION} is not there")
    try:
        return kind.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        raise ModelDamaged(f"{path} does not describe a {kind.__name__}: {error}") from error


def read_charset(folder: Path) -> list[str]:
    """The characters a recognition network tells apart, one a line, from its class 1 upwards."""
    path = folder / CHARSET
    if not path.is_file():
        raise ModelMissing(f"no character set at {path}")
    return path.read_text("utf-8").split("\n")[:-1]
