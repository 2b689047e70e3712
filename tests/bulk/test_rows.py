"""Rows: what they say of pages and of errors, and that both kinds of file keep all of it."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ocr.bulk import rows
from ocr.bulk.rows import KEYS, SCHEMA, RowFormat
from ocr.bulk.work import Input, PageWork
from ocr.document import Line, Page
from ocr.errors import ImageDamaged, OcrError
from tests.bulk.conftest import QUAD, failed, read_page, table_of

KINDS: tuple[RowFormat, ...] = ("parquet", "jsonl")
LONE = "a\ud800b"  # half of a character, as broken PDFs have it


def back(data: bytes, kind: RowFormat) -> pa.Table:
    """The rows of a file as others read it."""
    if kind == "parquet":
        return pq.read_table(pa.BufferReader(data))
    return pa.Table.from_pylist([json.loads(line) for line in data.split(b"\n")[:-1]], SCHEMA)


def row_of(work: PageWork) -> dict[str, Any]:
    (row,) = table_of(work).to_pylist()
    return dict(row)


def page_of(*texts: str, **more: Any) -> PageWork:
    lines = [Line(QUAD, text, 0.75, turns) for turns, text in enumerate(texts)]
    return PageWork(Input("a"), 1, 1).read(Page(40, 20, lines, **more))


def test_a_page_that_was_read() -> None:
    line = Line(QUAD, "Name 姓名", 0.98765, 1)
    page = Page(40, 20, [line, Line(QUAD, "second", 0.5)], dpi=300.0, rotation=270)
    work = PageWork(Input("s3://bucket/a b.pdf", 2), 3, 7, seconds=1.23456).read(page)
    row = row_of(work)
    first, second = row.pop("lines")
    assert row == {
        "source": "s3://bucket/a b.pdf",
        "occurrence": 2,
        "page": 3,
        "pages": 7,
        "status": "read",
        "error_code": None,
        "error_message": None,
        "text": "Name 姓名\nsecond",
        "width": 40,
        "height": 20,
        "dpi": 300.0,
        "rotation": 270,
        "text_layer": False,
        "detection_model": "detection@1",
        "recognition_model": "recognition@2",
        "seconds": pytest.approx(1.2346),
    }
    assert first == {
        "text": "Name 姓名",
        "confidence": pytest.approx(0.9876, abs=1e-4),
        "quad": QUAD.tolist(),
        "turns": 1,
    }
    assert (second["text"], second["turns"]) == ("second", 0)


def test_a_page_with_its_own_text_says_so() -> None:
    assert row_of(page_of("text", text_layer=True))["text_layer"] is True


def test_an_input_that_could_not_be_opened() -> None:
    row = row_of(failed("a", ImageDamaged("cut off"), 4))
    told = {name: value for name, value in row.items() if value is not None}
    assert told == {
        "source": "a",
        "occurrence": 4,
        "page": 0,
        "pages": 0,
        "status": "failed",
        "error_code": "IMAGE_DAMAGED",
        "error_message": "cut off",
        "detection_model": "detection@1",
        "recognition_model": "recognition@2",
        "seconds": 0.0,
    }


def test_a_page_that_failed_in_a_file_that_did_not() -> None:
    row = row_of(PageWork(Input("a"), 2, 3).failed(ImageDamaged("cut off")))
    assert (row["page"], row["pages"], row["status"]) == (2, 3, "failed")
    assert (row["text"], row["lines"], row["width"]) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_page_is_no_failure(kind: RowFormat) -> None:
    (row,) = back(rows.encoded(table_of(page_of()), kind), kind).to_pylist()
    assert (row["status"], row["text"], row["lines"]) == ("read", "", [])
    assert (row["width"], row["height"], row["dpi"]) == (40, 20, None)


@pytest.mark.parametrize("kind", KINDS)
def test_half_characters_become_question_marks(kind: RowFormat) -> None:
    works = page_of(LONE), failed("b", OcrError(LONE))
    page, error = back(rows.encoded(table_of(*works), kind), kind).to_pylist()
    assert (page["text"], page["lines"][0]["text"]) == ("a?b", "a?b")
    assert error["error_message"] == "a?b"


def test_a_row_is_one_line_whatever_its_text() -> None:
    text = 'a\nb\r\nc\u2028d\x85e\x00"f\\'
    data = rows.encoded(table_of(page_of(text), page_of("g")), "jsonl")
    first, second, end = data.split(b"\n")
    assert json.loads(first)["text"] == text
    assert json.loads(second)["text"] == "g"
    assert end == b""
    assert "姓名" in rows.encoded(table_of(page_of("姓名")), "jsonl").decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_are_the_same_for_every_part(kind: RowFormat) -> None:
    for works in ([read_page("a")], [failed("a", OcrError("no"))], [page_of()], []):
        table = table_of(*works)
        assert table.schema == SCHEMA
        assert back(rows.encoded(table, kind), kind).schema == SCHEMA


@pytest.mark.parametrize("kind", KINDS)
def test_the_keys_of_a_file_say_which_pages_it_has(kind: RowFormat) -> None:
    works = [read_page("a\u2028\n", 2, 3, 1), failed("b", OcrError("no")), read_page("c")]
    keys = rows.keys_of(rows.encoded(table_of(*works), kind), kind)
    assert keys.schema == KEYS
    assert [tuple(row.values()) for row in keys.to_pylist()] == [
        ("a\u2028\n", 1, 2, 3, "read"),
        ("b", 0, 0, 0, "failed"),
        ("c", 0, 1, 1, "read"),
    ]
    assert rows.keys_of(rows.encoded(table_of(), kind), kind).equals(KEYS.empty_table())


def test_failures_are_counted() -> None:
    works = [read_page("a"), failed("b", OcrError("no")), failed("c", OcrError("no"))]
    assert rows.failures(table_of(*works)) == 2
    assert rows.failures(table_of()) == 0


def test_other_readers_see_the_types(tmp_path: Any) -> None:
    for name in ("1", "2"):
        file = tmp_path / f"part-{name}.parquet"
        file.write_bytes(rows.encoded(table_of(read_page(name)), "parquet"))
    (tmp_path / "_manifest").mkdir()
    (tmp_path / "_manifest/part-1.parquet").write_bytes(b"nothing that they should open")
    found = pq.read_table(tmp_path)
    assert found.schema == SCHEMA
    assert found["source"].to_pylist() == ["1", "2"]


LINES = st.builds(
    Line,
    quad=st.lists(st.floats(-1e5, 1e5, width=32), min_size=8, max_size=8).map(
        lambda values: np.array(values, np.float32).reshape(4, 2)
    ),
    text=st.text(st.characters(), max_size=20),
    confidence=st.floats(0, 1),
    turns=st.integers(0, 3),
)
PAGES = st.builds(
    Page,
    width=st.integers(0, 2**31 - 1),
    height=st.integers(0, 2**31 - 1),
    lines=st.lists(LINES, max_size=3),
    dpi=st.none() | st.floats(30, 2400),
    rotation=st.sampled_from([0, 90, 180, 270]),
    text_layer=st.booleans(),
)


@given(PAGES, st.integers(1, 10**6), st.floats(0, 1e6))
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_page_survives_both_kinds_alike(page: Page, number: int, seconds: float) -> None:
    work = PageWork(Input("a"), number, number, seconds=seconds).read(page)
    table = table_of(work)
    for kind in KINDS:
        assert back(rows.encoded(table, kind), kind).equals(table)
