"""Whether the runners are ready, as GET /readyz asks them."""

from typing import Any

import aiohttp
from _bentoml_impl import client as bentoml_client  # type: ignore[import-untyped]


def tell_who_is_not_ready() -> None:
    """Let a runner that hangs or is being replaced make the service not ready.

    BentoML asks it, and has no answer but an error where it gets none in time.
    """
    proxy: Any = bentoml_client.RemoteProxy
    proxy.is_ready = _is_ready


async def _is_ready(proxy: Any, limit_s: int | None = None) -> bool:
    """In place of RemoteProxy.is_ready."""
    try:
        return bool(await proxy.to_async.is_ready(timeout=limit_s))
    except (aiohttp.ClientError, TimeoutError):
        return False
