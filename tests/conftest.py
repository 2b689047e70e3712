"""What tests share: a model store, its model folders, and a pipeline in this process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from import_models import is_current
from ocr import conversion, local, origins
from ocr.catalogue import DETECTION, PRESETS, RECOGNITION, Entry
from ocr.pipeline import Pipeline

ROOT = Path(__file__).parents[1]
PRESET = PRESETS["ppocr"]
BY_HAND, BY_HUB = "lightweight-edge-general", "dbnet-proxylessnas"  # the small ones


def pytest_configure() -> None:
    """Take SIGINT also in the background, where shells have it ignored by all that is started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def model_folder(store: Path, entry: Entry) -> Path:
    """Where a store keeps an entry, so that tests need not import BentoML to know."""
    return store / "models" / Path(*entry.tag.split(":"))


def import_into(store: Path, *arguments: str) -> str:
    """Run the importer as a user does, in a process of its own; gives what it says."""
    done = run_importer(store, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_importer(
    store: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "import_models.py", *arguments],
        env={
            "BENTOML_DO_NOT_TRACK": "True",
            **os.environ,
            "BENTOML_HOME": str(store),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def known(name: str) -> Entry:
    """The entry of this name of a model that is not of the default pair."""
    return {**DETECTION, **RECOGNITION}[name]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BENTOML_HOME with this version's models: the environment's, or else a new one."""
    home = os.environ.get("BENTOML_HOME")
    entries = (PRESET.detection, PRESET.recognition)
    if home and all(is_current(entry, model_folder(Path(home), entry)) for entry in entries):
        return Path(home)
    made = tmp_path_factory.mktemp("store")
    import_into(made)
    return made


@pytest.fixture(scope="session")
def model_folders(store: Path) -> tuple[Path, Path]:
    """The folders of the detection and the recognition model."""
    return model_folder(store, PRESET.detection), model_folder(store, PRESET.recognition)


@pytest.fixture(scope="session")
def reader(model_folders: tuple[Path, Path]) -> Pipeline:
    detection, recognition = model_folders
    return local.pipeline(detection, recognition, threads=2)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for what takes up hundreds of megabytes: it goes when the session ends."""
    folder = tmp_path_factory.mktemp("large")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def published(large: Path) -> Callable[[str], Path]:
    """Gives the folder of a model of ModelScope, made when it is first asked for.

    All lie in one folder, at `iic/NAME`. That of SegLink has several shards.
    """

    @cache
    def folder(name: str) -> Path:
        from tests.published import hub_model, publish  # loads torch

        entry = known(name)
        return publish(entry, large / "published" / hub_model(entry).model_id, shards=3)

    return folder


@dataclass(frozen=True)
class Imports:
    """A store, what the importer said of each model, and which files it asked a hub for."""

    home: Path
    said: Mapping[str, str]
    errors: Mapping[str, str]
    asked_for: frozenset[str]


@pytest.fixture(scope="session")
def imports(published: Callable[[str], Path], large: Path) -> Imports:
    """Two models imported as a user does it: one of a folder at hand, one by way of a hub."""
    from tests.hub_server import hub
    from tests.published import hub_model

    home = large / "imports"
    home.mkdir()
    by_hub = known(BY_HUB)
    root = published(BY_HAND).parents[1]
    done = {BY_HAND: run_importer(home, "--recognition", BY_HAND, "--from", str(root))}
    with hub({hub_model(by_hub).model_id: published(BY_HUB)}) as served:
        environment = {
            "MODELSCOPE_ENDPOINT": served.url,
            "MODELSCOPE_CACHE": str(large / "cache"),
            "NO_PROXY": "*",
            "no_proxy": "*",
        }
        done[BY_HUB] = run_importer(home, "--detection", BY_HUB, **environment)
    assert [each.returncode for each in done.values()] == [0, 0], done
    return Imports(
        home,
        {name: each.stdout for name, each in done.items()},
        {name: each.stderr for name, each in done.items()},
        frozenset(served.files_asked_for()),
    )


@pytest.fixture(scope="session")
def converted(
    request: pytest.FixtureRequest, published: Callable[[str], Path], large: Path
) -> Callable[[str], Path]:
    """Gives the model folder made of a published one; each is made once, which takes seconds."""

    @cache
    def folder(name: str) -> Path:
        if name in (BY_HAND, BY_HUB):
            imports: Imports = request.getfixturevalue("imports")
            return model_folder(imports.home, known(name))
        made = large / name
        made.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            # Takes as long as all else, and `imports` does it.
            patch.setattr("ocr.networks.precision.half_holds", lambda served, model: False)
            conversion.convert(known(name), origins.find(known(name), published(name)), made)
        return made

    return folder


@pytest.fixture
def copied(published: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Gives a copy of a published folder, to be spoilt."""
    copy = tmp_path / "spoilt"
    yield lambda name: Path(shutil.copytree(published(name), copy))
    shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture
def hub_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the hub's client: no waits between attempts, nothing of the user's, and no proxy."""
    from ocr.hub import PATIENCE

    for name in [name for name in os.environ if name.startswith("MODELSCOPE_")]:
        monkeypatch.delenv(name)
    for name, value in PATIENCE.items():  # so that they go when the test ends
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_INTEGRITY_RETRY_BACKOFF", 0)
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_RETRY_MAX_DELAY_SECONDS", 0)
    monkeypatch.setattr("modelscope_hub._legacy_api.REPO_TREE_PAGE_RETRY_MAX_DELAY_SECONDS", 0)
