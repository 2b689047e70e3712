"""The service's own metrics: labels are bounded, and the dead are forgotten."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.routing import BaseRoute, Mount

from ocr.stages import stage
from tests.conftest import ROOT
from web import metrics
from web.app import create_app
from web.routes import OTHER, route_of


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/ocr", "/ocr"),
        ("/predict/ocr_system", "/predict/ocr_system"),
        ("/jobs", "/jobs"),
        ("/jobs/4f1c", "/jobs/{id}"),
        ("/jobs/4f1c/result", "/jobs/{id}/result"),
        ("/page/page.js", "/page"),
        ("/page/a/b", "/page"),
        ("/jobs/", OTHER),
        ("/jobs//result", OTHER),
        ("/jobs/a/b", OTHER),
        ("/ocr/", OTHER),
        ("/pages", OTHER),
        ("//ocr", OTHER),
        ("", OTHER),
        ("/ocr\n", OTHER),
    ],
)
def test_paths_have_one_of_a_few_routes(path: str, route: str) -> None:
    assert route_of(path) == route


def test_all_routes_of_the_app_are_known() -> None:
    def never() -> Any:
        raise AssertionError

    routes: list[BaseRoute] = create_app(never, never, 1, True).routes
    for route in routes:
        path = vars(route)["path"] + ("/file.js" if isinstance(route, Mount) else "")
        expected = vars(route)["path"]
        assert route_of(path.replace("{id}", "4f1c")) == expected


def test_outcomes_are_read_or_codes_of_errors() -> None:
    before = {
        outcome: _value("ocr_images_total", outcome=outcome)
        for outcome in ("read", "NOT_AN_IMAGE", "INTERNAL_ERROR")
    }
    for outcome in ("read", "read", "NOT_AN_IMAGE", "SOMETHING", "text of a client"):
        metrics.count_image(outcome)
    new = {each: _value("ocr_images_total", outcome=each) - n for each, n in before.items()}
    assert new == {"read": 2, "NOT_AN_IMAGE": 1, "INTERNAL_ERROR": 2}
    assert REGISTRY.get_sample_value("ocr_images_total", {"outcome": "SOMETHING"}) is None


def test_refusals_are_counted_by_their_codes() -> None:
    before = _value("ocr_requests_refused_total", code="BUSY")
    metrics.count_refused("BUSY")
    metrics.count_refused("anything")
    assert _value("ocr_requests_refused_total", code="BUSY") == before + 1
    assert REGISTRY.get_sample_value("ocr_requests_refused_total", {"code": "anything"}) is None


def test_pages_are_counted_with_their_lines() -> None:
    before = _value("ocr_pages_total"), _value("ocr_lines_total")
    metrics.count_page(7)
    metrics.count_page(0)
    assert (_value("ocr_pages_total"), _value("ocr_lines_total")) == (before[0] + 2, before[1] + 7)


def test_a_stage_is_counted_once_also_if_it_fails() -> None:
    metrics.prepare()
    metrics.prepare()
    before = _value("ocr_stage_seconds_count", stage="crop")
    with stage("crop"):
        pass
    with pytest.raises(ValueError), stage("crop"):
        raise ValueError
    assert _value("ocr_stage_seconds_count", stage="crop") == before + 2


# A worker of a server counts what is in its hands, and another reads what all count.
COUNT = """
import sys, time
from web import metrics
metrics.requests_in_work().set(5)
metrics.pages().inc(3)
print("counted", flush=True)
time.sleep(60)
"""
READ = """
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from web import metrics
if {forget}:
    metrics.forget_the_dead()
registry = CollectorRegistry()
MultiProcessCollector(registry)
for name in ("ocr_requests_in_work", "ocr_pages_total"):
    print(name, registry.get_sample_value(name))
"""


def _python(code: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _read(folder: Path, forget: bool) -> dict[str, float]:
    output, _ = _python(READ.format(forget=forget), folder).communicate(timeout=30)
    pairs = [line.split() for line in output.splitlines()]
    return {name: float(value) if value != "None" else 0.0 for name, value in pairs}


def test_what_a_killed_process_had_in_work_is_forgotten(tmp_path: Path) -> None:
    workers = [_python(COUNT, tmp_path) for _ in range(2)]
    try:
        for worker in workers:
            assert worker.stdout is not None and worker.stdout.readline() == "counted\n"
        workers[0].kill()
        workers[0].wait()
        assert _read(tmp_path, forget=False)["ocr_requests_in_work"] == 10
        # What it had done stays counted; what the other one has in work, too.
        expected = {"ocr_requests_in_work": 5, "ocr_pages_total": 6}
        assert _read(tmp_path, forget=True) == expected
        assert _read(tmp_path, forget=False) == expected
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
