"""The bulk job on one machine, called as a user does."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocr.budget import Budget
from ocr.document import Page
from ocr.pipeline import Pipeline
from ocr.reader import Reader
from ocr.settings import Settings
from ocr.sources import Sources
from tests.bulk_ray import scans
from tests.bulk_ray.calls import (
    ALL,
    NONE,
    PATIENCE_S,
    Bulk,
    Row,
    parts,
    sizes,
    twice,
    wait_for_parts,
)
from tests.bulk_ray.scans import CODES, PAGES

pytestmark = pytest.mark.ray

MODELS = {"detection_model", "recognition_model"}


@pytest.fixture(scope="module")
def first(call_in: Callable[[Path], Bulk], tmp_path_factory: pytest.TempPathFactory) -> Bulk:
    """All kinds of files, read by a call that starts its own Ray."""
    bulk = call_in(tmp_path_factory.mktemp("first"))
    scans.draw_all_kinds(bulk.folder / "in")
    done = bulk.call("in", "out", "--part-rows", "5")
    assert done.returncode == ALL, done.stderr
    told = f"{sum(PAGES.values())} pages read, {len(CODES)} failed"
    assert told in done.stderr.splitlines()[-1]
    return bulk


@pytest.fixture(scope="module")
def expected(reader: Pipeline, first: Bulk) -> dict[str, list[Page]]:
    """What the library makes of the files that can be read."""
    limits = Settings().own_limits
    one_by_one = Reader(reader, Sources(), limits, Budget(limits.pixels))
    return {
        name: asyncio.run(one_by_one.read_bytes((first.folder / "in" / name).read_bytes())).pages
        for name in PAGES
    }


def of(rows: list[Row], bulk: Bulk, name: str) -> list[Row]:
    return [row for row in rows if row["source"] == str(bulk.folder / "in" / name)]


def test_each_page_has_one_row(first: Bulk) -> None:
    rows = first.rows()
    assert not twice(rows)
    for name, pages in PAGES.items():
        found = [(row["page"], row["pages"], row["status"]) for row in of(rows, first, name)]
        assert found == [(number, pages, "read") for number in range(1, pages + 1)]
    assert len(rows) == sum(PAGES.values()) + len(CODES)


def test_what_cannot_be_read_has_a_row_that_says_why(first: Bulk) -> None:
    rows = first.rows()
    for name, code in CODES.items():
        (row,) = of(rows, first, name)
        assert (row["status"], row["error_code"], row["page"]) == ("failed", code, 0), name
        assert row["error_message"]
        assert row["text"] is None


def test_text_and_lines_are_those_of_the_library(
    first: Bulk, expected: dict[str, list[Page]]
) -> None:
    rows = first.rows()
    for name, pages in expected.items():
        for row, page in zip(of(rows, first, name), pages, strict=True):
            assert row["text"] == page.text
            assert [line["text"] for line in row["lines"]] == [line.text for line in page.lines]
            assert (row["width"], row["height"]) == (page.width, page.height)
            assert row["text_layer"] == page.text_layer
            for line, wanted in zip(row["lines"], page.lines, strict=True):
                assert line["confidence"] == pytest.approx(wanted.confidence, abs=0.01)
                assert np.array(line["quad"]) == pytest.approx(wanted.quad, abs=1)
    assert sum(len(page.lines) for pages in expected.values() for page in pages) >= 9


def test_rows_say_by_which_models_and_in_what_time(first: Bulk) -> None:
    for row in first.rows():
        assert row["detection_model"].startswith("ppocr")
        assert "@" in row["recognition_model"]
        assert 0 <= row["seconds"] < 60


def test_parts_have_the_rows_that_were_asked_for_and_a_manifest_each(first: Bulk) -> None:
    names = parts(first.folder / "out")
    rows = sizes(first.folder / "out")
    assert sum(rows) == sum(PAGES.values()) + len(CODES)
    assert all(size >= 5 for size in rows[1:])  # one has what is left
    assert parts(first.folder / "out" / "_manifest") == names
    assert not list((first.folder / "out" / "_unfinished").glob("*"))


def test_a_second_call_does_nothing(first: Bulk) -> None:
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    done = first.call("in", "out")
    inputs = len(PAGES) + len(CODES)
    assert done.returncode == ALL
    assert done.stderr.splitlines() == [
        f"bulk: {inputs} inputs, {inputs} of them done before, to {first.folder / 'out'}"
    ]
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


def test_a_new_file_is_what_the_next_call_reads(bulk: Bulk, one_machine: str) -> None:
    (first,) = scans.draw(bulk.folder / "in", 1)
    assert bulk.call("in", "out", "--address", one_machine).returncode == ALL
    second = bulk.folder / "in" / "later.png"
    second.write_bytes(scans.label(1))
    done = bulk.call("in", "out", "--address", one_machine)
    assert done.returncode == ALL
    assert "2 inputs, 1 of them done before" in done.stderr
    assert "1 pages read, 0 failed, 1 parts" in done.stderr
    assert [(row["source"], row["text"]) for row in bulk.rows()] == [
        (first, scans.WORDS[0]), (str(second), scans.WORDS[1])
    ]  # fmt: skip


def test_json_lines_say_what_parquet_says(first: Bulk, one_machine: str, tmp_path: Path) -> None:
    sources = [str(first.folder / "in" / name) for name in (*PAGES, *CODES)]
    (tmp_path / "list.txt").write_text("\n".join(sources))
    bulk = Bulk(tmp_path, first.environment)
    done = bulk.call("list.txt", "out", "--format", "jsonl", "--address", one_machine)
    assert done.returncode == ALL, done.stderr
    (path,) = (tmp_path / "out").glob("part-*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = {(row["source"], row["page"]): _timeless(row) for row in rows}
    assert found == {(row["source"], row["page"]): _timeless(row) for row in first.rows()}
    assert len(rows) == len(found)


def _timeless(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("seconds", "lines")}


def test_a_source_that_comes_twice_has_its_rows_twice(bulk: Bulk, one_machine: str) -> None:
    (path,) = scans.draw(bulk.folder, 1)
    (bulk.folder / "list.txt").write_text(f"{path}\n{path}\n")
    assert bulk.call("list.txt", "out", "--address", one_machine).returncode == ALL
    assert [(row["source"], row["occurrence"]) for row in bulk.rows()] == [(path, 0), (path, 1)]


def test_a_sample_is_some_of_the_inputs_and_the_next_call_reads_the_others(
    bulk: Bulk, one_machine: str
) -> None:
    paths = scans.draw(bulk.folder / "in", 6)
    assert bulk.call("in", "out", "--sample", "2", "--address", one_machine).returncode == ALL
    sampled = {row["source"] for row in bulk.rows()}
    assert len(sampled) == 2
    done = bulk.call("in", "out", "--address", one_machine)
    assert "6 inputs, 2 of them done before" in done.stderr
    assert [row["source"] for row in bulk.rows()] == paths


def test_parts_count_while_other_inputs_are_still_being_read(bulk: Bulk, one_machine: str) -> None:
    """One input is a pipe, which does not even open until the parts are there."""
    paths = scans.draw(bulk.folder / "in", 16)
    pipe = bulk.folder / "late.png"
    os.mkfifo(pipe)
    (bulk.folder / "list.txt").write_text("\n".join([*paths, str(pipe)]))
    options = ("--part-rows", "6", "--address", one_machine)
    with bulk.begun("list.txt", "out", *options) as process:
        wait_for_parts(process, bulk.folder / "out", 2)
        assert [row["source"] for row in bulk.rows()] == paths[: len(bulk.rows())]
        assert min(sizes(bulk.folder / "out")) >= 6
        pipe.write_bytes(scans.label())
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ALL, err
    assert [row["source"] for row in bulk.rows()] == [*paths, str(pipe)]
    assert [row["status"] for row in bulk.rows()[:-1]] == ["read"] * len(paths)


def test_where_nothing_can_be_read_the_status_says_so(bulk: Bulk, one_machine: str) -> None:
    for name in ("a.png", "b.pdf"):
        (bulk.folder / name).write_bytes(b"nothing")
    done = bulk.call("*.p*", "out", "--address", one_machine)
    assert done.returncode == NONE
    assert "0 pages read, 2 failed" in done.stderr
    assert [row["status"] for row in bulk.rows()] == ["failed", "failed"]


def test_a_dry_run_starts_no_ray_and_writes_nothing(bulk: Bulk, tmp_path: Path) -> None:
    scans.draw_all_kinds(tmp_path / "in")
    own = tmp_path / "ray"
    own.mkdir()
    done = Bulk(tmp_path, {**bulk.environment, "RAY_TMPDIR": str(own)}).call(
        "in", "out", "--dry-run"
    )
    assert done.returncode == ALL
    counted = {tuple(line.split()) for line in done.stdout.splitlines()}
    assert counted == {
        ("3", ".png"), ("2", ".pdf"), ("1", ".jpg"), ("1", ".tif"), ("1", ".webp")
    }  # fmt: skip
    assert not list(own.iterdir())
    assert not (tmp_path / "out").exists()


def test_a_file_that_kills_its_decoder_costs_only_its_own_row(bulk: Bulk, one_machine: str) -> None:
    scans.draw(bulk.folder / "in", 3)
    for name in ("abort", "exit"):
        (bulk.folder / "in" / f"{name}.png").write_bytes(name.encode())
    done = bulk.by("dying_bulk").call("in", "out", "--address", one_machine)
    assert done.returncode == ALL, done.stderr
    assert [(Path(row["source"]).stem, row["error_code"]) for row in bulk.rows()] == [
        ("000", None), ("001", None), ("002", None),
        ("abort", "IMAGE_DAMAGED"), ("exit", "IMAGE_DAMAGED"),
    ]  # fmt: skip
