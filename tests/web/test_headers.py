"""The headers that every answer has."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tests.web.calls import Calls
from web.headers import HEADERS, PAGE_POLICY, POLICY, SecurityHeaders

PAGE = Path(__file__).parents[2] / "web" / "page" / "index.html"


async def answer(request: Request) -> Response:
    return JSONResponse({})


async def page(request: Request) -> Response:
    return FileResponse(PAGE, headers={"Content-Security-Policy": PAGE_POLICY})


@pytest.fixture
def calls() -> Calls:
    routes = [Route("/", page), Route("/answer", answer), Route("/lost", answer, methods=["PUT"])]
    return Calls(SecurityHeaders(Starlette(routes=routes)))


@pytest.mark.parametrize("path", ["/", "/answer", "/lost", "/nothing"])
def test_every_answer_has_them(calls: Calls, path: str) -> None:
    headers = calls.get(path).headers
    for name in HEADERS:
        assert len(headers.get_list(name)) == 1, name
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    for policy in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
        assert policy in headers["content-security-policy"]


def test_a_page_has_a_policy_of_its_own(calls: Calls) -> None:
    assert calls.get("/").headers["content-security-policy"] == PAGE_POLICY
    assert calls.get("/answer").headers["content-security-policy"] == POLICY
    assert "unsafe" not in PAGE_POLICY + POLICY and "http" not in PAGE_POLICY + POLICY


def test_no_cache_keeps_an_answer(calls: Calls) -> None:
    assert calls.get("/answer").headers["cache-control"] == "no-store"
    assert "cache-control" not in calls.get("/").headers
