"""The environment is read with its types, and refused where it is wrong."""

import pytest
from pydantic import ValidationError

from ocr.settings import Settings, available_cores


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
    [("DEVICE", "tpu"), ("MAX_IMAGES", "0"), ("TIMEOUT_S", "soon"), ("PRESET", "nothing")],
)
def test_a_wrong_value_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"OCR_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_threads_default_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCR_THREADS", raising=False)
    assert Settings().network_threads == available_cores() >= 1
    monkeypatch.setenv("OCR_THREADS", "3")
    assert Settings().network_threads == 3
