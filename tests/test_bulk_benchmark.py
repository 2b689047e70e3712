"""The bulk benchmark lists what it should, and sees what is lost, doubled or misread."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import bulk_inputs
import bulk_job
import bulk_runs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_inputs import DAMAGED_EVERY, Inputs
from bulk_job import Answer, PageText
from bulk_runs import MemoryWatch

from ocr import decode
from ocr.errors import PictureError
from ocr.settings import Settings
from tests import pictures

GOOD, BAD = Path("/of/a.png"), Path("/of/cut.png")
PAGES = (PageText("one two", ("one", "two")), PageText("", ()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four crops, four small pictures and a large one, and what says so."""
    crops = [f"crop-{number}.png" for number in range(4)]
    small = [f"small-{number}.png" for number in range(4)]
    crop = pictures.to_png(pictures.label("Label 42").image)
    page = pictures.to_png(pictures.page(pictures.ENGLISH[:2], size=24).image)
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    for name in crops:
        (tmp_path / name).write_bytes(crop)
    for name in small:
        (tmp_path / name).write_bytes(page)
    (tmp_path / "large.png").write_bytes(pictures.to_png(noise))
    records: dict[str, list[dict[str, object]]] = {
        "words": [{"image": name, "text": ""} for name in crops],
        "pages": [{"image": name, "lines": []} for name in [*small, "large.png"]],
    }
    for name, each in records.items():
        lines = "".join(json.dumps(record) + "\n" for record in each)
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf-8")
    return tmp_path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


def row(
    path: Path, occurrence: int, page: int, text: PageText | None = None, code: str | None = None
) -> dict[str, Any]:
    lines = None if text is None else [{"text": line} for line in text.lines]
    return {
        "source": str(path),
        "occurrence": occurrence,
        "page": page,
        "error_code": code,
        "text": None if text is None else text.text,
        "lines": lines,
    }


def rows() -> list[dict[str, Any]]:
    """What is right for GOOD twice and BAD once."""
    good = [row(GOOD, often, number + 1, PAGES[number]) for often in (0, 1) for number in (0, 1)]
    return [*good, row(BAD, 0, 0, code="IMAGE_DAMAGED")]


INPUTS = Inputs((GOOD, BAD, GOOD), frozenset({BAD}), {GOOD: 2})
ANSWERS = {GOOD: Answer(PAGES), BAD: Answer(code="IMAGE_DAMAGED")}


def faults_of(found: list[dict[str, Any]]) -> str:
    return "; ".join(bulk_job.compare(INPUTS, ANSWERS, found))


def test_one_input_in_fifty_is_damaged_and_each_in_each_way(folder: Path, made: Path) -> None:
    inputs = bulk_inputs.mixed(folder, made, 2000, damaged=True)
    assert len(inputs.listed) == 2000
    assert sum(inputs.counts[path] for path in inputs.damaged) == 2000 // DAMAGED_EVERY
    assert inputs.damaged <= set(inputs.listed)
    assert {path.suffix for path in inputs.counts} == {".png", ".pdf"}
    assert folder / "large.png" in inputs.counts
    for path in inputs.damaged:
        with pytest.raises((PictureError, FileNotFoundError)):
            list(decode.pages(path.read_bytes(), Settings().decode_limits))


def test_the_same_inputs_are_listed_again(folder: Path, made: Path) -> None:
    one, two = (bulk_inputs.mixed(folder, made, 60, damaged=True) for _ in range(2))
    assert one == two
    file = one.write(made / "list.txt")
    assert file.read_text("utf-8").splitlines() == [str(path) for path in one.listed]


def test_the_rows_of_good_inputs_are_known_before(folder: Path, made: Path) -> None:
    inputs = bulk_inputs.mixed(folder, made, 300, damaged=False)
    keys = inputs.keys()
    assert set(keys.values()) == {1}
    documents = [path for path in inputs.counts if path.suffix == ".pdf"]
    assert {path.parent for path in documents} == {made}
    path = documents[0]
    limits = Settings().decode_limits
    pages = sum(1 for _ in decode.pages(path.read_bytes(), limits))
    assert pages > 1
    assert {key[1:] for key in keys if key[0] == str(path)} == {
        (occurrence, page + 1) for occurrence in range(inputs.counts[path]) for page in range(pages)
    }
    with pytest.raises(ValueError, match="damaged"):
        bulk_inputs.mixed(folder, made, 60, damaged=True).keys()


def test_light_inputs_are_crops_and_small_pictures(folder: Path) -> None:
    counts = bulk_inputs.light(folder, 400).counts
    assert counts.total() == 400 and folder / "large.png" not in counts
    assert sum(number for path, number in counts.items() if "crop" in path.name) > 350


def test_pictures_are_repeated_until_there_are_enough() -> None:
    assert bulk_inputs.repeated([GOOD, BAD], 5).counts == {GOOD: 3, BAD: 3}
    assert bulk_inputs.repeated([GOOD, BAD], 1).listed == (GOOD, BAD)


def test_right_rows_are_no_fault() -> None:
    assert faults_of(rows()) == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda found: found[1:], "pages [2] instead of 1 to 2"),
        (lambda found: [*found, found[0]], "pages [1, 1, 2] instead of 1 to 2"),
        (lambda found: found[:-1], "[] instead of IMAGE_DAMAGED"),
        (lambda found: [*found, row(GOOD, 2, 1, PAGES[0])], "occurrence 2: nobody asked"),
        (lambda found: [*found, row(Path("/other"), 0, 1)], "/other, occurrence 0: nobody asked"),
        (
            lambda found: [*found[1:], row(GOOD, 0, 1, PageText("one too", ("one", "too")))],
            "page 1 reads 'too', by the service 'two'",
        ),
        (
            lambda found: [*found[1:], row(GOOD, 0, 1, PageText("one two ", ("one", "two")))],
            "page 1 reads 'one two ', by the service 'one two'",
        ),
        (lambda found: [*found[1:], row(GOOD, 0, 1, code="INTERNAL_ERROR")], "INTERNAL_ERROR"),
        (
            lambda found: [*found[:-1], row(BAD, 0, 0, code="NOT_AN_IMAGE")],
            "['NOT_AN_IMAGE'] instead of IMAGE_DAMAGED",
        ),
    ],
)
def test_wrong_rows_are_named(wrong: Any, said: str) -> None:
    assert said in faults_of(wrong(rows()))


def test_a_damaged_file_that_the_service_reads_is_a_fault() -> None:
    answers = {GOOD: ANSWERS[GOOD], BAD: Answer(PAGES[:1])}
    found = [*rows()[:-1], row(BAD, 0, 1, PAGES[0])]
    (fault,) = bulk_job.compare(INPUTS, answers, found)
    assert "nothing is wrong with it" in fault


def test_lost_and_doubled_rows_are_named() -> None:
    keys = Counter([("a", 0, 1), ("a", 0, 2), ("b", 0, 1)])
    right = [
        {"source": name, "occurrence": often, "page": page, "error_code": None}
        for name, often, page in keys
    ]
    assert bulk_job.uneven(keys, right) == []
    assert bulk_job.uneven(keys, right[1:]) == ["('a', 0, 1) is lost"]
    assert bulk_job.uneven(keys, [*right, right[0]]) == ["('a', 0, 1) is there 1 times too often"]
    assert bulk_job.uneven(keys, [*right[1:], right[0] | {"error_code": "BUSY"}]) == ["a: BUSY"]


def test_a_job_s_pace_is_told_with_and_without_its_start() -> None:
    found = bulk_job.pace(pages=201, seconds=120.0, one=20.0)
    assert found.whole == pytest.approx(201 / 120)
    assert found.running == pytest.approx(2.0)
    assert found.start == 20.0
    for pages, seconds in ((1, 120.0), (201, 20.0)):
        with pytest.raises(ValueError, match="too few inputs"):
            bulk_job.pace(pages, seconds, 20.0)


def test_parts_are_told_with_the_time_they_came(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "pass"]
    with subprocess.Popen(command) as process:
        run = bulk_runs.Run(process, tmp_path, tmp_path / "log")
    start = time.time()
    for name, count, seconds in (("b", 2, 10), ("a", 3, 20), ("earlier", 9, -5)):
        path = tmp_path / f"part-{name}.parquet"
        pq.write_table(pa.table({"page": [1] * count}), path)
        os.utime(path, (start + seconds, start + seconds))
    assert [mark.rows for mark in run.marks()] == [2, 5]
    assert [mark.seconds for mark in run.marks()] == pytest.approx([10, 20], abs=5)


def test_a_job_that_is_slower_is_a_fault() -> None:
    def job(pace: float) -> bulk_job.Pace:
        return bulk_job.Pace(pace - 0.05, pace, 15.0)

    assert bulk_job._standings(540, [1.0, 1.0, 1.0], [job(0.91), job(0.5), job(1.1)]).faults == []
    slow = bulk_job._standings(540, [1.0, 1.0, 1.0], [job(0.89), job(0.5), job(1.1)])
    assert slow.faults == ["slower than the pipeline in one process"]
    assert slow.found["ratios_without_start"] == [0.89, 0.5, 1.1]


def test_rows_are_those_of_the_parts_that_count(tmp_path: Path) -> None:
    (tmp_path / "_unfinished").mkdir()
    for name, count in (("part-1", 2), ("part-2", 3), ("_unfinished/part-3", 5)):
        pq.write_table(
            pa.table({"page": [1] * count, "x": [0] * count}), tmp_path / f"{name}.parquet"
        )
    assert bulk_runs.rows_there(tmp_path) == 5
    assert bulk_runs.rows(tmp_path, ["page"]).to_pydict() == {"page": [1] * 5}


def test_a_process_is_called_what_it_calls_itself() -> None:
    assert bulk_runs._name(["ray::MapWorker(Detect)", ""]) == "ray::MapWorker(Detect)"
    assert (
        bulk_runs._name(["/usr/bin/python", "bulk.py", "/a/list.txt", "b"])
        == "python bulk.py list.txt"
    )


def test_memory_is_that_of_the_whole_tree() -> None:
    with MemoryWatch(os.getpid()) as watch:
        watch.look()
    found = watch.memory
    assert found.peak_bytes >= found.process_bytes > 10_000_000


@pytest.mark.parametrize(
    ("arguments", "inputs"),
    [(["--check"], 2000), (["--throughput"], 540), (["--kill", "--inputs", "30"], 30)],
)
def test_each_show_has_its_number_of_inputs(arguments: list[str], inputs: int) -> None:
    assert bulk_job.parse(["folder", *arguments]).inputs == inputs


def test_one_show_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["folder"], ["folder", "--check", "--kill"]):
        with pytest.raises(SystemExit):
            bulk_job.parse(arguments)
    assert "not allowed with argument" in capsys.readouterr().err
