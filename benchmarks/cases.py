"""Requests of every kind that a client may send, right ones and wrong ones, and their answers."""

import asyncio
import base64
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, zip_longest
from pathlib import Path
from typing import NamedTuple

import aiohttp
import client
from mixture import CROPS, ODD, PAGES, SMALL, pictures

FORMATS = ("json", "text", "markdown", "hocr", "alto", "pdf", "png")
BOUNDARY = "a-line-between"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
RAW, SEVERAL, FORMS, JOBS, BAD = "raw crops", "several crops", "forms", "jobs", "bad requests"
POLL_S = 0.2  # between two looks at a job
COMPARED = ("Content-Type", "Content-Disposition", "X-OCR-Errors", "Retry-After")
FORBIDDEN = [
    "http://127.0.0.1/a.png",
    "http://[::1]/a.png",
    "http://2130706433/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://user@10.0.0.1:80/a.png",
    "ftp://192.168.0.1/a.png",
    "file:///etc/passwd",
]


class Outcome(NamedTuple):
    """An answer, as far as it is the same each time."""

    status: int
    headers: tuple[str | None, ...]  # those of COMPARED
    body: bytes

    @property
    def refused(self) -> bool:
        """Whether the server said that it has too much to do, and when to come again."""
        return self.status in (429, 503) and self.headers[COMPARED.index("Retry-After")] is not None

    def beside(self, other: "Outcome") -> str:
        """Where this answer differs from another one, in short."""
        if self[:2] != other[:2]:
            return f"{self.status} {self.headers} {self.body[:200]!r}, alone {other[:2]}"
        pairs = enumerate(zip_longest(self.body, other.body))
        place = next((i for i, (one, two) in pairs if one != two), 0)
        around = slice(max(0, place - 40), place + 40)
        return f"at byte {place}: {self.body[around]!r}, alone {other.body[around]!r}"


@dataclass(frozen=True)
class Case:
    """One request. `job` says that its answer is to be asked for until it is there."""

    name: str
    path: str
    body: bytes = field(repr=False)
    kind: str = JSON
    job: bool = False


async def ask(session: aiohttp.ClientSession, url: str, case: Case) -> Outcome:
    """Send a request to the service at `url`, and wait for a job's result.

    Raises aiohttp.ClientError or TimeoutError if there is no answer.
    """
    headers = {"Content-Type": case.kind}
    async with session.post(url + case.path, data=case.body, headers=headers) as response:
        if not case.job or response.status != 202:
            return await _outcome(response)
        place = url + response.headers["Location"]
    return await _result(session, place)


async def _result(session: aiohttp.ClientSession, place: str) -> Outcome:
    """The result of a job, which is forgotten then."""
    while True:
        async with session.get(place) as response:
            state = (await response.json())["state"]
        if state in ("done", "failed"):
            break
        await asyncio.sleep(POLL_S)
    async with session.get(f"{place}/result") as response:
        outcome = await _outcome(response)
    async with session.delete(place) as response:
        await response.read()
    return outcome


async def _outcome(response: aiohttp.ClientResponse) -> Outcome:
    headers = tuple(response.headers.get(name) for name in COMPARED)
    return Outcome(response.status, headers, await response.read())


def cases(folder: Path, most: Mapping[str, int], seed: int) -> dict[str, list[Case]]:
    """Distinct requests by kind, at most so many of each, of the pictures of a folder."""
    chance = random.Random(seed)
    found = pictures(folder)
    for paths in found.values():
        chance.shuffle(paths)
    crops = found[CROPS]
    small, pages, odd = (found.get(kind, []) for kind in (SMALL, PAGES, ODD))
    kinds = {
        CROPS: [_call(path) for path in crops],
        RAW: [_raw(path) for path in crops],
        SEVERAL: [_call(*crops[i : i + 4]) for i in range(0, len(crops), 4)],
        SMALL: [_call(path) for path in small],
        FORMS: [
            _form(path, FORMATS[i // 2 % len(FORMATS)])
            for i, path in enumerate(chain.from_iterable(zip(cycle(small), crops, strict=False)))
        ],
        JOBS: [_job(path, FORMATS[i % len(FORMATS)]) for i, path in enumerate(crops)],
        PAGES: [_either(path, i) for i, path in enumerate(pages)],
        ODD: [_either(path, i) for i, path in enumerate(odd)],
        BAD: bad(crops[0]),
    }
    return {kind: each[: most[kind]] for kind, each in kinds.items() if each}


def _either(path: Path, number: int) -> Case:
    """Every second one as a form."""
    return _form(path, FORMATS[number // 2 % len(FORMATS)]) if number % 2 else _call(path)


def _call(*paths: Path) -> Case:
    images = [base64.b64encode(path.read_bytes()).decode("ascii") for path in paths]
    name = ", ".join(path.name for path in paths)
    return Case(f"{name} to {client.PATH}", client.PATH, json.dumps({"images": images}).encode())


def _raw(path: Path) -> Case:
    return Case(f"{path.name} to /ocr", "/ocr", path.read_bytes(), "application/octet-stream")


def _form(path: Path, wanted: str) -> Case:
    body = form(path.name, path.read_bytes())
    return Case(f"{path.name} as {wanted}", f"/ocr?format={wanted}", body, FORM)


def _job(path: Path, wanted: str) -> Case:
    body = form(path.name, path.read_bytes())
    return Case(f"job of {path.name} as {wanted}", f"/jobs?format={wanted}", body, FORM, job=True)


def form(name: str, data: bytes, count: int = 1) -> bytes:
    """The body of a form, of the type FORM, with a file, or several of the same."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    part = head.encode() + data + b"\r\n"
    return part * count + f"--{BOUNDARY}--\r\n".encode()


def bad(path: Path) -> list[Case]:
    """Requests of which nothing, or not everything, can be read; `path` is a good picture."""
    data = path.read_bytes()
    good = base64.b64encode(data).decode("ascii")
    right, hub = form(path.name, data), client.PATH
    calls = {
        "no JSON": b"{images",
        "nothing": b"",
        "cut JSON": json.dumps({"images": [good]}).encode()[:-20],
        "no object": b"[]",
        "deep JSON": b"[" * 5000,
        "wrong field": json.dumps({"pictures": [good]}).encode(),
        "wrong type": b'{"images": "text"}',
        "wrong items": b'{"images": [1, null, {}]}',
        "no images": b'{"images": []}',
        "too many images": json.dumps({"images": ["A"] * 1000}).encode(),
        "no base64": json.dumps({"images": ["no base64!", good]}).encode(),
        "no picture": json.dumps({"images": [base64.b64encode(bytes(500)).decode()]}).encode(),
        "cut picture": json.dumps({"images": [good[: len(good) // 8 * 4]]}).encode(),
        "forbidden URLs": json.dumps({"images": FORBIDDEN}).encode(),
        "forbidden URL and a picture": json.dumps({"images": [FORBIDDEN[0], good]}).encode(),
    }
    files = {
        "nothing": Case("", "/ocr", b"", FORM),
        "cut form": Case("", "/ocr", right[: len(right) // 2], FORM),
        "form without its boundary": Case("", "/ocr", right, "multipart/form-data"),
        "form with another boundary": Case("", "/ocr", right, FORM + "s"),
        "form without a file": Case("", "/ocr", form("", b""), FORM),
        "too many files": Case("", "/ocr", form("a.png", data, 100), FORM),
        "wrong media type": Case("", "/ocr", right, "text/plain"),
        "JSON for a file": Case("", "/ocr", b"{}"),
        "unknown format": Case("", "/ocr?format=docx", right, FORM),
        "unknown option": Case("", "/ocr?colour=1", right, FORM),
        "option given twice": Case("", "/ocr?dpi=100&dpi=200", right, FORM),
        "no such page": Case("", "/ocr?pages=7", right, FORM),
        "bad pages": Case("", "/ocr?pages=5-1", right, FORM),
        "unknown path": Case("", "/nothing/here", right, FORM),
        "path that only answers GET": Case("", "/capabilities", b"{}"),
    }
    return [
        *(Case(f"{name} to {hub}", hub, body) for name, body in calls.items()),
        *(replace(case, name=f"{name} to {case.path}") for name, case in files.items()),
    ]
