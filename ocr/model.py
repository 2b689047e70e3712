"""A model is a folder: what it is, its network for CPUs, the weights of the same for CUDA.

They are `model.json`, `network.onnx`, `weights.safetensors` and, for recognition, `charset.txt`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ocr.errors import ModelDamaged, ModelMissing

DESCRIPTION = "model.json"
NETWORK = "network.onnx"
WEIGHTS = "weights.safetensors"
CHARSET = "charset.txt"
EDITION = 2  # of how an import writes these files: since the second no weight is subnormal


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    network: str  # in ocr.networks; if a description does not say it, that of its first model
    half: bool = False  # it says the same in half precision, as its import or a test has found
    edition: int = 1  # what EDITION was when its files were written

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, said: Any) -> Any:
        """Of networks that were not in ocr.networks then, those wrote null, or nothing."""
        if isinstance(said, dict) and said.get("network", "") is None:
            return {key: value for key, value in said.items() if key != "network"}
        return said


class _DetectionBase(_Model):
    """How a detection network wants its pictures; lengths in pixels of its input."""

    task: Literal["detection"] = "detection"
    multiple: int  # both sides of the input are multiples of this
    # How a page is resized: "least", it is enlarged if its short side is less than `short_side` and
    # reduced if its long side is more than `long_side`; "short", its short side becomes
    # `short_side`; "long", its long side becomes `long_side`. Strips are tiled.
    resize: Literal["least", "short", "long"] = "least"
    # How its sides become multiples: "stretch" resizes a little more, "pad" lays black to the
    # right and below.
    fit: Literal["stretch", "pad"] = "stretch"
    short_side: int
    long_side: int
    small_text: float = 16.0  # lower lines are looked at again, larger, if the page was reduced,
    readable_text: float = 28.0  # so that they come to this height


class DBModel(_DetectionBase):
    """A map of text probability, read by differentiable binarisation."""

    architecture: Literal["db"]
    network: str = "ppocr-v6-detection"
    threshold: float  # least probability of a text pixel
    box_threshold: float  # least mean probability inside a box
    unclip_ratio: float  # how far a box grows from its shrunken kernel
    max_candidates: int
    dilate: bool = True  # the map's text pixels, by one
    whole_pixels: bool = False  # boxes are cut down to whole pixels on the way, as ModelScope does


class SegLinkModel(_DetectionBase):
    """Segments on six levels and the links between them, read as SegLink++ has it."""

    architecture: Literal["seglink"]
    network: str = "seglink"
    node_threshold: float  # least probability of a segment
    link_threshold: float  # least probability of a link


DetectionModel = DBModel | SegLinkModel


class Windows(BaseModel):
    """How a line of `max_width` is cut into overlapping windows, each a picture of its own.

    Of each window, `trim` steps are dropped where the next one overlaps it and where it overlaps
    the one before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    count: int
    advance: int  # from the start of one window to that of the next
    trim: int


class RecognitionModel(_Model):
    """How a recognition network wants its lines; lengths in pixels of its input."""

    task: Literal["recognition"] = "recognition"
    architecture: Literal["ctc"]
    network: str = "ppocr-v6-recognition"
    height: int  # of every line
    min_width: int  # narrower lines are padded to it
    width_step: int  # wider ones to a multiple of it
    max_width: int  # wider ones still are split
    stride: int  # pixels to one step of the output
    padding: int = 128  # the grey of what a line is padded with
    windows: Windows | None = None


AnyModel = TypeVar("AnyModel", bound=_Model)
Description = TypeVar("Description", DetectionModel, RecognitionModel)
_DETECTION = TypeAdapter[DetectionModel](
    Annotated[DetectionModel, Field(discriminator="architecture")]
)


def in_this_edition(model: AnyModel) -> AnyModel:
    """The description of a model whose files are written now."""
    return model.model_copy(update={"edition": EDITION})


def read_detection_model(folder: Path) -> DetectionModel:
    """Read a model folder's description.

    Raises ModelMissing if there is none, ModelDamaged if it is not one of a detection model.
    """
    return _read_description(folder, "detection", _DETECTION)


def read_recognition_model(folder: Path) -> RecognitionModel:
    """Read a model folder's description, as read_detection_model does."""
    return _read_description(folder, "recognition", TypeAdapter(RecognitionModel))


def _read_description(folder: Path, task: str, kind: TypeAdapter[Description]) -> Description:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelMissing(f"no model at {folder}: {DESCRIPTION} is not there")
    try:
        return kind.validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        raise ModelDamaged(f"{path} does not describe a {task} model: {error}") from error


def read_charset(folder: Path) -> list[str]:
    """The characters a recognition network tells apart, one a line, from its class 1 upwards."""
    path = folder / CHARSET
    if not path.is_file():
        raise ModelMissing(f"no character set at {path}")
    return path.read_text("utf-8").split("\n")[:-1]
