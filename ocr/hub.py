"""Brings the files of one model from the ModelScope hub and checks them against its listing.

Files come by `modelscope`'s `snapshot_download`; the listing that they are compared with by
`modelscope_hub`, the client that it hands everything to. What these take from the environment
holds here too:

    MODELSCOPE_ENDPOINT   the hub, or a mirror of it; https://modelscope.cn if not set
                          (MODELSCOPE_DOMAIN, its older name, works as well)
    MODELSCOPE_CACHE      where files are kept if the caller names no folder; ~/.cache/modelscope
    MODELSCOPE_API_TOKEN  for models that are not public
    HTTPS_PROXY, NO_PROXY and the like

In that folder a file is `models/OWNER--NAME/snapshots/REVISION/FILE`; while it is on its way it
lies beside that with `.incomplete` at its end, and the next call, in this process or another,
asks the hub only for the rest.
"""

import errno
import hashlib
import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocr.errors import (
    DiskFull,
    ModelDamaged,
    ModelError,
    ModelMissing,
    ModelUnreachable,
    OcrError,
)

if TYPE_CHECKING:
    from modelscope_hub import HubApi

# Read by the library when it is imported. Its own values let a hub that is silent hold a call for
# more than a minute, and a host of files that is silent for six.
PATIENCE = {
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "3",
    "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "3",
    "MODELSCOPE_DOWNLOAD_TIMEOUT": "20",
}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BY_HAND = "`--from DIR` works with files that were brought by hand"


@dataclass(frozen=True)
class FetchedFile:
    """One file on disk; `commit` is the last that changed it, None if the hub does not say."""

    path: Path
    size: int
    sha256: str
    commit: str | None


@dataclass(frozen=True)
class Fetched:
    """The files of one model, by their names at the hub."""

    endpoint: str
    model_id: str
    revision: str
    files: dict[str, FetchedFile]


@dataclass(frozen=True)
class _Listed:
    """What the hub says about one file; None is what it does not say."""

    name: str
    size: int | None
    sha256: str | None
    commit: str | None


def fetch(
    model_id: str, revision: str, files: Sequence[str], folder: Path | None = None
) -> Fetched:
    """Get these files of a model, and no others, at a branch, a tag or a commit.

    `folder` takes the place of the library's cache. A file that is there already and is the
    listed one is not fetched again, but the hub is asked for its listing each time.

    Raises ModelUnreachable if the hub, or what it redirects to, does not answer as it should;
    ModelMissing if it has no such model, revision or file; ModelDamaged if what it delivers is
    not what it lists (nothing of that file is kept); DiskFull; ModelError if the folder cannot be
    written to.
    """
    repository = _Repository(model_id, revision, folder)
    found = repository.bring(repository.listing(files))
    return Fetched(repository.endpoint, model_id, revision, found)


class _Repository:
    """One model at one revision at the hub."""

    def __init__(self, model_id: str, revision: str, folder: Path | None) -> None:
        self.model_id = model_id
        self.revision = revision
        self._api, self.endpoint, cache = _client()
        self.folder = folder or cache

    def listing(self, files: Sequence[str]) -> list[_Listed]:
        """What the hub says about these files."""
        model = f"{self.model_id} at revision {self.revision}"
        try:
            known = self._list()
        except Exception as error:
            raise self._failure(error, model) from error
        if not known:
            # An unknown revision is answered so, or with 404.
            raise ModelMissing(f"{self.endpoint} has no {model}, or no file in it")
        lacking = [name for name in files if name not in known]
        if lacking:
            raise ModelMissing(f"{model} has no {', '.join(lacking)} at {self.endpoint}")
        return [known[name] for name in files]

    def bring(self, listed: Sequence[_Listed]) -> dict[str, FetchedFile]:
        """Fetch files, or the rest of them, or nothing if they are there; check what is there."""
        by_name = {entry.name: entry for entry in listed}
        try:
            folder = self._snapshot(list(by_name))
            return {name: _checked(folder / name, entry) for name, entry in by_name.items()}
        except OcrError:
            raise
        except Exception as error:
            name, cause = _first_failure(error)
            what = f"{name or 'the files'} of {self.model_id} at revision {self.revision}"
            raise self._failure(cause, what, by_name.get(name)) from error

    def _snapshot(self, names: list[str]) -> Path:
        from modelscope.hub.snapshot_download import snapshot_download

        from ocr.progress import Downloads  # after _client has set what tqdm reads at its import

        with Downloads(self.model_id) as bar:
            found = snapshot_download(
                self.model_id,
                revision=self.revision,
                cache_dir=self.folder,
                allow_patterns=names,
                endpoint=self.endpoint,
                progress_callbacks=[bar.file],
            )
        return Path(found)

    def _list(self) -> dict[str, _Listed]:
        entries: list[dict[str, Any]] = self._api.legacy.list_repo_files(
            self.model_id, "model", self.revision
        )
        listed = [
            _Listed(
                name=entry["Path"],
                size=None if entry.get("Size") is None else int(entry["Size"]),
                sha256=str(entry["Sha256"]).lower() if entry.get("Sha256") else None,
                commit=entry.get("Revision") or None,
            )
            for entry in entries
            if entry.get("Type") != "tree"
        ]
        return {entry.name: entry for entry in listed}

    def _failure(self, error: Exception, what: str, listed: _Listed | None = None) -> OcrError:
        """The error of this project that one of the library's, or of the system's, stands for."""
        from modelscope_hub.errors import FileIntegrityError, NotExistError

        local = _local_cause(error)
        if local is not None and local.errno in FULL:
            size = f"{listed.size} bytes" if listed else "room"
            return DiskFull(
                f"the disk of {self.folder} is full ({local.strerror}), {what} needs {size}; "
                "what has come stays there, and calling again fetches the rest"
            )
        if local is not None:
            return ModelError(f"{what} cannot be written to {self.folder}: {local}")
        if isinstance(error, NotExistError):
            return ModelMissing(f"{self.endpoint} has no {what} ({error.message})")
        if isinstance(error, FileIntegrityError) and listed:
            return ModelDamaged(
                f"{what} came damaged from {self.endpoint}: listed are {listed.size} bytes with "
                f"SHA-256 {listed.sha256}; {error.message}. Calling again fetches it anew"
            )
        return ModelUnreachable(
            f"{what} cannot be had from {self.endpoint}: {_reason(error)}. Calling again goes on "
            f"where this ended; {BY_HAND}"
        )


def _client() -> tuple["HubApi", str, Path]:
    """The library's client, its endpoint and its cache, as the environment is now."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    # Its own bars count files, and of a large file's bytes, which come in parts, there is none.
    os.environ.setdefault("TQDM_DISABLE", "1")
    from modelscope_hub import HubApi, HubConfig

    # Its errors arrive as exceptions, and what it retries is its own business.
    logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = HubConfig()
    return HubApi(config), str(config.endpoint), config.cache_dir


def _first_failure(error: Exception) -> tuple[str, Exception]:
    """Of several files that failed, the first one and why."""
    failed: dict[str, Exception] = getattr(error, "failed_files", None) or {"": error}
    return next(iter(failed.items()))


def _checked(path: Path, listed: _Listed) -> FetchedFile:
    """Compare a file with the listing, whatever the library did; one that differs is removed."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    expected = (size if listed.size is None else listed.size, listed.sha256 or digest)
    if (size, digest) != expected:
        path.unlink()
        raise ModelDamaged(
            f"{path} has {size} bytes with SHA-256 {digest}, the hub lists {expected[0]} bytes "
            f"with {expected[1]}. It was removed, calling again fetches it anew"
        )
    return FetchedFile(path, size, digest, listed.commit)


def _local_cause(error: BaseException) -> OSError | None:
    """The error of the file system behind an error, if there is one.

    Those of the network are OSErrors too, but name no file.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (cause.errno in FULL or cause.filename is not None):
            return cause
        cause = cause.__cause__
    return None


def _reason(error: BaseException) -> str:
    """Why, in a few words: the library wraps what happened several times."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    status = getattr(error, "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    while error.__cause__ is not None:
        error = error.__cause__
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return repr(error) if inner is None else str(inner.args[-1]).rpartition("): ")[2]
