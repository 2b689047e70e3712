"""What each stage of the bulk job costs a page, and what that makes of many pages.

    python benchmarks/bulk_stages.py FOLDER [--set NAME ...] [--limit N] [--pages N] [--json FILE]

Runs the stages of ocr/bulk one after the other over the pictures of throughput.py's sets, in this
process, without Ray, one page at a time and each network on one thread: so a stage's seconds are
those of one core. What goes from stage to stage is measured as it would travel. Ray's own work is
not in it: bulk_job.py measures the whole.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import inprocess
import machine
import pyarrow as pa
import throughput
from tables import table

from ocr.bulk import inputs
from ocr.bulk.models import Models, ShippedModel
from ocr.bulk.networks import Detect, Recognise
from ocr.bulk.stages import Stages
from ocr.model import read_detection_model, read_recognition_model
from runners import store

Step = Callable[[pa.Table], "pa.Table | Iterable[pa.Table]"]
MEGA = 1e6
HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """A stage's seconds of a page, and the bytes that it gives to the next one: means."""

    stage: str
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class StoredModel(ShippedModel[Any]):
    """A model that needs not be shipped."""

    place: Path = Path()

    def folder(self) -> Path:
        return self.place


def steps() -> dict[str, Step]:
    """The stages by name, with the models of the store."""
    settings, entries = inprocess.SETTINGS, inprocess.SETTINGS.models
    folders = store.model_folder(entries.detection), store.model_folder(entries.recognition)
    detection = StoredModel("", read_detection_model(folders[0]), None, folders[0])
    recognition = StoredModel("", read_recognition_model(folders[1]), None, folders[1])
    stages = Stages(settings, Models(detection, recognition))
    return {
        "read": stages.read,
        "decode and prepare": stages.decode,
        "detect": Detect(detection, settings, 1),
        "crop and pack": stages.crop,
        "recognise": Recognise(recognition, settings, 1),
        "assemble": stages.assemble,
    }


def measure(paths: Sequence[Path]) -> list[Cost]:
    """Take every picture through all stages; the first is taken twice, and counts once."""
    chain = steps()
    seconds: dict[str, list[float]] = {name: [] for name in chain}
    sizes: dict[str, list[int]] = {name: [] for name in chain}
    for path in [paths[0], *paths]:
        work = pa.table({inputs.SOURCE: [str(path)], inputs.OCCURRENCE: [0], inputs.DONE: [[]]})
        for name, step in chain.items():
            start = time.perf_counter()
            given = step(work)
            work = given if isinstance(given, pa.Table) else pa.concat_tables(given)
            seconds[name].append(time.perf_counter() - start)
            sizes[name].append(work.nbytes)
    return [
        Cost(name, statistics.fmean(seconds[name][1:]), statistics.fmean(sizes[name][1:]) / MEGA)
        for name in chain
    ]


def show(costs: Sequence[Cost], pages: float) -> str:
    total = sum(cost.seconds for cost in costs)
    rows = [
        (
            cost.stage,
            f"{1000 * cost.seconds:.1f}",
            f"{cost.seconds / total:.1%}",
            f"{cost.megabytes:.3f}",
            f"{pages * cost.seconds / HOUR:,.0f}",
        )
        for cost in [*costs, Cost("all", total, 0.0)]
    ]
    header = ("stage", "ms a page", "share", "MB it gives", f"core hours of {pages:,.0f} pages")
    return table(header, rows)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", nargs="+", metavar="NAME")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--pages", type=float, default=100e6)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    paths = list(throughput.pictures(options))
    costs = measure(paths)
    print(machine.describe())
    print(f"{len(paths)} pictures\n")
    print(show(costs, options.pages))
    if options.json:
        rows = [asdict(cost) for cost in costs]
        machine.write_json(options.json, {"machine": machine.facts(), "stages": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
