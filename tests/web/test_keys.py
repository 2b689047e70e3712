"""Who may call without a key, who with one, and how often."""

import hmac
import logging
import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ocr.errors import RateLimited
from ocr.settings import Settings
from tests.web.calls import Calls
from web import keys
from web.keys import Keys, Rate, address_of

KEY, OTHER = "correct-horse", "battery-staple"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


async def answer(request: Request) -> Response:
    return JSONResponse({"path": request.url.path})


def client(address: str = "203.0.113.7", **settings: Any) -> Calls:
    app = Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])
    return Calls(Keys(app, Settings(**settings)), address)


def guarded(**settings: Any) -> Calls:
    return client(api_keys=f"{KEY}, {OTHER},", **settings)


@pytest.mark.parametrize("path", ["/", "/docs", "/docs.json", "/health", "/metrics", "/readyz"])
def test_the_page_the_documentation_and_health_need_no_key(path: str) -> None:
    calls = guarded()
    assert calls.get(path).status_code == 200
    assert calls.request("HEAD", path).status_code == 200
    assert calls.post(path).status_code == 401


@pytest.mark.parametrize("path", ["/page/page.js", "/static_content/swagger-ui.css"])
def test_what_they_load_needs_no_key(path: str) -> None:
    calls = guarded()
    assert calls.get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ocr"),
        ("POST", "/ocr_system"),
        ("POST", "/predict/ocr_system"),
        ("POST", "/jobs"),
        ("GET", "/jobs/1"),
        ("DELETE", "/jobs/1"),
        ("GET", "/jobs/1/result"),
        ("GET", "/capabilities"),
        ("GET", "/health/inference"),
        ("GET", "/schema.json"),
        ("GET", "/nothing"),
        ("GET", "/page"),
        ("GET", "/docs/"),
        ("PUT", "/page/page.js"),
    ],
)
def test_all_else_needs_one(method: str, path: str) -> None:
    calls = guarded()
    refused = calls.request(method, path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == "UNAUTHORIZED"
    known = calls.request(method, path, headers={"Authorization": f"Bearer {KEY}"})
    assert known.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer   {OTHER} "},
        {"X-API-Key": KEY},
        {"X-API-Key": OTHER, "Authorization": "Basic b25lOnR3bw=="},
        {"X-API-Key": KEY, "Authorization": "Bearer wrong"},
    ],
)
def test_a_key_comes_in_either_header(headers: dict[str, str]) -> None:
    calls = guarded()
    assert calls.post("/ocr", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY.upper()}"},
        {"Authorization": f"Bearer {KEY}, {OTHER}"},
        {"X-API-Key": ""},
        {"X-API-Key": f"{KEY},{OTHER}"},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_what_is_no_key_is_refused(headers: dict[str, str]) -> None:
    calls = guarded()
    assert calls.post("/ocr", headers=headers).status_code == 401
    assert calls.post(f"/ocr?api_key={KEY}", headers=headers).status_code == 401


def test_keys_may_be_of_any_letters() -> None:
    calls = client(api_keys="钥匙")
    told = {"X-API-Key": "钥匙".encode()}
    assert calls.post("/ocr", headers=told).status_code == 200


def test_without_keys_all_may_call() -> None:
    for none in ("", " , "):
        calls = client(api_keys=none)
        assert calls.post("/ocr").status_code == 200


def test_a_preflight_passes() -> None:
    calls = guarded()
    assert calls.request("OPTIONS", "/ocr").status_code == 200


def test_every_key_is_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare_digest = hmac.compare_digest

    def compare(known: bytes, told: bytes) -> bool:
        compared.append(len(known) == len(told) == 32)
        return compare_digest(known, told)

    monkeypatch.setattr("web.keys.hmac.compare_digest", compare)
    calls = guarded()
    for told in (KEY, OTHER, "wrong"):
        compared.clear()
        calls.post("/ocr", headers={"X-API-Key": told})
        assert compared == [True, True]


def test_keys_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    calls = guarded(rate_limit=1)
    for told in (KEY, KEY, "wrong-key"):
        calls.post("/ocr", headers={"X-API-Key": told})
    assert "UNAUTHORIZED" in caplog.text and "RATE_LIMITED" in caplog.text
    assert KEY not in caplog.text and "wrong-key" not in caplog.text
    assert KEY not in repr(vars(calls.app))


def test_a_key_has_so_many_requests_a_minute() -> None:
    calls = guarded(rate_limit=2)
    for _ in range(2):
        assert calls.post("/ocr", headers={"X-API-Key": KEY}).status_code == 200
    refused = calls.post("/ocr", headers={"X-API-Key": KEY})
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert 58 <= int(refused.headers["retry-after"]) <= 60
    assert calls.post("/ocr", headers={"X-API-Key": OTHER}).status_code == 200
    assert calls.get("/jobs/1", headers={"X-API-Key": KEY}).status_code == 200
    assert calls.post("/ocr").status_code == 401


def test_without_keys_an_address_has_them() -> None:
    calls = client("203.0.113.7", rate_limit=1)
    assert [calls.post("/ocr").status_code for _ in range(2)] == [200, 429]
    assert calls.get("/capabilities").status_code == 200


class Clock:
    """The time, as one sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)


def test_it_may_come_again_when_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    rate = Rate(2)
    rate.count("a")
    clock.now += 20
    rate.count("a")
    with pytest.raises(RateLimited) as caught:
        rate.count("a")
    assert caught.value.retry_after_s == pytest.approx(40)
    clock.now += 39.9
    with pytest.raises(RateLimited):
        rate.count("a")
    clock.now += 0.2
    rate.count("a")


def test_those_who_are_refused_do_not_wait_longer_for_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    rate = Rate(1)
    rate.count("a")
    for _ in range(50):
        clock.now += 1
        with pytest.raises(RateLimited) as caught:
            rate.count("a")
    assert caught.value.retry_after_s == pytest.approx(10)


def test_callers_are_forgotten_after_their_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    rate = Rate(1)
    for number in range(500):
        rate.count(str(number))
    clock.now += 61
    rate.count("last")
    end = time.monotonic() + 5
    while len(rate._storage.storage) > 1 and time.monotonic() < end:
        time.sleep(0.01)  # it is done beside us
    kept = (rate._storage.storage, rate._storage.expirations, rate._storage.locks)
    assert [len(each) for each in kept] == [1, 1, 1]
    assert rate._storage.events == {}


def test_very_many_callers_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_CALLERS", 3)
    rate = Rate(2)
    for caller in ("a", "b", "c", "d", "e"):
        rate.count(caller)
    with pytest.raises(RateLimited):
        rate.count("f")
    rate.count("a")  # was there before
    assert len(rate._storage.storage) == 4


@pytest.mark.parametrize(
    ("host", "caller"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_caller_is_an_address_or_a_network(host: str, caller: str) -> None:
    assert address_of({"client": (host, 1)}) == caller


def test_a_client_without_an_address_is_one_caller() -> None:
    assert address_of({"client": None}) == address_of({}) == "unknown"
