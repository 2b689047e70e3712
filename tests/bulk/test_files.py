"""Files on disk and in object storage: what they are called, read, written whole, and listed."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

import fsspec
import pytest

from ocr.bulk import files
from ocr.bulk.files import Place
from ocr.errors import FileUnreadable
from tests.bulk.store import Lake, elsewhere

ODD = [
    "空 格.png",
    "a#1.png",
    "100%25.png",
    "what?.png",
    "[1].png",
    "a::b.png",
    "x*.png",
    " a+b.png",
]


def test_a_local_path_is_called_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/b.png", str(tmp_path / "a/b.png"), f"file://{tmp_path}/a/b.png"):
        assert str(Place(name)) == f"{tmp_path}/a/b.png"
        assert Place(name).is_local


def test_an_object_is_called_by_its_url(bucket: Lake) -> None:
    place = Place("s3://bucket/a/b.png")
    assert not place.is_local
    assert str(place) == "s3://bucket/a/b.png"
    assert place.name_of("bucket/其它 1.png") == "s3://bucket/其它 1.png"
    assert Place("s3://bucket/a/").at("b", "c") == "bucket/a/b/c"


@pytest.mark.parametrize("name", ODD)
def test_any_name_can_be_read(lake: Lake, name: str) -> None:
    full = lake.put(f"folder/{name}", name.encode())
    assert files.read(full) == name.encode()
    assert str(Place(full)) == full


def test_a_kind_of_url_that_nothing_knows() -> None:
    with pytest.raises(FileUnreadable, match=r"^gopher: "):
        Place("gopher://host/a.png")
    with pytest.raises(FileUnreadable, match=r"^gopher: "):
        files.read("gopher://host/a.png")


def test_a_kind_of_url_whose_package_is_not_installed() -> None:
    fsspec.register_implementation("lost", "no_such_module.Lost", clobber=True, errtxt="Install it")
    with pytest.raises(FileUnreadable, match="Install it"):
        files.read("lost://host/a.png")


def test_what_is_not_there_cannot_be_read(lake: Lake) -> None:
    lake.put("folder/a.png")
    with pytest.raises(FileUnreadable, match=r"No such file|FileNotFound"):
        files.read(lake.name("b.png"))
    with pytest.raises(FileUnreadable):
        files.read(lake.name("folder"))


def test_what_has_no_bucket_cannot_be_read(bucket: Lake) -> None:
    with pytest.raises(FileUnreadable, match="bucket does not exist"):
        files.read("s3://another-bucket/a.png")


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.cat_file", refused)
    with pytest.raises(FileUnreadable, match="Permission denied"):
        files.read(str(tmp_path / "a.png"))


def test_a_link_is_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "b.png")
    assert files.read(str(tmp_path / "link.png")) == b"a"
    with pytest.raises(FileUnreadable, match="No such file"):
        files.read(str(tmp_path / "dangling.png"))


@pytest.mark.parametrize("folder", ["out", "空 格", "o[1]", "o*"])
def test_a_file_is_written_moved_and_listed(lake: Lake, folder: str) -> None:
    place = Place(lake.name(folder))
    place.write(place.at("new", "a.keys"), b"old")
    place.write(place.at("new", "a.keys"), b"data")
    assert place.names(place.at("new"), ".keys") == ["a.keys"]
    place.move(place.at("new", "a.keys"), place.at("a.parquet"))
    assert lake.names(folder) == [f"{folder}/a.parquet"]
    assert lake.get(f"{folder}/a.parquet") == b"data"


def test_what_is_not_there_cannot_be_moved(lake: Lake) -> None:
    place = Place(lake.name("out"))
    place.write(place.at("a"), b"")
    with pytest.raises(FileNotFoundError):
        place.move(place.at("b"), place.at("c"))
    assert lake.names() == ["out/a"]


def test_what_was_written_elsewhere_can_be_moved(lake: Lake) -> None:
    place = Place(lake.name("out"))
    assert place.names(place.at("new"), "") == []
    elsewhere(lambda: Place(lake.name("out")).write(place.at("new", "a"), b"a"))
    assert place.names(place.at("new"), "") == ["a"]
    elsewhere(lambda: Place(lake.name("out")).write(place.at("new", "b"), b"b"))
    place.move(place.at("new", "b"), place.at("b"))
    assert place.names(place.at("new"), "") == ["a"]
    assert lake.get("out/b") == b"b"


def test_only_names_with_the_suffix_are_listed_in_their_order(lake: Lake) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.parquet", "d.jsonl.keys", "deeper/e.jsonl"):
        lake.put(f"out/{name}")
    place = Place(lake.name("out"))
    assert place.names(place.path, ".jsonl") == ["a.jsonl", "b.jsonl"]
    assert place.names(place.at("not", "there"), ".jsonl") == []


def test_a_write_that_is_cut_off_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(str(tmp_path))
    place.write(place.at("a.parquet"), b"old")

    def full(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_flush", full)
    for name in ("a.parquet", "b.parquet"):
        with pytest.raises(OSError, match="No space"):
            place.write(place.at(name), b"new")
    assert place.names(place.path, ".parquet") == ["a.parquet"]
    assert (tmp_path / "a.parquet").read_bytes() == b"old"
