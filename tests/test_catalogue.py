import re

import pytest

from ocr.catalogue import DETECTION, ENTRIES, PRESETS, RECOGNITION, Entry, HubModel, WheelFile
from ocr.model import DBModel, RecognitionModel

HUB = [entry for entry in ENTRIES if isinstance(entry.origin, HubModel)]


def test_a_preset_has_a_detection_and_a_recognition_model() -> None:
    assert set(PRESETS) == {"ppocr", "modelscope", "modelscope-db"}
    for pair in PRESETS.values():
        assert pair.detection.task == "detection"
        assert pair.recognition.task == "recognition"


def test_tags_name_task_and_model_and_are_unique() -> None:
    assert PRESETS["ppocr"].detection.tag == "ocr-detection:ppocr-v6-small"
    assert PRESETS["modelscope"].detection.tag == "ocr-detection:seglink-line"
    assert PRESETS["modelscope"].recognition.tag == "ocr-recognition:convnext-general"
    assert len({entry.tag for entry in ENTRIES}) == len(ENTRIES)
    assert len(DETECTION) + len(RECOGNITION) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tag)
def test_every_entry_says_where_it_comes_from(entry: Entry) -> None:
    assert entry.licence
    assert entry.model.name == entry.name
    if isinstance(entry.origin, WheelFile):
        assert re.fullmatch(r"[0-9a-f]{64}", entry.origin.sha256)
    else:
        assert re.fullmatch(r"iic/cv_\w+_ocr-[\w-]+_damo", entry.origin.model_id)
        assert "configuration.json" in entry.origin.files


@pytest.mark.parametrize("entry", HUB, ids=lambda entry: entry.tag)
def test_a_recogniser_has_a_vocabulary_for_its_classes(entry: Entry) -> None:
    assert isinstance(entry.origin, HubModel)
    if isinstance(entry.model, RecognitionModel):
        assert entry.origin.vocabulary + entry.origin.first_class == 7644
        assert "vocab.txt" in entry.origin.files
    else:
        assert "vocab.txt" not in entry.origin.files


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tag)
def test_fields_of_the_networks_fit_their_steps(entry: Entry) -> None:
    model = entry.model
    if isinstance(model, RecognitionModel):
        assert model.width_step % model.stride == 0
        assert model.min_width % model.width_step == 0
        assert model.max_width % model.width_step == 0
        if model.windows is not None:
            cut = model.windows
            assert cut.advance * (cut.count - 1) + cut.width == model.max_width
            overlap = (cut.width - cut.advance) // model.stride
            assert overlap == 2 * cut.trim  # each of two neighbours gives half of it away
        return
    assert model.small_text < model.readable_text
    assert model.long_side % model.multiple == 0 or model.fit == "stretch"
    if isinstance(model, DBModel):
        assert model.short_side % model.multiple == 0
        assert 0 < model.threshold <= model.box_threshold < 1
