"""The end of the server: requests in work are answered before their runners go."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from bentoml._internal.utils.circus import Arbiter
from tornado import gen

FRONT = "service"  # BentoML's name for the processes that take requests
SOCKET = "_bento_api_server"  # and for the socket that they listen on
CLOSE_S = 0.2  # uvicorn looks this often, and twice, whether it is to end


def answer_before_ending() -> None:
    """Let BentoML, when told to end, stop the processes that take requests before the runners.

    By itself it removes the runners' sockets and tells all processes to end at once; a request in
    work that calls a runner after that is answered with 500.
    """
    arbiter: Any = Arbiter
    if arbiter.stop is not _stop:
        arbiter.bentoml_stop = arbiter.stop
        arbiter.stop = _stop


@gen.coroutine
def _stop(arbiter: Any) -> Iterator[Any]:
    """In place of Arbiter.stop, in the process that starts and watches all others."""
    if arbiter._stopping:
        return
    arbiter._stopping = True  # else it misses the processes that end, and starts them again
    try:
        fronts = [each._stop(True) for each in arbiter.watchers if each.name == FRONT]
        yield gen.sleep(CLOSE_S)
        _refuse(arbiter.sockets)
        yield fronts
    finally:
        yield arbiter.bentoml_stop()


def _refuse(sockets: Any) -> None:
    """Have who connects now refused at once, so that another server can be tried.

    The runners hold the socket too: closed by all others it would let clients in and wait.
    """
    with suppress(OSError):  # macOS knows no shutting down of a socket that listens
        sockets[SOCKET].shutdown(socket.SHUT_RDWR)
