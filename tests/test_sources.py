"""What is fetched, what is refused, and with which code."""

import asyncio
import base64
import ipaddress
import socket
import time
from collections.abc import Iterator

import pytest
from aiohttp.resolver import ThreadedResolver

from ocr import sources
from ocr.errors import ImageTooLarge, NotBase64, OcrError, UrlForbidden, UrlUnreachable
from ocr.sources import Sources, is_public
from tests.addresses import FORBIDDEN, PUBLIC
from tests.hosts import Names, host, listening, loopbacks

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


@pytest.mark.parametrize("path", ["missing", "loop", "nowhere", "to/http://nothing.invalid/"])
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


def test_what_is_packed_stays_packed(url: str) -> None:
    assert len(private(f"{url}/gzip", max_bytes=2000)) < 2000


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "then", "error"),
    [
        (CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n", ImageTooLarge),
        (CHUNKED, b"1\r\nx\r\n" * 1000, ImageTooLarge),
        (CHUNKED, b"f" * 1000, UrlUnreachable),
        (CHUNKED + b"1;", b"f" * 1000, UrlUnreachable),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000, UrlUnreachable),
        (OK, b"X: y\r\n" * 1000, UrlUnreachable),
        (OK + b"X: ", b"y" * 65536, UrlUnreachable),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", UrlUnreachable),
        (b"\xff", b"\x00" * 65536, UrlUnreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", UrlUnreachable),
        (b"220 mail.example.com ESMTP\r\n", b"", UrlUnreachable),
        (b"", b"", UrlUnreachable),
        (OK + b"Content-Length: 999\r\n\r\nshort", b"", UrlUnreachable),
        (OK + b"Content-Length: -1\r\n\r\n", b"", UrlUnreachable),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"", UrlUnreachable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", b"", UrlForbidden),
        (b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe:\r\n\r\n", b"", UrlUnreachable),
    ],
)
def test_a_host_that_speaks_badly_is_given_up(
    first: bytes, then: bytes, error: type[OcrError]
) -> None:
    start = time.perf_counter()
    with listening(first, then) as listener, pytest.raises(error):
        private(listener.url, timeout_s=1, max_bytes=50_000)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize("entry", FORBIDDEN)
def test_what_is_not_public_is_forbidden(entry: str) -> None:
    with listening(OK, b"", *loopbacks()) as listener:
        with pytest.raises(UrlForbidden):
            load(entry.replace("{port}", str(listener.port)), timeout_s=2)
        assert listener.accepted == 0


def test_the_list_of_what_is_forbidden_is_long_enough() -> None:
    assert len(set(FORBIDDEN)) == len(FORBIDDEN) >= 60


def plays_public(monkeypatch: pytest.MonkeyPatch) -> None:
    playing = ipaddress.ip_address("127.0.0.2")
    monkeypatch.setattr(sources, "is_public", lambda ip: ip == playing or is_public(ip))


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A public host, which 127.0.0.2 plays; a private one answers on the same port."""
    plays_public(monkeypatch)
    with host(PICTURE, "127.0.0.2", "127.0.0.1") as address:
        yield address


def test_a_redirect_to_a_public_address_is_followed(public: str) -> None:
    assert load(f"{public}/to/{public}/picture") == PICTURE


@pytest.mark.parametrize("entry", [each for each in FORBIDDEN if not set(each) & set("\r\n\0")])
def test_a_redirect_is_checked_like_the_first_address(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays_public(monkeypatch)
    with listening(OK, b"", *loopbacks()) as listener:
        target = entry.replace("{port}", str(listener.port)).encode()
        found = b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\n\r\n"
        with listening(found, b"", "127.0.0.2") as public, pytest.raises(UrlForbidden):
            load(f"http://127.0.0.2:{public.port}/", timeout_s=2)
        assert listener.accepted == 0


NAME = "pictures.example.com"


def rebinding(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Names:
    names = Names({NAME: list(answers)})
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254"],
)
def test_a_name_that_stands_for_a_private_address_is_forbidden(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    rebinding(monkeypatch, [address])
    with pytest.raises(UrlForbidden) as caught:
        load(f"http://{NAME}/")
    assert address not in str(caught.value)  # what a name stands for in here is not told


def test_a_private_address_among_public_ones_is_forbidden(
    public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in (["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]):
        rebinding(monkeypatch, answer)
        with pytest.raises(UrlForbidden):
            load(public.replace("127.0.0.2", NAME) + "/picture")


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked once for each request; a later answer cannot slip in after the check."""
    names = rebinding(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    there = public.replace("127.0.0.2", NAME)
    assert load(f"{there}/picture") == PICTURE
    assert names.asked[NAME] == 1
    with pytest.raises(UrlForbidden):
        load(f"{there}/picture")


def test_a_name_that_changes_while_it_redirects_to_itself_is_forbidden(
    public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = rebinding(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    there = public.replace("127.0.0.2", NAME)
    with pytest.raises(UrlForbidden):
        load(f"{there}/to/{there}/picture")
    assert names.asked[NAME] == 2


@pytest.mark.parametrize("address", loopbacks())
def test_the_socket_refuses_what_the_resolver_lets_through(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(sources, "_PublicResolver", ThreadedResolver)
    rebinding(monkeypatch, [address])
    with listening(OK, b"", address) as listener:
        with pytest.raises((UrlForbidden, UrlUnreachable)):
            load(f"http://{NAME}:{listener.port}/")
        assert listener.accepted == 0


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_private_addresses_are_fetched_from_where_that_is_allowed(url: str) -> None:
    assert private(f"{url.replace('127.0.0.1', 'localhost')}/picture") == PICTURE
    for entry in ("file:///etc/passwd", "http://0x7f.1/", "http://127.0.0.1:0/"):
        with pytest.raises(UrlForbidden):
            private(entry)


def test_every_refusal_has_a_code(url: str) -> None:
    for entry in ("!", "file:///x", f"{url}/missing"):
        with pytest.raises(OcrError) as caught:
            private(entry)
        assert caught.value.code != OcrError.code
