"""Long documents on the page: sent as jobs, followed page by page, and forgotten afterwards."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open, give, read
from tests.browser.fake import NOTICE, Fake
from tests.browser.test_page import found

pytestmark = pytest.mark.browser

WHAT = "#state .what"
ASKED = {"name": "scan.pdf", "format": "json", "words": "true", "pictures": "true"}


def wait(page: Page, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it took too long"
        page.wait_for_timeout(20)


def forgotten(page: Page, fake: Fake, *calls: str) -> None:
    """Wait until nothing is kept; these calls of the job were among those made of it."""
    wait(page, lambda: fake.kept == {} and fake.calls[-1].startswith("DELETE"))
    assert [call for call in calls if call not in fake.calls] == []


def download(page: Page, format: str) -> None:
    page.locator("#download summary").click()
    page.locator(f"[data-format={format}]").click()


def test_a_document_is_read_as_a_job_of_which_nothing_stays(open_page: Open, fake: Fake) -> None:
    page = open_page()
    read(page, "scan.pdf")
    expect(page.locator("#page-last")).to_have_text("of 3")
    assert page.evaluate("document.querySelector('#sheet img').naturalWidth") > 0
    assert fake.asked == [ASKED]
    forgotten(page, fake)
    assert fake.calls == ["POST", "GET job-1", "GET job-1/result", "DELETE job-1"]


@pytest.mark.parametrize("name", ["scan.PDF", "a.tif", "a.tiff"])
def test_kinds_of_documents(open_page: Open, fake: Fake, name: str) -> None:
    page = open_page()
    read(page, name)
    assert fake.calls[0] == "POST"


def test_a_picture_is_read_in_one_call(open_page: Open, fake: Fake) -> None:
    page = open_page()
    read(page, "notice.png")
    assert fake.calls == []


def test_one_sees_how_many_pages_are_read(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "long.pdf")
    bar = page.locator("#state").get_by_role("progressbar", name="Progress of long.pdf")
    expect(page.locator(WHAT)).to_have_text("Waiting for its turn at the server …")
    expect(bar).not_to_have_attribute("value", re.compile(""))
    fake.pages_read = 0
    expect(page.locator(WHAT)).to_have_text("Page 1 of 12")
    fake.pages_read = 6
    expect(page.locator(WHAT)).to_have_text("Page 7 of 12")
    expect(bar).to_have_js_property("value", 0.5)
    expect(bar).to_have_attribute("aria-valuetext", "Page 7 of 12")
    expect(page.locator(".file .detail")).to_have_text("Page 7 of 12")
    expect(page.locator(".file progress")).to_have_js_property("value", 0.5)
    assert found(page) == []
    page.get_by_role("button", name="中文").click()
    expect(page.locator(WHAT)).to_have_text("第 7 页，共 12 页")
    fake.gate.set()
    page.wait_for_selector("#lines li")
    forgotten(page, fake)


def test_a_bar_says_in_numbers_how_far_it_is(open_page: Open, fake: Fake) -> None:
    """As the browser tells assistive software."""
    page = open_page()
    fake.pages_read = 3
    give(page, "long.pdf")
    expect(page.locator(WHAT)).to_have_text("Page 4 of 12")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    bar = next(
        each
        for each in tree["nodes"]
        if each.get("role", {}).get("value") == "progressbar"
        and each["name"]["value"] == "Progress of long.pdf"
    )
    assert float(bar["value"]["value"]) == 0.25
    told = {each["name"]: each["value"]["value"] for each in bar["properties"]}
    assert (told["valuemin"], told["valuemax"]) == (0, 1)


def test_those_who_listen_are_told_now_and_then(open_page: Open, fake: Fake) -> None:
    page = open_page()
    page.evaluate("""() => {
        window.said = [];
        new MutationObserver(() => said.push(announcements.textContent))
            .observe(announcements, {childList: true});
    }""")
    for pages in range(0, 12, 2):
        fake.pages_read = pages
        if pages == 0:
            give(page, "long.pdf")
        expect(page.locator(WHAT)).to_have_text(f"Page {pages + 1} of 12")
    fake.gate.set()
    page.wait_for_selector("#lines li")
    assert page.evaluate("said") == [
        "long.pdf: 4 of 12 pages are read",
        "long.pdf: 6 of 12 pages are read",
        "long.pdf: 10 of 12 pages are read",
        f"long.pdf is read: {12 * len(NOTICE.texts)} lines",
    ]


def test_a_job_that_is_cancelled_is_deleted(open_page: Open, fake: Fake) -> None:
    page = open_page()
    fake.pages_read = 2
    give(page, "long.pdf")
    expect(page.locator(WHAT)).to_have_text("Page 3 of 12")
    page.locator("#state").get_by_role("button", name="Cancel").click()
    forgotten(page, fake, "DELETE job-1")
    expect(page.locator(WHAT)).to_have_text("Cancelled")
    fake.gate.set()
    page.locator("#state").get_by_role("button", name="Try again").click()
    page.wait_for_selector("#lines li")


def test_a_job_that_is_cancelled_before_it_is_known_is_deleted(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "slow.pdf")
    expect(page.locator(WHAT)).to_have_text("Reading …")
    wait(page, lambda: fake.seen["slow.pdf"] == 1)
    page.get_by_role("button", name="Cancel slow.pdf").click()
    fake.gate.set()
    forgotten(page, fake, "DELETE job-1")
    assert "GET job-1" not in fake.calls


def test_an_error_of_a_job_is_told_and_it_can_be_tried_again(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "once.pdf")
    state = page.locator("#state")
    expect(state).to_contain_text("The server failed at this file.")
    expect(state).to_contain_text("INFERENCE_FAILED")
    expect(state).to_contain_text("the network failed at page 1")
    forgotten(page, fake, "DELETE job-1")
    state.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#lines li")


def test_a_job_that_somebody_deleted(open_page: Open, fake: Fake) -> None:
    page = open_page()
    fake.pages_read = 2
    give(page, "long.pdf")
    expect(page.locator(WHAT)).to_have_text("Page 3 of 12")
    fake.kept.clear()
    expect(page.locator("#state")).to_contain_text("JOB_UNKNOWN")


def test_a_gap_in_the_network_does_not_end_a_job(open_page: Open, fake: Fake) -> None:
    page = open_page()
    fake.pages_read = 2
    lost = []

    def lose(route: Route) -> None:
        lost.append(route)
        route.abort()

    page.route("**/jobs/job-1", lose, times=2)
    give(page, "long.pdf")
    expect(page.locator(WHAT)).to_have_text("Page 3 of 12")
    assert len(lost) == 2


def test_a_busy_server_takes_a_job_later(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "busy.pdf")
    expect(page.locator(WHAT)).to_have_text("The server is busy. Next try in 1 s")
    page.wait_for_selector("#lines li")
    assert fake.calls[:2] == ["POST", "POST"]


@pytest.mark.parametrize(("said", "calls"), [(True, ["POST"]), (False, [])])
def test_without_jobs_a_document_is_read_in_one_call(
    open_page: Open, fake: Fake, said: bool, calls: list[str]
) -> None:
    """Whether the server says so beforehand, or its jobs are gone just now."""
    page = open_page()
    fake.jobs, fake.job_store = said, False
    read(page, "scan.pdf")
    assert fake.calls == calls
    assert fake.asked == [ASKED]
    expect(page.locator("body")).not_to_contain_text("JOBS_UNAVAILABLE")


def test_a_picture_does_not_wait_for_long_documents(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "long-1.pdf", "long-2.pdf", "long-3.pdf", "notice.png")
    expect(page.locator(".file[data-state=done]")).to_have_count(1)
    expect(page.locator(".file[data-state=queued]")).to_have_count(2)
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)


# Downloads


def test_a_long_document_is_saved_by_a_job(open_page: Open, fake: Fake, tmp_path: Path) -> None:
    page = open_page()
    fake.gate.set()
    read(page, "long.pdf")
    forgotten(page, fake)
    fake.gate.clear()
    fake.calls.clear()
    fake.pages_read = 3
    download(page, "pdf")
    note = page.locator("#download-note")
    expect(note.locator("p")).to_have_text("Searchable PDF: Page 4 of 12")
    expect(note.get_by_role("progressbar")).to_have_js_property("value", 0.25)
    with page.expect_download() as saving:
        fake.gate.set()
    assert saving.value.suggested_filename == "long.pdf"
    saving.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == "pdf of long.pdf"
    assert fake.asked[-1] == {"name": "long.pdf", "format": "pdf"}
    forgotten(page, fake, "POST", "GET job-1/result")


def test_a_download_that_is_cancelled_deletes_its_job(open_page: Open, fake: Fake) -> None:
    page = open_page()
    fake.gate.set()
    read(page, "long.pdf")
    forgotten(page, fake)
    fake.gate.clear()
    fake.pages_read = 3
    download(page, "hocr")
    note = page.locator("#download-note")
    expect(note).to_contain_text("hOCR: Page 4 of 12")
    note.get_by_role("button", name="Cancel").click()
    expect(note).to_be_hidden()
    forgotten(page, fake)


@pytest.mark.parametrize(("name", "format"), [("scan.pdf", "pdf"), ("long.pdf", "png")])
def test_few_pages_are_saved_in_one_call(
    open_page: Open, fake: Fake, name: str, format: str
) -> None:
    page = open_page()
    fake.gate.set()
    read(page, name)
    forgotten(page, fake)
    fake.calls.clear()
    with page.expect_download():
        download(page, format)
    assert fake.calls == []
