"""The output: parts, each with a manifest of what is in it, and what is left to do.

    OUTPUT/part-RUN-ID.parquet              rows
    OUTPUT/_manifest/part-RUN-ID.parquet    which pages they are
    OUTPUT/_unfinished/part-RUN-ID.parquet  a part that no run has taken over yet

Tasks write to _unfinished; only the one process that runs the job moves a part to where it counts,
so a task that is made twice, or outlives its job, adds nothing. A part whose manifest is missing
was moved in a run's last moment: it gets one. One job at a time may write to an output: on disk it
holds a lock, in object storage there is none to be had.
"""

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from ocr.bulk import rows
from ocr.bulk.files import Place
from ocr.bulk.inputs import DONE, OCCURRENCE, SOURCE, Found
from ocr.bulk.rows import KEYS, RowFormat
from ocr.errors import BadRequest

MANIFESTS, UNFINISHED = "_manifest", "_unfinished"  # readers of Parquet folders skip both
LOCK = "_lock"
PART, MANIFEST = "part-", ".parquet"
AT_ONCE = 16  # manifests that are read side by side
BY = [SOURCE, OCCURRENCE]
LEFT = pa.schema([(SOURCE, pa.string()), (OCCURRENCE, pa.int32()), (DONE, pa.list_(pa.int32()))])


@dataclass(frozen=True)
class Part:
    """A part that was written: its name, its rows, and how many of them are failures."""

    name: str
    rows: int
    failed: int


class Output:
    """A folder of parts, on local disk or in object storage. It need not be there."""

    def __init__(self, name: str, kind: RowFormat) -> None:
        self.kind = kind
        self._name = str(Place(name))  # which is the same from any working directory
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"

    def __str__(self) -> str:
        return str(self._place)

    @property
    def _place(self) -> Place:  # made anew by each process: a file system is nothing to send about
        return Place(self._name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only job that writes to this output. Raises BadRequest if another one does."""
        place = self._place
        if not place.is_local:
            yield
            return
        place.fs.makedirs(place.path, exist_ok=True)
        with open(place.at(LOCK), "w") as file:  # noqa: PTH123 - a path of fsspec's
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which ends with this process
            except BlockingIOError:
                raise BadRequest(f"another job writes to {self}") from None
            yield

    def write(self, table: pa.Table) -> Part:
        """Write rows as a part that does not count yet."""
        name = f"{PART}{self._run}-{uuid4().hex[:12]}"
        place = self._place
        keys = rows.encoded(table.select(KEYS.names), "parquet")
        place.write(place.at(UNFINISHED, name + MANIFEST + ".keys"), keys)
        place.write(place.at(UNFINISHED, f"{name}.{self.kind}"), rows.encoded(table, self.kind))
        return Part(name, table.num_rows, rows.failures(table))

    def take(self, part: Part) -> None:
        """Make a part count. Raises FileNotFoundError if it was written where this one cannot see.

        The part comes first: it holds all that its manifest does.
        """
        place = self._place
        file = f"{part.name}.{self.kind}"
        place.move(place.at(UNFINISHED, file), place.at(file))
        manifest = part.name + MANIFEST
        place.move(place.at(UNFINISHED, manifest + ".keys"), place.at(MANIFESTS, manifest))

    def clean(self) -> None:
        """Remove what earlier runs have left unfinished."""
        place = self._place
        place.remove(place.at(UNFINISHED))

    def done(self) -> pa.Table:
        """The pages that are there, as KEYS."""
        place = self._place
        parts = {name.removesuffix(f".{self.kind}") for name in self._parts()}
        known = {name.removesuffix(MANIFEST) for name in place.names(place.at(MANIFESTS), MANIFEST)}
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = [
                *threads.map(self._manifest, sorted(parts & known)),
                *threads.map(self._mend, sorted(parts - known)),
            ]
        return pa.concat_tables([KEYS.empty_table(), *found])

    def _parts(self) -> list[str]:
        place = self._place
        names = place.names(place.path.rstrip("/"), f".{self.kind}")
        return [name for name in names if name.startswith(PART)]

    def _manifest(self, name: str) -> pa.Table:
        place = self._place
        data = place.fs.cat_file(place.at(MANIFESTS, name + MANIFEST))
        return pq.read_table(pa.BufferReader(data)).cast(KEYS)

    def _mend(self, name: str) -> pa.Table:
        """Write the manifest of a part that has none."""
        place = self._place
        keys = rows.keys_of(place.fs.cat_file(place.at(f"{name}.{self.kind}")), self.kind)
        place.write(place.at(MANIFESTS, name + MANIFEST), rows.encoded(keys, "parquet"))
        return keys


def left(found: Found, done: pa.Table) -> Found:
    """The inputs that are not finished, with the pages of them that are done already."""
    if not len(found):  # which pandas cannot join
        return Found(LEFT.empty_table())
    pages = done.to_pandas()
    of_inputs = pages.groupby(BY, sort=False).agg(
        first=("page", "min"), there=("page", "nunique"), pages=("pages", "max")
    )
    finished = (of_inputs["first"] == 0) | (of_inputs["there"] >= of_inputs["pages"])
    begun = pages.merge(of_inputs[~finished].reset_index()[BY], on=BY)
    begun_pages = begun.groupby(BY, sort=False)["page"].agg(list).rename(DONE)
    frame = (
        found.table.to_pandas().join(finished.rename("finished"), on=BY).join(begun_pages, on=BY)
    )
    frame = frame[frame["finished"].isna() | ~frame["finished"].astype(bool)]
    done_pages = [each if isinstance(each, list) else [] for each in frame[DONE]]
    return Found(
        pa.table(
            {
                SOURCE: pa.array(frame[SOURCE], pa.string()),
                OCCURRENCE: pa.array(frame[OCCURRENCE], pa.int32()),
                DONE: pa.array(done_pages, pa.list_(pa.int32())),
            },
            LEFT,
        )
    )
