"""Clients that go on asking while something breaks, and keep account of what they are told."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests import pictures
from tests.service.served import Served

TEXTS = [f"{word} {number}" for number, word in enumerate(("Hello", "Paper", "Garden", "Station"))]
IMAGES = {
    text: pictures.to_base64(pictures.to_png(pictures.label(text, size=28).image)) for text in TEXTS
}
LABEL = IMAGES[TEXTS[0]]
ANSWER_S = 40.0  # a request without an answer for so long is lost
WHOLE_S = 10.0  # that a service may take to be whole again


@dataclass(frozen=True)
class Asked:
    """One request: when it was first sent and answered, and what came: right, lost, mixed, a code.

    `closed` counts connections that ended without an answer, after which it was sent again, as
    any client does.
    """

    sent: float
    answered: float
    outcome: str
    closed: int


@dataclass
class Account:
    """All requests of all clients, and when the fault was made."""

    asked: list[Asked] = field(default_factory=list)
    fault: float = 0.0

    def outcomes(self) -> Counter[str]:
        return Counter(each.outcome for each in self.asked)

    def closed(self) -> int:
        return sum(each.closed for each in self.asked)

    @property
    def whole_s(self) -> float:
        """From the fault until one who came after it, and after the last error, was answered."""
        wrong = [each.answered for each in self.asked if each.outcome != "right"]
        since = max([self.fault, *wrong])
        right = [each for each in self.asked if each.outcome == "right" and each.sent >= since]
        assert right, "nobody was answered after the fault"
        return min(each.answered for each in right) - self.fault


@contextmanager
def asking(served: Served, clients: int) -> Iterator[Account]:
    """Let clients ask one after the other until the context ends and the last has its answer."""
    account = Account()
    ended = threading.Event()

    def ask(number: int) -> None:
        while not ended.is_set():
            account.asked.append(_ask(served, TEXTS[number % len(TEXTS)]))
            number += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def fault(account: Account, seconds: float = 0.5) -> Iterator[None]:
    """Make a fault under load; then wait until the service is whole, and for a while after that."""
    time.sleep(seconds)
    account.fault = time.monotonic()
    yield
    end = account.fault + 2 * WHOLE_S
    while time.monotonic() < end and not _answered_after(account):
        time.sleep(0.05)
    time.sleep(seconds)


def _answered_after(account: Account) -> bool:
    return any(
        each.outcome == "right" and each.sent > account.fault for each in list(account.asked)
    )


def _ask(served: Served, text: str) -> Asked:
    sent = time.monotonic()
    closed = 0
    while True:
        try:
            answer = httpx.post(
                f"{served.url}/ocr_system", json={"images": [IMAGES[text]]}, timeout=ANSWER_S
            )
        except httpx.TimeoutException:
            return Asked(sent, time.monotonic(), "lost", closed)
        except httpx.TransportError:
            closed += 1
            if time.monotonic() > sent + ANSWER_S:
                return Asked(sent, time.monotonic(), "lost", closed)
            time.sleep(0.1)
        else:
            return Asked(sent, time.monotonic(), _outcome(answer, text), closed)


def _outcome(answer: httpx.Response, text: str) -> str:
    body = answer.json()
    if "error" in body:
        return str(body["error"]["code"])
    (lines,), (error,) = body["results"], body["errors"]
    if error is not None:
        return str(error["code"])
    return "right" if [line["text"] for line in lines] == [text] else "mixed"


def tell(name: str, saw: str, seconds: float, lost: int = 0) -> None:
    """Print a row of the table of faults."""
    print(f"| {name} | {saw} | {seconds:.1f} | {lost} |")


def check(account: Account, name: str, *errors: str) -> None:
    """Print what came of a fault. No answer may be lost or another's, nor an error but these."""
    outcomes = account.outcomes()
    told = {code: count for code, count in outcomes.items() if code != "right"}
    saw = [f"{outcomes['right']} right answers"]
    saw += [f"{count} {code}" for code, count in sorted(told.items())]
    if account.closed():
        saw.append(f"{account.closed()} connections closed and made again")
    seconds = account.whole_s
    tell(name, ", ".join(saw), seconds, outcomes["lost"])
    assert set(told) <= set(errors), told
    assert seconds < WHOLE_S


def wait_until_whole(served: Served) -> float:
    """Wait until a picture is read rightly, for WHOLE_S at most; gives the seconds."""
    start = time.monotonic()
    while True:
        if _ask(served, TEXTS[0]).outcome == "right":
            return time.monotonic() - start
        assert time.monotonic() < start + WHOLE_S, "the service is not whole again"
        time.sleep(0.1)
