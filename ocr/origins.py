"""Finds a model's published files: in an installed package, on the hub, or in a folder at hand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ocr import hub
from ocr.catalogue import Entry, HubModel, WheelFile
from ocr.errors import ModelDamaged, ModelMissing

SHARDS = "tf_ckpts/checkpoint-80000.data-*-of-*"  # in a folder at hand they may be several


@dataclass(frozen=True)
class Published:
    """A model's files by their published names, and where they come from, in words."""

    files: Mapping[str, Path]
    origin: str

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {name: sha256(path) for name, path in self.files.items()}


def find(
    entry: Entry,
    folder: Path | None = None,
    revision: str | None = None,
    cache: Path | None = None,
) -> Published:
    """Bring an entry's files together.

    They are taken from `folder` if one is given; else from the package that carries them, or from
    the hub, at another `revision` than the catalogue's if one is given, by way of `cache` (or of
    the hub client's own), where half a download is found again.

    Raises ModelMissing if they are not there, ModelDamaged if their digests are others,
    ModelUnreachable if the hub cannot be reached, DiskFull if there is no room for them.
    """
    origin = entry.origin
    if folder is not None:
        return _at_hand(entry, folder)
    if isinstance(origin, WheelFile):
        return Published({origin.file: _in_package(entry, origin)}, str(origin))
    wanted = revision or origin.revision
    fetched = hub.fetch(origin.model_id, wanted, origin.files, cache)
    files = {name: file.path for name, file in fetched.files.items()}
    return Published(files, f"{origin.model_id} {wanted}")


def _in_package(entry: Entry, origin: WheelFile) -> Path:
    try:
        package = metadata.distribution(origin.package)
    except metadata.PackageNotFoundError:
        raise ModelMissing(
            f"{entry.tag} comes with the package {origin}, which is not installed: "
            f"pip install {origin.package}=={origin.version}"
        ) from None
    path = Path(str(package.locate_file(origin.file)))
    if not path.is_file():
        raise ModelMissing(
            f"{entry.tag} needs {path}, which {origin} should hold; "
            f"installed is {origin.package} {package.version}"
        )
    return _checked(path, origin)


def _checked(path: Path, origin: WheelFile) -> Path:
    digest = sha256(path)
    if digest != origin.sha256:
        raise ModelDamaged(f"{path} has SHA-256 {digest}, expected {origin.sha256} ({origin})")
    return path


def _at_hand(entry: Entry, folder: Path) -> Published:
    """The entry's files in a folder: under their published names, or in a folder of the model's."""
    origin = entry.origin
    if isinstance(origin, WheelFile):
        path = _first_file(entry, folder, (origin.file, Path(origin.file).name))
        return Published({origin.file: _checked(path, origin)}, str(path))
    for root in _roots(origin, folder):
        if all((root / name).is_file() for name in origin.files if not _is_shard(name)):
            return Published(_named(origin, root), str(root))
    needed = ", ".join(origin.files)
    raise ModelMissing(f"{entry.tag} needs {needed} in {folder} or in {origin.model_id} inside it")


def _roots(origin: HubModel, folder: Path) -> list[Path]:
    return [folder / origin.model_id, folder / Path(origin.model_id).name, folder]


def _named(origin: HubModel, root: Path) -> dict[str, Path]:
    files = {name: root / name for name in origin.files if not _is_shard(name)}
    if any(map(_is_shard, origin.files)):
        shards = sorted(root.glob(SHARDS))
        if not shards:
            raise ModelMissing(f"no {SHARDS} in {root}")
        files |= {str(path.relative_to(root)): path for path in shards}
    return files


def _is_shard(name: str) -> bool:
    return ".data-" in name


def _first_file(entry: Entry, folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelMissing(f"{entry.tag} needs {names[-1]} in {folder}")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
