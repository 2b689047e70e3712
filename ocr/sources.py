"""Where a picture comes from: a URL, a data URI or base64, made into bytes."""

import asyncio
import base64
import binascii
import ipaddress
import re
import socket
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ocr.errors import ImageTooLarge, NotBase64, UrlForbidden, UrlUnreachable

SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
SCHEMELESS = re.compile(r"\s*//[^/\s]*[.:\[@]")  # base64 may begin with //, but has none of these
LABEL = r"[a-z0-9_-]{1,63}"
NAME = re.compile(rf"{LABEL}(\.{LABEL})*\.?", re.IGNORECASE)
# A resolver takes 0x7f.1 and the like for an address: what ends like one is written as one.
NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)
# Names that stand for hosts of one's own network, whatever a resolver says. Those without a dot do
# as well: what a container, a cluster or a search domain calls its neighbours.
LOCAL_NAMES = re.compile(
    r"[^.]*|(.*\.)?(localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)",
    re.IGNORECASE,
)
MAX_REDIRECTS = 5
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Not for the public, though the registry that Python goes by has them global, or not at all yet.
RESERVED = [
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
]


class Sources:
    """Gets pictures' bytes; use as an asynchronous context, which holds the connections.

    Addresses that are not public are refused before anything is sent to them, at the first
    request and at every redirect. The address that was checked is the one that is connected to,
    so a name that changes its answer gains nothing.
    """

    def __init__(
        self, max_bytes: int = 50_000_000, timeout_s: float = 15.0, allow_private: bool = False
    ) -> None:
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self.allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        guard = None if self.allow_private else _public_socket
        resolver = ThreadedResolver() if self.allow_private else _PublicResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver, use_dns_cache=False, socket_factory=guard
            ),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            headers={"Accept": "image/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def load(self, entry: str) -> bytes:
        """Get the bytes of a http(s) URL, a data URI or bare base64.

        Raises UrlForbidden, UrlUnreachable, NotBase64, or ImageTooLarge beyond `max_bytes`.
        """
        scheme = SCHEME.match(entry)
        if scheme is None:
            if SCHEMELESS.match(entry):
                raise UrlForbidden("a URL needs its scheme, http or https")
            return self._base64(entry)
        if scheme[1].lower() in ("http", "https"):
            return await self._fetch(entry.strip())
        if scheme[1].lower() == "data":
            return self._data_uri(entry)
        raise UrlForbidden(f"{scheme[1]}: only http, https and data are taken")

    def _data_uri(self, entry: str) -> bytes:
        head, comma, body = entry.partition(",")
        if not comma:
            raise NotBase64("a data URI needs a comma before its data")
        if head.rstrip().lower().endswith(";base64"):
            return self._base64(body)
        self._check_length(len(body) // 3)
        return unquote_to_bytes(body)

    def _base64(self, text: str) -> bytes:
        self._check_length(len(text) * 3 // 4 - 2)
        try:
            compact = "".join(text.split()).rstrip("=").encode("ascii")
            data = base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise NotBase64(f"neither a URL nor base64: {error}") from None
        if not data:
            raise NotBase64("no data")
        return data

    def _check_length(self, length: int) -> None:
        if length > self.max_bytes:
            raise ImageTooLarge(f"{length} bytes, the limit is {self.max_bytes}")

    async def _fetch(self, address: str) -> bytes:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._follow(URL(address))
        except TimeoutError:
            raise UrlUnreachable(f"no picture within {self.timeout_s:g} s") from None
        except ValueError as error:
            raise UrlForbidden(f"not a URL: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UrlUnreachable(f"cannot be fetched: {error or type(error).__name__}") from None

    async def _follow(self, url: URL) -> bytes:
        if self._session is None:
            raise RuntimeError("Sources is used outside its context")
        for _ in range(MAX_REDIRECTS + 1):
            self._check_address(url)
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = _target(url, answer)
                    continue
                if answer.status != 200:
                    raise UrlUnreachable(f"the host answered with status {answer.status}")
                return await self._body(answer)
        raise UrlUnreachable(f"more than {MAX_REDIRECTS} redirects")

    def _check_address(self, url: URL) -> None:
        """Refuse what the resolver may never see: other schemes, odd hosts, and private ones."""
        host = url.raw_host
        if url.scheme not in ("http", "https") or not host:
            raise UrlForbidden(f"{url.scheme or 'no scheme'}: only http and https are fetched")
        if url.port == 0:
            raise UrlForbidden("there is no port 0")
        literal = _literal(host)
        if literal is None and (NUMBER.fullmatch(host) or not NAME.fullmatch(host)):
            raise UrlForbidden(f"{host} is neither a host's name nor an address as it is written")
        public = is_public(literal) if literal else not LOCAL_NAMES.fullmatch(host.rstrip("."))
        if not self.allow_private and not public:
            raise UrlForbidden(f"{host} is not of the public internet")

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        self._check_length(answer.content_length or 0)
        body = bytearray()
        async for chunk in answer.content.iter_chunked(65536):
            body += chunk
            self._check_length(len(body))
        return bytes(body)


def _target(url: URL, answer: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads. Raises UrlUnreachable if it leads nowhere, UrlForbidden."""
    location = answer.headers.get("Location", "")
    if not location:
        raise UrlUnreachable(f"the host answered with status {answer.status} and no Location")
    target = URL(location)
    if target.scheme and not target.host:  # http:/private/, which browsers take for a host
        raise UrlForbidden(f"a redirect to {target.scheme} without a host")
    return url.join(target)


class _PublicResolver(AbstractResolver):
    """Resolves names, and refuses those that stand for an address that is not public.

    Which address that is stays unsaid: what private names stand for is nobody's business.
    """

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(_is_public(result["host"]) for result in found):
            raise UrlForbidden(f"{host} is not of the public internet")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _public_socket(info: AddrInfoType) -> socket.socket:
    """Make the socket for a connection, the last place to refuse one.

    What it connects to is looked at here once more, whoever found the address.
    """
    family, kind, protocol, _, address = info
    if not _is_public(str(address[0])):
        raise UrlForbidden("the host is not of the public internet")
    return socket.socket(family, kind, protocol)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as, its zone left out; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_public(address: str) -> bool:
    literal = _literal(address)
    return literal is not None and is_public(literal)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is of the public internet, whatever form it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST:
            return False
    elif address.is_multicast or address.is_reserved:
        return False
    return address.is_global and not any(address in block for block in RESERVED)
