"""Who may call, and how often: API keys and a limit on requests a minute."""

import hashlib
import hmac
import ipaddress
import logging
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from ocr.errors import OcrError, RateLimited, Unauthorized
from ocr.settings import Settings
from web.door import error_response

log = logging.getLogger("ocr.keys")
# What shows the page and the documentation, and what machines ask about health.
PUBLIC = frozenset(
    {"/", "/docs", "/docs.json", "/health", "/healthz", "/livez", "/readyz", "/metrics"}
)
PUBLIC_FOLDERS = ("/page/", "/static_content/")
MOST_CALLERS = 10_000  # are told apart in one minute; those beyond them share one count
OTHERS = "others"


class Keys:
    """ASGI middleware: asks for one of OCR_API_KEYS, and counts the requests of each caller.

    A key comes as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Without any keys all may call,
    and a caller is an address. Each process counts for itself.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._keys = [
            _digest(key.strip().encode()) for key in settings.api_keys.split(",") if key.strip()
        ]
        self._rate = Rate(settings.rate_limit) if settings.rate_limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_public(scope["method"], scope["path"]):
            try:
                caller = self._caller(scope)
                if self._rate is not None and scope["method"] == "POST":
                    self._rate.count(caller)
            except OcrError as error:
                log.info("%s from %s refused: %s", scope["path"], address_of(scope), error.code)
                response = error_response(error)
                if isinstance(error, Unauthorized):
                    response.headers["WWW-Authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _caller(self, scope: Scope) -> str:
        """Who calls: the digest of a key, or an address. Raises Unauthorized."""
        if not self._keys:
            return address_of(scope)
        told = _told(scope)
        for each in told:
            known = self._known(_digest(each))
            if known is not None:
                return known.hex()
        raise Unauthorized(
            "this server does not know the key"
            if told
            else "a key is needed: Authorization: Bearer KEY"
        )

    def _known(self, digest: bytes) -> bytes | None:
        """The key that this is; it takes as long whichever it is, or if it is none."""
        found = None
        for key in self._keys:
            if hmac.compare_digest(key, digest):
                found = key
        return found


class Rate:
    """Counts the requests of each caller, a minute at a time from the first of them."""

    def __init__(self, requests: int) -> None:
        self._limit = RateLimitItemPerMinute(requests)
        # It forgets a caller when the minute is over. What it keeps of moving windows it does not
        # forget, so that each address would cost memory for ever.
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)

    def count(self, caller: str) -> None:
        """Count one request. Raises RateLimited, with the seconds until the minute is over."""
        if self._is_new(caller) and len(self._storage.storage) >= MOST_CALLERS:
            caller = OTHERS
        if not self._limiter.hit(self._limit, caller):
            over = self._limiter.get_window_stats(self._limit, caller).reset_time
            raise RateLimited(
                f"more than {self._limit.amount} requests in a minute", over - time.time()
            )

    def _is_new(self, caller: str) -> bool:
        stats = self._limiter.get_window_stats(self._limit, caller)
        return stats.remaining == self._limit.amount


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _told(scope: Scope) -> list[bytes]:
    """The keys that a request brings."""
    keys = []
    for name, value in scope["headers"]:
        kind, _, rest = value.strip().partition(b" ")
        if name == b"x-api-key":
            keys.append(value.strip())
        elif name == b"authorization" and kind.lower() == b"bearer":
            keys.append(rest.strip())
    return [key for key in keys if key]


def is_public(method: str, path: str) -> bool:
    """Whether a call needs no key. A browser sends none with OPTIONS, which asks whether it may."""
    reads = method in ("GET", "HEAD") and (path in PUBLIC or path.startswith(PUBLIC_FOLDERS))
    return reads or method == "OPTIONS"


def address_of(scope: Scope) -> str:
    """Where a request comes from, of IPv6 the network: one customer has all the addresses of it."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
