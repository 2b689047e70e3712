"""What tests share: a model store, its model folders, and a pipeline in this process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocr import local
from ocr.catalogue import PRESETS, Entry
from ocr.model import DESCRIPTION
from ocr.pipeline import Pipeline

ROOT = Path(__file__).parents[1]
PRESET = PRESETS["ppocr"]


def model_folder(store: Path, entry: Entry) -> Path:
    """Where a store keeps an entry, so that tests need not import BentoML to know."""
    return store / "models" / Path(*entry.tag.split(":"))


def import_into(store: Path, *arguments: str) -> str:
    """Run the importer as a user does, in a process of its own; gives what it says."""
    done = subprocess.run(
        [sys.executable, ROOT / "import_models.py", *arguments],
        env={**os.environ, "BENTOML_HOME": str(store)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BENTOML_HOME with the models: the environment's if it has them, else a new one."""
    home = os.environ.get("BENTOML_HOME")
    entries = (PRESET.detection, PRESET.recognition)
    if home and all((model_folder(Path(home), entry) / DESCRIPTION).is_file() for entry in entries):
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
