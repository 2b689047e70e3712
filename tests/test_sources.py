"""What is fetched, what is refused, and with which code."""

import asyncio
import base64
import ipaddress
import time
from collections.abc import Iterator

import pytest
from aiohttp.resolver import ThreadedResolver

from ocr import sources
from ocr.errors import ImageTooLarge, NotBase64, OcrError, UrlForbidden, UrlUnreachable
from ocr.sources import Sources, is_public
from tests.hosts import host

PICTURE = b"\x89PNG bytes of a picture"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with host(PICTURE) as address:
        yield address


def load(entry: str, **options: object) -> bytes:
    async def run() -> bytes:
        async with Sources(**options) as opened:  # type: ignore[arg-type]
            return await opened.load(entry)

    return asyncio.run(run())


def private(entry: str, **options: object) -> bytes:
    return load(entry, allow_private=True, **options)


@pytest.mark.parametrize(
    "entry",
    [
        base64.b64encode(PICTURE).decode(),
        base64.b64encode(PICTURE).decode().rstrip("="),
        "\n".join(base64.encodebytes(PICTURE).decode().splitlines()),
        "data:image/png;base64," + base64.b64encode(PICTURE).decode(),
        "DATA:;BASE64," + base64.b64encode(PICTURE).decode(),
        "data:,%89PNG%20bytes%20of%20a%20picture",
    ],
)
def test_base64_and_data_uris_are_decoded(entry: str) -> None:
    assert load(entry) == PICTURE


@pytest.mark.parametrize("entry", ["", "   ", "not base64!", "data:image/png;base64", "图片", "a"])
def test_what_is_not_base64_says_so(entry: str) -> None:
    with pytest.raises(NotBase64):
        load(entry)


def test_base64_beyond_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageTooLarge):
        load("A" * 4000, max_bytes=1000)
    assert load("A" * 1332, max_bytes=1000) == bytes(999)


def test_a_picture_is_fetched_also_over_redirects(url: str) -> None:
    assert private(f"{url}/picture") == PICTURE
    assert private(f"{url}/to//picture") == PICTURE


@pytest.mark.parametrize("path", ["missing", "loop", "to/http://nothing.invalid/"])
def test_a_host_that_gives_no_picture_is_unreachable(url: str, path: str) -> None:
    with pytest.raises(UrlUnreachable):
        private(f"{url}/{path}")


def test_nobody_at_the_address_is_unreachable() -> None:
    with pytest.raises(UrlUnreachable):
        private("http://127.0.0.1:9/")


@pytest.mark.parametrize("path", ["stall", "drip"])
def test_a_slow_host_is_given_up(url: str, path: str) -> None:
    start = time.perf_counter()
    with pytest.raises(UrlUnreachable):
        private(f"{url}/{path}", timeout_s=0.5)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("path", ["huge", "liar"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(url: str, path: str) -> None:
    with pytest.raises(ImageTooLarge):
        private(f"{url}/{path}", max_bytes=100_000)


@pytest.mark.parametrize(
    "entry",
    [
        "file:///etc/passwd",
        "FTP://example.com/a.png",
        "gopher://127.0.0.1:70/",
        "javascript:alert(1)",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://user:word@127.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fc00::1]/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http:///nowhere",
        "http://",
    ],
)
def test_what_is_not_public_is_forbidden(entry: str) -> None:
    with pytest.raises((UrlForbidden, UrlUnreachable)) as caught:
        load(entry, timeout_s=2)
    if "127" in entry or "[" in entry:
        assert caught.type is UrlForbidden


def test_a_redirect_to_a_private_address_is_forbidden(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.2 plays a public host here."""
    playing = ipaddress.ip_address("127.0.0.2")
    monkeypatch.setattr(sources, "is_public", lambda ip: ip == playing or is_public(ip))
    with host(PICTURE, "127.0.0.2") as public:
        assert load(f"{public}/picture") == PICTURE
        for target in (f"{url}/picture", "http://localhost/", "file:///etc/passwd"):
            with pytest.raises(UrlForbidden):
                load(f"{public}/to/{target}")


def test_a_name_that_stands_for_a_private_address_is_forbidden() -> None:
    with pytest.raises(UrlForbidden, match=r"127\.0\.0\.1|::1"):
        load("http://localhost:1/")


def test_an_address_that_changed_after_the_check_is_not_connected_to(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose second answer is a private address: only the socket itself sees it."""
    monkeypatch.setattr(sources, "_PublicResolver", ThreadedResolver)
    with pytest.raises((UrlForbidden, UrlUnreachable)):
        load(url.replace("127.0.0.1", "localhost") + "/picture")


def test_public_addresses_are_public() -> None:
    for address in ("8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(address))


def test_every_refusal_has_a_code(url: str) -> None:
    for entry in ("!", "file:///x", f"{url}/missing"):
        with pytest.raises(OcrError) as caught:
            private(entry)
        assert caught.value.code != OcrError.code
