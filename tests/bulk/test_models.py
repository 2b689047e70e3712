"""Models on their way to other machines: their files, their name, and where they are unpacked."""

from pathlib import Path

import pytest

from ocr.bulk import models
from ocr.errors import ModelDamaged, ModelMissing
from ocr.model import CHARSET, DESCRIPTION, NETWORK, WEIGHTS
from ocr.recognition.recogniser import Recogniser


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes into the object store stays in this process."""
    monkeypatch.setattr("ray.put", lambda value: value)
    monkeypatch.setattr("ray.get", lambda value: value)


def copied(folder: Path, to: Path, *, without: str = "", changed: str = "") -> Path:
    to.mkdir()
    for file in folder.iterdir():
        if file.name != without:
            data = file.read_bytes()
            (to / file.name).write_bytes(data + b" " if file.name == changed else data)
    return to


def test_models_are_shipped_with_the_files_that_their_device_needs(
    model_folders: tuple[Path, Path],
) -> None:
    on_cpus = models.shipped(model_folders, "cpu")
    on_gpus = models.shipped(model_folders, "cuda")
    assert set(on_cpus.detection.files) == {DESCRIPTION, NETWORK}
    assert set(on_cpus.recognition.files) == {DESCRIPTION, NETWORK, CHARSET}
    assert set(on_gpus.recognition.files) == {DESCRIPTION, WEIGHTS, CHARSET}


def test_a_model_says_its_name_and_version(
    model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    detection, recognition = model_folders
    found = models.shipped(model_folders, "cpu")
    name, _, version = found.recognition.tag.partition("@")
    assert name == found.recognition.model.name
    assert len(version) == models.VERSION
    assert set(version) <= set("0123456789abcdef")
    again = models.shipped((detection, copied(recognition, tmp_path / "same")), "cpu")
    assert again.recognition.tag == found.recognition.tag
    other = copied(recognition, tmp_path / "other", changed=DESCRIPTION)
    changed = models.shipped((detection, other), "cpu")
    assert changed.recognition.tag.startswith(f"{name}@")
    assert changed.recognition.tag != found.recognition.tag
    assert changed.detection.tag == found.detection.tag


def test_a_model_is_unpacked_as_it_was(model_folders: tuple[Path, Path]) -> None:
    _, recognition = model_folders
    found = models.shipped(model_folders, "cpu").recognition
    first, second = found.folder(), found.folder()
    assert first != second
    for name in (DESCRIPTION, NETWORK, CHARSET):
        assert (first / name).read_bytes() == (recognition / name).read_bytes()
    Recogniser(second).warm_up()


def test_a_folder_without_a_model_is_not_shipped(
    model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    detection, recognition = model_folders
    with pytest.raises(ModelMissing):
        models.shipped((detection, tmp_path), "cpu")
    (tmp_path / DESCRIPTION).write_text("{}")
    with pytest.raises(ModelDamaged):
        models.shipped((tmp_path, recognition), "cpu")


def test_a_model_without_its_network_is_not_shipped(
    model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    detection, recognition = model_folders
    for i, name in enumerate((NETWORK, CHARSET)):
        lacking = copied(recognition, tmp_path / f"{i}", without=name)
        with pytest.raises(ModelMissing, match=name):
            models.shipped((detection, lacking), "cpu")
