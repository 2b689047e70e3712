"""BentoML's own metrics of requests, with routes in place of paths.

It labels them with the path that the client asked for: who tries paths at random would make the
metrics, and the memory and the files that hold them, grow with every try.
"""

from typing import Any

from bentoml import server_context
from bentoml._internal.server.http import instruments
from starlette.types import ASGIApp, Receive, Scope, Send

from web.routes import route_of

TOLD = "ocr.scope"  # under which a scope with a route for its path carries the true one


def bound_paths() -> None:
    """Let BentoML's metrics know routes only."""
    module: Any = instruments
    module.RunnerTrafficMetricsMiddleware = _Traffic


class _Traffic(instruments.RunnerTrafficMetricsMiddleware):
    """ASGI middleware, BentoML's: what it sees of a request has its route for a path."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope.get(TOLD, scope), receive, send)

        super().__init__(told, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": _route(scope["path"]), TOLD: scope}
        await super().__call__(scope, receive, send)


def _route(path: str) -> str:
    """The route: one of those of this process's service, which is a runner's in a runner."""
    return path if path in server_context.service_routes else route_of(path)
