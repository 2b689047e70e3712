"""The soak benchmark sends what it should, and sees what changes: answers, memory, processes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cases
import client
import mixture
import numpy as np
import processes
import psutil
import pytest
import soak
from cases import Case, Outcome
from processes import Names, Sample, Watch, cpu_seconds, growth, role
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests import pictures
from tests.answering import Server, answering, failure

READ = JSONResponse({"results": [[{"text": "same"}]]})
GROWS = """
import sys
held = bytearray(1)
for line in sys.stdin:
    held += b"x" * int(line)
    print(len(held), flush=True)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with answering() as running:
        running.answers.append(READ)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of all kinds, and what says of which kind each is."""
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    files = {
        "crop.png": pictures.to_png(pictures.label("Label 42").image),
        "small.png": pictures.to_png(pictures.page(pictures.ENGLISH[:2], size=24).image),
        "page.png": pictures.to_png(noise),
        "odd.png": b"no picture",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    truths: dict[str, list[dict[str, object]]] = {
        "words": [{"image": "crop.png", "text": "Label 42"}],
        "pages": [{"image": "small.png", "lines": []}, {"image": "page.png", "lines": []}],
        "robustness": [{"file": "odd.png"}],
    }
    for name, records in truths.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf-8")
    return tmp_path


class Once(Response):
    """An answer that is another one the first time after so many."""

    def __init__(self, usual: Response, odd: Response, after: int) -> None:
        super().__init__()
        self.usual, self.odd, self.left = usual, odd, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.left -= 1
        await (self.odd if self.left == -1 else self.usual)(scope, receive, send)


def run(server: Server, folder: Path, *options: str) -> int:
    arguments = [str(folder), "--url", server.url, "--requests", "200", "--clients", "4"]
    return soak.main([*arguments, *options])


def test_the_same_answers_are_no_fault(
    server: Server, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, folder, "--json", str(tmp_path / "found.json")) == 0
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["requests"] == 200 and not found["faults"]
    assert set(found["statuses"]) == set(soak.SHARES)
    assert sum(each["count"] for each in found["latencies"].values()) == 200
    assert "nothing amiss" in capsys.readouterr().out
    paths = {each.path for each in server.asked}
    assert {"/behind/ocr_system", "/behind/ocr", "/behind/jobs"} <= paths
    formats = {each.query.get("format") for each in server.asked}
    assert "hocr" not in formats and {"json", "docx"} <= formats  # as many as there are pictures


@pytest.mark.parametrize(
    ("odd", "code", "said"),
    [
        (JSONResponse({"results": [[{"text": "other"}]]}), 1, "1 differing answers"),
        (JSONResponse({"results": [[{"text": "same"}]]}, 201), 1, "1 differing answers"),
        (failure(500, "INTERNAL_ERROR"), 1, "1 server errors"),
        (failure(503, "BUSY"), 1, "1 server errors"),
        (failure(503, "BUSY", Retry_After="1"), 0, "1 refused with Retry-After"),
    ],
)
def test_another_answer_is_seen(
    server: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    odd: Response,
    code: int,
    said: str,
) -> None:
    server.answers[:] = [Once(READ, odd, 100)]
    assert run(server, folder) == code
    assert said in capsys.readouterr().out


def test_a_server_error_is_one_when_asked_alone_too(
    server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers[:] = [Once(READ, failure(500, "INTERNAL_ERROR"), 0)]
    assert run(server, folder) == 1
    assert "alone: 500" in capsys.readouterr().out


def test_a_job_is_asked_for_until_its_result_is_there(server: Server) -> None:
    server.answers[:] = [
        JSONResponse({"id": "7", "state": "queued"}, 202, {"Location": "/jobs/7"}),
        JSONResponse({"state": "running"}),
        JSONResponse({"state": "done"}),
        Response("what was read", media_type="text/plain"),
        Response(status_code=204),
    ]

    async def ask() -> Outcome:
        job = Case("a job", "/jobs", cases.form("a.png", b"x"), cases.FORM, job=True)
        async with client.connect() as session:
            return await cases.ask(session, server.url.rstrip("/"), job)

    assert asyncio.run(ask()).body == b"what was read"
    assert [each.method for each in server.asked] == ["POST", "GET", "GET", "GET", "DELETE"]
    assert server.asked[-2].path.endswith("/7/result")
    assert server.asked[0].files == [("a.png", b"x")]


def test_where_answers_differ_is_told() -> None:
    headers = ("text/plain", None, None, None)
    one, two = (Outcome(200, headers, b"a" * 90 + end) for end in (b"b", b"c"))
    assert "at byte 90" in one.beside(two) and "b'" in one.beside(two)
    assert "at byte 91" in Outcome(200, headers, one.body + b"!").beside(one)
    assert "404" in one.beside(Outcome(404, headers, one.body))


def samples(name: str, sizes: list[int], first: int = 0) -> list[Sample]:
    """One each ten requests."""
    return [
        Sample(float(i), first + 10 * i, name, 1, size, size, 0.1 * i)
        for i, size in enumerate(sizes)
    ]


def test_growth_is_from_the_first_requests_to_the_last() -> None:
    flat = samples("flat", [10, *[100] * 50, 300, *[100] * 49])
    leak = samples("leak", [10, *range(100, 200)])
    late = samples("late", [10] * 25 + [100] * 25, first=500)
    ended = samples("ended", [10] * 5)
    found = {each.process: each for each in growth([*flat, *leak, *late, *ended], 200, 1000)}
    assert set(found) == {"flat", "leak", "late"}
    assert found["flat"].share == 0 and found["flat"].peak == 300
    assert found["leak"].share == pytest.approx(0.62, abs=0.03)
    assert found["late"].base == 10 and found["late"].end == 100


def test_the_time_of_all_processes_is_added_up() -> None:
    one, two = samples("one", [1] * 11), samples("two", [1] * 6)
    assert cpu_seconds([*one, *(replace(each, pid=2) for each in two)]) == pytest.approx(1.5)


def test_memory_that_grows_is_a_fault_and_so_is_a_new_process() -> None:
    leak = growth(samples("API 1", list(range(100, 200))), 100, 1000)
    new = growth(
        [Sample(float(i), 10 * i, "Detection 1", i // 50, 5, 5, 0) for i in range(100)], 100, 1000
    )
    decoder = growth(
        [Sample(float(i), 10 * i, "decoder 1", i // 50, 5, 5, 0) for i in range(100)], 100, 1000
    )
    report = soak.Report(1000, 9, 8, 60.0, 1.0, 0, {}, {}, [*leak, *new, *decoder], [], [], [])
    grown, replaced = report.faults
    assert "API 1 grew by" in grown
    assert replaced == "Detection 1 was replaced 1 times"


@contextmanager
def child() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", GROWS, "--service-name", "Detection"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_process_is_watched() -> None:
    answered: list[int] = []
    with child() as running, Watch(running.pid, 60, lambda: len(answered)) as watch:
        for size in [10_000_000] * 10:
            _allocate(running, size)
            answered.append(size)
            watch.look()
    (found,) = growth(watch.samples, 2, len(answered))
    assert found.process == "Detection 1" and found.pids == 1
    assert found.end - found.base == pytest.approx(80e6, rel=0.3)


def _allocate(running: "subprocess.Popen[str]", size: int) -> None:
    assert running.stdin and running.stdout
    running.stdin.write(f"{size}\n")
    running.stdin.flush()
    running.stdout.readline()


def test_a_new_process_takes_the_name_of_one_that_ended() -> None:
    names = Names()
    with child() as one, child() as two:
        before = [psutil.Process(each.pid) for each in (one, two)]
        assert list(names.of(before).values()) == ["Detection 1", "Detection 2"]
    with child() as three:
        assert list(names.of([psutil.Process(three.pid)]).values()) == ["Detection 1"]


def test_roles_are_told_by_command_lines() -> None:
    lines = {
        "python -m _bentoml_impl.worker.service service:OCR --service-name OCR --fd 8": "API",
        "python -m _bentoml_impl.worker.service service:OCR --service-name Detection": "Detection",
        "python -m ocr.decoder 5": processes.DECODER,
        "python bin/bentoml serve service:OCR --port 1": processes.ARBITER,
        "python -c from multiprocessing.resource_tracker import main": (
            "multiprocessing.resource_tracker"
        ),
    }
    assert {line: role(line.split()) for line in lines} == lines


def test_kinds_are_drawn_by_their_shares(folder: Path) -> None:
    found = mixture.pictures(folder)
    assert {kind: [path.name for path in paths] for kind, paths in found.items()} == {
        mixture.CROPS: ["crop.png"],
        mixture.SMALL: ["small.png"],
        mixture.PAGES: ["page.png"],
        mixture.ODD: ["odd.png"],
    }
    assert sum(soak.SHARES.values()) == pytest.approx(1)
    assert soak.SHARES[mixture.PAGES] == pytest.approx(1 / 50)
