"""The page with the real service behind it: what is drawn is read, shown and saved."""

import io
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, Response, expect

from tests import pictures
from tests.browser.conftest import Open
from tests.service.served import Served, serve

pytestmark = pytest.mark.browser

NOTICE = Path(__file__).parents[2] / "examples" / "notice.jpg"
PATIENCE = 60_000  # milliseconds that reading may take on a busy machine
BEGINS = {
    "text": b"\xe5\xbc\x80\xe6\x94\xbe",
    "markdown": b"\xe5\xbc\x80\xe6\x94\xbe",
    "pdf": b"%PDF-",
    "json": b"{",
    "hocr": b"<",
    "alto": b"<",
    "png": b"\x89PNG",
}


def two_pages() -> FilePayload:
    """A PDF of pictures, as a scanner makes it."""
    sheets = [Image.fromarray(pictures.page(texts).image) for texts in (PAGE_1, PAGE_2)]
    file = io.BytesIO()
    sheets[0].save(file, "PDF", save_all=True, append_images=sheets[1:], resolution=200)
    return {"name": "扫描.pdf", "mimeType": "application/pdf", "buffer": file.getvalue()}


PAGE_1 = pictures.ENGLISH[:3]
PAGE_2 = pictures.CHINESE[:3]


def read(page: Page, file: FilePayload | Path) -> None:
    page.set_input_files("#chosen", file)
    page.wait_for_selector("#lines li", timeout=PATIENCE)


def test_a_photograph_is_read_and_saved(open_at: Open, real: Served, tmp_path: Path) -> None:
    page = open_at(real.url + "/")
    read(page, NOTICE)
    texts = page.locator("#lines .words").all_inner_texts()
    assert texts[0] == "开放时间上午九点到下午六点" and len(texts) == 4
    assert page.evaluate("document.querySelector('#sheet img').naturalWidth") == 891
    page.locator(".overlay .line").nth(2).click()
    expect(page.locator("#lines li.selected .words")).to_have_text(texts[2])
    for format, start in BEGINS.items():
        page.locator("#download summary").click()
        with page.expect_download(timeout=PATIENCE) as saving:
            page.locator(f"[data-format={format}]").click()
        assert saving.value.suggested_filename.startswith("notice.")
        saving.value.save_as(tmp_path / format)
        assert (tmp_path / format).read_bytes().startswith(start), format


def test_a_pdf_is_read_page_by_page(open_at: Open, real: Served) -> None:
    page = open_at(real.url + "/")
    read(page, two_pages())
    lines = page.locator("#lines .words")
    assert lines.all_inner_texts() == list(PAGE_1)
    page.keyboard.press("ArrowRight")
    expect(lines.first).to_have_text(PAGE_2[0])
    assert lines.all_inner_texts() == list(PAGE_2)
    page.locator("#download summary").click()
    with page.expect_download(timeout=PATIENCE) as saving:
        page.locator("[data-format=png]").click()
    assert saving.value.suggested_filename == "扫描.png"


def test_only_the_pages_that_are_wanted_are_read(open_at: Open, real: Served) -> None:
    page = open_at(real.url + "/")
    page.locator(".options summary").click()
    page.locator("#pages").fill("2")
    read(page, two_pages())
    assert page.locator("#lines .words").all_inner_texts() == list(PAGE_2)
    page.locator("#pages").fill("7")
    page.get_by_role("button", name="Read this file again").click()
    expect(page.locator("#state")).to_contain_text("PAGES_OUT_OF_RANGE", timeout=PATIENCE)


def test_what_is_no_picture_is_refused_in_words(open_at: Open, real: Served) -> None:
    page = open_at(real.url + "/")
    file: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    page.set_input_files("#chosen", file)
    expect(page.locator("#state")).to_contain_text("NOT_AN_IMAGE", timeout=PATIENCE)


def test_the_sample_is_read(open_at: Open, real: Served) -> None:
    page = open_at(real.url + "/")
    page.get_by_role("button", name="Try a sample").click()
    page.wait_for_selector("#lines li", timeout=PATIENCE)
    assert "Library opening hours" in page.locator("#lines .words").all_inner_texts()


def test_the_page_says_what_the_server_takes(open_at: Open, real: Served) -> None:
    page = open_at(real.url + "/")
    expect(page.locator("#formats-taken")).to_contain_text("PDF", timeout=PATIENCE)
    expect(page.locator("#formats-taken")).to_contain_text("50 MB")


def test_a_pdf_is_read_as_a_job(open_at: Open, store: Path) -> None:
    with serve(store) as served:
        end = time.monotonic() + PATIENCE / 1000
        while not served.get("/capabilities").json()["jobs"]:
            assert time.monotonic() < end, "there are no jobs"
            time.sleep(0.1)
        page = open_at(served.url + "/")
        calls: list[str] = []
        page.on("request", lambda request: calls.append(f"{request.method} {path(request.url)}"))
        with page.expect_response(is_deletion, timeout=PATIENCE) as deletion:
            read(page, two_pages())
        lines = page.locator("#lines .words")
        assert lines.all_inner_texts() == list(PAGE_1)
        assert page.evaluate("document.querySelector('#sheet img').naturalWidth") > 0
        page.keyboard.press("ArrowRight")
        expect(lines.first).to_have_text(PAGE_2[0])
        assert lines.all_inner_texts() == list(PAGE_2)
        assert deletion.value.status == 204
        job = path(deletion.value.url)
        assert "POST /jobs" in calls and f"GET {job}/result" in calls and "POST /ocr" not in calls
        assert served.get(job).status_code == 404


def test_the_documentation_is_shown_and_asks_nobody_else(browser: Browser, real: Served) -> None:
    context = browser.new_context()
    page = context.new_page()
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(real.url + "/docs")
    page.locator("#operations-Files-read_files").click(timeout=PATIENCE)
    page.get_by_role("button", name="Try it out").wait_for()
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.get_by_text("a key, where the server asks for one")).to_be_visible()
    context.close()
    assert told == []
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {
        urlsplit(real.url).netloc
    }


def is_deletion(response: Response) -> bool:
    return response.request.method == "DELETE"


def path(url: str) -> str:
    return urlsplit(url).path
