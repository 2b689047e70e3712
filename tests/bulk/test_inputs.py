"""What a command line names, and which inputs that is: on disk and in object storage alike."""

import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocr import decode
from ocr.bulk import files, inputs
from ocr.bulk.files import Place
from ocr.bulk.inputs import OCCURRENCE, SOURCE
from ocr.errors import BadRequest, FileUnreadable, OcrError
from tests.bulk.store import Lake, forget

SUFFIXES = decode.suffixes()
SCANS = (
    "scans/a.png",
    "scans/deep/er/b.JPG",
    "scans/deep/c.pdf",
    "scans/空 格#1%20?.tif",
    "scans/page[1].png",
    "scans/.hidden.png",
    "scans/.folder/d.png",
    "scans/notes.txt",
    "scans/bare",
)


def find(name: str, without: str = "/out", column: str | None = None) -> list[str]:
    found: list[str] = inputs.find(name, SUFFIXES, without, column).table[SOURCE].to_pylist()
    return found


def seen(lake: Lake, name: str, without: str = "/out") -> list[str]:
    """As the lake names them."""
    return [found.removeprefix(lake.root + "/") for found in find(lake.name(name), without)]


@pytest.fixture
def scans(lake: Lake) -> Lake:
    for name in SCANS:
        lake.put(name)
    return lake


def parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


# Folders and patterns


@pytest.mark.parametrize("folder", ["scans", "scans/"])
def test_a_folder_is_its_pictures_at_any_depth(scans: Lake, folder: str) -> None:
    assert seen(scans, folder) == [
        "scans/a.png",
        "scans/deep/c.pdf",
        "scans/deep/er/b.JPG",
        "scans/page[1].png",
        "scans/空 格#1%20?.tif",
    ]


def test_a_folder_may_be_hidden_itself(scans: Lake) -> None:
    assert seen(scans, "scans/.folder") == ["scans/.folder/d.png"]


def test_a_folder_may_be_named_like_a_pattern(lake: Lake) -> None:
    lake.put("scans [1]/a.png")
    lake.put("scans 1/b.png")
    assert seen(lake, "scans [1]") == ["scans [1]/a.png"]


@pytest.mark.parametrize("output", ["scans/deep", "scans/deep/"])
def test_an_output_inside_of_the_folder_is_left_out(scans: Lake, output: str) -> None:
    scans.put("scans/deepest/e.png")
    assert seen(scans, "scans", scans.name(output)) == [
        "scans/a.png",
        "scans/deepest/e.png",
        "scans/page[1].png",
        "scans/空 格#1%20?.tif",
    ]


@pytest.mark.parametrize("output", ["scans", "scans/", ""])
def test_an_output_that_holds_the_folder_leaves_nothing_out(scans: Lake, output: str) -> None:
    assert len(seen(scans, "scans", scans.name(output))) == 5


def test_a_folder_without_pictures_is_no_input(lake: Lake) -> None:
    lake.put("scans/notes.txt")
    assert seen(lake, "scans") == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("scans/p*.png", ["scans/page[1].png"]),
        ("scans/?.png", ["scans/a.png"]),
        ("scans/[a-c].png", ["scans/a.png"]),
        ("scans/deep/**/*.pdf", ["scans/deep/c.pdf"]),
        ("*/*/*/*.JPG", ["scans/deep/er/b.JPG"]),
        ("scans/**/*.tif", ["scans/空 格#1%20?.tif"]),
        ("scans/*.bmp", []),
    ],
)
def test_a_pattern_is_what_it_matches(scans: Lake, pattern: str, expected: Sequence[str]) -> None:
    assert seen(scans, pattern) == expected


def test_a_pattern_matches_files_and_no_folders(scans: Lake) -> None:
    assert seen(scans, "scans/deep/*") == ["scans/deep/c.pdf"]
    assert seen(scans, "scans/deep/**") == ["scans/deep/c.pdf", "scans/deep/er/b.JPG"]


def test_a_pattern_does_not_reach_into_the_output(scans: Lake) -> None:
    scans.put("scans/out/part-1.parquet")
    scans.put("scans/out/_manifest/part-1.parquet")
    matched = seen(scans, "scans/**", scans.name("scans/out"))
    assert "scans/deep/er/b.JPG" in matched
    assert not [name for name in matched if "part-1" in name]


def test_a_pattern_that_makes_no_sense_is_an_error_of_the_command_line(scans: Lake) -> None:
    with pytest.raises(BadRequest, match=r"\*\*"):
        find(scans.name("scans/**.png"))


def test_a_name_with_brackets_that_is_there_is_no_pattern(scans: Lake) -> None:
    assert seen(scans, "scans/page[1].png") == ["scans/page[1].png"]


def test_links_to_files_are_inputs_and_links_to_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others/a.png").write_bytes(b"a")
    (tmp_path / "scans/link.png").symlink_to(tmp_path / "others/a.png")
    (tmp_path / "scans/dangling.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "scans/folder").symlink_to(tmp_path / "others")
    (tmp_path / "scans/loop").symlink_to(tmp_path / "scans")
    assert find(str(tmp_path / "scans")) == [
        f"{tmp_path}/scans/dangling.png",
        f"{tmp_path}/scans/link.png",
    ]


def test_a_name_that_is_no_unicode_costs_no_other_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xd6\xd0.png")).write_bytes(b"b")
    except OSError:
        pytest.skip("this file system takes only Unicode")
    found = find(str(tmp_path))
    assert f"{tmp_path}/a.png" in found
    assert len(found) == 2


# One picture, and what is none


@pytest.mark.parametrize("name", ["scans/a.png", "scans/deep/er/b.JPG", "scans/空 格#1%20?.tif"])
def test_a_picture_is_itself(scans: Lake, name: str) -> None:
    assert seen(scans, name) == [name]


def test_a_relative_path_is_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_bytes(b"")
    for name in ("scans", "./scans/", "scans/*.png", "scans/a.png"):
        assert find(name) == [f"{tmp_path}/scans/a.png"], name


@pytest.mark.parametrize("name", ["scans/b.png", "nothing", "nothing.txt", "nothing.parquet"])
def test_what_is_not_there(scans: Lake, name: str) -> None:
    with pytest.raises(FileUnreadable, match="is not there"):
        find(scans.name(name))


@pytest.fixture
def unanswering(bucket: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A bucket of a store to which there is no way."""
    forget()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield bucket
    forget()


@pytest.mark.parametrize("name", ["scans", "scans/*.png", "table.parquet"])
def test_a_store_that_does_not_answer(unanswering: Lake, name: str) -> None:
    with pytest.raises(OcrError, match=r"127\.0\.0\.1:1"):
        find(unanswering.name(name))


def test_a_kind_of_url_that_nothing_knows() -> None:
    with pytest.raises(FileUnreadable, match="gopher"):
        find("gopher://host/scans")
    with pytest.raises(FileUnreadable, match="gopher"):
        inputs.find("/", SUFFIXES, "gopher://host/out")


# Lists


def test_a_list_has_a_path_or_url_a_line(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [
        "a b.png",
        "",
        "  deep/c#1.png\t",
        "   ",
        "/abs/100%25.png",
        "https://host/空 格.png?size=1#2",
        "s3://bucket/key [1].png",
        "no suffix",
        "a b.png",
    ]
    name = lake.put("list.txt", "\n".join(lines).encode())
    assert find(name) == [
        f"{tmp_path}/a b.png",
        f"{tmp_path}/deep/c#1.png",
        "/abs/100%25.png",
        "https://host/空 格.png?size=1#2",
        "s3://bucket/key [1].png",
        f"{tmp_path}/no suffix",
        f"{tmp_path}/a b.png",
    ]


@pytest.mark.parametrize(
    "data",
    [b"/a.png\r\n\r\n/b.png\r\n", b"\xef\xbb\xbf/a.png\n/b.png", b"/a.png\n\n\n/b.png\n\n"],
    ids=["Windows", "BOM", "blank lines"],
)
def test_lists_as_editors_write_them(lake: Lake, data: bytes) -> None:
    assert find(lake.put("list", data)) == ["/a.png", "/b.png"]


def test_an_empty_list_has_no_input(lake: Lake) -> None:
    assert find(lake.put("list.txt", b"")) == []
    assert find(lake.put("list.txt", b"\xef\xbb\xbf\r\n")) == []


def test_a_file_of_another_kind_is_no_list(lake: Lake) -> None:
    for data in (b"PK\x03\x04\x14\x00\x08\xff\xfe", "a.png".encode("utf-16")):
        with pytest.raises(BadRequest, match="neither a picture nor a list"):
            find(lake.put("data.zip", data))


# Tables


def test_the_column_of_a_table_is_the_one_that_was_named(lake: Lake) -> None:
    name = lake.put("t.parquet", parquet({"path": ["a"], "scan": ["b"], "number": [1]}))
    assert find(name, column="scan") == ["b"]
    assert find(name) == ["a"]


@pytest.mark.parametrize(
    "columns",
    [
        {"scan": ["a", "b"], "number": [1, 2]},
        {"note": ["c", "d"], "url": ["a", "b"], "file": ["e", "f"]},
        {"scan": pa.array(["a", "b"], pa.large_string())},
        {"scan": ["a", None, "b", None]},
    ],
    ids=["only one with text", "known name", "large", "nulls"],
)
def test_the_column_is_guessed(lake: Lake, columns: dict[str, Any]) -> None:
    assert find(lake.put("T.PARQUET", parquet(columns))) == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "column", "said"),
    [
        ({"one": ["a"], "two": ["b"]}, None, "--column: one, two"),
        ({"number": [1]}, None, "--column: number"),
        ({"path": ["a"]}, "scan", "scan"),
        ({"path": [["a", None], None]}, "path", "cast"),
    ],
    ids=["several", "none", "missing", "lists"],
)
def test_a_table_without_such_a_column(
    lake: Lake, columns: dict[str, Any], column: str | None, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        find(lake.put("t.parquet", parquet(columns)), column=column)


def test_a_column_may_be_of_categories(lake: Lake) -> None:
    values = pa.array(["a", "b", "a"]).dictionary_encode()
    assert find(lake.put("t.parquet", parquet({"scan": values})), column="scan") == ["a", "b", "a"]


def test_a_folder_of_tables_is_all_of_them(lake: Lake) -> None:
    lake.put("tables/2.parquet", parquet({"url": ["c", "a"]}))
    lake.put("tables/1.parquet", parquet({"url": ["a", "b"], "more": [1, 2]}))
    lake.put("tables/_SUCCESS")
    assert find(lake.name("tables"), column="url") == ["a", "b", "c", "a"]
    lake.put("scans.parquet/1.parquet", parquet({"url": ["d"]}))
    assert find(lake.name("scans.parquet")) == ["d"]


def test_a_folder_of_more_tables_than_a_process_may_have_open(tmp_path: Path) -> None:
    data = parquet({"url": ["a"]})
    for number in range(150):
        (tmp_path / f"{number}.parquet").write_bytes(data)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 50, before[1]))
    try:
        assert len(find(str(tmp_path), column="url")) == 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_folder_without_tables(lake: Lake) -> None:
    lake.put("scans/a.png")
    with pytest.raises(FileUnreadable, match="no Parquet file"):
        find(lake.name("scans"), column="url")


@pytest.mark.parametrize("data", [b"", b"PAR1 and no more"], ids=["empty", "damaged"])
def test_a_table_that_is_none(lake: Lake, data: bytes) -> None:
    with pytest.raises(BadRequest, match="Parquet"):
        find(lake.put("t.parquet", data))


def test_a_table_without_rows_has_no_input(lake: Lake) -> None:
    assert find(lake.put("t.parquet", parquet({"url": pa.array([], pa.string())}))) == []
    assert find(lake.put("u.parquet", parquet({"url": pa.array([None], pa.string())}))) == []


# Occurrences and samples


def test_what_comes_again_is_counted() -> None:
    table = inputs._counted(pa.array(["b", "a", "b", None, "b", "a", "c"]))
    assert table[SOURCE].to_pylist() == ["b", "a", "b", "b", "a", "c"]
    assert table[OCCURRENCE].to_pylist() == [0, 0, 1, 2, 1, 0]
    assert table.schema == pa.schema([(SOURCE, pa.string()), (OCCURRENCE, pa.int32())])


def test_a_sample_is_always_the_same_and_in_order(lake: Lake) -> None:
    names = [f"/scans/{number:03}.png" for number in range(100)]
    found = inputs.find(lake.put("l.txt", "\n".join(names).encode()), SUFFIXES, "/out")
    first, second = (found.sample(10).table for _ in range(2))
    assert first.equals(second)
    chosen = first[SOURCE].to_pylist()
    assert len(set(chosen)) == 10
    assert chosen == sorted(chosen)
    assert chosen != names[:10]


def test_a_sample_keeps_how_often_an_input_came_before() -> None:
    found = inputs.Found(inputs._counted(pa.array(["a"] * 50)))
    numbers = found.sample(5).table[OCCURRENCE].to_pylist()
    assert len(set(numbers)) == 5
    assert max(numbers) > 5


@pytest.mark.parametrize("count", [3, 4])
def test_a_sample_of_more_than_there_are_is_all(count: int) -> None:
    found = inputs.Found(inputs._counted(pa.array(["a", "b", "c"])))
    assert len(found.sample(count)) == len(found) == 3


def test_every_input_of_a_folder_can_be_read(scans: Lake) -> None:
    for name in find(scans.name("scans")):
        assert files.read(name) == b"x"
        assert str(Place(name)) == name
