"""Whatever is sent, the service answers as its description says, soon, and goes on.

schemathesis sends what it makes of /docs.json for OCR_FUZZ_S seconds, from the seed OCR_FUZZ_SEED
on; then each test sends for a part of that time what a description does not think of.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ocr.formats.catalogue import FORMATS
from tests import pictures
from tests.conftest import ROOT
from tests.fuzz.conftest import REST_S, TIMEOUT_S
from tests.fuzz.mutations import mutated, seeds
from tests.fuzz.promises import broken
from tests.service.served import Served

pytestmark = pytest.mark.fuzz

SECONDS = int(os.environ.get("OCR_FUZZ_S", "30"))
SEED = int(os.environ.get("OCR_FUZZ_SEED", "0"))
PART_S = SECONDS / 5  # of each test of our own
ROUND = 25  # examples between two looks at the clock
HANG_S = TIMEOUT_S + 10.0
GOOD = pictures.to_png(pictures.label("Hello 2026").image)
FILES = seeds() | {"good": GOOD}

Sent = TypeVar("Sent")


def go_on(strategy: st.SearchStrategy[Sent], send: Callable[[Sent], object]) -> int:
    """Send examples for PART_S seconds; gives their number. What fails is made small and told."""
    end, rounds = time.monotonic() + PART_S, 0
    while not rounds or time.monotonic() < end:

        @seed(SEED + rounds)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def send_one(example: Sent) -> None:
            send(example)

        send_one()
        rounds += 1
    return rounds * ROUND


def told(capsys: pytest.CaptureFixture[str], statuses: Counter[int]) -> None:
    with capsys.disabled():
        print(f"\n{statuses.total()} answers from seed {SEED}: {dict(sorted(statuses.items()))}")


class Client:
    """Sends requests, holds their answers to what is promised, and counts their statuses."""

    def __init__(self, service: Served) -> None:
        self.statuses: Counter[int] = Counter()
        self._client = httpx.Client(base_url=service.url, timeout=HANG_S)

    def post(
        self, path: str, body: bytes, kind: bytes, accept: bytes = b"*/*", query: object = None
    ) -> httpx.Response:
        headers = [(b"Content-Type", kind), (b"Accept", accept)]
        url = httpx.URL(path, params=query) if query else path
        answer = self._client.post(url, content=body, headers=headers)
        return self._kept(answer)

    def get(self, path: str) -> httpx.Response:
        return self._kept(self._client.get(path))

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        wrong = broken(answer.status_code, answer.headers, answer.content)
        assert not wrong, wrong
        self.statuses[answer.status_code] += 1
        return answer


def test_the_description_is_kept_to(
    fuzzed: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", ROOT / "tests/fuzz/schemathesis.toml", "--no-color"),
            *("run", f"{fuzzed.url}/docs.json", "--max-time", str(SECONDS), "--seed", str(SEED)),
            *("--request-timeout", str(HANG_S), "--report", "json"),
            *("--report-json-path", tmp_path / "report.json"),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * SECONDS + 300,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found["operations"]["tested"] == found["operations"]["total"] >= 10
    with capsys.disabled():
        print(f"\n{found['test_cases']['generated']} requests of schemathesis from seed {SEED}")
    assert found["test_cases"]["generated"] > 20
    assert not found["errors"]


# Names and values of headers as a broken client may write them; no line breaks, which end them.
TEXTS = st.one_of(
    st.sampled_from(
        [b"", b"a.png", b"../../a.png", b"a\\b.pdf", "中文.png".encode(), b'a"b', b"\xff"]
    ),
    st.binary(max_size=30).map(lambda text: re.sub(rb"[\r\n]", b"", text)),
)
BOUNDARIES = st.one_of(
    st.sampled_from([b"x", b"--", b"a b", b"", b"x" * 300, b'"quoted"', b"=", b"x; y", b"\xe9"]),
    st.binary(min_size=1, max_size=20).map(lambda text: re.sub(rb"[^!-~]", b"-", text)),
)
DATA = st.one_of(
    st.just(GOOD),
    st.randoms(use_true_random=False).map(lambda random: mutated(random, FILES)[1]),
    st.binary(max_size=200),
)
OPTION_NAMES = ["format", "words", "pages", "dpi", "pdf_text", "pictures", "colour", "file", ""]
OPTION_VALUES = st.one_of(
    st.sampled_from(
        [
            *FORMATS,
            "true",
            "0",
            "1-",
            "2,1,1",
            "-1",
            "3-1",
            "99",
            "72",
            "600",
            "1e9",
            "keep",
            "ignore",
        ]
    ),
    st.text(max_size=12).filter(lambda text: text.isprintable()),
)
OPTIONS = st.lists(st.tuples(st.sampled_from(OPTION_NAMES), OPTION_VALUES), max_size=4)
ACCEPTS = st.one_of(
    st.sampled_from([b"*/*", b"", b"image/*", b"text/html", b";", b"*/*;q=", b"a" * 5000, b",,,"]),
    st.lists(
        st.tuples(
            st.sampled_from([each.media_type for each in FORMATS.values()] + ["*/*", "*", "x/y"]),
            st.sampled_from(
                ["", ";q=0", ";q=1", ";q=nan", ";q=-1", ";q=1e400", ";;", ";q=0.5;q=1"]
            ),
        ),
        max_size=5,
    ).map(lambda parts: ", ".join(kind + weight for kind, weight in parts).encode()),
)
CALLS = st.sampled_from(["/ocr"] * 9 + ["/jobs"])


HEADS = [
    b'Content-Disposition: form-data; name="file"; filename="%(file)s"\r\n\r\n',
    b'Content-Disposition: form-data; name="%(name)s"; filename="%(file)s"\r\n\r\n',
    b'Content-Disposition: form-data; name="%(name)s"\r\n\r\n',
    b"Content-Disposition: form-data\r\n\r\n",
    b"Content-Disposition: form-data; filename*=UTF-8''%%ff%%00; name=file\r\n\r\n",
    b"Content-Type: %(name)s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    b"%(name)s\r\n\r\n",
    b"\r\n",
    b"",
]
ENDINGS = [b"--%b", b"--%b--", b"%b", b"%%%b"]
KINDS = [
    b"multipart/form-data;boundary",
    b"multipart/form-data;a=b;boundary=",
    b"Multipart/Form-Data;",
]


def mostly(right: st.SearchStrategy[Any], wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The first, three times in four."""
    return st.integers(0, 3).flatmap(lambda number: right if number else wrong)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A form's content type and body, each with or without faults."""
    declared = draw(mostly(st.just(b"plain"), BOUNDARIES))
    used = draw(mostly(st.just(declared), BOUNDARIES))
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        name, file, data = draw(TEXTS), draw(TEXTS), draw(DATA)
        head = draw(mostly(st.just(HEADS[0]), st.sampled_from(HEADS)))
        parts.append(b"--%b\r\n%b%b\r\n" % (used, head % {b"name": name, b"file": file}, data))
    body = b"".join(parts) + draw(mostly(st.just(b"--%b--\r\n"), st.sampled_from(ENDINGS))) % used
    cut = draw(mostly(st.none(), st.integers(0, len(body))))
    kind = draw(mostly(st.just(b"multipart/form-data; boundary="), st.sampled_from(KINDS)))
    return kind + declared, body[:cut]


def test_forms(fuzzed: Served, capsys: pytest.CaptureFixture[str]) -> None:
    client = Client(fuzzed)

    def send(example: tuple[tuple[bytes, bytes], str]) -> None:
        (kind, body), call = example
        client.post(call, body, kind)

    go_on(st.tuples(forms(), CALLS), send)
    told(capsys, client.statuses)
    assert {200, 400} <= set(client.statuses)


def test_files_and_options(fuzzed: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of jobs, which have to end, each in its own way."""
    client, jobs = Client(fuzzed), set()
    kinds = st.sampled_from([b"application/octet-stream", b"image/png", b"application/pdf", b"a/b"])

    def send(example: tuple[str, bytes, bytes, bytes, list[tuple[str, str]]]) -> None:
        call, data, kind, accept, options = example
        answer = client.post(call, data, kind, accept, options)
        if answer.status_code == 202:
            jobs.add(answer.json()["id"])

    go_on(st.tuples(CALLS, DATA, kinds, ACCEPTS, OPTIONS), send)
    end = time.monotonic() + REST_S
    for job in jobs:
        while client.get(f"/jobs/{job}").json()["state"] not in ("done", "failed"):
            assert time.monotonic() < end, f"job {job} hangs"
            time.sleep(0.2)
        client.get(f"/jobs/{job}/result")
    told(capsys, client.statuses)
    assert {200, 400} <= set(client.statuses)


IMAGES = st.one_of(
    DATA.map(pictures.to_base64),
    st.sampled_from(
        [
            "data:image/png;base64," + pictures.to_base64(GOOD),
            "data:,",
            "data:;base64",
            "data:image/png," + "%41" * 30,
            "http://127.0.0.1:1/a.png",
            "http://[::ffff:127.0.0.1]/",
            "http://0x7f.1/",
            "http://",
            "http://[",
            "http://a:b@c:99999/",
            "HTTP://LOCALHOST/\u0000",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "\ud800",
        ]
    ),
    st.text(max_size=50),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), IMAGES),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
BODIES = st.one_of(
    st.lists(IMAGES, max_size=5).map(lambda images: json.dumps({"images": images}).encode()),
    VALUES.map(lambda value: json.dumps({"images": value}).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"images":' * 5000,
            b'{"images": [' + b"9" * 20_000 + b"]}",
            b'{"images": ["A"], "images": [1]}',
            b'\xef\xbb\xbf{"images": ["QQ=="]}',
            json.dumps({"images": ["QQ=="]}).encode("utf-16"),
            b'{"images": ["\xff\xfe"]}',
            b'{"images": ["\\ud800"]}',
            b'{"images": [NaN, Infinity]}',
            b"\x00" * 100,
        ]
    ),
    st.binary(max_size=200),
)


def test_bodies(fuzzed: Served, capsys: pytest.CaptureFixture[str]) -> None:
    client = Client(fuzzed)
    kinds = st.sampled_from(
        [b"application/json", b"text/plain", b"", b"application/json; charset=x"]
    )
    paths = st.sampled_from(["/ocr_system", "/predict/ocr_system"])

    def send(example: tuple[str, bytes, bytes]) -> None:
        client.post(*example)

    go_on(st.tuples(paths, BODIES, kinds), send)
    told(capsys, client.statuses)
    assert {200, 400, 422} <= set(client.statuses)


ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
BODY = json.dumps({"images": [pictures.to_base64(GOOD)]}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LINES = st.sampled_from(
    [
        b"POST /ocr_system HTTP/1.1\r\n",
        b"POST /ocr HTTP/1.0\r\n",
        b"POST /ocr_system HTTP/9.9\r\n",
        b"POST /ocr_system\r\n",
        b"GET /%00%ff%zz/../../etc/passwd HTTP/1.1\r\n",
        b"GET /jobs/" + b"x" * 70_000 + b" HTTP/1.1\r\n",
        b"GET http://127.0.0.1/health HTTP/1.1\r\n",
        b"GET /page/..%2f..%2fservice.py HTTP/1.1\r\n",
        b"GET /page//etc/passwd HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\xff\xfe \x00\r\n",
        b"\r\n\r\nHEAD / HTTP/1.1\r\n",
    ]
)
HEADERS = st.sampled_from(
    [
        b"Host: x\r\n",
        LENGTH,
        CHUNKED,
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 10, 20\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAA\r\n",
        b"Connection: close\r\n",
        b"X: " + b"y" * 70_000 + b"\r\n",
        b"X: y\r\n" * 2000,
        b" folded\r\n",
        b"no colon\r\n",
        b"Na me: x\r\n",
        b"X-Request-ID: \xff\x01\r\n",
        b"Origin: null\r\nAuthorization: Bearer \xe9\r\n",
        b"traceparent: 00-zz-zz-01\r\n",
        b"Accept: \xff\r\n",
        b"Range: bytes=9-1\r\n",
    ]
)
ENDS = st.sampled_from(
    [
        b"\r\n" + BODY,
        b"\r\n" + BODY[:10],
        b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        b"\r\n5\r\nab",
        b"\r\nffffffffffffffffff\r\nab\r\n",
        b"\r\n-1\r\nab\r\n0\r\n\r\n",
        b"\r\nzz\r\n",
        b"\r\n0\r\nX: y\r\n\r\n",
        b"\r\n",
        b"",
    ]
)
REQUESTS = st.tuples(LINES, st.lists(HEADERS, max_size=4).map(b"".join), ENDS).map(b"".join)
STREAMS = st.tuples(
    st.lists(REQUESTS, min_size=1, max_size=4).map(b"".join),  # more than one in a row
    st.integers(0, 400),  # bytes of it that come first
    st.booleans(),  # whether its end is told
)


def test_what_is_no_http(fuzzed: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that says that no more will come, as one that just goes, is done with at once."""
    address = (urlsplit(fuzzed.url).hostname, urlsplit(fuzzed.url).port)
    statuses: Counter[int] = Counter()

    def send(example: tuple[bytes, int, bool]) -> None:
        data, first, ends = example
        answer = _talk(address, [data[:first], data[first:]], ends)
        found = [int(status) for status in ANSWER.findall(answer)]
        statuses.update(found)
        assert all(status < 500 for status in found), answer[:2000]

    go_on(STREAMS, send)
    told(capsys, statuses)
    assert statuses[400]


def _talk(address: tuple[str | None, int | None], parts: list[bytes], ends: bool) -> bytes:
    """Send parts, perhaps the end, and give what comes back until the server closes.

    One that does not end waits for a moment only, and goes. Raises TimeoutError on a hang.
    """
    answer = b""
    with socket.create_connection(address, timeout=HANG_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.01)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.settimeout(0.1)
            while part := connection.recv(65536):
                answer += part
        except TimeoutError:
            if ends:
                raise
        except OSError:  # it closed, as it may
            return answer
    return answer


def test_promises_that_are_broken_are_seen() -> None:
    kind = {"content-type": "application/json"}
    good = b'{"error": {"code": "BUSY", "message": "x"}}'
    assert not broken(503, kind | {"retry-after": "1"}, good)
    assert not broken(200, {}, b"%PDF")
    assert not broken(422, kind, b'{"results": [[]], "errors": [{"code": "NOT_BASE64"}]}')
    assert broken(503, kind, good)
    assert broken(500, kind, good)
    assert broken(400, {"content-type": "text/plain"}, b"no")
    assert broken(422, kind, b'{"results": [[]], "errors": [{"code": "INTERNAL_ERROR"}]}')
    assert broken(200, {"x-ocr-errors": '[{"code": "INTERNAL_ERROR"}]'}, b"")
