"""What a running service keeps to itself: hosts, keys, ports, and what it unpacks."""

import pickle
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.addresses import FORBIDDEN
from tests.hosts import listening, loopbacks
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow

KEY, OTHER = "correct-horse", "battery-staple"
PAGES = "https://pages.example"
RATE = 12  # requests a minute, of one key
AT_ONCE = 64  # URLs in one request


@pytest.fixture(scope="module")
def guarded(store: Path) -> Iterator[Served]:
    with serve(
        store, api_keys=f"{KEY},{OTHER}", rate_limit=str(RATE), cors_origins=PAGES, jobs="off"
    ) as running:
        yield running


def ask(served: Served, method: str, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, served.url + path, headers=named, timeout=60)


def test_nothing_of_the_list_is_fetched(served: Served) -> None:
    codes: dict[str, str] = {}
    with listening(b"HTTP/1.1 200 OK\r\n\r\n", b"", *loopbacks()) as listener:
        entries = [entry.replace("{port}", str(listener.port)) for entry in FORBIDDEN]
        for start in range(0, len(entries), AT_ONCE):
            some = entries[start : start + AT_ONCE]
            answer = served.read(*some)
            assert answer.status_code == 422
            codes |= {
                entry: error["code"]
                for entry, error in zip(some, answer.json()["errors"], strict=True)
            }
        assert listener.accepted == 0
    assert len(codes) == len(FORBIDDEN)
    assert {entry: code for entry, code in codes.items() if code != "URL_FORBIDDEN"} == {}


@pytest.mark.parametrize("path", ["/", "/docs", "/docs.json", "/health", "/nothing", "/page/x"])
def test_every_answer_says_what_a_browser_may_not_do(served: Served, path: str) -> None:
    headers = served.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    policy = headers["content-security-policy"]
    scripts = "'self'" if path in ("/", "/docs") else "'none'"
    assert policy.startswith(f"default-src {scripts};") and "unsafe" not in policy


def test_errors_of_the_door_say_it_as_well(narrow: Served) -> None:
    refused = narrow.upload(("a.png", bytes(600_000)))
    assert refused.status_code == 413
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_without_a_key_there_is_only_what_is_public(guarded: Served) -> None:
    page = guarded.get("/").text + guarded.get("/docs").text
    assets = re.findall(r'(?:src|href)="((?:page|static_content)/[^"]+)"', page)
    assert len(assets) > 4
    public = ["/", "/docs", "/docs.json", "/health", "/healthz", "/livez", "/readyz", "/metrics"]
    for path in [*public, *(f"/{asset}" for asset in assets)]:
        assert guarded.get(path).status_code == 200, path
    for method, path in every_call(guarded):
        if path not in public:
            refused = ask(guarded, method, path)
            assert refused.status_code == 401, path
            assert refused.json()["error"]["code"] == "UNAUTHORIZED"
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.headers["x-request-id"]


def every_call(served: Served) -> list[tuple[str, str]]:
    paths = served.get("/docs.json").json()["paths"]
    calls = [
        (method.upper(), path.replace("{id}", "1"))
        for path, methods in paths.items()
        for method in methods
    ]
    assert len(calls) > 10
    return [*calls, ("GET", "/schema.json")]


def test_either_header_brings_a_key(guarded: Served) -> None:
    assert ask(guarded, "GET", "/capabilities", Authorization=f"Bearer {KEY}").status_code == 200
    assert ask(guarded, "GET", "/capabilities", X_API_Key=OTHER).status_code == 200
    assert ask(guarded, "GET", "/capabilities", X_API_Key=f"{KEY}x").status_code == 401


def test_a_key_has_so_many_requests_a_minute(guarded: Served) -> None:
    statuses = [
        ask(guarded, "POST", "/ocr", X_API_Key=OTHER, Content_Type="text/x").status_code
        for _ in range(RATE)
    ]
    assert set(statuses) == {415}
    refused = ask(guarded, "POST", "/ocr", X_API_Key=OTHER, Origin=PAGES)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["access-control-allow-origin"] == PAGES
    assert ask(guarded, "POST", "/ocr", X_API_Key=KEY, Content_Type="text/x").status_code == 415


def preflight(served: Served, origin: str, method: str = "POST") -> httpx.Response:
    return ask(
        served,
        "OPTIONS",
        "/ocr",
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers="authorization,content-type,x-api-key",
    )


def test_pages_of_a_known_origin_may_call(guarded: Served) -> None:
    asked = preflight(guarded, PAGES)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGES
    assert "POST" in asked.headers["access-control-allow-methods"]
    allowed = asked.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "x-api-key" in allowed
    assert preflight(guarded, PAGES, "DELETE").status_code == 200
    answer = ask(guarded, "GET", "/capabilities", Origin=PAGES, X_API_Key=KEY)
    assert answer.headers["access-control-allow-origin"] == PAGES
    assert "origin" in answer.headers["vary"].lower()
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("x-ocr-errors", "x-request-id", "retry-after", "content-disposition", "location"):
        assert name in exposed
    assert "access-control-allow-credentials" not in answer.headers


def test_pages_of_others_may_not(guarded: Served) -> None:
    for origin in ("https://evil.example", f"{PAGES}.evil.example", "null", "http://pages.example"):
        assert preflight(guarded, origin).status_code == 400
        answer = ask(guarded, "GET", "/capabilities", Origin=origin, X_API_Key=KEY)
        assert "access-control-allow-origin" not in answer.headers


def test_errors_may_be_read_by_them_too(guarded: Served) -> None:
    for path, status in (("/capabilities", 401), ("/nothing", 401)):
        refused = ask(guarded, "GET", path, Origin=PAGES)
        assert refused.status_code == status
        assert refused.headers["access-control-allow-origin"] == PAGES


def test_without_origins_no_page_of_others_may_call(served: Served) -> None:
    answer = ask(served, "GET", "/capabilities", Origin=PAGES)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


class Trap:
    """Leaves a file where it is unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "kind",
    ["application/vnd.bentoml+pickle", "application/vnd.bentoml+pickle; x=y", "application/pickle"],
)
def test_no_pickle_is_unpacked(served: Served, tmp_path: Path, kind: str) -> None:
    sprung = tmp_path / "sprung"
    body = pickle.dumps({"images": [Trap(sprung)]})
    private = [("POST", f"/{name}") for name in ("detect", "recognise", "describe", "__self__")]
    for method, path in [*every_call(served), *private]:
        if method in ("POST", "PUT"):
            headers = {"Content-Type": kind, "Payload-Container": "x", "Buffer-Lengths": "1"}
            answer = httpx.request(
                method, served.url + path, content=body, headers=headers, timeout=60
            )
            assert answer.status_code in (400, 404, 405, 415), path
    assert not sprung.exists()
    pickle.loads(body)  # noqa: S301
    assert sprung.exists()  # so the trap works


def test_only_the_service_listens_and_only_its_user_reaches_the_runners(served: Served) -> None:
    tree = [psutil.Process(served.pid), *psutil.Process(served.pid).children(recursive=True)]
    port = int(served.url.rpartition(":")[2])
    bound = [
        (each.laddr.ip, each.laddr.port)
        for process in tree
        for each in process.net_connections("inet")
        if not each.raddr and each.laddr
    ]
    assert set(bound) == {("127.0.0.1", port)}
    paths = {
        Path(each.laddr)
        for process in tree
        for each in process.net_connections("unix")
        if each.laddr and each.laddr.startswith("/")
    }
    assert len({path for path in paths if path.suffix == ".sock"}) == 2  # one for each runner
    for path in paths:
        folder = path.parent.stat()
        assert stat.S_IMODE(folder.st_mode) == 0o700, path
        assert folder.st_uid == psutil.Process(served.pid).uids().effective
