import re

from ocr.catalogue import PRESETS, Entry
from ocr.model import DetectionModel, RecognitionModel

ENTRIES = [entry for p in PRESETS.values() for entry in (p.detection, p.recognition)]


def test_every_preset_is_found_by_its_name() -> None:
    assert PRESETS
    assert all(preset.name == name for name, preset in PRESETS.items())


def test_a_preset_has_a_detection_and_a_recognition_model() -> None:
    for preset in PRESETS.values():
        assert isinstance(preset.detection.model, DetectionModel)
        assert isinstance(preset.recognition.model, RecognitionModel)


def test_tags_name_task_and_model_and_are_unique() -> None:
    assert PRESETS["ppocr"].detection.tag == "ocr-detection:ppocr-v6-small"
    assert PRESETS["ppocr"].recognition.tag == "ocr-recognition:ppocr-v6-small"
    models: dict[str, Entry] = {}
    for entry in ENTRIES:
        assert models.setdefault(entry.tag, entry) == entry


def test_every_entry_says_where_it_comes_from() -> None:
    for entry in ENTRIES:
        assert entry.source
        assert entry.revision
        assert entry.licence
        assert entry.model.name == entry.name
        assert re.fullmatch(r"[0-9a-f]{64}", entry.file.sha256)


def test_fields_of_the_networks_fit_their_steps() -> None:
    for preset in PRESETS.values():
        detection, recognition = preset.detection.model, preset.recognition.model
        assert isinstance(detection, DetectionModel)
        assert isinstance(recognition, RecognitionModel)
        assert detection.short_side % detection.multiple == 0
        assert 0 < detection.threshold <= detection.box_threshold < 1
        assert recognition.width_step % recognition.stride == 0
        assert recognition.min_width % recognition.width_step == 0
        assert recognition.max_width % recognition.width_step == 0
