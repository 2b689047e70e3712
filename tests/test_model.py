import json
import shutil
from pathlib import Path

import pytest

from ocr.catalogue import ENTRIES, Entry
from ocr.detection.detector import Detector
from ocr.errors import ModelDamaged, ModelMissing
from ocr.model import (
    CHARSET,
    DESCRIPTION,
    NETWORK,
    DetectionModel,
    RecognitionModel,
    read_charset,
    read_detection_model,
    read_recognition_model,
)
from ocr.recognition.recogniser import Recogniser
from tests.conftest import PRESET


def write(model: DetectionModel | RecognitionModel, folder: Path) -> None:
    (folder / DESCRIPTION).write_text(model.model_dump_json(), "utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tag)
def test_a_description_is_read_as_it_was_written(tmp_path: Path, entry: Entry) -> None:
    write(entry.model, tmp_path)
    if entry.task == "detection":
        assert read_detection_model(tmp_path) == entry.model
    else:
        assert read_recognition_model(tmp_path) == entry.model


def test_a_description_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """What a model has since learnt to say has the value that it had all the time."""
    text = """{"name": "x", "task": "detection", "architecture": "db", "multiple": 32,
        "short_side": 736, "long_side": 2000, "threshold": 0.3, "box_threshold": 0.5,
        "unclip_ratio": 1.5, "max_candidates": 1000}"""
    (tmp_path / DESCRIPTION).write_text(text, "utf-8")
    model = read_detection_model(tmp_path)
    assert model == PRESET.detection.model.model_copy(
        update={"name": "x", "half": False, "max_candidates": 1000}
    )


def test_a_description_that_names_no_network_means_the_one_that_had_none(tmp_path: Path) -> None:
    for entry in (PRESET.detection, PRESET.recognition):
        said = entry.model.model_dump() | {"network": None}
        (tmp_path / DESCRIPTION).write_text(json.dumps(said), "utf-8")
        read = read_detection_model if entry.task == "detection" else read_recognition_model
        assert read(tmp_path) == entry.model


def test_a_folder_without_description_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=str(tmp_path)):
        read_detection_model(tmp_path)
    with pytest.raises(ModelMissing, match=str(tmp_path / "nowhere")):
        read_recognition_model(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{}", "no JSON", "[]", '{"name": "x", "task": "detection"}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / DESCRIPTION).write_text(text, "utf-8")
    with pytest.raises(ModelDamaged, match=DESCRIPTION):
        read_detection_model(tmp_path)


def test_a_description_with_a_setting_too_many_is_refused(tmp_path: Path) -> None:
    text = PRESET.recognition.model.model_dump_json()
    (tmp_path / DESCRIPTION).write_text(text[:-1] + ', "colour": "red"}', "utf-8")
    with pytest.raises(ModelDamaged, match="colour"):
        read_recognition_model(tmp_path)


def test_a_model_of_the_other_kind_is_refused(model_folders: tuple[Path, Path]) -> None:
    detection, recognition = model_folders
    with pytest.raises(ModelDamaged, match="a detection model"):
        Detector(recognition)
    with pytest.raises(ModelDamaged, match="a recognition model"):
        Recogniser(detection)


def test_a_model_without_network_is_missing_it(
    tmp_path: Path, model_folders: tuple[Path, Path]
) -> None:
    for kind, folder in zip((Detector, Recogniser), model_folders, strict=True):
        copy = tmp_path / kind.__name__
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(NETWORK))
        with pytest.raises(ModelMissing, match=NETWORK):
            kind(copy)


def test_a_model_without_characters_is_missing_them(
    tmp_path: Path, model_folders: tuple[Path, Path]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model_folders[1], copy, ignore=shutil.ignore_patterns(CHARSET))
    with pytest.raises(ModelMissing, match=CHARSET):
        Recogniser(copy)


def test_a_charset_keeps_its_order_and_its_spaces(tmp_path: Path) -> None:
    (tmp_path / CHARSET).write_text("a\n中\n\u3000\n \n", "utf-8")
    assert read_charset(tmp_path) == ["a", "中", "\u3000", " "]


def test_the_stored_charset_ends_with_a_space(model_folders: tuple[Path, Path]) -> None:
    charset = read_charset(model_folders[1])
    assert charset[-1] == " "
    assert len(charset) > 6000
    assert all(len(character) == 1 for character in charset)
