"""The command line: what is read, where it goes, what it says, and what it ends with."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from ocr.__main__ import main
from ocr.command import engines
from ocr.command.engines import Engine, folders
from ocr.command.options import ALL, INTERRUPTED, NONE, SOME, USAGE
from ocr.errors import ImageDamaged, ModelDamaged, ModelMissing
from ocr.model import DESCRIPTION
from ocr.progress import FilePages
from ocr.settings import Settings
from ocr.wanted import Wanted
from tests import pictures
from tests.answering import Server, answering, failure
from tests.conftest import ROOT


class Models:
    """In place of the networks: says what it was asked, and fails where a file says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Wanted]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.opened = 0
        self.before: Callable[[bytes], None] = lambda data: None

    def here(self, wanted: Wanted, detection: Path, recognition: Path, settings: object) -> Engine:
        self.opened += 1
        assert (detection.name, recognition.name) == ("one", "two")

        async def render(data: bytes, source: str, told: FilePages) -> bytes:
            self.asked.append((source, wanted))
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            try:
                self.before(data)
                await asyncio.sleep(0.05 if data == b"slow" else 0.001)
            finally:
                self.at_once -= 1
            if data == b"damaged":
                raise ImageDamaged("cut\noff")
            if data == b"strange":
                raise KeyError("a fault")
            if data == b"hopeless":
                raise ModelDamaged("no weights")
            return b"text of " + data

        return Engine(render, 2, (ModelDamaged,))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    fake = Models()
    monkeypatch.setattr(engines, "here", fake.here)
    return fake


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in a folder `work` with model folders at hand; gives the exit status."""
    describe(tmp_path / "models" / "one", "detection")
    describe(tmp_path / "models" / "two", "recognition")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments: str) -> int:
        try:
            return main([*arguments, "--models", str(tmp_path / "models")])
        except SystemExit as end:  # argparse's way
            assert isinstance(end.code, int)
            return end.code

    return call


def describe(folder: Path, task: str) -> None:
    folder.mkdir(parents=True)
    (folder / DESCRIPTION).write_text(json.dumps({"task": task}), "utf-8")


def put(name: str, content: str = "") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or path.name, "utf-8")
    return path


def texts(folder: str = "out") -> dict[str, str]:
    """What lies in a folder, by its place in it."""
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}


@pytest.fixture
def said(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[[], tuple[str, str]]:
    """Gives what has been said since: on standard output, and on standard error."""

    def read() -> tuple[str, str]:
        out, err = capfdbinary.readouterr()
        return out.decode(), err.decode()

    return read


Run = Callable[..., int]
Said = Callable[[], tuple[str, str]]


# What is read, and where it goes


def test_one_file_goes_to_standard_output(run: Run, models: Models, said: Said) -> None:
    put("a.png")
    assert run("a.png") == ALL
    assert said() == ("text of a.png\n", "")
    assert models.asked == [("a.png", Wanted(format="text"))]


def test_options_are_those_of_a_request(run: Run, models: Models) -> None:
    put("a.pdf")
    options = ["--format", "json", "--words", "--pages", "2-", "--dpi", "300"]
    assert run("a.pdf", *options, "--pdf-text", "keep") == ALL
    wanted = Wanted(format="json", words=True, pages="2-", dpi=300, pdf_text="keep")
    assert models.asked == [("a.pdf", wanted)]


def test_several_files_come_in_their_order_with_their_names_between(
    run: Run, models: Models, said: Said
) -> None:
    put("a.png", "slow")
    put("b.png")
    assert run("b.png", "a.png", "b.png") == ALL
    out, err = said()
    assert out == "==> b.png <==\ntext of b.png\n==> a.png <==\ntext of slow\n"
    assert err == "ocr: 2 read\n"
    assert run("a.png", "b.png", "--quiet", "--format", "markdown") == ALL
    out, err = said()
    assert out == "<!-- a.png -->\n\ntext of slow\n<!-- b.png -->\n\ntext of b.png\n"
    assert err == ""


def test_json_of_several_files_can_be_read_one_by_one(run: Run, models: Models, said: Said) -> None:
    put("a.png")
    put("b.png")
    assert run("a.png", "b.png", "--format", "json") == ALL
    assert said()[0] == "text of a.png\ntext of b.png\n"


def test_standard_input_is_a_file(
    run: Run, models: Models, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"piped"))
    monkeypatch.setattr(sys, "stdin", given)
    assert run("-") == ALL
    assert said()[0] == "text of piped\n"
    given.buffer.seek(0)
    assert run("-", "--output", "out/") == ALL
    assert texts() == {"stdin.txt": "text of piped"}


def test_a_folder_is_read_with_its_folders_and_comes_out_like_it(
    run: Run, models: Models, said: Said
) -> None:
    for name in ("a.png", "sub/b.JPG", "sub/deep/c.pdf", "notes.doc", ".hidden.png", ".git/d.png"):
        put(f"scans/{name}")
    assert run("scans", "--output", "out") == ALL
    assert texts() == {
        "a.txt": "text of a.png",
        "sub/b.txt": "text of b.JPG",
        "sub/deep/c.txt": "text of c.pdf",
    }
    assert said() == ("", "ocr: 3 read\n")


def test_patterns_that_the_shell_left_and_files_of_any_name_are_read(
    run: Run, models: Models
) -> None:
    put("x/a.png")
    put("x/y/b.png")
    put("picture")
    assert run("x/**/*.png", "picture", "--output", "out") == ALL
    assert sorted(texts()) == ["a.txt", "b.txt", "picture.txt"]


def test_files_of_the_same_name_do_not_overwrite_each_other(run: Run, models: Models) -> None:
    for name in ("one/x.png", "one/x.jpg", "one/y.png", "two/y.png"):
        put(name, name)
    assert run("one/x.png", "one/x.jpg", "one/y.png", "two/y.png", "--output", "out") == ALL
    assert texts() == {
        "x.png.txt": "text of one/x.png",
        "x.jpg.txt": "text of one/x.jpg",
        "one/y.png.txt": "text of one/y.png",
        "two/y.png.txt": "text of two/y.png",
    }


def test_the_name_of_the_output_says_the_format(run: Run, models: Models) -> None:
    put("a.png")
    assert run("a.png", "--output", "b.PDF") == ALL
    assert run("a.png", "--output", "b.text", "--format", "json") == ALL
    assert run("a.png", "--output", "new/") == ALL
    assert [wanted.format for _, wanted in models.asked] == ["pdf", "json", "text"]
    assert texts("new") == {"a.txt": "text of a.png"}
    assert Path("b.PDF").read_bytes() == b"text of a.png"


def test_a_folder_for_the_output_is_not_read_again(run: Run, models: Models) -> None:
    put("a.png")
    assert run(".", "--output", "out", "--format", "png") == ALL
    assert run(".", "--output", "out", "--format", "png", "--force") == ALL
    assert texts() == {"a.png": "text of a.png"}


# Going on


def test_what_is_done_is_left_until_its_input_changes(run: Run, models: Models, said: Said) -> None:
    put("scans/a.png")
    b = put("scans/b.png")
    assert run("scans", "--output", "out") == ALL
    said()
    models.asked.clear()
    models.opened = 0
    assert run("scans", "--output", "out") == ALL
    assert said()[1] == "ocr: 2 done before\n"
    assert (models.asked, models.opened) == ([], 0)

    later = time.time() + 5
    b.write_text("anew", "utf-8")
    os.utime(b, (later, later))
    put("scans/c.png")
    assert run("scans", "--output", "out") == ALL
    assert said()[1] == "ocr: 2 read, 1 done before\n"
    assert texts() == {"a.txt": "text of a.png", "b.txt": "text of anew", "c.txt": "text of c.png"}

    assert run("scans", "--output", "out", "--force") == ALL
    assert said()[1] == "ocr: 3 read\n"


def test_what_is_there_stays_whole_if_writing_fails(
    run: Run, models: Models, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.png")
    put("b.png")
    assert run("a.png", "--output", "out/") == ALL

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said()
    assert run("a.png", "b.png", "--output", "out/", "--force", "--jobs", "1") == NONE
    _, err = said()
    assert "a.png: INTERNAL_ERROR: cannot be written: [Errno 28] No space left" in err
    assert err.endswith("ocr: 1 failed, 1 not tried\n")
    assert texts() == {"a.txt": "text of a.png"}  # and no half of a file


# What fails


def test_a_file_that_fails_costs_the_others_nothing(run: Run, models: Models, said: Said) -> None:
    put("a.png", "damaged")
    put("b.png", "strange")
    put("c.png")
    assert run("a.png", "b.png", "none.png", "c.png", "--output", "out") == SOME
    _, err = said()
    assert sorted(err.splitlines()) == [
        "a.png: IMAGE_DAMAGED: cut off",
        "b.png: INTERNAL_ERROR: KeyError: 'a fault'",
        "none.png: FILE_UNREADABLE: No such file or directory",
        "ocr: 1 read, 3 failed",
    ]
    assert texts() == {"c.txt": "text of c.png"}


def test_nothing_that_could_be_read_has_a_status_of_its_own(run: Run, models: Models) -> None:
    put("a.png", "damaged")
    assert run("a.png", "none.png") == NONE


def test_an_error_that_all_would_meet_ends_it(run: Run, models: Models, said: Said) -> None:
    put("a.png", "hopeless")
    for name in ("b.png", "c.png", "d.png"):
        put(name)
    assert run("a.png", "b.png", "c.png", "d.png", "--jobs", "1") == NONE
    assert said()[1] == "a.png: MODEL_DAMAGED: no weights\nocr: 1 failed, 3 not tried\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "FILE"),
        (["empty"], "nothing to read"),
        (["a.png", "--pages", "0"], "--pages: '0': pages are counted from 1"),
        (["a.png", "--dpi", "9"], "--dpi: "),
        (["a.png", "--format", "docx"], "--format"),
        (["a.png", "--jobs", "0"], "--jobs"),
        (["a.png", "b.png", "--format", "pdf"], "--output DIR"),
        (["a.png", "b.png", "--format", "alto"], "--output DIR"),
        (["a.png", "b.png", "--output", "b.png"], "is a file"),
        (["a.png", "--output", "a.png"], "in place of an input"),
        ([".", "--output", ".", "--format", "png"], "in place of an input"),
    ],
)
def test_what_makes_no_sense_is_said(
    run: Run, models: Models, said: Said, arguments: list[str], told: str
) -> None:
    put("a.png")
    put("b.png")
    Path("empty").mkdir()
    assert run(*arguments) == USAGE
    out, err = said()
    assert out == ""
    assert told in err
    assert models.asked == []
    assert texts(".") == {"a.png": "a.png", "b.png": "b.png"}


def test_models_that_are_not_there_are_said(run: Run, said: Said, tmp_path: Path) -> None:
    put("a.png")
    (tmp_path / "models" / "two" / DESCRIPTION).unlink()
    assert run("a.png") == NONE
    assert "ocr: MODEL_MISSING: no folder with a recognition model" in said()[1]


def test_several_models_are_not_chosen_from(tmp_path: Path) -> None:
    describe(tmp_path / "a", "detection")
    describe(tmp_path / "b", "recognition")
    assert folders(Settings(), tmp_path) == (tmp_path / "a", tmp_path / "b")
    describe(tmp_path / "c", "detection")
    with pytest.raises(ModelDamaged, match="a, c"):
        folders(Settings(), tmp_path)
    with pytest.raises(ModelMissing):
        folders(Settings(), tmp_path / "nowhere")


# Several at a time, and the end before the end


def test_so_many_are_read_at_a_time(run: Run, models: Models) -> None:
    for number in range(6):
        put(f"scans/{number}.png", "slow")
    assert run("scans", "--output", "out") == ALL
    assert models.most_at_once == 2
    models.most_at_once = 0
    assert run("scans", "--output", "out", "--force", "--jobs", "5") == ALL
    assert models.most_at_once == 5


def test_an_interrupt_ends_it_with_what_is_done_in_place(
    run: Run, models: Models, said: Said
) -> None:
    put("scans/a.png")
    put("scans/b.png", "interrupt")
    put("scans/c.png")

    def interrupt(data: bytes) -> None:
        if data == b"interrupt":
            signal.raise_signal(signal.SIGINT)

    models.before = interrupt
    assert run("scans", "--output", "out", "--jobs", "1") == INTERRUPTED
    assert said()[1] == "ocr: interrupted\n"
    assert texts() == {"a.txt": "text of a.png"}
    models.before = lambda data: None
    assert run("scans", "--output", "out") == ALL
    assert said()[1] == "ocr: 2 read, 1 done before\n"


# By a server


@pytest.fixture
def server() -> Iterator[Server]:
    with answering() as running:
        yield running


def test_a_server_reads_in_place_of_this_process(
    run: Run, models: Models, said: Said, server: Server
) -> None:
    put("a.png")
    server.answers = [JSONResponse({}), failure(503, "BUSY", Retry_After="0"), Response(b"read")]
    assert run("a.png", "--url", server.url, "--api-key", "k", "--pages", "3") == ALL
    assert said() == ("read\n", "")
    assert [asked.path for asked in server.asked] == [
        "/behind/capabilities", "/behind/ocr", "/behind/ocr",
    ]  # fmt: skip
    last = server.asked[-1]
    assert last.files == [("a.png", b"a.png")]
    assert last.query == {"format": "text", "pages": "3"}
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer k"}
    assert models.opened == 0


def test_what_the_server_says_of_a_file_is_told(
    run: Run, models: Models, said: Said, server: Server
) -> None:
    put("a.png")
    server.answers = [JSONResponse({}), failure(415, "NOT_AN_IMAGE")]
    assert run("a.png", "--url", server.url) == NONE
    assert said()[1] == "a.png: NOT_AN_IMAGE: no luck\n"


def test_a_server_that_is_not_there_is_said_once(run: Run, said: Said) -> None:
    for name in ("a.png", "b.png"):
        put(name)
    assert run("a.png", "b.png", "--url", "http://127.0.0.1:1") == NONE
    _, err = said()
    assert err.startswith("ocr: SERVER_UNREACHABLE: http://127.0.0.1:1: ")
    assert err.count("\n") == 1


def test_httpx_is_needed_only_for_a_server(
    run: Run, models: Models, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.png")
    for name in ("ocr.client", "ocr.calls"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert run("a.png") == ALL
    assert run("a.png", "--url", "http://server") == NONE
    assert "httpx" in said()[1]


# As a user runs it


def environment(store: Path) -> dict[str, str]:
    unset = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    return {**unset, "BENTOML_HOME": str(store), "PYTHONPATH": str(ROOT)}


def test_pictures_are_read_with_the_models_of_the_store(store: Path, tmp_path: Path) -> None:
    lines = pictures.CHINESE[:2]
    data = pictures.to_png(pictures.page(lines).image)
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "b.png").write_bytes(b"no picture")
    done = subprocess.run(
        [sys.executable, "-m", "ocr", "a.png", "b.png", "-"],
        cwd=tmp_path,
        env=environment(store),
        input=data,
        capture_output=True,
        timeout=120,
    )
    text = "\n".join(lines)
    assert done.stdout.decode() == f"==> a.png <==\n{text}\n==> stdin <==\n{text}\n"
    first, last = done.stderr.decode().splitlines()
    assert first.startswith("b.png: NOT_AN_IMAGE: ")
    assert last == "ocr: 2 read, 1 failed"
    assert done.returncode == SOME


def test_an_interrupt_leaves_whole_files_and_no_others(store: Path, tmp_path: Path) -> None:
    data = pictures.to_png(pictures.page(pictures.ENGLISH).image)
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(data)
    process = subprocess.Popen(
        [sys.executable, "-m", "ocr", ".", "--output", "out"],
        cwd=tmp_path,
        env=environment(store),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.txt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert err == "ocr: interrupted\n"
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < 40
    assert all(path.suffix == ".txt" and path.stat().st_size for path in written)
