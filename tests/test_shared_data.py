"""Real pictures with truth, where they are at hand beside the project; skipped where not."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ocr import decode
from ocr.decode import DecodeLimits
from ocr.document import Document
from ocr.errors import InferenceFailed, OcrError
from ocr.pipeline import Pipeline
from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"

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
