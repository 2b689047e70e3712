"""A server that asks for a key, and one that takes only so many files a minute."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, give, read
from tests.browser.fake import Fake
from tests.browser.test_page import found

pytestmark = pytest.mark.browser

KEY = "correct-horse-电池"


def key_field(page: Page) -> Locator:
    return page.get_by_label("Key", exact=True)


def type_key(page: Page, key: str) -> None:
    key_field(page).fill(key)
    page.keyboard.press("Enter")


def test_a_server_without_keys_asks_for_none(open_page: Open) -> None:
    page = open_page()
    read(page, "notice.png")
    expect(key_field(page)).to_be_hidden()
    expect(page.get_by_role("link", name="Server")).to_be_visible()


def test_a_key_is_asked_for_and_kept_as_long_as_the_tab(open_page: Open, fake: Fake) -> None:
    fake.key = KEY.encode().decode("latin-1")  # a header is bytes
    page = open_page()
    expect(key_field(page)).to_be_focused()
    expect(page.locator("#key-help")).to_contain_text("asks for a key")
    expect(page.get_by_role("link", name="Server")).to_be_hidden()
    type_key(page, KEY)
    expect(key_field(page)).to_be_hidden()
    expect(page.locator("#formats-taken")).to_contain_text("50 MB")
    read(page, "notice.png", "scan.pdf")
    expect(page.locator(".file[data-state=done]")).to_have_count(2)
    page.reload()
    read(page, "notice.png")
    expect(key_field(page)).to_be_hidden()
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    assert open_page().get_by_label("Key", exact=True).is_visible()  # in another tab


def test_what_was_refused_is_read_when_the_key_is_there(open_page: Open, fake: Fake) -> None:
    fake.key = "right"
    page = open_page()
    give(page, "notice.png", "scan.pdf", "other.png")
    expect(page.locator("#state")).to_contain_text("The server asks for a key")
    expect(page.locator("#state")).to_contain_text("UNAUTHORIZED")
    expect(page.locator(".file[data-state=failed]")).to_have_count(3)
    assert fake.asked == []
    type_key(page, "wrong")
    expect(page.locator("#key-help")).to_have_text(
        "The server does not know this key. Is it complete?"
    )
    expect(key_field(page)).to_have_attribute("aria-invalid", "true")
    type_key(page, " right ")
    expect(page.locator(".file[data-state=done]")).to_have_count(3)


def test_a_key_is_asked_for_again_when_it_holds_no_more(open_page: Open, fake: Fake) -> None:
    fake.key = "old"
    page = open_page()
    type_key(page, "old")
    read(page, "notice.png")
    fake.key = "new"
    page.locator("#download summary").click()
    page.locator("[data-format=text]").click()
    expect(page.locator("#download-note")).to_contain_text("asks for a key")
    type_key(page, "new")
    with page.expect_download():
        page.locator("#download-note").get_by_role("button", name="Try again").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out_by_the_key(open_page: Open, fake: Fake, theme: str) -> None:
    fake.key = "right"
    page = open_page(color_scheme=theme, locale="zh-CN")
    expect(page.get_by_label("密钥", exact=True)).to_be_focused()
    assert found(page) == []
    page.get_by_label("密钥", exact=True).fill("wrong")
    page.get_by_role("button", name="使用密钥").click()
    expect(page.locator("#key-help")).to_contain_text("不认识")
    assert found(page) == []
    page.get_by_role("button", name="English").click()
    expect(page.locator("#key-help")).to_contain_text("does not know this key")
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 780})
        inner = page.evaluate("document.documentElement.scrollWidth")
        assert inner <= width


def test_who_sends_too_much_is_told_when_the_next_try_is(open_page: Open, fake: Fake) -> None:
    page = open_page()
    give(page, "often.png")
    expect(page.locator("#state .what")).to_have_text(
        "The server takes no more files from you in this minute. Next try in 1 s"
    )
    page.wait_for_selector("#lines li")
    assert fake.seen["often.png"] == 2
