"""The benchmark of the service on a GPU, as a dry run on a CPU: it judges before it times."""

import asyncio
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import forms
import gpu_service
import inprocess
import numpy as np
import pytest
import torch
from contestants import Run, Server
from driving import Answer, Drive
from gpu import Figure
from gpu_service import Load
from metrics import TextLine
from results import Result, read_set
from throughput import Figures
from truths import PageSet

from ocr.pipeline import Pipeline
from tests.conftest import ROOT

SQUARE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
FIGURES = Figures(240.0, 9600.0, 60.0, 90.0, 99.0, 0.05, None, None, 0)
LOAD = Load(8, FIGURES, busy=0.9, memory=1000, changed=0)


def lines(*texts: str) -> list[TextLine]:
    """One below the other."""
    return [
        TextLine(tuple((x, y + 20 * row) for x, y in SQUARE), text)
        for row, text in enumerate(texts)
    ]


def result(*texts: str, truth: Sequence[str] = (), failures: Sequence[str] = ()) -> Result:
    pages = PageSet("set", Path(), {"a.jpg": lines(*truth)})
    return Result(pages, {"a.jpg": lines(*texts)}, dict.fromkeys(failures, "broken"), 0)


def missed(figures: Sequence[Figure]) -> list[str]:
    return [figure.what for figure in figures if not figure.held]


def test_forms_are_many_pieces_of_text_and_the_same_each_time() -> None:
    drawn = [forms.draw(seed) for seed in (0, 1, 0)]
    first, other, again = (np.asarray(image) for image, _ in drawn)
    assert np.array_equal(first, again) and drawn[0][1] == drawn[2][1]
    assert not np.array_equal(first[:, :750], other[:, :750])
    assert [line.text for line in drawn[0][1]] != [line.text for line in drawn[1][1]]
    for image, pieces in drawn:
        assert 40 <= len(pieces) <= 60
        assert 750 <= image.width <= 775 and image.height == 1000
        corners = np.array([line.polygon for line in pieces])
        assert corners.min() > 0 and (corners < image.size).all()


def test_forms_can_be_read(reader: Pipeline, tmp_path: Path) -> None:
    pages = forms.write(tmp_path, 2)
    read = asyncio.run(read_set(pages, lambda picture: inprocess.read(reader, picture)))
    scores = read.scores()
    assert scores["images"] == 2
    assert scores["line_found"] >= 0.95
    assert scores["e2e_f"] >= 0.95


def test_lines_are_the_same_if_their_texts_are() -> None:
    page = {"a.jpg": lines("one", "two", "two")}
    assert gpu_service.same(page, {"a.jpg": lines("two", "one", "two")}) == 1
    assert gpu_service.same(page, {"a.jpg": lines("one", "two", "2")}) == pytest.approx(2 / 3)
    assert gpu_service.same(page, {"a.jpg": lines("one", "two", "two", "more")}) == 3 / 4
    assert gpu_service.same(page, {"a.jpg": []}) == gpu_service.same(page, {}) == 0
    assert gpu_service.same({"a.jpg": []}, {"a.jpg": []}) == 0


def test_right_is_what_the_cpu_reads() -> None:
    expected = result("one", "two", truth=("one", "two"))
    assert missed(gpu_service.check(expected, expected, scored=True)) == []
    wrong = result("one", "tvvo", truth=("one", "two"))
    other = ["right: share of them", "right: its difference to the CPU's"]
    assert missed(gpu_service.check(expected, wrong, scored=True)) == other
    assert missed(gpu_service.check(expected, wrong, scored=False)) == other[:1]
    broken = result("one", "two", failures=["b.jpg"])
    for pair in (broken, expected), (expected, broken):
        assert missed(gpu_service.check(*pair, scored=False)) == ["right: pages that failed"]


def test_what_is_not_right_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def served(**variables: str) -> Iterator[tuple[str, int]]:
        yield "http://127.0.0.1:9", 0

    async def read_by_service(chosen: PageSet, url: str) -> Result:
        return result("one")

    monkeypatch.setattr("serving.served", served)
    monkeypatch.setattr(gpu_service, "read_on_cpu", lambda chosen: result("one", "two"))
    monkeypatch.setattr(gpu_service, "read_by_service", read_by_service)
    monkeypatch.setattr(gpu_service, "time_loads", lambda *all: pytest.fail("it was timed"))
    assert gpu_service.main(["--device", "cpu", "--json", str(tmp_path / "results.json")]) == 1
    rows = capsys.readouterr().out.split("\n\n")[1].splitlines()[1:]
    assert [row.split("  ")[0] for row in rows if "MISSED" in row] == ["right: share of them"]
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["loads"] == []


def test_goals_are_for_the_best_number_of_clients() -> None:
    slow = replace(LOAD, clients=64, figures=replace(FIGURES, images_a_second=200.0), busy=0.1)
    figures = gpu_service.judge([LOAD, slow], "cuda")
    assert missed(figures) == []
    rate = next(figure for figure in figures if figure.what == "images/s at best")
    assert (rate.value, rate.at_once, rate.bound) == (240, 8, 230)
    assert len([figure for figure in figures if figure.bound is not None]) == 4


@pytest.mark.parametrize(
    ("load", "what"),
    [
        (replace(LOAD, figures=replace(FIGURES, images_a_second=229.0)), "images/s at best"),
        (replace(LOAD, busy=0.79), "GPU busy there"),
        (replace(LOAD, busy=None), "GPU busy there"),
        (replace(LOAD, figures=replace(FIGURES, failed=1)), "pages that failed"),
    ],
)
def test_a_goal_is_missed(load: Load, what: str) -> None:
    assert missed(gpu_service.judge([load], "cuda")) == [what]
    on_cpu = gpu_service.judge([load], "cpu")
    assert missed(on_cpu) == (["pages that failed"] if load.figures.failed else [])


def test_memory_must_not_grow() -> None:
    for memory, expected in ((1020, []), (1021, ["GPU's memory, last of first"]), (900, [])):
        grown = [LOAD, replace(LOAD, memory=5000), replace(LOAD, memory=memory)]
        assert missed(gpu_service.judge(grown, "cuda")) == expected


def test_answers_are_compared_with_those_without_load() -> None:
    counts = [3, 5, 3, 4, None, 5]
    answers = [Answer(0.1, count) for count in counts]
    assert gpu_service.changed(Run(Drive(1.0, answers), None), [3, 5]) == 1


def test_requests_are_sent_over_and_over_until_the_time_is_gone() -> None:
    sent: list[bytes] = []

    async def read(session: aiohttp.ClientSession, body: bytes) -> list[TextLine]:
        sent.append(body)
        await asyncio.sleep(0.01)
        return lines(body.decode())

    bodies = [b"a", b"b", b"c"]
    assert len(Server(None, bodies, read).run(2).drive.answers) == 3
    sent.clear()
    driven = Server(None, bodies, read, seconds=0.2).run(2).drive
    assert 0.2 <= driven.seconds < 1
    assert len(driven.answers) > 6
    assert b"".join(sent[-len(driven.answers) :]).startswith(b"abcabc")


def test_the_processes_in_front_get_the_cores_that_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_service, "available_cores", lambda: 16)
    assert gpu_service.parse([]).workers == 12
    assert gpu_service.parse(["--runner-workers", "9"]).workers == 1
    chosen = gpu_service.parse(["--workers", "3", "--clients", "4,70"])
    environment = gpu_service.environment(chosen)
    assert environment["OCR_WORKERS"] == "3"
    assert environment["OCR_RUNNER_WORKERS"] == "2"
    assert int(environment["OCR_MAX_CONCURRENCY"]) >= 70


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
def test_without_a_gpu_there_is_nothing_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_service.main([]) == 2
    assert "finds none" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_ends_with_a_table_of_everything(store: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    script = str(ROOT / "benchmarks/gpu_service.py")
    options = ["--device", "cpu", "--runner-workers", "1", "--json", str(results)]
    done = subprocess.run(
        [sys.executable, script, *options],
        env=environment | {"BENTOML_HOME": str(store)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.split("\n\n")[1].splitlines()
    assert header.startswith("figure") and header.endswith("goal")
    assert [row.split("  ")[0] for row in rows] == [
        "right: pages that failed",
        "right: lines on the CPU",
        "right: share of them",
        "images/s",
        "pages that failed",
        "images/s at best",
    ]
    written = json.loads(results.read_text("utf-8"))
    assert math.isclose(written["figures"][2]["value"], 1)
    assert written["figures"][1]["value"] > 80
    (load,) = written["loads"]
    assert load["figures"]["images_a_second"] > 0
    assert load["figures"]["cpu_seconds_an_image"] > 0
    assert load["changed"] == 0
