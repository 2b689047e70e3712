"""What BentoML is told of a runner."""

from typing import Any

import pytest

from ocr.settings import Settings
from runners.options import runner_options


def _options(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name in ("DEVICE", "RUNNER_WORKERS"):
        monkeypatch.delenv(f"OCR_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"OCR_{name.upper()}", value)
    return runner_options(Settings())


def test_a_runner_has_as_many_processes_as_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _options(monkeypatch)["workers"] == 1
    assert _options(monkeypatch, runner_workers="3")["workers"] == 3


def test_two_runners_share_a_gpu_however_many_processes_they_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BentoML gives the processes of a service one and the same share."""
    assert "resources" not in _options(monkeypatch, runner_workers="2")
    shares = [
        _options(monkeypatch, device="cuda", runner_workers=count)["resources"]["gpu"]
        for count in ("1", "4")
    ]
    assert shares[0] == shares[1]
    assert 2 * shares[0] < 1
