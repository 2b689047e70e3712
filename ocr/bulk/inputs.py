"""The inputs that a command line names: a folder, a pattern, a list, a column of a table."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ocr.bulk.files import Place, readable
from ocr.errors import BadRequest, FileUnreadable

SOURCE, OCCURRENCE, DONE = "source", "occurrence", "done"
TABLE = ".parquet"
PATTERN = frozenset("*?[")
COLUMNS = ("source", "path", "url", "uri", "image", "file")  # of a table, where it has several
SEED = 7


@dataclass(frozen=True)
class Found:
    """The inputs in their order, each with how often its name came before; `table` has them."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def sample(self, count: int) -> "Found":
        """Some of them, at random but always the same ones, in their order."""
        if count >= len(self):
            return self
        chosen = random.Random(SEED).sample(range(len(self)), count)  # noqa: S311 - no secret
        return Found(self.table.take(sorted(chosen)))


def find(name: str, suffixes: Collection[str], without: str, column: str | None = None) -> Found:
    """The inputs that `name` stands for, which is one of

    - a folder: its files with one of the suffixes, at any depth, but nothing hidden, and nothing
      in the folder `without`;
    - a pattern such as s3://bucket/scans/**/*.tif, ** standing for folders: the files that match
      it, but those in the folder `without`;
    - a Parquet file, or a folder of them, with the inputs in `column`;
    - a file with one of the suffixes: itself;
    - any other file: a list, one path or URL a line. Paths that are not absolute are taken from
      here, not from where the list is.

    Raises FileUnreadable if it is not there, or its storage does not answer, BadRequest if a table
    has no such column.
    """
    with readable():
        return Found(_counted(_sources(name, suffixes, without, column)))


def _sources(
    name: str, suffixes: Collection[str], without: str, column: str | None
) -> "pa.Array | pa.ChunkedArray":
    place = Place(name)
    if column is not None or name.lower().endswith(TABLE):
        return _of_table(place, column)
    if PATTERN & set(name) and not place.fs.exists(place.path):
        return pa.array(_of_pattern(place, Place(without).path), pa.string())
    if place.fs.isdir(place.path):
        return pa.array(_of_folder(place, suffixes, Place(without).path), pa.string())
    if not place.fs.exists(place.path):
        raise FileUnreadable(f"{name} is not there")
    if PurePosixPath(name).suffix.lower() in suffixes:
        return pa.array([str(place)])
    return pa.array(_of_list(place), pa.string())


def _of_pattern(place: Place, without: str) -> Iterator[str]:
    left_out = without.rstrip("/") + "/"
    try:
        found = place.fs.glob(place.path, detail=True)
    except ValueError as error:  # ** beside something else
        raise BadRequest(f"{place}: {error}") from None
    for path, told in sorted(found.items()):
        if told["type"] != "directory" and not path.startswith(left_out):
            yield place.name_of(path)


def _of_folder(place: Place, suffixes: Collection[str], without: str) -> Iterator[str]:
    root = place.path.rstrip("/") + "/"
    left_out = without.rstrip("/") + "/"
    holds_all = root.startswith(left_out)  # an output's own files have other suffixes
    for path in place.files(place.path):
        inside = path.removeprefix(root)
        hidden = any(part.startswith(".") for part in inside.split("/"))
        wanted = PurePath(path).suffix.lower() in suffixes
        if wanted and not hidden and (holds_all or not path.startswith(left_out)):
            yield place.name_of(path)


def _of_list(place: Place) -> Iterator[str]:
    with place.fs.open(place.path, "rt", encoding="utf-8-sig") as lines:
        try:
            for line in lines:
                if name := line.strip():
                    yield name if "://" in name else str(Place(name))
        except UnicodeDecodeError:
            raise BadRequest(f"{place} is neither a picture nor a list of inputs") from None


def _of_table(place: Place, column: str | None) -> pa.ChunkedArray:
    names = [place.path]
    if place.fs.isdir(place.path):
        names = [path for path in place.files(place.path) if path.endswith(TABLE)]
    if not names:
        raise FileUnreadable(f"{place} has no Parquet file")
    chunks: list[pa.Array] = []
    try:
        for path in names:
            with place.fs.open(path) as file:
                table = pq.ParquetFile(file)
                column = column or _only_column(table.schema_arrow)
                chunks += table.read(columns=[column])[column].cast(pa.string()).chunks
    except (KeyError, pa.ArrowException) as error:
        raise BadRequest(f"{place}: {error}") from None
    except FileNotFoundError:
        raise FileUnreadable(f"{place} is not there") from None
    return pa.chunked_array(chunks, pa.string())


def _only_column(schema: pa.Schema) -> str:
    texts = [
        field.name
        for field in schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    known = [name for name in COLUMNS if name in texts]
    if len(texts) != 1 and not known:
        raise BadRequest(f"name one of the columns by --column: {', '.join(schema.names)}")
    return known[0] if known else texts[0]


def _counted(sources: "pa.Array | pa.ChunkedArray") -> pa.Table:
    """A table of the sources with how often each came before."""
    frame = pd.DataFrame({SOURCE: sources.drop_null().to_pandas()})
    before = frame.groupby(SOURCE, sort=False).cumcount()
    return pa.table(
        {
            SOURCE: pa.array(frame[SOURCE], pa.string()),
            OCCURRENCE: pa.array(before, pa.int32()),
        }
    )
