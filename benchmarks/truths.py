"""Reads the truth files of a folder, and reads and writes predictions.

A truth file NAME.jsonl has one record a line: {"image": path, "lines": [{"polygon": [[x, y], ...],
"text": str}, ...]} for pages or {"image": path, "text": str} for line crops; paths are relative
to the folder. Files of other records are no truth sets and are passed over. A prediction file
has the same records, its lines with a "confidence" as well.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from metrics import TextLine

T = TypeVar("T")

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True)
class PageSet:
    """A set of pages and the lines on each, by the image's path in the folder."""

    name: str
    folder: Path
    truth: dict[str, list[TextLine]]


@dataclass(frozen=True)
class CropSet:
    """A set of pictures of one line each and their texts, by the image's path in the folder."""

    name: str
    folder: Path
    truth: dict[str, str]


TruthSet = PageSet | CropSet


def truth_sets(folder: Path, names: Sequence[str] = ()) -> list[TruthSet]:
    """The named truth sets of a folder in the order given, or all by name.

    Raises ValueError if there are none, if a name is not among them or if a file is malformed.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.jsonl")) if _is_truth(path)}
    if not files:
        raise ValueError(f"no truth files (NAME.jsonl) in {folder}")
    unknown = [name for name in names if name not in files]
    if unknown:
        raise ValueError(f"no truth set {', '.join(unknown)}; there are {', '.join(files)}")
    return [_read_set(files[name]) for name in names or files]


def holds_crops(path: Path) -> bool:
    """Whether a file has the form of a truth set of line crops."""
    return {"image", "text"} <= _first_record(path).keys()


def read_pages(path: Path) -> dict[str, list[TextLine]]:
    """The lines of each image. Raises ValueError if the file is malformed."""
    return _read(path, lambda record: [_line(line) for line in record["lines"]])


def read_crops(path: Path) -> dict[str, str]:
    """The text of each image. Raises ValueError if the file is malformed."""
    return _read(path, lambda record: str(record["text"]))


def write_pages(path: Path, pages: Mapping[str, Sequence[TextLine]]) -> None:
    """Write the lines of each image as predictions."""
    _write(
        path,
        (
            {"image": image, "lines": [vars(line) for line in lines]}
            for image, lines in pages.items()
        ),
    )


def write_crops(path: Path, texts: Mapping[str, str]) -> None:
    """Write the text of each image as predictions."""
    _write(path, ({"image": image, "text": text} for image, text in texts.items()))


def _is_truth(path: Path) -> bool:
    record = _first_record(path)
    return "image" in record and ("lines" in record or "text" in record)


def _first_record(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as file:
        record: dict[str, Any] = next((json.loads(line) for line in file if line.strip()), {})
    return record


def _read_set(path: Path) -> TruthSet:
    if "lines" in _first_record(path):
        return PageSet(path.stem, path.parent, read_pages(path))
    return CropSet(path.stem, path.parent, read_crops(path))


def _read(path: Path, take: Callable[[dict[str, Any]], T]) -> dict[str, T]:
    """Take what is wanted of each record, by its image."""
    taken: dict[str, T] = {}
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            image, value = record["image"], take(record)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: not such a record: {error!r}") from error
        if image in taken:
            raise ValueError(f"{path}:{number}: {image} is there twice")
        taken[image] = value
    return taken


def _line(record: Mapping[str, Any]) -> TextLine:
    polygon = tuple((float(x), float(y)) for x, y in record["polygon"])
    return TextLine(polygon, record["text"], record.get("confidence", 1.0))


def _write(path: Path, records: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
