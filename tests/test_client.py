"""The client, against a server on loopback that answers as it is told to."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from starlette.responses import JSONResponse, Response

from ocr.client import AsyncClient, Client, Job, Retries, ServerUnreachable
from ocr.document import Document, Line, Page, Word
from ocr.errors import (
    Busy,
    ImageDamaged,
    JobNotDone,
    JobsUnavailable,
    JobUnknown,
    NotAnImage,
    OcrError,
    TimedOut,
)
from ocr.formats import json as json_format
from ocr.wanted import Wanted
from tests.answering import Server, answering, failure

QUICK = Retries(count=3, total_s=20, first_s=0.01, longest_s=0.02)
QUAD = np.array([[1, 2], [30, 2], [30, 12], [1, 12]], np.float32)
WORD = Word(QUAD, "文", 0.5)
DOCUMENT = Document([Page(40, 20, [Line(QUAD, "文", 0.5, words=(WORD,))], dpi=200)], "scan.png")
EVERYTHING = Wanted(words=True)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with answering() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.forget()
    return running


def read_answer(*documents: Document) -> Response:
    return Response(json_format.render(documents, EVERYTHING), media_type="application/json")


def job_answer(state: str, done: int = 0, error: dict[str, str] | None = None) -> Response:
    created = "2026-03-01T12:00:00+00:00"
    told = {"id": "a1", "state": state, "pages_done": done, "pages": 3, "created": created}
    return JSONResponse(told | {"error": error})


@dataclass(frozen=True)
class Caller:
    """Either client behind one face."""

    asynchronous: bool

    def __call__(self, server: Server | str, name: str, *arguments: Any, **options: Any) -> Any:
        url = server if isinstance(server, str) else server.url
        made = {"retries": QUICK} | {
            key: options.pop(key) for key in ("retries", "api_key", "timeout") if key in options
        }
        if not self.asynchronous:
            with Client(url, **cast(Any, made)) as client:
                return getattr(client, name)(*arguments, **options)

        async def run() -> Any:
            async with AsyncClient(url, **cast(Any, made)) as client:
                return await getattr(client, name)(*arguments, **options)

        return asyncio.run(run())


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


def test_a_file_is_sent_and_its_document_comes_back(
    call: Caller, server: Server, tmp_path: Path
) -> None:
    server.answers = [read_answer(DOCUMENT)]
    path = tmp_path / "扫描 1.png"
    path.write_bytes(b"picture")
    wanted = Wanted(format="pdf", pages="2-3", dpi=300, pdf_text="ignore")
    document = call(server, "read", path, wanted=wanted)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/behind/ocr")
    assert asked.files == [("扫描 1.png", b"picture")]
    assert asked.query == {
        "format": "json", "words": "true", "pages": "2-3", "dpi": "300", "pdf_text": "ignore",
    }  # fmt: skip
    assert document.source == "扫描 1.png"
    (page,) = document.pages
    assert (page.width, page.height, page.dpi) == (40, 20, 200)
    (line,) = page.lines
    assert (line.text, line.confidence) == ("文", 0.5)
    np.testing.assert_array_equal(line.quad, QUAD)
    assert line.words[0].text == "文"


def test_bytes_and_open_files_are_sent_from_where_they_stand(
    call: Caller, server: Server, tmp_path: Path
) -> None:
    server.answers = [read_answer(DOCUMENT)]
    assert call(server, "read", b"raw").source == ""
    assert call(server, "read", b"raw", source="a.png").source == "a.png"
    path = tmp_path / "b.png"
    path.write_bytes(b"0123")
    with path.open("rb") as file:
        file.read(1)
        assert call(server, "read", file).source == "b.png"
    assert [asked.files for asked in server.asked] == [
        [("file", b"raw")], [("a.png", b"raw")], [("b.png", b"123")],
    ]  # fmt: skip


def test_a_busy_server_is_asked_again_when_it_says(call: Caller, server: Server) -> None:
    server.answers = [
        failure(503, "BUSY", Retry_After="1"),
        failure(429, "BUSY", Retry_After="1"),
        read_answer(DOCUMENT),
    ]
    assert call(server, "read", b"raw").pages
    assert [asked.files for asked in server.asked] == 3 * [[("file", b"raw")]]
    assert all(1.0 <= wait < 3 for wait in server.waits)


def test_a_busy_server_that_does_not_say_when_is_asked_soon(call: Caller, server: Server) -> None:
    server.answers = [failure(503, "NOT_READY"), read_answer(DOCUMENT)]
    assert call(server, "read", b"raw").pages
    assert len(server.asked) == 2
    assert server.waits[0] < 1


def test_a_server_that_stays_busy_is_given_up(call: Caller, server: Server) -> None:
    server.answers = [failure(503, "BUSY", Retry_After="0")]
    with pytest.raises(Busy, match="no luck"):
        call(server, "read", b"raw")
    assert len(server.asked) == 1 + QUICK.count


def test_a_wait_that_is_too_long_is_not_begun(call: Caller, server: Server) -> None:
    server.answers = [failure(503, "BUSY", Retry_After="3600")]
    with pytest.raises(Busy):
        call(server, "read", b"raw")
    assert len(server.asked) == 1


def test_errors_are_raised_as_what_their_codes_stand_for(call: Caller, server: Server) -> None:
    server.answers = [failure(415, "NOT_AN_IMAGE")]
    with pytest.raises(NotAnImage, match=r"^no luck$"):
        call(server, "read", b"raw")
    server.answers = [failure(401, "KEY_WRONG")]
    with pytest.raises(OcrError, match="KEY_WRONG: no luck") as raised:
        call(server, "read", b"raw")
    assert type(raised.value) is OcrError
    server.answers = [read_answer(Document([], "a", error=ImageDamaged("cut off")))]
    with pytest.raises(ImageDamaged, match="cut off"):
        call(server, "read", b"raw")
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>Bad gateway</html>", 502),
        Response("<html>welcome</html>"),
        Response('{"documents": []}'),
        Response('{"documents": 3}'),
        Response(status_code=302, headers={"Location": "/elsewhere"}),
        Response('{"error": "so"}', 400),
    ],
    ids=["gateway", "page", "none", "number", "redirect", "other error"],
)
def test_an_answer_that_makes_no_sense_is_an_error_that_shows_it(
    call: Caller, server: Server, answer: Response
) -> None:
    server.answers = [answer]
    with pytest.raises(OcrError, match=f"status {answer.status_code}") as raised:
        call(server, "read", b"raw")
    assert server.url in raised.value.message


def test_the_key_goes_with_every_request(call: Caller, server: Server) -> None:
    server.answers = [JSONResponse({"preset": "ppocr"})]
    assert call(server, "capabilities", api_key="s3cret") == {"preset": "ppocr"}
    assert call(server, "capabilities") == {"preset": "ppocr"}
    keys = [asked.headers.get("authorization") for asked in server.asked]
    assert keys == ["Bearer s3cret", None]


def test_files_are_rendered_into_one(call: Caller, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    path.write_bytes(b"two")
    server.answers = [Response(b"%PDF")]
    wanted = Wanted(format="pdf")
    assert call(server, "render", [b"one", path], wanted) == b"%PDF"
    assert call(server, "render", b"one", wanted, sources=["a.png"]) == b"%PDF"
    assert [asked.files for asked in server.asked] == [
        [("file", b"one"), ("b.png", b"two")], [("a.png", b"one")],
    ]  # fmt: skip
    assert server.asked[0].query == {"format": "pdf"}
    with pytest.raises(ValueError, match="2 files, but 1 sources"):
        call(server, "render", [b"one", b"two"], wanted, sources=["a.png"])


def test_a_file_that_is_left_out_is_an_error_unless_it_may_be(call: Caller, server: Server) -> None:
    lost = {"file": 1, "source": "b.png", "code": "IMAGE_DAMAGED", "message": "cut off"}
    server.answers = [Response(b"text", headers={"X-OCR-Errors": json.dumps([lost])})]
    wanted = Wanted(format="text")
    with pytest.raises(ImageDamaged, match=r"b\.png: cut off"):
        call(server, "render", [b"one", b"two"], wanted)
    assert call(server, "render", [b"one", b"two"], wanted, skip_failed=True) == b"text"


def test_a_job_from_its_beginning_to_its_end(call: Caller, server: Server) -> None:
    server.answers = [job_answer("queued")]
    job = call(server, "submit", [b"one"], Wanted(format="text"), sources=["a.pdf"])
    assert isinstance(job, Job)
    assert (job.id, job.state, job.pages, job.is_over) == ("a1", "queued", 3, False)
    assert job.created is not None and job.created.year == 2026

    server.answers = [job_answer("running", 1), job_answer("done", 3)]
    seen: list[int] = []
    over = call(server, "wait", "a1", told=lambda job: seen.append(job.pages_done))
    assert over.state == "done"
    assert seen == [1, 3]

    server.answers = [Response(b"text"), Response(status_code=204)]
    assert call(server, "result", "a1") == b"text"
    assert call(server, "delete", "a/1") is None
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("POST", "/behind/jobs"),
        ("GET", "/behind/jobs/a1"),
        ("GET", "/behind/jobs/a1"),
        ("GET", "/behind/jobs/a1/result"),
        ("DELETE", "/behind/jobs/a/1"),
    ]


def test_what_becomes_of_a_job_that_does_not_come_to_a_good_end(
    call: Caller, server: Server
) -> None:
    server.answers = [job_answer("failed", error={"code": "IMAGE_DAMAGED", "message": "cut"})]
    with pytest.raises(ImageDamaged, match="cut"):
        call(server, "wait", "a1")
    server.answers = [job_answer("cancelled")]
    with pytest.raises(OcrError, match="a1 is cancelled"):
        call(server, "wait", "a1")
    server.answers = [job_answer("running")]
    with pytest.raises(TimedOut, match=r"a1 is running after 0\.1 s"):
        call(server, "wait", "a1", timeout_s=0.1)
    server.answers = [failure(409, "JOB_NOT_DONE")]
    with pytest.raises(JobNotDone):
        call(server, "result", "a1")
    server.answers = [failure(404, "JOB_UNKNOWN")]
    with pytest.raises(JobUnknown):
        call(server, "job", "a1")


def test_a_server_without_jobs_is_not_asked_again(call: Caller, server: Server) -> None:
    server.answers = [failure(503, "JOBS_UNAVAILABLE")]
    with pytest.raises(JobsUnavailable):
        call(server, "submit", b"one", Wanted())
    assert len(server.asked) == 1


def test_silence_is_not_waited_for_twice(call: Caller, server: Server) -> None:
    server.answers = [read_answer(DOCUMENT)]
    server.pause_s = 1
    with pytest.raises(TimedOut, match="no answer"):
        call(server, "read", b"raw", timeout=0.2)
    assert len(server.asked) == 1


# Connections that fail


def test_a_server_that_is_not_there_is_looked_for_again(call: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unheard:
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(ServerUnreachable, match=url):
        call(url, "read", b"raw", retries=Retries(count=2, first_s=0.2))
    assert time.monotonic() - start > 0.1 + 0.2  # the shortest two waits


@pytest.mark.parametrize("url", ["http://server.invalid", "nonsense", "ftp://server"])
def test_a_url_that_is_none_is_not_tried_again(
    call: Caller, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown_name(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown_name)
    start = time.monotonic()
    with pytest.raises(ServerUnreachable, match=url):
        call(url, "read", b"raw", retries=Retries(count=3, first_s=5))
    assert time.monotonic() - start < 2


RESET = struct.pack("ii", 1, 0)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture
def resetting() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes a request and resets the connection, or ends it; then it answers."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, args=[listening, requests], daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests
        listening.shutdown(socket.SHUT_RDWR)  # close() alone would leave accept() waiting


def hang_up(listening: socket.socket, requests: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # the test is over
            return
        with closing(connection):
            request = b""
            while not request.endswith(b"--\r\n"):  # the end of a form
                request += connection.recv(65536)
            requests.append(request)
            if len(requests) == 1:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            elif len(requests) == 3:
                connection.sendall(ANSWER)


def test_a_connection_that_is_lost_before_the_answer_is_made_again(
    call: Caller, resetting: tuple[str, list[bytes]]
) -> None:
    url, requests = resetting
    assert call(url, "render", b"PICTURE", Wanted()) == b"{}"
    assert len(requests) == 3
    assert all(b"PICTURE" in request for request in requests)


def test_a_job_is_not_submitted_twice(call: Caller, resetting: tuple[str, list[bytes]]) -> None:
    url, requests = resetting
    with pytest.raises(ServerUnreachable):
        call(url, "submit", b"PICTURE", Wanted())
    assert len(requests) == 1
