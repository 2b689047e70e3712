"""Reads a folder in which ModelScope's own code has left its models and what it made of pictures.

ROOT/models/NAME is a model in ModelScope's layout; ROOT/golden/NAME__PICTURE.npz has the tensors
of one picture and ROOT/golden/NAME.json the polygons or texts. Pictures are PNG files in a folder
`images` in ROOT or beside it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocr.catalogue import DETECTION, RECOGNITION, Entry
from ocr.document import Pixels

BY_RECOGNISER = {
    "ConvNextViT": RECOGNITION["convnext-general"],
    "CRNN": RECOGNITION["crnn-general"],
    "LightweightEdge": RECOGNITION["lightweight-edge-general"],
}
BY_BACKBONE = {
    "resnet18": DETECTION["dbnet-resnet18"],
    "proxylessnas": DETECTION["dbnet-proxylessnas"],
}
LEVELS = 6  # of SegLink++


@dataclass(frozen=True)
class Case:
    """One picture, (height, width, 3) uint8 RGB, with ModelScope's tensors and results for it."""

    name: str
    picture: Pixels
    tensors: dict[str, np.ndarray]
    results: dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """One model, the entry of ours that it is, and its cases."""

    name: str
    folder: Path
    entry: Entry
    golden: Path
    images: Path

    def cases(self) -> Iterator[Case]:
        results = json.loads((self.golden / f"{self.name}.json").read_text("utf-8"))["items"]
        for path in sorted(self.golden.glob(f"{self.name}__*.npz")):
            picture = path.stem.split("__")[1]
            if picture.endswith("_feats"):
                continue
            with np.load(path) as file:
                tensors = dict(file)
            found = results.get(picture) or results[f"{picture}:path"]
            yield Case(picture, read_picture(self.images / f"{picture}.png"), tensors, found)


def subjects(root: Path, images: Path | None = None) -> list[Subject]:
    """All models of a folder that have golden files.

    Raises ValueError if there are none, or no pictures.
    """
    golden = root / "golden"
    names = [
        path.name for path in sorted((root / "models").glob("*")) if _has_golden(golden, path.name)
    ]
    if not names:
        raise ValueError(f"no models with golden files in {root}")
    pictures = _images(root, images)
    return [
        Subject(name, root / "models" / name, entry_of(root / "models" / name), golden, pictures)
        for name in names
    ]


def entry_of(folder: Path) -> Entry:
    """The entry of the catalogue that a model folder of ModelScope's is of."""
    model = json.loads((folder / "configuration.json").read_text("utf-8")).get("model")
    if model is None:
        return DETECTION["seglink-line"]
    if "recognizer" in model:
        return BY_RECOGNISER[model["recognizer"]]
    return BY_BACKBONE[model["backbone"]]


def read_picture(path: Path) -> Pixels:
    """Raises ValueError if there is no such picture."""
    data = cv2.imread(str(path))
    if data is None:
        raise ValueError(f"no picture at {path}")
    return np.ascontiguousarray(data[..., ::-1], np.uint8)


def seglink_field(picture: Pixels, side: int = 1024) -> np.ndarray:
    """What ModelScope shows SegLink++: (side, side, 3) float32 RGB, the page at the top left."""
    longest = max(picture.shape[:2])
    square = np.zeros((longest, longest, 3), np.float32)
    square[: picture.shape[0], : picture.shape[1]] = picture
    return np.asarray(cv2.resize(square, (side, side)), np.float32)


def seglink_digest(field: np.ndarray) -> str:
    """SHA-1 of what ModelScope feeds its graph for this field, as its results name it."""
    means = np.array([123.68, 116.78, 103.94], np.float32)
    fed = np.ascontiguousarray(field[..., ::-1] - means)
    return hashlib.sha1(fed[np.newaxis].tobytes(), usedforsecurity=False).hexdigest()


def dbnet_field(picture: Pixels, short_side: int = 736) -> np.ndarray:
    """What ModelScope shows DBNet: (height, width, 3) uint8 RGB."""
    height, width = picture.shape[:2]
    short, long = min(height, width), max(height, width)
    stretched = int(np.ceil(short_side / short * long / 32) * 32)
    size = (stretched, short_side) if height < width else (short_side, stretched)
    return np.asarray(cv2.resize(picture, size), np.uint8)


def line_field(crop: Pixels, height: int, max_width: int) -> Pixels:
    """A crop as ModelScope resizes it for its recognisers: squashed if it is very wide."""
    ratio = crop.shape[1] / crop.shape[0]
    width = max_width if ratio > max_width / height else int(height * ratio)
    return np.asarray(cv2.resize(crop, (width, height)), np.uint8)


def seglink_maps(tensors: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Nodes (N, 2), links (L, 4) and offsets (N, 6) of all levels, raw, in one array each."""
    kinds = (("cls", 2), ("lnk", 4), ("reg", 6))
    return tuple(
        np.concatenate([tensors[f"{kind}_{level}"].reshape(-1, size) for level in range(LEVELS)])
        for kind, size in kinds
    )


def _has_golden(golden: Path, name: str) -> bool:
    return (golden / f"{name}.json").is_file() and any(golden.glob(f"{name}__*.npz"))


def _images(root: Path, given: Path | None) -> Path:
    beside = Path(__file__).parents[2] / "shared" / "oracle" / "images"
    places: Sequence[Path] = (
        [given] if given is not None else [root / "images", root.parent / "images", beside]
    )
    found = next((place for place in places if any(place.glob("*.png"))), None)
    if found is None:
        raise ValueError(f"no pictures in {', '.join(map(str, places))}: --images says where")
    return found
