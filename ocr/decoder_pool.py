"""Processes that open files, and what becomes of those that die of one."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socketpair
from typing import Any, TypeVar

import ocr
from ocr.blocks import Block
from ocr.decoder_calls import ENDING, Call, Channel, Failed, Ready
from ocr.errors import ImageDamaged, OcrError
from ocr.malloc import MALLOC

START_S = 60.0  # in which a process must have started
GRACE_S = 5.0  # after which a process that should have ended is ended
# Of the server's environment, in which its secrets are.
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

log = logging.getLogger(__name__)

T = TypeVar("T")
Made = Callable[[Any, bytearray], T]  # checks what an answer says; raises ValueError


class Pool:
    """Up to `count` processes, started when they are needed, and anew when they have died.

    `program` is what Python is to run. `deaths` counts those that crashed, took too long or too
    much memory, or made no sense. To be closed. Any thread may call, and waits for a free process.
    """

    def __init__(self, count: int, program: Sequence[str]) -> None:
        self.deaths = 0
        self._most = count
        self._program = program
        self._free = threading.Condition()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._taken = 0
        self._closed = False

    def call(self, call: Call, blocks: Sequence[Block], made: Made[T]) -> T:
        """Have a call made, and its answer checked by `made`.

        Raises the OcrError that is the answer; ImageDamaged where the process dies of it.
        """
        with self._child(call) as child:
            try:
                return child.call(call, blocks, made)
            except _Died as died:
                error = self._after(call, died)
            # Not in the handler: errors that know each other would hold what travels with a call.
            raise error

    def forget(self, file: int) -> None:
        """Have a file closed where it is still open."""
        with self._free:
            for child in self._idle:
                if child.file == file:
                    child.forget()

    def close(self) -> None:
        """End all processes, whatever they do."""
        with self._free:
            self._closed = True
            for child in self._children:
                child.kill()
            while self._idle:
                self._idle.pop().end()
            self._free.notify_all()

    @contextmanager
    def _child(self, call: Call) -> Iterator["_Child"]:
        """A process of which no one else makes use, and which knows the file, if there is one."""
        with self._free:
            self._free.wait_for(lambda: self._closed or self._taken < self._most)
            self._taken += 1
            child = self._alive(call)
        try:
            child = child or self._started()
            yield child
        finally:
            with self._free:
                self._taken -= 1
                self._keep(child)
                self._free.notify()

    def _alive(self, call: Call) -> "_Child | None":
        """One that knows the file, or the one that rested longest: what others have open is more
        likely to be asked for again."""
        asked = call.file, call.number
        self._idle.sort(key=lambda child: (child.file == call.file, child.seen == asked))
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            self._drop(child)
        return None

    def _keep(self, child: "_Child | None") -> None:
        if child is not None:
            if child.is_alive and not self._closed:
                self._idle.insert(0, child)
            else:
                self._drop(child)

    def _drop(self, child: "_Child") -> None:
        self._children.discard(child)
        child.end()

    def _after(self, call: Call, died: "_Died") -> OcrError:
        with self._free:
            if self._closed:
                return _closed()
            self.deaths += 1
        log.warning("a decoder died in %s: %s", call.kind, str(died))
        return died.error

    def _started(self) -> "_Child":
        with self._free:
            if self._closed:
                raise _closed()
            try:
                child = _Child(self._program)
            except OSError as error:
                raise OcrError(f"a decoder cannot be started: {error}") from error
            self._children.add(child)
        try:
            child.wait_until_ready()
        except _Died as died:
            with self._free:
                self._drop(child)
            raise OcrError(f"a decoder does not start: {died}") from died
        return child


class _Died(Exception):
    """A process ended, or was ended, in the middle of a call; `error` is what to make of it."""

    def __init__(self, reason: str, error: OcrError) -> None:
        super().__init__(reason)
        self.error = error


class _Child:
    """One process, which has one call at a time. It has `seen` this page of this file last."""

    def __init__(self, program: Sequence[str]) -> None:
        ours, theirs = socketpair()
        self.seen = 0, 0
        self._channel = Channel(ours)
        with theirs, _blocked():
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-P", "-W", "ignore", *program],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
            )

    @property
    def file(self) -> int:
        return self.seen[0]

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises _Died."""
        self._channel.within(START_S)
        self._answer("could not be opened", START_S, lambda told, _: Ready.model_validate(told))

    def call(self, call: Call, blocks: Sequence[Block], made: Made[T]) -> T:
        """Make a call. Raises the OcrError that is the answer, and _Died."""
        what = f"could not be {'made' if call.kind == 'render' else 'opened'}"
        self.seen = call.file, call.number
        self._channel.within(call.timeout_s + GRACE_S)
        try:
            self._channel.ask(call, blocks)
        except OSError as error:
            raise self._death(what, call.timeout_s) from error
        return self._answer(what, call.timeout_s, made)

    def forget(self) -> None:
        """Have the file closed that is open."""
        self._channel.within(GRACE_S)
        try:
            self._channel.ask(Call("forget", GRACE_S, 0))
        except OSError as error:
            log.debug("a decoder has gone: %s", error)
        self.seen = 0, 0

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """End it, if it has not ended, and wait for that."""
        self._channel.close()
        self.kill()
        self._process.wait()

    def _answer(self, what: str, seconds: float, made: Made[T]) -> T:
        try:
            answer, corners = self._channel.answered()
            if answer.failed is None:
                return made(answer.made, corners)
        except (EOFError, OSError) as error:
            raise self._death(what, seconds) from error
        except ValueError as error:
            self.end()
            raise _Died(f"it made no sense: {error}", _crash()) from error
        raise self._failure(answer.failed)

    def _death(self, what: str, seconds: float) -> "_Died":
        """Why there was no answer."""
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.end()
            code = -signal.SIGALRM
        if code == -signal.SIGALRM:
            late = f"the file {what} within {seconds:g} s"
            return _Died("it took too long", ImageDamaged(late))
        reason = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return _Died(reason, _crash())

    def _failure(self, failed: Failed) -> Exception:
        error = OcrError.of(failed.code, failed.message)
        if failed.trace:
            log.error("a decoder failed: %s", failed.trace)
        if not failed.is_last:
            return error
        self.end()
        return _Died(failed.message, error)


@contextmanager
def _blocked() -> Iterator[None]:
    """Start a process that is not told to end before it can say that it does not want to."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _closed() -> OcrError:
    return OcrError("the decoders are closed")


def _crash() -> ImageDamaged:
    return ImageDamaged("the file made its decoder crash")


def _environment() -> dict[str, str]:
    """What a process needs to find this package, and all others, as this one does."""
    places = [str(Path(place).absolute()) for place in sys.path]
    places.append(str(Path(ocr.__file__).parent.parent))
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        **dict.fromkeys(ONE_THREAD, "1"),
        **MALLOC,
        "PYTHONPATH": os.pathsep.join(places),
    }
