"""POST /ocr_system end to end: what is read, in which shape, and how errors look."""

import struct
import zlib
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests import pictures
from tests.hosts import host
from tests.service.served import Served

PAGE = pictures.page([*pictures.CHINESE[:3], *pictures.ENGLISH[:3], *pictures.MIXED[:2]])
PNG = pictures.to_png(PAGE.image)
TEXTS = [text for text, _ in PAGE.lines]


@pytest.fixture(scope="module")
def pictures_host() -> Iterator[str]:
    with host(PNG) as url:
        yield url


def test_base64_a_data_uri_and_a_url_read_the_same(narrow: Served, pictures_host: str) -> None:
    entries = [pictures.to_base64(PNG), pictures.data_uri(PNG), f"{pictures_host}/picture"]
    answer = narrow.read(*entries)
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "000" and body["msg"] == "" and body["errors"] == [None] * 3
    for slot in body["results"]:
        assert [line["text"] for line in slot] == TEXTS


def test_the_answer_has_the_shape_of_the_hub(served: Served) -> None:
    body = served.read(pictures.to_base64(PNG)).json()
    assert set(body) == {"msg", "results", "status", "errors"}
    for line, (_, quad) in zip(body["results"][0], PAGE.lines, strict=True):
        assert set(line) == {"confidence", "text", "text_region"}
        assert 0.9 < line["confidence"] <= 1
        region = np.array(line["text_region"])
        assert region.shape == (4, 2) and region.dtype.kind == "i"
        assert np.abs(region - quad).max() < 12


def test_the_name_of_the_hub_is_an_alias(served: Served) -> None:
    one = served.read(pictures.to_base64(PNG))
    other = served.read(pictures.to_base64(PNG), path="/predict/ocr_system")
    assert one.json() == other.json()


def test_no_text_is_an_empty_list_and_no_error(served: Served) -> None:
    body = served.read(pictures.to_base64(pictures.to_png(pictures.empty().image))).json()
    assert body == {"msg": "", "results": [[]], "status": "000", "errors": [None]}


def test_photographs_are_read(served: Served) -> None:
    """A page as a phone sees it: in perspective, unevenly lit, blurred, noisy, compressed."""
    drawn = pictures.page(pictures.CHINESE[:6], size=36)
    photograph = pictures.shaded(pictures.in_perspective(drawn, 0.05))
    photograph = pictures.jpeg(pictures.noisy(pictures.blurred(photograph), 6), 60)
    found = served.texts(pictures.to_base64(pictures.to_jpeg(photograph.image)))
    assert found == [text for text, _ in drawn.lines]


def test_slots_stay_aligned_when_some_images_fail(served: Served) -> None:
    good = pictures.to_base64(PNG)
    cut = pictures.to_base64(pictures.to_jpeg(PAGE.image)[:4000])
    body = served.read(good, "not base64!", cut, good, "http://127.0.0.1:1/a.png")
    assert body.status_code == 200
    answer = body.json()
    assert [len(slot) for slot in answer["results"]] == [len(TEXTS), 0, 0, len(TEXTS), 0]
    codes = [error and error["code"] for error in answer["errors"]]
    assert codes == [None, "NOT_BASE64", "IMAGE_DAMAGED", None, "URL_FORBIDDEN"]
    assert answer["status"] == "101" and "3 of 5" in answer["msg"]


def _bomb(width: int, height: int) -> bytes:
    """A few bytes of PNG that claim to be a huge picture."""
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


BAD_IMAGES = {
    "not base64": ("§§§", "NOT_BASE64"),
    "empty": ("", "NOT_BASE64"),
    "not an image": (pictures.to_base64(b"these bytes are just text, " * 9), "NOT_AN_IMAGE"),
    "truncated": (pictures.to_base64(pictures.to_jpeg(PAGE.image)[:4000]), "IMAGE_DAMAGED"),
    "truncated header": (pictures.to_base64(PNG[:20]), "IMAGE_DAMAGED"),
    "bomb": (pictures.to_base64(_bomb(60_000, 60_000)), "IMAGE_TOO_LARGE"),
    "forbidden URL": ("http://169.254.169.254/latest/", "URL_FORBIDDEN"),
    "forbidden scheme": ("file:///etc/passwd", "URL_FORBIDDEN"),
    "unreachable URL": ("http://nothing.invalid/a.png", "URL_UNREACHABLE"),
}


@pytest.mark.parametrize(("entry", "code"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_a_bad_image_gets_its_code(served: Served, entry: str, code: str) -> None:
    answer = served.read(entry)
    assert answer.status_code == 422
    body = answer.json()
    assert body["results"] == [[]] and body["status"] == "101"
    assert body["errors"][0]["code"] == code and body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("missing", "URL_UNREACHABLE"), ("stall", "URL_UNREACHABLE"), ("huge", "IMAGE_TOO_LARGE")],
)
def test_a_bad_host_gets_its_code(narrow: Served, pictures_host: str, path: str, code: str) -> None:
    answer = narrow.read(f"{pictures_host}/{path}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == code


BAD_BODIES = {
    "no images": b"{}",
    "empty list": b'{"images": []}',
    "not a list": b'{"images": "abc"}',
    "not strings": b'{"images": [1, null]}',
    "not an object": b"[1, 2]",
    "not JSON": b"images=abc",
    "nothing": b"",
    "not UTF-8": b'{"images": ["\xff\xfe"]}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_malformed_request_is_400(served: Served, body: bytes) -> None:
    answer = httpx.post(served.url + "/ocr_system", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BAD_REQUEST"
    assert answer.json()["error"]["message"]


def test_the_content_type_does_not_matter(served: Served) -> None:
    body = '{"images": ["' + pictures.to_base64(PNG) + '"]}'
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = httpx.post(
            served.url + "/ocr_system", content=body, headers={"Content-Type": kind}, timeout=60
        )
        assert answer.status_code == 200, (kind, answer.text)
