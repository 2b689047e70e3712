"""The environment is read with its types, and refused where it is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ocr import settings
from ocr.catalogue import DETECTION, PRESETS, RECOGNITION, Entry, Pair
from ocr.settings import Settings, available_cores, available_memory


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_MAX_IMAGES", "3")
    monkeypatch.setenv("OCR_ALLOW_PRIVATE_URLS", "1")
    monkeypatch.setenv("OCR_MAX_PIXELS", "1000")
    settings = Settings()
    assert settings.max_images == 3
    assert settings.allow_private_urls is True
    assert settings.decode_limits.pixels == 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "tpu"),
        ("MAX_IMAGES", "0"),
        ("RUNNER_WORKERS", "0"),
        ("TIMEOUT_S", "soon"),
        ("PRESET", "nothing"),
    ],
)
def test_a_wrong_value_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"OCR_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_threads_default_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THREADS", "RUNNER_WORKERS"):
        monkeypatch.delenv(f"OCR_{name}", raising=False)
    assert Settings().network_threads == available_cores() >= 1
    monkeypatch.setenv("OCR_THREADS", "3")
    assert Settings().network_threads == 3


def test_memory_is_what_the_machine_has_or_less() -> None:
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    total = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal"))
    assert 0 < available_memory() <= 1024 * total


def test_a_containers_limits_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "CONTAINER", tmp_path)
    unlimited = available_cores(), available_memory()
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (available_cores(), available_memory()) == unlimited
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert (available_cores(), available_memory()) == (1, 1_000_000)


@pytest.mark.parametrize(
    ("threads", "processes", "each"), [("8", "2", 4), ("5", "2", 2), ("2", "3", 1), ("4", "1", 4)]
)
def test_the_processes_of_a_runner_share_its_threads(
    monkeypatch: pytest.MonkeyPatch, threads: str, processes: str, each: int
) -> None:
    monkeypatch.setenv("OCR_THREADS", threads)
    monkeypatch.setenv("OCR_RUNNER_WORKERS", processes)
    assert Settings().network_threads == each


def test_models_are_the_presets_but_for_those_that_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PRESET", "DETECTION", "RECOGNITION"):
        monkeypatch.delenv(f"OCR_{name}", raising=False)
    assert Settings().models == PRESETS["ppocr"]
    monkeypatch.setenv("OCR_PRESET", "modelscope-db")
    assert Settings().models == PRESETS["modelscope-db"]
    monkeypatch.setenv("OCR_RECOGNITION", "crnn-general")
    assert Settings().models == Pair(DETECTION["dbnet-resnet18"], RECOGNITION["crnn-general"])
    monkeypatch.setenv("OCR_DETECTION", "seglink-word")
    assert Settings().models == Pair(DETECTION["seglink-word"], RECOGNITION["crnn-general"])
    monkeypatch.setenv("OCR_RECOGNITION", "")
    assert Settings().models.recognition == PRESETS["modelscope-db"].recognition


@pytest.mark.parametrize(
    ("name", "value", "models"),
    [
        ("DETECTION", "east", DETECTION),
        ("DETECTION", "crnn-general", DETECTION),
        ("RECOGNITION", "crnn", RECOGNITION),
        ("RECOGNITION", "seglink-line", RECOGNITION),
    ],
)
def test_a_model_that_is_not_known_is_refused_and_those_that_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, models: dict[str, Entry]
) -> None:
    monkeypatch.setenv(f"OCR_{name}", value)
    with pytest.raises(ValidationError, match=f"no model '{value}'") as raised:
        Settings()
    assert name.lower() in str(raised.value)
    assert all(known in str(raised.value) for known in models)
