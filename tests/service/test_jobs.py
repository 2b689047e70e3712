"""Jobs end to end: taken, asked for, fetched, forgotten, and a service that is killed meanwhile."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.service.served import Served, serve
from tests.service.test_ocr import OTHER, OTHER_TEXT, PAGE, PDF, PNG, TEXT, as_pdf

pytestmark = pytest.mark.slow

WAIT_S = 90.0


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def job(served: Served, place: str) -> Any:
    return served.get(place).json()


def ended(served: Served, place: str) -> Any:
    wait(lambda: job(served, place)["state"] in ("done", "failed"))
    return job(served, place)


def submit(served: Served, *files: tuple[str, bytes], **options: Any) -> str:
    """Send files as a job, as soon as jobs are taken; gives its place."""
    wait(lambda: bool(served.get("/capabilities").json()["jobs"]))
    answer = served.upload(*files, path="/jobs", **options)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] in ("queued", "running")
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    return answer.headers["location"]


def test_a_job_gives_what_the_call_would_have_given(served: Served) -> None:
    place = submit(served, ("a.pdf", PDF), ("b.png", PNG), format="text")
    done = ended(served, place)
    assert (done["state"], done["pages_done"], done["pages"], done["error"]) == ("done", 3, 3, None)
    result = served.get(f"{place}/result")
    assert result.headers["content-type"] == "text/plain; charset=utf-8"
    assert "a.txt" in result.headers["content-disposition"]
    assert result.text == "\f".join(f"{text}\n" for text in (TEXT, OTHER_TEXT, TEXT))
    same = served.upload(("a.pdf", PDF), ("b.png", PNG), format="text")
    assert same.text == result.text


def test_pictures_for_a_pdf_are_kept_with_the_pages(served: Served) -> None:
    place = submit(served, ("a.png", PNG), ("b.png", b"none"), format="pdf")
    assert ended(served, place)["state"] == "done"
    result = served.get(f"{place}/result")
    assert result.content.startswith(b"%PDF")
    assert '"file": 1' in result.headers["x-ocr-errors"]


def test_errors_of_jobs(served: Served) -> None:
    place = submit(served, ("a.png", b"no picture"))
    failed = ended(served, place)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "NOT_AN_IMAGE")
    assert served.get(f"{place}/result").status_code == 415
    for path in ("/jobs/none", "/jobs/none/result"):
        answer = served.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_UNKNOWN")
    assert httpx.delete(f"{served.url}/jobs/none").status_code == 404
    assert served.upload(("a.png", PNG), path="/jobs", format="docx").status_code == 400


def test_a_deleted_job_is_unknown(served: Served) -> None:
    place = submit(served, ("a.pdf", PDF))
    assert httpx.delete(served.url + place).status_code == 204
    assert served.get(place).status_code == 404
    assert served.get(f"{place}/result").status_code == 404


def test_a_service_that_was_killed_goes_on_after_its_restart(store: Path, tmp_path: Path) -> None:
    jobs = str(tmp_path / "jobs.sqlite")
    pages = [PAGE.image, OTHER.image] * 6
    with serve(store, jobs=jobs) as running:
        place = submit(running, ("long.pdf", as_pdf(*pages)), format="text")
        assert served_conflict(running, place)
        wait(lambda: job(running, place)["pages_done"] >= 3)
        for each in psutil.Process(running.pid).children(recursive=True):
            each.kill()
        os.kill(running.pid, signal.SIGKILL)
    with serve(store, jobs=jobs) as running:
        wait(lambda: bool(running.get("/capabilities").json()["jobs"]))
        assert job(running, place)["pages_done"] >= 3
        done = ended(running, place)
        assert (done["state"], done["pages_done"], done["pages"]) == ("done", 12, 12)
        assert running.get(f"{place}/result").text == "\f".join(
            f"{text}\n" for text in [TEXT, OTHER_TEXT] * 6
        )


def served_conflict(running: Served, place: str) -> bool:
    """Whether a result that is not there yet is refused as it should be."""
    answer = running.get(f"{place}/result")
    return (answer.status_code, answer.json()["error"]["code"]) == (409, "JOB_NOT_DONE")


def test_a_service_may_keep_no_jobs(store: Path) -> None:
    with serve(store, jobs="off") as running:
        answer = running.upload(("a.png", PNG), path="/jobs")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "JOBS_UNAVAILABLE")
        assert running.get("/capabilities").json()["jobs"] is False


def test_a_service_that_cannot_keep_jobs_reads_on_and_says_when_to_come_again(store: Path) -> None:
    with serve(store, jobs="/proc/none/jobs.sqlite") as running:
        time.sleep(2)  # in which it tries
        answer = running.upload(("a.png", PNG), path="/jobs")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "JOBS_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        assert running.upload(("a.png", PNG), format="text").text == TEXT + "\n"


@pytest.mark.parametrize("path", ["/jobs", "/jobs/x"])
def test_other_methods_are_refused(served: Served, path: str) -> None:
    answer = httpx.put(served.url + path)
    assert answer.status_code == 405
