"""POST /ocr end to end: files of all kinds in, every format out, and how errors look."""

import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pikepdf
import pytest
from PIL import Image

from ocr.formats.catalogue import FORMATS
from tests import pictures
from tests.service.served import Served

PAGE = pictures.page([*pictures.CHINESE[:2], *pictures.ENGLISH[:2]])
OTHER = pictures.page(pictures.ENGLISH[2:4])
PNG, OTHER_PNG = pictures.to_png(PAGE.image), pictures.to_png(OTHER.image)
TEXT, OTHER_TEXT = "\n".join(PAGE.texts), "\n".join(OTHER.texts)


def as_pdf(*images: np.ndarray) -> bytes:
    """Pictures as pages of a PDF, a pixel a point / 2."""
    first, *others = (Image.fromarray(each) for each in images)
    stored = io.BytesIO()
    first.save(stored, "PDF", save_all=True, append_images=others, resolution=144)
    return stored.getvalue()


def as_format(kind: str, image: np.ndarray = PAGE.image, **options: Any) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, kind, **options)
    return stored.getvalue()


def as_tiff(*images: np.ndarray) -> bytes:
    first, *others = (Image.fromarray(each) for each in images)
    stored = io.BytesIO()
    first.save(stored, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
    return stored.getvalue()


PDF = as_pdf(PAGE.image, OTHER.image)
INPUTS: dict[str, Callable[[], bytes]] = {
    "page.png": lambda: PNG,
    "page.jpg": lambda: as_format("JPEG", quality=92),
    "page.webp": lambda: as_format("WEBP", quality=92),
    "page.bmp": lambda: as_format("BMP"),
    "page.gif": lambda: as_format("GIF"),
    "page.tif": lambda: as_tiff(PAGE.image),
    "page.avif": lambda: as_format("AVIF", quality=90),
    "page.heic": lambda: as_format("HEIF", quality=90),
    "page.pdf": lambda: as_pdf(PAGE.image),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_kind_of_file_is_read(served: Served, name: str) -> None:
    answer = served.upload((name, INPUTS[name]()))
    assert answer.status_code == 200, answer.text
    (document,) = answer.json()["documents"]
    assert document["source"] == name
    assert [page["text"] for page in document["pages"]] == [TEXT]


@pytest.mark.parametrize("name", ["page.jpg", "page.pdf", "page.tif"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_comes_of_every_kind_of_input(served: Served, name: str, kind: str) -> None:
    answer = served.upload((name, INPUTS[name]()), format=kind)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FORMATS[kind].media_type
    assert f"page{FORMATS[kind].suffix}" in answer.headers["content-disposition"]
    if kind == "png":
        assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    elif kind == "pdf":
        assert len(pikepdf.open(io.BytesIO(answer.content)).pages) == 1
    else:
        positions = [answer.text.find(word) for line in PAGE.texts for word in line.split()[:1]]
        if kind in ("json", "text", "markdown"):
            assert positions == sorted(positions) and positions[0] >= 0


def test_text_is_the_same_in_all_formats_that_hold_it(served: Served) -> None:
    assert served.upload(("a.png", PNG), format="text").text == TEXT + "\n"
    words = served.upload(("a.png", PNG), words="true").json()["documents"][0]["pages"][0]
    for line, text in zip(words["lines"], PAGE.texts, strict=True):
        assert "".join(word["text"] for word in line["words"]) == text.replace(" ", "")


def test_many_files_come_back_in_their_order(served: Served) -> None:
    files = [("a.png", PNG), ("b.png", OTHER_PNG), ("c.png", b"no picture"), ("d.png", PNG)]
    answer = served.upload(*files)
    assert answer.status_code == 200
    documents = answer.json()["documents"]
    assert [each["source"] for each in documents] == ["a.png", "b.png", "c.png", "d.png"]
    texts = [each["pages"][0]["text"] if each["pages"] else None for each in documents]
    assert texts == [TEXT, OTHER_TEXT, None, TEXT]
    assert documents[2]["error"]["code"] == "NOT_AN_IMAGE"


def test_in_one_file_what_failed_is_told_beside(served: Served) -> None:
    files = [("a.png", PNG), ("坏.png", b"no picture"), ("b.png", OTHER_PNG)]
    answer = served.upload(*files, format="text")
    assert answer.status_code == 200
    assert answer.text == f"{TEXT}\n\f{OTHER_TEXT}\n"
    (told,) = json.loads(answer.headers["x-ocr-errors"])
    assert (told["file"], told["source"], told["code"]) == (1, "坏.png", "NOT_AN_IMAGE")


def test_a_file_as_it_is_with_its_own_type(served: Served) -> None:
    for kind in ("image/png", "application/octet-stream", ""):
        headers = {"content-type": kind} if kind else {}
        answer = httpx.post(f"{served.url}/ocr", content=PNG, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["documents"][0]["pages"][0]["text"] == TEXT


def test_options_may_be_fields_of_the_form(served: Served) -> None:
    answer = httpx.post(
        f"{served.url}/ocr",
        files=[("pdf", ("a.pdf", PDF))],
        data={"format": "text", "pages": "2"},
        timeout=60,
    )
    assert answer.text == OTHER_TEXT + "\n"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain", "text"),
        ("application/pdf;q=0.4, text/markdown", "markdown"),
        ("image/*", "png"),
        ("*/*", "json"),
        ("text/html;q=0.9, application/json;q=0.1", "json"),
    ],
)
def test_accept_chooses_where_no_format_is_named(served: Served, accept: str, kind: str) -> None:
    answer = served.upload(("a.png", PNG), headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FORMATS[kind].media_type
    named = served.upload(("a.png", PNG), headers={"accept": accept}, format="text")
    assert named.headers["content-type"] == FORMATS["text"].media_type


def test_pages_have_numbers_sizes_and_pictures(served: Served) -> None:
    answer = served.upload(("a.pdf", PDF), pages="2,1", dpi="144", pictures="true").json()
    pages = answer["documents"][0]["pages"]
    assert [page["number"] for page in pages] == [2, 1]
    height, width = PAGE.image.shape[:2]
    assert (pages[1]["width"], pages[1]["height"], pages[1]["dpi"]) == (width, height, 144)
    assert pages[0]["picture"].startswith("data:image/")


# Odd requests: each gets its own documented error


def encrypted() -> bytes:
    stored = io.BytesIO()
    with pikepdf.open(io.BytesIO(PDF)) as pdf:
        pdf.save(stored, encryption=pikepdf.Encryption(owner="o", user="u"))
    return stored.getvalue()


def no_pages() -> bytes:
    stored = io.BytesIO()
    pikepdf.new().save(stored)
    return stored.getvalue()


def huge_png() -> bytes:
    """A picture of 40,000 x 40,000 pixels in a few dozen bytes: only its head is true."""
    size = (40_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00"
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)
        for name, body in chunks
    )


def huge_pdf() -> bytes:
    stored = io.BytesIO()
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(14_000, 14_000))
    pdf.save(stored)
    return stored.getvalue()


FILES: dict[str, tuple[Callable[[], bytes], dict[str, Any], int, str]] = {
    "empty": (lambda: b"", {}, 400, "BAD_REQUEST"),
    "text": (lambda: b"hello, I am text", {}, 415, "NOT_AN_IMAGE"),
    "html": (lambda: b"<html><body>hi</body></html>", {}, 415, "NOT_AN_IMAGE"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', {}, 415, "NOT_AN_IMAGE"),
    "zip": (lambda: b"PK\x03\x04" + bytes(40), {}, 415, "NOT_AN_IMAGE"),
    "png head only": (lambda: PNG[:8], {}, 415, "NOT_AN_IMAGE"),
    "cut png": (lambda: PNG[: len(PNG) // 2], {}, 422, "IMAGE_DAMAGED"),
    "cut jpeg head": (lambda: INPUTS["page.jpg"]()[:20], {}, 415, "NOT_AN_IMAGE"),
    "huge png": (huge_png, {}, 413, "IMAGE_TOO_LARGE"),
    "huge pdf page": (huge_pdf, {}, 413, "IMAGE_TOO_LARGE"),
    "pdf without pages": (no_pages, {}, 422, "NO_PAGES"),
    "encrypted pdf": (encrypted, {}, 422, "PDF_ENCRYPTED"),
    "pdf head only": (lambda: b"%PDF-1.7\n", {}, 422, "IMAGE_DAMAGED"),
    "broken pdf": (lambda: PDF[:200] + b"\0" * 50, {}, 422, "IMAGE_DAMAGED"),
    "page beyond the end": (lambda: PDF, {"pages": "3"}, 422, "PAGES_OUT_OF_RANGE"),
    "range partly beyond": (lambda: PDF, {"pages": "1-9"}, 422, "PAGES_OUT_OF_RANGE"),
    "page 2 of a picture": (lambda: PNG, {"pages": "2"}, 422, "PAGES_OUT_OF_RANGE"),
    "page 0": (lambda: PDF, {"pages": "0"}, 400, "BAD_REQUEST"),
    "range backwards": (lambda: PDF, {"pages": "2-1"}, 400, "BAD_REQUEST"),
    "pages that are none": (lambda: PDF, {"pages": "one"}, 400, "BAD_REQUEST"),
    "endless pages": (lambda: PDF, {"pages": "1," * 2000}, 400, "BAD_REQUEST"),
    "unknown format": (lambda: PNG, {"format": "docx"}, 400, "BAD_REQUEST"),
    "dpi too low": (lambda: PDF, {"dpi": "10"}, 400, "BAD_REQUEST"),
    "dpi no number": (lambda: PDF, {"dpi": "high"}, 400, "BAD_REQUEST"),
    "unknown pdf_text": (lambda: PDF, {"pdf_text": "maybe"}, 400, "BAD_REQUEST"),
    "words that are neither": (lambda: PNG, {"words": "some"}, 400, "BAD_REQUEST"),
    "unknown option": (lambda: PNG, {"lang": "en"}, 400, "BAD_REQUEST"),
    "two pages as a picture": (lambda: PDF, {"format": "png"}, 422, "ONE_PAGE_ONLY"),
}


@pytest.mark.parametrize("case", FILES)
def test_odd_files_and_options_get_their_own_error(served: Served, case: str) -> None:
    make, options, status, code = FILES[case]
    answer = served.upload(("odd", make()), **options)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert error["message"]
    assert "Traceback" not in error["message"]


def post(served: Served, **request: Any) -> httpx.Response:
    return httpx.post(f"{served.url}/ocr", timeout=60, **request)


REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no body": ({}, 400, "BAD_REQUEST"),
    "json": ({"json": {"images": []}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "a form without a file": (
        {"content": b"--x--\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "BAD_REQUEST",
    ),
    "a form without a boundary": (
        {"content": PNG, "headers": {"content-type": "multipart/form-data"}},
        400,
        "BAD_REQUEST",
    ),
    "a form that is cut off": (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nabc',
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        400,
        "BAD_REQUEST",
    ),
    "two formats": (
        {
            "files": [("f", ("a.png", PNG))],
            "params": [("format", "text"), ("format", "json")],
        },
        400,
        "BAD_REQUEST",
    ),
    "one format here and one there": (
        {"files": [("f", ("a.png", PNG))], "params": {"format": "text"}, "data": {"format": "pdf"}},
        400,
        "BAD_REQUEST",
    ),
    "nothing that can be accepted": (
        {"files": [("f", ("a.png", PNG))], "headers": {"accept": "application/msword"}},
        406,
        "NOT_ACCEPTABLE",
    ),
    "too many files": (
        {"files": [("f", (f"{i}.png", b"x")) for i in range(65)]},
        413,
        "TOO_MANY_IMAGES",
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_odd_requests_get_their_own_error(served: Served, case: str) -> None:
    request, status, code = REQUESTS[case]
    answer = post(served, **request)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert error["message"]


def test_only_post_is_taken(served: Served) -> None:
    answer = served.get("/ocr")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
