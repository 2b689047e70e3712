"""Real pictures with truth, where they are at hand beside the project; skipped where not."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ocr import decode
from ocr.decode import DecodeLimits
from ocr.document import Document
from ocr.errors import InferenceFailed, OcrError
from ocr.formats import alto, hocr
from ocr.formats import json as json_format
from ocr.formats.catalogue import FORMATS
from ocr.pipeline import Pipeline
from ocr.wanted import Wanted
from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"

PAGE_SETS = (
    "en_form_funsd",
    "en_pdf",
    "en_receipt_sroie",
    "en_scene_ic15",
    "zh_mixed_agent",
    "zh_pdf",
    "zh_web_mtwi",
    "zht_street_aicup",
)
TOLERANCE = 0.005

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no evaluation pictures at {DATA}: accuracy is not checked"
)


def _records(name: str) -> list[dict[str, Any]]:
    path = DATA / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _read(reader: Pipeline, path: Path) -> Document | OcrError:
    data = path.read_bytes()

    async def run() -> Document:
        found = decode.pages(data, DecodeLimits())
        return Document([await reader.read(page) for page in found])

    try:
        return asyncio.run(run())
    except OcrError as error:
        return error


def test_the_picture_of_the_original_service(reader: Pipeline) -> None:
    document = _read(reader, DATA / "seed" / "default.jpg")
    assert isinstance(document, Document)
    assert document.pages[0].text == "源自天赐馥郁芬芳"


@pytest.mark.parametrize("name", ["en_form_funsd", "en_pdf", "zh_pdf", "zh_mixed_agent"])
def test_all_formats_keep_the_lines_of_a_page_and_their_order(reader: Pipeline, name: str) -> None:
    document = _read(reader, DATA / _records(name)[0]["image"])
    assert isinstance(document, Document)
    texts = [line.text for line in document.pages[0].lines]
    made = {
        name: form.render([document], Wanted())
        for name, form in FORMATS.items()
        if not form.pictures
    }
    assert made["text"].decode().splitlines() == texts
    for module, form in ((json_format, "json"), (hocr, "hocr"), (alto, "alto")):
        (page,) = module.parse(made[form])[0].pages
        assert [" ".join(line.text.split()) for line in page.lines] == [
            " ".join(text.split()) for text in texts
        ], form
    # Markdown joins lines into paragraphs and cells, and marks what would mean something in it.
    letters = Counter(each for each in made["markdown"].decode() if each.isalnum())
    assert letters == Counter(each for text in texts for each in text if each.isalnum())


@pytest.mark.slow
def test_accuracy_is_at_least_the_baseline_s(store: Path, tmp_path: Path) -> None:
    """The baseline reads with the same weights; half a per cent is noise of single lines."""
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "accuracy.py", DATA, "--json", tmp_path / "scores",
         "--baseline", DATA / "baseline_rapidocr", "--set", *PAGE_SETS],
        env={**os.environ, "BENTOML_HOME": str(store)}, check=True,
    )  # fmt: skip
    worse = []
    for found in json.loads((tmp_path / "scores").read_text())["sets"]:
        assert not found["failures"]
        for score, sign in (("e2e_f", 1), ("1-ned_matched", 1), ("line_found", 1), ("bag_cer", -1)):
            gain = sign * (found["scores"][score] - found["baseline"][score])
            if gain < -TOLERANCE:
                worse.append(f"{found['set']} {score} {gain:+.4f}")
    assert not worse


@pytest.mark.slow
def test_odd_files_get_what_they_deserve(reader: Pipeline) -> None:
    wrong = Counter[str]()
    for record in _records("robustness"):
        outcome = _read(reader, DATA / record["file"])
        refused = isinstance(outcome, OcrError)
        wrong[f"{record['file']}: {outcome}"] += isinstance(outcome, InferenceFailed)
        if record["expect"] == "reject" and not refused:
            wrong[f"{record['file']} was not refused"] += 1
        if record["expect"] in ("text", "decode") and refused:
            wrong[f"{record['file']} was refused: {outcome}"] += 1
        if record["expect"] == "text" and isinstance(outcome, Document):
            joined = "".join("".join(page.text.split()) for page in outcome.pages)
            for text in record["contains"]:
                wrong[f"{record['file']} has no {text}"] += text not in joined
    assert not +wrong
