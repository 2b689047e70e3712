"""The rows of the output: one a page, and one for an input that has none because of an error."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ocr.bulk.work import PageWork
from ocr.document import Page
from ocr.formats.json import page_as_dict

RowFormat = Literal["parquet", "jsonl"]
READ, FAILED = "read", "failed"
DIGITS = 4  # after the point, more of which no number has

LINE = pa.struct(
    [
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("quad", pa.list_(pa.list_(pa.float32()))),  # four points, clockwise from the top left
        ("turns", pa.int8()),
    ]
)
SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("occurrence", pa.int32()),  # how often the source came before in what was given
        ("page", pa.int32()),  # from 1; 0 where the input could not be opened
        ("pages", pa.int32()),  # that the source has
        ("status", pa.string()),  # READ or FAILED
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("text", pa.string()),
        ("lines", pa.list_(LINE)),
        ("width", pa.int32()),  # pixels
        ("height", pa.int32()),
        ("dpi", pa.float32()),
        ("rotation", pa.int16()),
        ("text_layer", pa.bool_()),
        ("detection_model", pa.string()),
        ("recognition_model", pa.string()),
        ("seconds", pa.float32()),
    ]
)
# What a manifest says of each page.
KEYS = pa.schema(
    [SCHEMA.field(name) for name in ("source", "occurrence", "page", "pages", "status")]
)


def table(works: Sequence[PageWork], detection: str, recognition: str) -> pa.Table:
    """The rows of pages that are done; the models are what read them."""
    models = {"detection_model": detection, "recognition_model": recognition}
    return pa.Table.from_pylist([_row(work) | models for work in works], SCHEMA)


def failures(rows: pa.Table) -> int:
    return sum(status == FAILED for status in rows["status"].to_pylist())


def _row(work: PageWork) -> dict[str, Any]:
    row: dict[str, Any] = {
        "source": work.input.source,
        "occurrence": work.input.occurrence,
        "page": work.number,
        "pages": work.count,
        "status": READ,
        "seconds": round(work.seconds, 4),
    }
    if work.error is not None:
        told = work.error.as_dict()
        return row | {
            "status": FAILED,
            "error_code": told["code"],
            "error_message": _valid(told["message"]),
        }
    return row | _content(work.page or Page(0, 0))


def _content(page: Page) -> dict[str, Any]:
    found = page_as_dict(page, words=False, picture=False)
    del found["number"]
    found["text"] = _valid(found["text"])
    for line in found["lines"]:
        line["text"] = _valid(line["text"])
    return found


def _valid(text: str) -> str:
    """A text without lone surrogates, which PDFs may have and UTF-8 has not."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encoded(rows: pa.Table, kind: RowFormat) -> bytes:
    """Rows as the bytes of a file."""
    if kind == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        return bytes(sink.getvalue())
    return "".join(
        json.dumps(_short(row), ensure_ascii=False, allow_nan=False) + "\n"
        for row in rows.to_pylist()
    ).encode()


def _short(value: Any) -> Any:
    """A value with its numbers as they were: half of their digits are those of 32 bits in 64."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


def keys_of(data: bytes, kind: RowFormat) -> pa.Table:
    """Which pages the bytes of a file have, as KEYS."""
    if kind == "parquet":
        return pq.read_table(pa.BufferReader(data), columns=KEYS.names).cast(KEYS)
    rows = [json.loads(line) for line in data.splitlines()]
    return pa.Table.from_pylist([{name: row[name] for name in KEYS.names} for row in rows], KEYS)
