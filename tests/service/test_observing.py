"""Seeing inside the running service: request ids, logs, metrics, traces, the dashboard."""

import json
import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests import pictures
from tests.collector import Collector, Span, collector
from tests.conftest import ROOT
from tests.hosts import host
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow

PAGE = pictures.page(pictures.ENGLISH[:3])
PNG = pictures.to_png(PAGE.image)
DASHBOARD = ROOT / "deploy" / "grafana" / "ocr-service.json"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Observed:
    """A running service, who collects its traces, and its metrics at the time it was ready."""

    served: Served
    collector: Collector
    at_start: Series

    def lines(self) -> list[dict[str, Any]]:
        """What the service has logged."""
        text = Path(f"/proc/{self.served.pid}/fd/1").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def line_of(self, answer: httpx.Response) -> dict[str, Any]:
        """The line of a request, once it is there: the client has the answer a little earlier."""
        id = answer.headers["X-Request-ID"]

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines() if line["request_id"] == id]

        _eventually(lambda: bool(found()))
        (line,) = found()
        return line


@pytest.fixture(scope="module")
def observed(store: Path) -> Iterator[Observed]:
    with collector() as collecting, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        running = serve(
            store,
            log_format="json",
            traces=collecting.url,
            allow_private_urls="1",
            max_images="3",
            runner_timeout_s="20",  # so that one that hangs can be looked at
        )
        with running as served:
            yield Observed(served, collecting, _series(served))


def _families(served: Served) -> dict[str, Metric]:
    families = text_string_to_metric_families(served.get("/metrics").text)
    return {family.name: family for family in families}


def _series(served: Served) -> Series:
    """Each series, by name and labels, and its value."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in _families(served).values()
        for sample in family.samples
    }


def _value(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def _eventually(check: Callable[[], bool], patience_s: float = 60.0) -> None:
    end = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_ready_is_who_has_read_something(observed: Observed) -> None:
    for runner in ("Detection", "Recognition"):
        assert _value(observed.at_start, "ocr_batch_pages_count", runner=runner) >= 1


def _tree(spans: list[Span]) -> set[tuple[str, str, str]]:
    """Each span's service and name, and its parent's name."""
    names = {span.id: span.name for span in spans}
    return {(span.service, span.name, names.get(span.parent, "")) for span in spans}


STAGES = {
    ("OCR", "ocr.detect", "POST /ocr"),
    ("Detection", "POST /detect", "ocr.detect"),
    ("OCR", "ocr.crop", "POST /ocr"),
    ("OCR", "ocr.recognise", "POST /ocr"),
    ("Recognition", "POST /recognise", "ocr.recognise"),
}


def test_a_trace_is_a_tree_from_the_request_to_the_networks(observed: Observed) -> None:
    answer = observed.served.upload(("a.png", PNG), headers={"X-Request-ID": "traced-1"})
    assert answer.status_code == 200
    expected = STAGES | {
        ("OCR", "POST /ocr", ""),
        ("OCR", "ocr.decode", "POST /ocr"),
        ("OCR", "ocr.format", "POST /ocr"),
    }
    names = {name for _, name, _ in expected}
    spans = observed.collector.trace_of("ocr.request_id", "traced-1", names)
    assert _tree(spans) == expected
    assert {observed.line_of(answer)["trace_id"]} == {span.trace for span in spans}


def test_fetching_is_a_part_of_the_trace(observed: Observed) -> None:
    with host(PNG) as url:
        answer = observed.served.read(f"{url}/picture")
    assert answer.status_code == 200
    id = answer.headers["X-Request-ID"]
    expected = {name for _, name, _ in STAGES} | {"POST /ocr_system", "ocr.fetch", "ocr.decode"}
    spans = observed.collector.trace_of("ocr.request_id", id, expected)
    assert {span.name for span in spans} == expected


def test_probes_are_neither_traced_nor_logged(observed: Observed) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/health"):
        assert observed.served.get(path).status_code == 200
    observed.line_of(observed.served.get("/docs"))
    _eventually(lambda: any(span.name == "GET /docs" for span in observed.collector.spans))
    probes = ("livez", "readyz", "metrics", "health")
    assert not [span for span in observed.collector.spans if span.name.endswith(probes)]
    routes = {line.get("route") for line in observed.lines()}
    assert "/docs" in routes and not routes & {f"/{probe}" for probe in probes}


def test_each_request_is_one_line_of_the_log(observed: Observed) -> None:
    answer = observed.served.upload(("a.png", PNG))
    assert answer.status_code == 200
    line = observed.line_of(answer)
    expected = {
        "level": "INFO",
        "process": "OCR:1",
        "logger": "ocr.request",
        "method": "POST",
        "route": "/ocr",
        "status": 200,
        "bytes": len(answer.content),
    }
    assert expected.items() <= line.items()
    assert 1 < line["milliseconds"] < 60_000
    # All of the server's lines are objects, from all of its processes, and BentoML says no more.
    said = observed.lines()
    assert {line["process"].split(":")[0] for line in said} >= {"OCR", "Detection", "Recognition"}
    assert not [line for line in said if line["logger"] == "bentoml.access"]


def test_every_answer_has_an_id(observed: Observed) -> None:
    served = observed.served
    answers = [
        served.get("/"),
        served.get("/nothing"),
        served.get("/ocr"),
        served.get("/livez"),
        served.get("/metrics"),
        served.post({"images": 1}),
        served.read("not base64!"),
        served.read(*["a"] * 4),
        served.upload(("a.png", b"no picture")),
        served.get("/jobs/none"),
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 404, 405, 200, 200, 400, 422, 413, 415, 404]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(ids)) == len(ids) and all(ids)


FOLDERS = ("", "jobs/", "page/", "ocr/", "static_content/", "jobs/a/")


def test_no_path_of_a_client_gets_into_the_metrics(observed: Observed) -> None:
    random = Random(7)
    names = [f"{random.getrandbits(64):x}{'/result' * (number % 2)}" for number in range(200)]
    # One of each first: the series of a route are there from its first request on.
    known = [f"/{folder}x{end}" for folder in FOLDERS for end in ("", "/result")]
    with httpx.Client(base_url=observed.served.url, timeout=60) as client:
        for path in known:
            client.get(path)
        before = _series(observed.served).keys()
        for name in names:
            assert client.get(f"/{random.choice(FOLDERS)}{name}").status_code == 404
    assert _series(observed.served).keys() == before


def test_what_came_of_images_is_counted(observed: Observed) -> None:
    before = _series(observed.served)
    two = pictures.to_base64(PNG)
    assert observed.served.read(two, two, "not base64!").status_code == 200
    assert observed.served.upload(("a.png", b"no picture")).status_code == 415
    after = _series(observed.served)

    def new(name: str, **labels: str) -> float:
        return _value(after, name, **labels) - _value(before, name, **labels)

    outcomes = ("read", "NOT_BASE64", "NOT_AN_IMAGE")
    assert [new("ocr_images_total", outcome=each) for each in outcomes] == [2, 1, 1]
    assert (new("ocr_pages_total"), new("ocr_lines_total")) == (2, 2 * len(PAGE.lines))
    assert new("ocr_requests_total", route="/ocr_system", status="200") == 1
    assert new("ocr_requests_refused_total", code="NOT_AN_IMAGE") == 1
    assert new("ocr_stage_seconds_count", stage="recognise") == 2
    assert new("ocr_batch_pages_sum", runner="Detection") == 2
    assert new("ocr_batch_lines_sum") == 2 * len(PAGE.lines)
    for gauge in ("ocr_requests_in_work", "ocr_images_waiting"):
        assert _value(after, gauge) == 0
    assert _value(after, "ocr_runner_queue", runner="Detection") == 0


def _expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_the_dashboard_asks_for_what_is_there(observed: Observed) -> None:
    observed.served.upload(("a.png", PNG))
    labels: dict[str, set[str]] = {}
    for family in _families(observed.served).values():
        for sample in family.samples:
            labels.setdefault(sample.name, {"instance"}).update(sample.labels)
    expressions = _expressions()
    assert len(expressions) > 15
    asked = set()
    for expression in expressions:
        names = re.findall(r"ocr_\w+", expression)
        asked |= set(names)
        assert names and set(names) <= labels.keys(), expression
        wanted = set(re.findall(r"(\w+)=~?\"", expression))
        for group in re.findall(r"by \(([^)]*)\)", expression):
            wanted |= set(re.split(r",\s*", group))
        for name in names:
            assert wanted <= labels[name], f"{name}: {wanted}"
    own = {name.removesuffix("_bucket") for name in labels if name.startswith("ocr_")}
    own = {name.removesuffix("_sum").removesuffix("_count") for name in own}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert shown == {name.removesuffix("_created") for name in own}


def _worker(served: Served, name: str) -> psutil.Process:
    """The process of a service."""
    workers = psutil.Process(served.pid).children(recursive=True)
    (found,) = [each for each in workers if name in each.cmdline()]
    return found


def test_a_runner_that_dies_is_seen(observed: Observed) -> None:
    served = observed.served
    value = partial(_value, name="ocr_runner_starts_total", runner="Recognition")
    before = value(_series(served))
    _worker(served, "Recognition").send_signal(signal.SIGKILL)
    _eventually(lambda: value(_series(served)) == before + 1)
    _eventually(lambda: served.read(pictures.to_base64(PNG)).status_code == 200)


def test_work_of_a_worker_that_was_killed_is_not_counted_for_ever(observed: Observed) -> None:
    served = observed.served
    sheet = pictures.page(pictures.ENGLISH[:3] * 12, size=30)
    large = pictures.to_base64(pictures.to_png(sheet.image))
    with ThreadPoolExecutor(1) as client:
        lost = client.submit(served.read, *[large] * 3)
        _eventually(lambda: _value(_series(served), "ocr_requests_in_work") == 1)
        _worker(served, "OCR").send_signal(signal.SIGKILL)
        assert lost.exception() is not None
    _eventually(lambda: served.get("/readyz").status_code == 200)
    assert _value(_series(served), "ocr_requests_in_work") == 0
    id = uuid.uuid4().hex
    answer = served.upload(("a.png", PNG), headers={"X-Request-ID": id})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, id)


def test_a_runner_that_hangs_makes_the_service_not_ready(observed: Observed) -> None:
    served = observed.served
    runner = _worker(served, "Detection")
    runner.suspend()
    try:
        answer = served.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NOT_READY")
    finally:
        with suppress(psutil.NoSuchProcess):  # it may have been replaced
            runner.resume()
    _eventually(lambda: served.get("/readyz").status_code == 200)
    assert not [line for line in observed.lines() if "readyz" in line.get("exc_info", "")]
