"""Parts and manifests: what counts, what is taken up again, and what is left to do."""

import json
import pickle
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocr.bulk import files, inputs, output
from ocr.bulk.files import Place
from ocr.bulk.inputs import DONE, OCCURRENCE, SOURCE, Found
from ocr.bulk.output import Output, Part, left
from ocr.bulk.rows import FAILED, KEYS, READ, SCHEMA, RowFormat
from ocr.bulk.work import PageWork
from ocr.errors import BadRequest, ImageDamaged
from tests.bulk.conftest import failed, read_page, table_of
from tests.bulk.store import Lake, elsewhere

Kind = pytest.mark.parametrize("kind", ["parquet", "jsonl"])


def put(place: Output, *works: PageWork) -> Part:
    """Write a part as another process does, and take it over as this one does."""
    part = elsewhere(place.write, table_of(*works))
    place.take(part)
    return part


def of(lake: Lake, kind: RowFormat = "parquet") -> Output:
    return Output(lake.name("out"), kind)


def keys(place: Output) -> set[tuple[str, int, int]]:
    """Source, occurrence and page of all that is there, each of which is there once."""
    rows = [(row["source"], row["occurrence"], row["page"]) for row in place.done().to_pylist()]
    assert len(rows) == len(set(rows))
    return set(rows)


def sources(lake: Lake, kind: RowFormat) -> list[str]:
    """The sources of all rows in the output as its readers see it."""
    found = []
    for name in lake.names("out"):
        data = lake.get(name)
        if "/_" not in name and kind == "jsonl":
            found += [json.loads(line)["source"] for line in data.splitlines()]
        elif "/_" not in name:
            found += pq.read_table(pa.BufferReader(data)).cast(SCHEMA)["source"].to_pylist()
    return sorted(found)


# Parts


@Kind
def test_a_part_counts_when_it_was_taken(lake: Lake, kind: RowFormat) -> None:
    place = of(lake, kind)
    assert place.done().num_rows == 0
    written = elsewhere(place.write, table_of(read_page("a"), failed("b", ImageDamaged("no"))))
    assert (written.rows, written.failed) == (2, 1)
    assert keys(place) == set()
    assert sources(lake, kind) == []
    place.take(written)
    assert keys(place) == {("a", 0, 1), ("b", 0, 0)}
    assert sources(lake, kind) == ["a", "b"]
    assert lake.names("out") == [
        f"out/_manifest/{written.name}.parquet",
        f"out/{written.name}.{kind}",
    ]


@Kind
def test_parts_add_up_over_runs(lake: Lake, kind: RowFormat) -> None:
    first = of(lake, kind)
    put(first, read_page("a"))
    put(first, read_page("b"))
    second = of(lake, kind)
    put(second, read_page("c", 1, 2))
    assert keys(of(lake, kind)) == {("a", 0, 1), ("b", 0, 1), ("c", 0, 1)}
    assert sources(lake, kind) == ["a", "b", "c"]


@Kind
def test_a_part_that_was_never_taken_adds_nothing(lake: Lake, kind: RowFormat) -> None:
    place = of(lake, kind)
    put(place, read_page("a"))
    elsewhere(place.write, table_of(read_page("b")))
    assert keys(of(lake, kind)) == {("a", 0, 1)}
    assert sources(lake, kind) == ["a"]
    again = of(lake, kind)
    again.clean()
    put(again, read_page("b"))
    assert sources(lake, kind) == ["a", "b"]


@Kind
def test_a_part_without_a_manifest_gets_one(lake: Lake, kind: RowFormat) -> None:
    place = of(lake, kind)
    put(place, read_page("a"))
    part = put(place, read_page("b", 2, 3, 1), failed("c", ImageDamaged("no")))
    lake.remove(f"out/_manifest/{part.name}.parquet")
    expected = {("a", 0, 1), ("b", 1, 2), ("c", 0, 0)}
    assert keys(of(lake, kind)) == expected
    assert f"out/_manifest/{part.name}.parquet" in lake.names("out")
    lake.put(f"out/{part.name}.{kind}", b"is not looked into again")
    assert keys(of(lake, kind)) == expected


@Kind
def test_the_inputs_of_a_part_that_was_deleted_are_read_again(lake: Lake, kind: RowFormat) -> None:
    place = of(lake, kind)
    put(place, read_page("a"))
    part = put(place, read_page("b"))
    lake.remove(f"out/{part.name}.{kind}")
    assert keys(of(lake, kind)) == {("a", 0, 1)}


def test_a_run_that_ends_between_part_and_manifest_loses_and_doubles_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = of(lake)
    part = elsewhere(place.write, table_of(read_page("a")))
    move = Place.move
    with monkeypatch.context() as patch:

        def ended(self: Place, path: str, to: str) -> None:
            if "_manifest" in to:
                raise KeyboardInterrupt
            move(self, path, to)

        patch.setattr(Place, "move", ended)
        with pytest.raises(KeyboardInterrupt):
            place.take(part)
    again = of(lake)
    assert keys(again) == {("a", 0, 1)}
    again.clean()
    assert keys(of(lake)) == {("a", 0, 1)}
    assert lake.names("out") == [f"out/_manifest/{part.name}.parquet", f"out/{part.name}.parquet"]


def test_a_part_cannot_be_taken_twice(lake: Lake) -> None:
    place = of(lake)
    part = put(place, read_page("a"))
    with pytest.raises(FileNotFoundError):
        place.take(part)
    with pytest.raises(FileNotFoundError):
        place.take(Part("part-of-another-machine", 1, 0))
    assert sources(lake, "parquet") == ["a"]


def test_only_what_is_unfinished_is_cleaned(lake: Lake) -> None:
    place = of(lake)
    place.clean()
    put(place, read_page("a"))
    before = lake.names("out")
    elsewhere(place.write, table_of(read_page("b")))
    elsewhere(place.write, table_of(read_page("c")))
    assert len(lake.names("out")) == len(before) + 4
    place.clean()
    assert lake.names("out") == before


def test_what_others_write_after_cleaning_can_be_taken(lake: Lake) -> None:
    place = of(lake)
    elsewhere(place.write, table_of(read_page("old")))
    place.done()
    place.clean()
    put(place, read_page("a"))
    elsewhere(place.write, table_of(read_page("b")))
    place.clean()
    assert sources(lake, "parquet") == ["a"]
    assert not lake.names("out/_unfinished")


def test_formats_in_one_folder_do_not_count_for_each_other(lake: Lake) -> None:
    put(of(lake, "parquet"), read_page("a"))
    put(of(lake, "jsonl"), read_page("b"))
    assert keys(of(lake, "parquet")) == {("a", 0, 1)}
    assert keys(of(lake, "jsonl")) == {("b", 0, 1)}


def test_files_of_others_in_the_output_are_left_alone(lake: Lake) -> None:
    place = of(lake)
    put(place, read_page("a"))
    lake.put("out/table.parquet", b"of somebody else")
    lake.put("out/_SUCCESS", b"")
    assert keys(place) == {("a", 0, 1)}
    assert lake.get("out/table.parquet") == b"of somebody else"


@pytest.mark.parametrize("name", ["空 格", "o[1]", "a#b%20c", "o*"])
def test_an_output_may_have_any_name(lake: Lake, name: str) -> None:
    place = Output(lake.name(name), "parquet")
    put(place, read_page("a"))
    elsewhere(place.write, table_of(read_page("b")))
    place.clean()
    assert keys(Output(lake.name(name) + "/", "parquet")) == {("a", 0, 1)}
    assert len(lake.names(name)) == 2


def test_very_many_parts(tmp_path: Path) -> None:
    place = Output(str(tmp_path), "parquet")
    for number in range(100):
        put(place, read_page(f"{number}"))
    for manifest in list((tmp_path / "_manifest").iterdir())[::7]:
        manifest.unlink()
    assert len(keys(place)) == 100


@Kind
def test_a_write_that_is_cut_off_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: RowFormat
) -> None:
    place = Output(str(tmp_path), kind)
    put(place, read_page("a"))
    calls = []

    def full(file: object) -> None:
        calls.append(file)
        if len(calls) == 2:  # the keys are there, the rows are not
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush", full)
        with pytest.raises(OSError, match="No space"):
            place.write(table_of(read_page("b")))
    assert keys(place) == {("a", 0, 1)}
    place.clean()
    assert len(list(tmp_path.rglob("*.*"))) == 2


# What is left


def found(*names: str) -> Found:
    return Found(inputs._counted(pa.array(names, pa.string())))


def done(*pages: tuple[str, int, int, int]) -> pa.Table:
    """Pages as (source, occurrence, page, pages); those without a number have failed."""
    rows = [(*each, READ if each[2] else FAILED) for each in pages]
    return pa.Table.from_pylist([dict(zip(KEYS.names, each, strict=True)) for each in rows], KEYS)


def rest(
    asked: Found, pages: Iterable[tuple[str, int, int, int]]
) -> list[tuple[str, int, set[int]]]:
    table = left(asked, done(*pages)).table
    assert table.schema.names == [SOURCE, OCCURRENCE, DONE]
    return [(row[SOURCE], row[OCCURRENCE], set(row[DONE])) for row in table.to_pylist()]


def test_at_first_everything_is_left() -> None:
    assert rest(found("b", "a", "b"), []) == [("b", 0, set()), ("a", 0, set()), ("b", 1, set())]


def test_inputs_that_have_their_rows_are_not_read_again() -> None:
    pages = [("a", 0, 1, 1), ("b", 0, 0, 0), ("c", 0, 2, 2), ("c", 0, 1, 2), ("gone", 0, 1, 1)]
    assert rest(found("a", "b", "new", "c"), pages) == [("new", 0, set())]


def test_a_document_goes_on_at_the_pages_that_are_missing() -> None:
    pages = [("a", 0, 3, 5), ("a", 0, 1, 5), ("b", 0, 1, 1), ("c", 0, 2, 2)]
    assert rest(found("c", "b", "a"), pages) == [("c", 0, {2}), ("a", 0, {1, 3})]


def test_an_input_that_comes_twice_is_finished_twice() -> None:
    pages = [("a", 1, 1, 2), ("a", 0, 1, 1), ("a", 2, 0, 0)]
    assert rest(found("a", "a", "a", "a"), pages) == [("a", 1, {1}), ("a", 3, set())]


def test_everything_may_be_done_and_nothing_may_be_asked() -> None:
    assert rest(found("a"), [("a", 0, 1, 1)]) == []
    assert rest(found(), [("a", 0, 1, 1)]) == []
    assert rest(found(), []) == []


def test_the_rest_has_the_types_of_the_first_stage() -> None:
    for pages in ([], [("a", 0, 1, 2)]):
        table = left(found("a", "b"), done(*pages)).table
        assert table.schema.field(OCCURRENCE).type == pa.int32()
        assert table.schema.field(DONE).type == pa.list_(pa.int32())


def test_a_sample_goes_on_as_well() -> None:
    names = [f"{number}" for number in range(40)]
    sample = found(*names).sample(8)
    chosen = sample.table[SOURCE].to_pylist()
    assert [source for source, _, _ in rest(sample, [(chosen[3], 0, 1, 1)])] == [
        *chosen[:3],
        *chosen[4:],
    ]


@Kind
def test_a_second_run_reads_what_the_first_did_not(lake: Lake, kind: RowFormat) -> None:
    place = of(lake, kind)
    put(place, read_page("a"), read_page("b", 2, 3, occurrence=1))
    remaining = left(found("a", "b", "b", "a"), of(lake, kind).done()).table.to_pylist()
    assert [(row[SOURCE], row[OCCURRENCE], row[DONE]) for row in remaining] == [
        ("b", 0, []),
        ("b", 1, [2]),
        ("a", 1, []),
    ]


def test_an_output_is_the_same_on_every_machine(lake: Lake) -> None:
    place: Output = pickle.loads(pickle.dumps(of(lake)))  # noqa: S301
    put(place, read_page("a"))
    assert keys(of(lake)) == {("a", 0, 1)}
    assert str(place) == lake.name("out")
    assert output.MANIFESTS in {name.split("/")[1] for name in lake.names("out")}


def test_two_jobs_do_not_write_to_one_output_on_disk(tmp_path: Path) -> None:
    one, other = Output(str(tmp_path / "out"), "parquet"), Output(str(tmp_path / "out"), "jsonl")
    with one.alone(), pytest.raises(BadRequest, match="another job"), other.alone():
        pass
    with other.alone():
        assert other.done().num_rows == 0
