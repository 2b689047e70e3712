"""Where outputs go, and that they are written whole."""

import os
import stat
import threading
from pathlib import Path, PurePath

import pytest

from ocr.command.inputs import Input
from ocr.command.outputs import is_done, places, write


def inputs(*paths: str) -> list[Input]:
    """Files that were named one by one."""
    return [Input(Path(path), PurePath(PurePath(path).name)) for path in paths]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.png"], ["a.txt"]),
        (["a/x.png", "b/y.png"], ["x.txt", "y.txt"]),
        (["a/x", "b/y.tar.gz"], ["x.txt", "y.tar.txt"]),
        (["a/x.png", "a/x.jpg"], ["x.png.txt", "x.jpg.txt"]),
        (["top/a/x.png", "top/b/x.png"], ["a/x.png.txt", "b/x.png.txt"]),
        (["/top/a/x.png", "/top/b/c/x.png"], ["a/x.png.txt", "b/c/x.png.txt"]),
        # What one of them keeps its suffix for is what another one is called without.
        (["x.png", "x.jpg", "x.png.bmp"], ["x.png.txt", "x.jpg.txt", "x.png.bmp.txt"]),
        (["a/x.png", "a/x.jpg", "b/x.jpg"], ["x.png.txt", "a/x.jpg.txt", "b/x.jpg.txt"]),
    ],
)
def test_every_input_has_a_place_of_its_own_with_the_shortest_name(
    paths: list[str], names: list[str]
) -> None:
    assert places(inputs(*paths), Path("out"), ".txt") == [Path("out") / name for name in names]


def test_standard_input_has_a_place_as_well(tmp_path: Path) -> None:
    piped = Input(None, PurePath("stdin"), b"data")
    assert places([piped, *inputs("a/stdin.png")], Path("out"), ".txt") == [
        Path("out/stdin.txt"), Path("out/stdin.png.txt"),
    ]  # fmt: skip
    assert not is_done(tmp_path, piped)


def test_a_file_is_written_into_new_folders_with_the_usual_rights(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder" / ("n" * 240 + ".txt")
    mask = os.umask(0o027)
    try:
        write(place, b"text")
    finally:
        os.umask(mask)
    assert place.read_bytes() == b"text"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640


def test_nobody_sees_half_of_a_file(tmp_path: Path) -> None:
    place = tmp_path / "a.txt"
    contents = [bytes([48 + i]) * 1_000_000 for i in range(2)]
    write(place, contents[0])
    done = threading.Event()
    seen: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            seen.append(place.read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(20):
        write(place, contents[number % 2])
    done.set()
    looking.join()
    assert seen and all(each in contents for each in seen)
    assert list(tmp_path.iterdir()) == [place]


def test_an_output_is_done_if_it_is_not_older_than_its_input(tmp_path: Path) -> None:
    place = tmp_path / "a.txt"
    (each,) = inputs(str(tmp_path / "a.png"))
    assert not is_done(place, each)
    (tmp_path / "a.png").write_bytes(b"")
    assert not is_done(place, each)
    place.write_bytes(b"")
    for age, done in ((-10, False), (0, True), (10, True)):
        os.utime(tmp_path / "a.png", (1000, 1000))
        os.utime(place, (1000 + age, 1000 + age))
        assert is_done(place, each) is done
