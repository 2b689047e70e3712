"""A headless Chromium, the page in it, and a service that answers without models."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, sync_playwright

from tests import pictures
from tests.browser.fake import NOTICE, Fake, faked
from tests.service.served import Served, serve

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing, `apt-get install chromium`")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Fake]:
    with faked() as fake:
        yield fake


@pytest.fixture
def fake(running: Fake) -> Iterator[Fake]:
    """The service, that was asked nothing yet."""
    running.reset()
    yield running
    running.gate.set()  # whoever still waits for it


@pytest.fixture(scope="session")
def real(store: Path) -> Iterator[Served]:
    """The real service with its models, reading."""
    with serve(store, jobs="off") as served:
        yield served


@pytest.fixture
def open_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page at an address; takes what a browser context takes.

    When the test ends it must have asked no other host, and have thrown nothing.
    """
    contexts = []
    hosts: set[str] = set()
    thrown: list[str] = []

    def opened(url: str, width: int = 1280, height: int = 800, **options: Any) -> Page:
        options = {"locale": "en-US", "color_scheme": "light", "reduced_motion": "reduce"} | options
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        context.on("request", lambda request: hosts.add(_host(request.url)))
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.on("console", lambda message: thrown.extend(_faults(message)))
        page.goto(url)
        page.wait_for_selector("#theme[data-theme]")  # the page's script has run
        own.add(_host(url))
        return page

    own: set[str] = set()
    yield opened
    for context in contexts:
        context.close()
    assert hosts - {"data:", "blob:"} <= own
    assert thrown == []


def _host(url: str) -> str:
    scheme = url.split("/", 1)[0]
    return scheme if scheme in ("data:", "blob:") else url.split("/")[2] if "//" in url else url[:5]


def _faults(message: ConsoleMessage) -> list[str]:
    """What a script or the security policy complains of; that a call failed is no fault."""
    expected = message.text.startswith("Failed to load resource")
    return [message.text] if message.type == "error" and not expected else []


@pytest.fixture
def open_page(open_at: Open, fake: Fake) -> Open:
    """Opens the page of the fake service."""

    def opened(**options: Any) -> Page:
        return open_at(fake.url, **options)

    return opened


@cache
def _picture() -> bytes:
    return pictures.to_png(NOTICE.image)


def picture_file(name: str = "notice.png") -> FilePayload:
    """A file of this name; what is in it is a picture."""
    return {"name": name, "mimeType": "image/png", "buffer": _picture()}


def give(page: Page, *names: str) -> None:
    """Choose files of these names."""
    page.set_input_files("#chosen", [picture_file(name) for name in names])


def read(page: Page, *names: str) -> None:
    """Choose files, and wait until the text of the first is seen."""
    give(page, *names)
    page.wait_for_selector("#lines li")
