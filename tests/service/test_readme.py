"""What the README prints is what happens."""

import json
import re
import subprocess

import pytest

from ocr.settings import Settings
from tests.conftest import ROOT
from tests.service.served import Served

README = (ROOT / "README.md").read_text("utf-8")


def _block(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if containing in block)


def test_the_curl_works_as_printed(served: Served) -> None:
    command = _block("sh", "curl").replace("http://127.0.0.1:9533", served.url)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=True)
    answer, printed = json.loads(done.stdout), json.loads(_block("json", "results"))
    for line, expected in zip(answer.pop("results")[0], printed.pop("results")[0], strict=True):
        assert line["text"] == expected["text"]
        # Other processors round otherwise, in the last digits.
        assert line["confidence"] == pytest.approx(expected["confidence"], abs=0.01)
        for point, other in zip(line["text_region"], expected["text_region"], strict=True):
            assert point == pytest.approx(other, abs=1)
    assert answer == printed


def test_the_settings_are_all_listed_with_their_defaults() -> None:
    for name, field in Settings.model_fields.items():
        value = field.default
        printed = f"{value:g}" if isinstance(value, float) else str(value)
        row = f"| `OCR_{name.upper()}` | {printed} | {field.description} |"
        assert row in README, row
    assert len(re.findall(r"\| `OCR_\w+` \|", README)) == len(Settings.model_fields)
