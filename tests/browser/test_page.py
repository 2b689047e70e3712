"""The page at / in a real browser: with it a person reads scans without a word of documentation."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, give, picture_file, read
from tests.browser.fake import NOTICE, Fake, drawings

pytestmark = pytest.mark.browser

SELECTED_TEXT = "#lines li.selected .words"
SELECTED_LINE = ".overlay .line.selected"
SUFFIXES = {
    "text": "txt",
    "markdown": "md",
    "pdf": "pdf",
    "json": "json",
    "hocr": "hocr",
    "alto": "xml",
    "png": "png",
}


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def press_copy(button: Locator) -> None:
    """Press a button that copies, and wait until it says that it has."""
    button.click()
    expect(button).to_have_attribute("data-message", "Copied")


def in_view(page: Page, selector: str, pane: str) -> bool:
    """Whether an element is within a pane that scrolls."""
    seen: bool = page.evaluate(
        """([selector, pane]) => {
            const box = document.querySelector(selector).getBoundingClientRect();
            const room = document.querySelector(pane).getBoundingClientRect();
            return box.top >= room.top - 1 && box.bottom <= room.bottom + 1;
        }""",
        [selector, pane],
    )
    return seen


# Giving it files


def test_a_file_is_read_and_its_lines_lie_on_the_picture(open_page: Open, fake: Fake) -> None:
    page = open_page()
    read(page, "notice.png")
    assert page.locator("#lines .words").all_inner_texts() == NOTICE.texts
    assert fake.asked == [
        {"name": "notice.png", "format": "json", "words": "true", "pictures": "true"}
    ]
    picture = page.locator("#sheet img").bounding_box()
    first = page.locator(".overlay .line").first.bounding_box()
    assert picture and first
    scale = picture["width"] / NOTICE.image.shape[1]
    left, top = NOTICE.lines[0][1][0]
    assert abs(first["x"] - picture["x"] - left * scale) < 3
    assert abs(first["y"] - picture["y"] - top * scale) < 3
    assert page.evaluate("document.querySelector('#sheet img').naturalWidth") > 0


def test_many_files_go_one_in_a_request_two_at_a_time(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "slow-1.png", "slow-2.png", "slow-3.png")
    expect(page.locator(".file[data-state=reading]")).to_have_count(2)
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)
    assert len(fake.asked) == 2
    fake.gate.set()
    expect(page.locator(".file[data-state=done]")).to_have_count(3)
    assert sorted(asked["name"] for asked in fake.asked) == [
        "slow-1.png",
        "slow-2.png",
        "slow-3.png",
    ]


def hand_over(page: Page, event: str, *names: str) -> None:
    """Dispatch a paste or a drop with files of these names."""
    page.evaluate(
        """([kind, names]) => {
            const data = new DataTransfer();
            for (const name of names) data.items.add(new File(["x"], name, {type: "image/png"}));
            const init = {bubbles: true, cancelable: true};
            document.body.dispatchEvent(kind === "paste"
                ? new ClipboardEvent(kind, {...init, clipboardData: data})
                : new DragEvent(kind, {...init, dataTransfer: data}));
        }""",
        [event, list(names)],
    )


def test_a_picture_can_be_pasted(open_page: Open, fake: Fake) -> None:
    page = open_page()
    hand_over(page, "paste", "image.png")
    page.wait_for_selector("#lines li")
    assert fake.asked[0]["name"] == "pasted-1.png"


def test_files_can_be_dropped_anywhere(open_page: Open, fake: Fake) -> None:
    page = open_page()
    hand_over(page, "dragenter", "one.png")
    expect(page.locator(".veil")).to_be_visible()
    hand_over(page, "drop", "one.png", "two.png")
    expect(page.locator(".veil")).to_be_hidden()
    expect(page.locator(".file[data-state=done]")).to_have_count(2)


def test_a_phone_offers_its_camera(open_page: Open, fake: Fake) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    expect(page.locator("#photograph")).to_be_visible()
    assert page.locator("#photographed").get_attribute("capture") == "environment"
    with page.expect_file_chooser() as chooser:
        page.locator("#photograph").tap()
    chooser.value.set_files([picture_file("photo.jpg")])
    page.wait_for_selector("#lines li")


def test_a_sample_can_be_tried(open_page: Open, fake: Fake) -> None:
    page = open_page()
    page.get_by_role("button", name="Try a sample").click()
    page.wait_for_selector("#lines li")
    assert fake.asked[0]["name"] == "sample.png"


def test_a_file_in_work_can_be_cancelled_and_read_again(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "slow.png")
    expect(page.locator("#state .what")).to_have_text("Reading …")
    page.locator("#state").get_by_role("button", name="Cancel").click()
    expect(page.locator(".file[data-state=cancelled]")).to_have_count(1)
    fake.gate.set()
    page.locator("#state").get_by_role("button", name="Try again").click()
    page.wait_for_selector("#lines li")


def test_a_file_can_be_removed(open_page: Open, fake: Fake) -> None:
    page = open_page()
    read(page, "notice.png", "scan.pdf")
    page.get_by_role("button", name="Remove notice.png").click()
    expect(page.locator(".file")).to_have_count(1)
    expect(page.locator("#page-number")).to_have_value("1")
    page.get_by_role("button", name="Remove scan.pdf").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_options_are_sent(open_page: Open, fake: Fake) -> None:
    page = open_page()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Pages", exact=True).fill("2-")
    page.get_by_label("Resolution").fill("300")
    page.get_by_label("Ignore it").check()
    read(page, "scan.pdf")
    sent = {name: fake.asked[0][name] for name in ("pages", "dpi", "pdf_text")}
    assert sent == {"pages": "2-", "dpi": "300", "pdf_text": "ignore"}


@pytest.mark.parametrize(
    ("pages", "right"),
    [("", True), ("1-5,8", True), ("3-", True), (" 2 , 4 ", True), ("x", False), ("0", False)],
)
def test_a_list_of_pages_is_checked_as_it_is_typed(
    open_page: Open, pages: str, right: bool
) -> None:
    page = open_page()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Pages", exact=True).fill(pages)
    invalid = page.get_by_label("Pages", exact=True).get_attribute("aria-invalid")
    assert invalid == ("false" if right else "true")
    assert ("no list" in page.locator("#pages-help").inner_text()) is not right


# From the line to the text and back


def test_a_click_leads_from_the_line_to_the_text(open_page: Open) -> None:
    page = open_page()
    read(page, "scan.pdf")
    page.locator("#zoom-fit").click()
    page.locator("#zoom-fit").click()
    line = page.locator(".overlay .line").nth(28)
    line.scroll_into_view_if_needed()
    assert not in_view(page, "#lines li:nth-child(29)", "#text")
    line.click()
    expect(page.locator(SELECTED_TEXT)).to_have_text(drawings("scan.pdf")[0].texts[28])
    assert in_view(page, SELECTED_TEXT, "#text")


def test_a_click_leads_from_the_text_to_the_line(open_page: Open) -> None:
    page = open_page()
    read(page, "scan.pdf")
    assert not in_view(page, ".overlay .line:nth-child(29)", "#picture")
    page.locator("#lines .words").nth(28).click()
    expect(page.locator(SELECTED_LINE)).to_have_attribute("data-line", "28")
    assert in_view(page, SELECTED_LINE, "#picture")
    page.locator("#lines .words").nth(28).click()
    expect(page.locator(SELECTED_LINE)).to_have_count(0)


def test_both_sides_light_up_under_the_mouse(open_page: Open) -> None:
    page = open_page()
    read(page, "notice.png")
    page.locator(".overlay .line").nth(1).hover()
    expect(page.locator("#lines li.hovered")).to_contain_text(NOTICE.texts[1])
    page.locator("#lines .words").nth(3).hover()
    expect(page.locator(".overlay .hovered")).to_have_attribute("data-line", "3")


def test_what_is_not_sure_is_marked_with_its_number(open_page: Open) -> None:
    page = open_page()
    read(page, "notice.png")
    assert page.locator("#lines mark.check").all_inner_texts() == ["订单号20240518"]
    assert page.locator("#lines mark.doubtful").all_inner_texts() == ["合计128.50元"]
    assert page.locator("#lines .doubtful .share").inner_text() == "70.1 %"
    expect(page.locator("#lines .words").first).to_have_attribute("title", "98.7 % sure")
    expect(page.locator("#legend")).to_contain_text("doubtful")
    page.locator("#next-doubt").click()
    expect(page.locator(SELECTED_TEXT)).to_have_text(NOTICE.texts[2])
    page.locator("#next-doubt").click()
    expect(page.locator(SELECTED_TEXT)).to_have_text(NOTICE.texts[5])


def test_the_picture_gets_larger_and_fits_again(open_page: Open) -> None:
    page = open_page()
    read(page, "scan.pdf")

    def width() -> float:
        box = page.locator("#sheet").bounding_box()
        assert box
        return box["width"]

    fitting = width()
    page.locator("#zoom-in").click()
    assert width() == pytest.approx(fitting * 1.25, rel=0.01)
    page.locator("#zoom-fit").click()
    page.locator("#zoom-fit").click()
    assert width() == pytest.approx(fitting, rel=0.01)
    overlay = page.locator(".overlay").bounding_box()
    assert overlay and overlay["width"] == pytest.approx(fitting, rel=0.01)


def test_a_page_without_text_says_so(open_page: Open) -> None:
    page = open_page()
    give(page, "empty.png")
    expect(page.locator("#no-text")).to_be_visible()
    expect(page.locator("#legend")).to_be_hidden()


# Pages


def test_pages_turn_by_button_number_and_key(open_page: Open) -> None:
    page = open_page()
    read(page, "scan.pdf")
    first = page.locator("#lines .words").first
    expect(first).to_have_text("第1页")
    page.get_by_role("button", name="Next page").click()
    expect(first).to_have_text("第2页")
    page.get_by_label("Page", exact=True).fill("3")
    page.keyboard.press("Enter")
    expect(first).to_have_text("第3页")
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    first.click()
    page.keyboard.press("ArrowLeft")
    expect(first).to_have_text("第2页")
    page.keyboard.press("PageUp")
    expect(first).to_have_text("第1页")
    page.keyboard.press("PageDown")
    expect(page.locator("#sheet img")).to_have_attribute("alt", "Page 2 of scan.pdf")
    page.get_by_label("Page", exact=True).fill("99")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Page", exact=True)).to_have_value("3")


# Copy and download


@pytest.mark.parametrize("secure", [True, False])
def test_text_is_copied(open_page: Open, secure: bool) -> None:
    """Over plain http a page has no clipboard of its own, and copies nevertheless."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    if not secure:
        page.evaluate("""() => {
            navigator.clipboard.writeText = () => Promise.reject(new Error("not here"));
        }""")
    read(page, "scan.pdf")
    texts = ["\n".join(each.texts) for each in drawings("scan.pdf")]
    press_copy(page.locator("#copy-page"))
    assert clipboard(page) == texts[0]
    press_copy(page.locator("#copy-all"))
    assert clipboard(page) == "\n\n".join(texts)
    row = page.locator("#lines li").nth(1)
    row.hover()
    press_copy(row.get_by_role("button", name="Copy line"))
    assert clipboard(page) == drawings("scan.pdf")[0].texts[1]
    page.locator("#lines .words").nth(3).click()
    page.keyboard.press("Control+c")
    assert clipboard(page) == drawings("scan.pdf")[0].texts[3]


@pytest.mark.parametrize("format", SUFFIXES)
def test_every_format_is_saved(open_page: Open, fake: Fake, format: str, tmp_path: Path) -> None:
    page = open_page()
    read(page, "scan.pdf")
    page.get_by_role("button", name="Next page").click()
    page.locator("#download summary").click()
    with page.expect_download() as saving:
        page.locator(f"[data-format={format}]").click()
    assert saving.value.suggested_filename == f"scan.{SUFFIXES[format]}"
    saving.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == f"{format} of scan.pdf"
    expect(page.locator("#download-note")).to_contain_text(f"Saved scan.{SUFFIXES[format]}")
    assert fake.asked[-1]["format"] == format
    assert fake.asked[-1].get("pages") == ("2" if format == "png" else None)


def test_a_download_that_fails_says_why(open_page: Open, fake: Fake) -> None:
    page = open_page()
    read(page, "undone.png")
    page.locator("#download summary").click()
    page.locator("[data-format=pdf]").click()
    note = page.locator("#download-note")
    expect(note).to_contain_text("TIMEOUT")
    expect(note).to_contain_text("no answer within 120 s")
    note.get_by_role("button", name="Try again").click()
    expect(note).to_contain_text("TIMEOUT")
    assert fake.seen["undone.png"] >= 3
    note.get_by_role("button", name="Close").click()
    expect(note).to_be_hidden()


# Errors


def test_an_error_is_told_with_code_and_words(open_page: Open) -> None:
    page = open_page()
    give(page, "broken.jpg", "notice.png")
    state = page.locator("#state")
    expect(state).to_contain_text("The file is broken or cut off.")
    expect(state).to_contain_text("IMAGE_DAMAGED")
    expect(state).to_contain_text("the JPEG ends after 1234 bytes")
    expect(page.locator(".file[data-state=done]")).to_have_count(1)
    expect(page.locator(".file[data-state=failed] .detail")).to_contain_text("broken")


def test_what_failed_can_be_tried_again(open_page: Open) -> None:
    page = open_page()
    give(page, "once.png")
    expect(page.locator("#state")).to_contain_text("INFERENCE_FAILED")
    page.get_by_role("button", name="Try once.png again").click()
    page.wait_for_selector("#lines li")


def test_a_busy_server_is_asked_again_when_it_says(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "busy.png")
    expect(page.locator("#state .what")).to_have_text("The server is busy. Next try in 1 s")
    page.wait_for_selector("#lines li")
    assert fake.seen["busy.png"] == 2


def test_a_server_that_is_gone_and_a_proxy_in_its_place(open_page: Open) -> None:
    page = open_page()
    give(page, "proxy.png")
    expect(page.locator("#state")).to_contain_text("502")
    page.route("**/ocr?*", lambda route: route.abort())
    give(page, "notice.png")
    expect(page.locator("#state")).to_contain_text("The server cannot be reached")
    page.unroute("**/ocr?*")
    page.locator("#state").get_by_role("button", name="Try again").click()
    page.wait_for_selector("#lines li")


def test_a_file_that_is_too_large_is_not_sent(open_page: Open, fake: Fake) -> None:
    page = open_page()
    page.route(
        "**/capabilities",
        lambda route: route.fulfill(json={"limits": {"max_image_bytes": 1000}}),
    )
    with page.expect_response("**/capabilities"):
        page.reload()
    give(page, "notice.png")
    expect(page.locator("#state")).to_contain_text("IMAGE_TOO_LARGE")
    assert fake.asked == []


# For everybody


def test_the_language_follows_the_browser_and_the_switch(open_page: Open) -> None:
    page = open_page(locale="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("放入扫描件，取走文字。")
    read(page, "notice.png", "broken.jpg")
    page.get_by_role("button", name="English").click()
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.get_by_role("button", name="Copy all")).to_be_visible()
    expect(page.locator(".file[data-state=failed]")).to_contain_text("broken or cut off")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drop a scan, take the text.")


def test_both_languages_say_the_same_things(open_page: Open) -> None:
    page = open_page()
    english, chinese = page.evaluate("""async () => {
        const source = await (await fetch("page/strings.js")).text();
        const names = (from, to) => source.split(from)[1].split(to)[0]
            .matchAll(/^ +(\\w+):/gm).map((match) => match[1]).toArray();
        return [names("const EN = {", "\\n};"), names("const ZH = {", "\\n};")];
    }""")
    assert len(english) > 80 and english == chinese


def test_no_text_is_missing(open_page: Open) -> None:
    page = open_page()
    missing = page.evaluate("""() => [...document.querySelectorAll("[data-t]")]
        .filter((each) => !each.textContent.trim() || each.textContent === "undefined")
        .map((each) => each.dataset.t)""")
    assert missing == []


def test_the_theme_follows_the_system_and_the_button(open_page: Open) -> None:
    page = open_page(color_scheme="dark")

    def ground() -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    dark = ground()
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("[data-theme=light]")
    light = ground()
    assert light != dark
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    assert ground() == dark
    page.reload()
    assert ground() == dark
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_the_keyboard_is_enough(open_page: Open, fake: Fake) -> None:
    page = open_page()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"A", "language", "theme", "choose", "sample", "SUMMARY"} <= reached
    read(page, "scan.pdf")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    texts = drawings("scan.pdf")[0].texts
    expect(page.locator(SELECTED_TEXT)).to_have_text(texts[1])
    expect(page.locator(SELECTED_TEXT)).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowUp")
    expect(page.locator(SELECTED_TEXT)).to_have_text(texts[0])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Copy line"
    page.keyboard.press("ArrowRight")
    expect(page.locator("#lines .words").first).to_have_text("第2页")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.locator(SELECTED_TEXT)).to_have_count(0)
    page.locator("#download summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_download():
        page.keyboard.press("Enter")
    assert fake.asked[-1]["format"] == "text"
    expect(page.locator("#download summary")).to_be_focused()


@pytest.mark.parametrize("width", [360, 390, 768, 1920])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_nothing_sticks_out_at_any_width(open_page: Open, width: int, locale: str) -> None:
    page = open_page(width=width, height=780, locale=locale, is_mobile=width < 700)

    def sticks_out() -> bool:
        wider: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return wider

    assert not sticks_out()
    read(page, "scan.pdf", "a-file-with-quite-a-long-name-from-a-scanner-0001.png", "broken.jpg")
    assert not sticks_out()
    page.locator(".options summary").click()
    page.locator("#download summary").click()
    assert not sticks_out()


def test_on_a_phone_the_picture_stays_while_the_text_goes_by(open_page: Open) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    read(page, "scan.pdf")
    page.locator("#lines .words").nth(29).scroll_into_view_if_needed()
    page.locator("#lines .words").nth(29).tap()
    expect(page.locator(SELECTED_LINE)).to_be_in_viewport(ratio=1)
    expect(page.locator(SELECTED_TEXT)).to_be_in_viewport(ratio=1)
    page.locator("#picture").evaluate("pane => pane.scrollTo(0, 0)")
    page.locator(".overlay .line").nth(1).tap()
    expect(page.locator(SELECTED_TEXT)).to_have_text(drawings("scan.pdf")[0].texts[1])
    text = page.locator(SELECTED_TEXT).bounding_box()
    picture = page.locator("#picture").bounding_box()
    assert text and picture and text["y"] >= picture["y"] + picture["height"] - 1


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out(open_page: Open, fake: Fake, locale: str, theme: str) -> None:
    page = open_page(locale=locale, color_scheme=theme)
    faults = found(page)
    page.locator(".options summary").click()
    page.locator("#pages").fill("x")
    faults += found(page)
    page.locator("#pages").fill("")
    give(page, "scan.pdf", "broken.jpg", "slow.png", "notice.png")
    page.wait_for_selector("#lines li")
    expect(page.locator(".file[data-state=failed]")).to_have_count(1)
    page.locator("#lines .words").nth(2).click()
    page.locator("#download summary").click()
    faults += found(page)
    page.locator(".file .open").nth(1).click()
    faults += found(page)
    page.locator(".file .open").nth(2).click()
    faults += found(page)
    page.set_viewport_size({"width": 360, "height": 780})
    page.locator(".file .open").first.click()
    faults += found(page)
    fake.gate.set()
    assert faults == []


def found(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary'][-160:]}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_it_may_lie_under_a_prefix(open_at: Open, fake: Fake) -> None:
    page = open_at(fake.url + "below/")
    read(page, "notice.png")
    assert (
        page.get_by_role("link", name="API docs")
        .evaluate("link => link.href")
        .endswith("/below/docs")
    )
    assert (
        page.get_by_role("link", name="Server")
        .evaluate("link => link.href")
        .endswith("/below/capabilities")
    )


def test_no_file_names_another_host() -> None:
    folder = Path(__file__).parents[2] / "web" / "page"
    files = [path for path in folder.iterdir() if path.suffix in (".html", ".css", ".js", ".svg")]
    assert len(files) > 10
    for path in files:
        hosts = re.findall(r"https?://[^\"'\s]+", path.read_text())
        assert set(hosts) <= {"http://www.w3.org/2000/svg"}, path
