"""Bars of progress: what they count, and that there are none where nobody looks."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocr import progress
from ocr.hub import fetch
from ocr.progress import Downloads, Pages
from tests.conftest import ROOT
from tests.hub_server import LARGE, Hub, hub

MODEL = "owner/reader"
BIG, SMALL = "weights.bin", "settings.json"


class Terminal(io.StringIO):
    """Standard error as a terminal, which keeps what is written on it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal on which bars show at once."""
    shown = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=shown))
    monkeypatch.setattr(progress, "PATIENCE_S", 0)
    return shown


@pytest.fixture
def served(tmp_path: Path, hub_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / BIG).write_bytes(bytes(16 * LARGE))
    (folder / SMALL).write_text("{}", "utf-8")
    with hub({MODEL: folder}) as running:
        running.pause_s = 0.03
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running.url)
        yield running


def test_a_download_shows_its_bytes_and_its_speed_and_then_no_more(served: Hub) -> None:
    """In a process of its own, since the library's bars are silenced before it is imported."""
    call = f"from ocr.hub import fetch; fetch({MODEL!r}, 'master', {[BIG, SMALL]!r})"
    shown = on_terminal(call, {name: v for name, v in os.environ.items() if name != "TQDM_DISABLE"})
    assert re.search(r"\rowner/reader: +\d+%\|.*k/1\.05M \[.*[\d.]+[kM]B/s\]", shown), shown
    assert re.search(r"\r +\r$", shown)
    assert BIG not in shown
    assert "\n" not in shown


def on_terminal(call: str, environment: dict[str, str]) -> str:
    """What a Python process writes on a terminal of 100 columns."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-c", call], cwd=ROOT, env=environment, stdout=its, stderr=its
    )
    os.close(its)
    shown = b""
    with suppress(OSError):  # how Linux says that nobody writes there any more
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0, shown
    return shown.decode()


def test_what_is_there_already_shows_no_bar(served: Hub, terminal: Terminal) -> None:
    fetch(MODEL, "master", [SMALL])
    terminal.truncate(0)
    fetch(MODEL, "master", [SMALL])
    assert "%" not in terminal.getvalue()


def test_a_log_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=log))
    monkeypatch.setattr(progress, "PATIENCE_S", 0)
    with Downloads("model") as downloads, closing(Pages(3)) as pages:
        downloads.file("a", 1000).update(1000)
        pages.file().end()
    assert log.getvalue() == ""


def test_a_file_that_comes_anew_counts_once(terminal: Terminal) -> None:
    with Downloads("model") as downloads:
        first = downloads.file("a", 1000)
        first.update(600)
        downloads.file("b", 500).update(500)
        again = downloads.file("a", 1000)
        assert (downloads.come, downloads.size) == (500, 1500)
        again.update(1000)
        again.update(-1000)  # the hub sends all of it once more
        again.update(1000)
        again.end()
        assert (downloads.come, downloads.size) == (1500, 1500)


def test_files_count_as_the_pages_that_they_turn_out_to_have(terminal: Terminal) -> None:
    with closing(Pages(3)) as pages:
        first = pages.file()
        first.begin(4)
        first.page()
        assert (pages.done, pages.total) == (1, 6)
        first.end()  # it could not be read any further
        assert (pages.done, pages.total) == (4, 6)
        pages.file().end()
        assert (pages.done, pages.total) == (5, 6)
        pages.file().begin(1)
    assert re.search(r"\| 0/3 \[.* page/s\]", terminal.getvalue())


def test_a_quiet_bar_is_none(terminal: Terminal) -> None:
    with closing(Pages(3, quiet=True)) as pages:
        assert not pages.shown
        pages.file().end()
    assert terminal.getvalue() == ""


def test_what_is_told_stands_above_the_bar(terminal: Terminal) -> None:
    with closing(Pages(3)) as pages:
        pages.file().end()
        progress.tell("a.png: IMAGE_DAMAGED: cut off")
    assert "\ra.png: IMAGE_DAMAGED: cut off\n\r" in re.sub(r"\r +\r", "\r", terminal.getvalue())
