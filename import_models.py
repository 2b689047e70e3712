"""Brings models into the BentoML model store: fetch, convert, check, save.

    python import_models.py                                  the pair that OCR_PRESET names
    python import_models.py --preset modelscope              another pair
    python import_models.py --recognition convnext-scene     one model; --list shows their names
    python import_models.py --preset modelscope --from DIR   of files brought by hand

The store is where BENTOML_HOME says. A model that is there already is left alone, unless an
earlier version saved it otherwise than this one would.
"""

import argparse
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ocr import conversion, origins
from ocr.catalogue import DETECTION, ENTRIES, PRESETS, RECOGNITION, Entry
from ocr.errors import DiskFull, ModelError, OcrError
from ocr.model import WEIGHTS, in_this_edition, read_detection_model, read_recognition_model
from ocr.origins import Published
from ocr.settings import Settings


def save(entry: Entry, folder: Path, published: Published) -> None:
    """Copy a model folder into the store under the entry's tag, in place of what is there."""
    import bentoml

    facts = {
        "source": published.origin,
        "files": published.digests(),
        "licence": entry.licence,
    }
    labels = {"task": entry.task, "model": entry.name}
    with (
        replacing(entry) as store,
        bentoml.models.create(
            entry.tag, labels=labels, metadata=facts, _model_store=store
        ) as model,
    ):
        Path(model.path).chmod(0o755)  # BentoML makes it for one user, but others read it too
        for path in sorted(folder.iterdir()):
            shutil.copyfile(path, model.path_of(path.name))  # not its mode, for the same reason


@contextmanager
def replacing(entry: Entry) -> Iterator[Any]:
    """A BentoML store for one new model, which then takes the place of what the store has.

    It is moved there whole: whatever ends this process leaves no half of a model in the store.
    """
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    store = Path(BentoMLContainer.model_store_dir.get())
    place = Path(*entry.tag.split(":"))
    with tempfile.TemporaryDirectory(dir=store.parent, prefix=".importing-") as temporary:
        yield ModelStore(temporary)
        move(Path(temporary) / place, store / place, aside=Path(temporary) / "replaced")


def move(new: Path, place: Path, aside: Path) -> None:
    """Move a folder to a place, and what is there aside."""
    place.parent.mkdir(exist_ok=True)
    try:
        if place.exists():
            place.rename(aside)
        new.rename(place)
    except BaseException:  # an interrupt must not leave the place empty either
        if aside.exists() and not place.exists():
            aside.rename(place)
        raise


def stored(entry: Entry) -> Path | None:
    """This entry's folder, if the store has it."""
    import bentoml
    from bentoml.exceptions import BentoMLException

    try:
        return Path(bentoml.models.get(entry.tag).path)
    except BentoMLException:  # not there, or half of one
        return None


def is_current(entry: Entry, folder: Path) -> bool:
    """Whether a model's folder is what this version imports: earlier ones did it otherwise."""
    read = read_detection_model if entry.task == "detection" else read_recognition_model
    try:
        description = read(folder)
    except ModelError:
        return False
    # Whether it is exact in half precision was found out by its import.
    expected = in_this_edition(entry.model).model_copy(update={"half": description.half})
    return description == expected and (folder / WEIGHTS).is_file()


def bring_in(entry: Entry, options: argparse.Namespace) -> str:
    """Import one entry unless it is there; gives a line that says what was done."""
    there = stored(entry)
    old = there is not None and not is_current(entry, there)
    if there is not None and not old and not options.force:
        return f"{entry.tag}: already in the store"
    published = origins.find(entry, options.folder, options.revision)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            conversion.convert(entry, published, folder)
            save(entry, folder, published)
    except Exception as error:
        if not disk_is_full(error):
            raise
        raise DiskFull(f"no room for {entry.tag}: {error}") from error
    why = ", in place of what an earlier version saved" if old else ""
    return f"{entry.tag}: checked and saved ({published.origin}, {entry.licence}){why}"


def disk_is_full(error: Exception) -> bool:
    """Also of the one error that copying many files makes of several, and of safetensors' own."""
    reasons = (os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
    return any(reason in str(error) for reason in reasons)


def chosen(options: argparse.Namespace) -> list[Entry]:
    """The entries that the command line asks for, or those that the server would use."""
    names = (options.detection, options.recognition)
    entries = [
        models[name]
        for models, name in zip((DETECTION, RECOGNITION), names, strict=True)
        if name is not None
    ]
    if options.preset is None and entries:
        return entries
    pair = PRESETS[options.preset] if options.preset else Settings().models
    given = {entry.task for entry in entries}
    return entries + [each for each in (pair.detection, pair.recognition) if each.task not in given]


def show() -> str:
    """All models, with what is known of them."""
    lines = []
    for entry in ENTRIES:
        presets = [
            name for name, pair in PRESETS.items() if entry in (pair.detection, pair.recognition)
        ]
        state = "in the store" if stored(entry) else "-"
        option = f"--{entry.task} {entry.name}"
        lines.append(f"{option:40} {state:13} {entry.origin} ({', '.join(presets) or '-'})")
    return "\n".join(lines)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=list(PRESETS), help="a pair of models")
    parser.add_argument("--detection", choices=list(DETECTION), metavar="NAME", help="one model")
    parser.add_argument(
        "--recognition", choices=list(RECOGNITION), metavar="NAME", help="one model"
    )
    parser.add_argument("--list", action="store_true", help="show all models and end")
    parser.add_argument(
        "--from", dest="folder", type=Path, metavar="DIR",
        help="take the published files from this folder, or from one named after the model in it",
    )  # fmt: skip
    parser.add_argument("--revision", help="of the hub, in place of the catalogue's")
    parser.add_argument("--force", action="store_true", help="import again what is there already")
    options = parser.parse_args(arguments)
    if options.folder is not None and not options.folder.is_dir():
        parser.error(f"no folder {options.folder}")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.list:
            print(show())
            return 0
        for entry in chosen(options):
            print(bring_in(entry, options), flush=True)
    except ModuleNotFoundError as error:
        print(
            f"import_models: {error}: pip install '.[import]' or '.[modelscope]'", file=sys.stderr
        )
        return 1
    except (OcrError, ValidationError) as error:
        code = f"{error.code}: " if isinstance(error, OcrError) else ""
        print(f"import_models: {code}{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
