"""Every model this service knows: where it comes from, its files, its digests, its settings."""

from dataclasses import dataclass
from typing import Literal

from ocr.model import DetectionModel, RecognitionModel

Task = Literal["detection", "recognition"]


@dataclass(frozen=True)
class SourceFile:
    """One published file: its name at the source and the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One model: `name` is its version in the model store."""

    name: str
    source: str
    revision: str
    licence: str
    file: SourceFile
    model: DetectionModel | RecognitionModel

    @property
    def task(self) -> Task:
        return self.model.task

    @property
    def tag(self) -> str:
        """The model's name in the store, as `ocr-detection:ppocr-v6-small`."""
        return f"ocr-{self.task}:{self.name}"


@dataclass(frozen=True)
class Preset:
    """A detection and a recognition model that belong together."""

    name: str
    detection: Entry
    recognition: Entry


_PPOCR_DETECTION = Entry(
    name="ppocr-v6-small",
    source="rapidocr",
    revision="3.10.0",
    licence="Apache-2.0",
    file=SourceFile(
        "rapidocr/models/PP-OCRv6_det_small.onnx",
        "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    ),
    model=DetectionModel(
        name="ppocr-v6-small",
        architecture="db",
        multiple=32,
        short_side=736,
        long_side=2000,
        threshold=0.3,
        box_threshold=0.5,
        unclip_ratio=1.5,
        max_candidates=1000,
    ),
)

_PPOCR_RECOGNITION = Entry(
    name="ppocr-v6-small",
    source="rapidocr",
    revision="3.10.0",
    licence="Apache-2.0",
    file=SourceFile(
        "rapidocr/models/PP-OCRv6_rec_small.onnx",
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    ),
    model=RecognitionModel(
        name="ppocr-v6-small",
        architecture="ctc",
        height=48,
        min_width=160,
        width_step=32,
        max_width=2560,
        stride=8,
    ),
)

PRESETS = {
    preset.name: preset for preset in (Preset("ppocr", _PPOCR_DETECTION, _PPOCR_RECOGNITION),)
}
