"""Calls to an ASGI app in this process."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp


class Calls:
    """A client of the app, at an address."""

    def __init__(self, app: ASGIApp, address: str = "203.0.113.7") -> None:
        self.app = app
        self._client = (address, 50_000)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=self._client)
            async with httpx.AsyncClient(transport=transport, base_url="http://ocr") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)
