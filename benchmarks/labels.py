"""Finds sets of line crops in a folder, in this project's form and in those of published sets.

A set is a truth file NAME.jsonl of line crops (see truths.py), or one of these with its pictures
beside or below it, in the folder or in folders inside it:

- labels, as PaddleOCR has them: a file NAME.txt or NAME.tsv of lines "picture<TAB>text". Paths may
  begin with folders above that of the labels;
- metadata, as Hugging Face's image folders have them: metadata.jsonl or metadata.csv with
  "file_name" and the text as "text" or "label".

A set is called after its file, or after its folder if that is not the one given and has no other
labels, or if its file is called metadata.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import truths
from truths import PICTURES, CropSet

METADATA = "metadata"
TEXT_KEYS = ("text", "label")


def crop_sets(folder: Path, names: Sequence[str] = (), by_folder: bool = False) -> list[CropSet]:
    """The named sets of a folder in the order given, or all by name.

    With `by_folder`, a set whose pictures lie in several folders becomes one set for each. Raises
    ValueError if there are no sets, if a name is not among them or if a file is malformed.
    """
    files = _files(folder)
    if not files:
        raise ValueError(f"no line crops (NAME.jsonl or labels) in {folder}")
    unknown = [name for name in names if name not in files]
    if unknown:
        raise ValueError(f"no set {', '.join(unknown)}; there are {', '.join(files)}")
    sets = [_read(name, files[name], folder) for name in names or files]
    return [part for each in sets for part in _by_folder(each)] if by_folder else sets


def _files(folder: Path) -> dict[str, Path]:
    """The files of truth by the names of their sets."""
    own = [path for path in folder.glob("*.jsonl") if truths.holds_crops(path)]
    others = [path for path in folder.rglob("*") if _is_metadata(path) or _has_labels(path)]
    named: dict[str, Path] = {}
    for path in sorted([*own, *others]):
        alone = sum(other.parent == path.parent for other in others) == 1
        name = _name(path, folder, alone)
        if name in named:
            raise ValueError(f"{named[name]} and {path} would both be the set {name}")
        named[name] = path
    return dict(sorted(named.items()))


def _name(path: Path, folder: Path, alone: bool) -> str:
    if path.parent == folder:
        return folder.name if path.stem == METADATA else path.stem
    inside = path.parent if alone or path.stem == METADATA else path.with_suffix("")
    return inside.relative_to(folder).as_posix()


def _is_metadata(path: Path) -> bool:
    return path.name in (f"{METADATA}.jsonl", f"{METADATA}.csv")


def _has_labels(path: Path) -> bool:
    """Whether the first line of a file names a picture and a text."""
    if path.suffix not in (".txt", ".tsv") or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    picture, tab, _ = first.partition("\t")
    return bool(tab) and PurePosixPath(picture).suffix.lower() in PICTURES


def _read(name: str, path: Path, folder: Path) -> CropSet:
    if not _is_metadata(path) and path.suffix == ".jsonl":
        return CropSet(name, folder, truths.read_crops(path))
    truth: dict[str, str] = {}
    for number, picture, text in _rows(path):
        image = _find(path.parent, picture)
        if image is None:
            raise ValueError(f"{path}:{number}: there is no picture {picture}")
        key = image.relative_to(folder).as_posix()
        if key in truth:
            raise ValueError(f"{path}:{number}: {picture} is there twice")
        truth[key] = text
    return CropSet(name, folder, truth)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The number of each line, its picture and its text."""
    try:
        content = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from error
    if not _is_metadata(path):
        yield from _labels(path, content)
        return
    for number, record in _records(path, content):
        text = next((record[key] for key in TEXT_KEYS if key in record), None)
        if "file_name" not in record or text is None:
            raise ValueError(f"{path}:{number}: no file_name, or no text or label")
        yield number, str(record["file_name"]), str(text)


def _labels(path: Path, content: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        picture, tab, text = line.rstrip("\r").partition("\t")
        if not tab:
            raise ValueError(f"{path}:{number}: not a picture, a tab and a text: {line!r}")
        yield number, picture, text


def _records(path: Path, content: str) -> Iterator[tuple[int, dict[str, object]]]:
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(content, newline=""))
        yield from ((rows.line_num, dict(row)) for row in rows)
        return
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield number, json.loads(line)


def _find(folder: Path, picture: str) -> Path | None:
    """A picture in a folder, by its path or, if that begins above the folder, by its end."""
    parts = [
        part for part in picture.strip().replace("\\", "/").split("/") if part not in ("", ".")
    ]
    ends = (folder.joinpath(*parts[i:]) for i in range(len(parts)))
    return next((path for path in ends if path.is_file()), None)


def _by_folder(crops: CropSet) -> list[CropSet]:
    """A set for each folder of pictures, called after its path below the one they share."""
    parents = {image: str(PurePosixPath(image).parent) for image in crops.truth}
    if len(set(parents.values())) < 2:
        return [crops]
    shared = os.path.commonpath(parents.values())
    parts: dict[str, dict[str, str]] = {}
    for image, text in crops.truth.items():
        parts.setdefault(os.path.relpath(parents[image], shared), {})[image] = text
    return [CropSet(f"{crops.name}/{part}", crops.folder, parts[part]) for part in sorted(parts)]
