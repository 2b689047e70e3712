"""Scores what is read against a folder of truth files.

    python benchmarks/accuracy.py ../shared/data [--set en_pdf zh_pdf]
        [--url http://127.0.0.1:9533] [--baseline ../shared/data/baseline_rapidocr]
        [--json FILE] [--predictions DIR]

With --url the pictures go through the service that listens there, else through the pipeline in
this process, with the models of the store that BENTOML_HOME selects. Line crops take the whole
way as well: their text is that of all lines found on them, joined in order. The exit status is 1
if not one picture could be read.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import client
import datasets
import machine
from client import ReadFailed
from datasets import CropSet, PageSet, TruthSet
from metrics import TextLine, score_crops, score_pages
from tables import table

from ocr.errors import OcrError

AT_ONCE = 2  # pages

Reader = Callable[[bytes], Awaitable[list[TextLine]]]
Scores = dict[str, float]

PAGE_COLUMNS = {
    "det F": "det_f",
    "e2e F": "e2e_f",
    "1-NED matched": "1-ned_matched",
    "bag CER": "bag_cer",
    "line found": "line_found",
}
CROP_COLUMNS = {"exact": "exact", "1-NED": "1-ned", "CER": "cer"}


@dataclass(frozen=True)
class Result:
    """One set, read: what was found by image, why images failed, and the seconds it took."""

    truth: TruthSet
    found: dict[str, list[TextLine]]
    failures: dict[str, str]
    seconds: float

    @property
    def texts(self) -> dict[str, str]:
        return {image: "".join(line.text for line in lines) for image, lines in self.found.items()}

    @property
    def scores(self) -> Scores:
        if isinstance(self.truth, PageSet):
            return score_pages(self.truth.truth, self.found).as_dict()
        return score_crops(self.truth.truth, self.texts).as_dict()


@dataclass(frozen=True)
class Report:
    """A result's scores beside those of the baseline, if it has the set."""

    result: Result
    scores: Scores
    baseline: Scores | None

    def cells(self, columns: dict[str, str]) -> list[str]:
        """The columns' scores, each with its difference to the baseline in brackets."""
        return [self._cell(key) for key in columns.values()]

    def as_dict(self) -> dict[str, object]:
        return {
            "set": self.result.truth.name,
            "scores": self.scores,
            "baseline": self.baseline,
            "seconds": round(self.result.seconds, 2),
            "failures": self.result.failures,
        }

    def _cell(self, key: str) -> str:
        score = f"{self.scores[key]:.3f}"
        if self.baseline is None:
            return score
        return f"{score} ({self.scores[key] - self.baseline[key]:+.3f})"


async def read_set(truth: TruthSet, reader: Reader) -> Result:
    """Read all images of a set; those that fail are named on stderr."""
    slots = asyncio.Semaphore(AT_ONCE)
    found: dict[str, list[TextLine]] = {}
    failures: dict[str, str] = {}

    async def read_one(image: str) -> None:
        async with slots:
            picture = await asyncio.to_thread((truth.folder / image).read_bytes)
            try:
                found[image] = await reader(picture)
            except ReadFailed as error:
                failures[image] = str(error)
                print(f"{image}: {error}", file=sys.stderr)

    start = time.perf_counter()
    await asyncio.gather(*(read_one(image) for image in truth.truth))
    in_order = {image: found[image] for image in truth.truth if image in found}
    return Result(truth, in_order, failures, time.perf_counter() - start)


def baseline_scores(truth: TruthSet, folder: Path | None) -> Scores | None:
    """The scores of a folder's predictions, None if it has none for this set."""
    if folder is None:
        return None
    path = folder / f"{truth.name}.jsonl"
    if not path.is_file():
        print(f"{truth.name}: no baseline at {path}", file=sys.stderr)
        return None
    if isinstance(truth, PageSet):
        return score_pages(truth.truth, datasets.read_pages(path)).as_dict()
    return score_crops(truth.truth, datasets.read_crops(path)).as_dict()


def write_predictions(result: Result, folder: Path) -> None:
    """Write what was found as NAME.jsonl."""
    path = folder / f"{result.truth.name}.jsonl"
    if isinstance(result.truth, PageSet):
        datasets.write_pages(path, result.found)
    else:
        datasets.write_crops(path, result.texts)


def show(reports: list[Report]) -> str:
    """A table of the sets of pages and one of the sets of line crops."""
    pages = [report for report in reports if isinstance(report.result.truth, PageSet)]
    crops = [report for report in reports if isinstance(report.result.truth, CropSet)]
    tables = []
    if pages:
        rows = [
            [*_counts(report, "images", "lines"), *report.cells(PAGE_COLUMNS), _seconds(report)]
            for report in pages
        ]
        tables.append(table(["set", "images", "lines", *PAGE_COLUMNS, "seconds"], rows))
    if crops:
        rows = [
            [*_counts(report, "images"), *report.cells(CROP_COLUMNS), _seconds(report)]
            for report in crops
        ]
        tables.append(table(["line crops", "images", *CROP_COLUMNS, "seconds"], rows))
    return "\n\n".join(tables)


def _counts(report: Report, *keys: str) -> list[str]:
    return [report.result.truth.name, *(str(report.scores[key]) for key in keys)]


def _seconds(report: Report) -> str:
    return f"{report.result.seconds:.1f}"


def reading(url: str | None) -> AbstractAsyncContextManager[Reader]:
    """The service at `url`, or the pipeline in this process."""
    return _in_process() if url is None else _through_service(url)


@asynccontextmanager
async def _through_service(url: str) -> AsyncIterator[Reader]:
    async with client.connect(AT_ONCE) as session:
        yield lambda picture: client.read(session, url, client.body(picture))


@asynccontextmanager
async def _in_process() -> AsyncIterator[Reader]:
    import inprocess  # BentoML and ONNX Runtime are not needed with --url

    pipeline = inprocess.pipeline()
    yield lambda picture: inprocess.read(pipeline, picture)


async def run(options: argparse.Namespace) -> list[Report]:
    """Read and score all sets, one after the other."""
    reports = []
    sets = datasets.truth_sets(options.folder, options.set)
    async with reading(options.url) as reader:
        for truth in sets:
            baseline = baseline_scores(truth, options.baseline)
            result = await read_set(truth, reader)
            reports.append(Report(result, result.scores, baseline))
            if options.predictions is not None:
                write_predictions(result, options.predictions)
    return reports


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the truth files")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME", help="only these sets")
    parser.add_argument("--url", help="of the service; without it, the pipeline in process")
    parser.add_argument("--baseline", type=Path, help="a folder of predictions to compare with")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--predictions", type=Path, help="write predictions to this folder")
    options = parser.parse_args(arguments)
    for folder in (options.folder, options.baseline):
        if folder is not None and not folder.is_dir():
            parser.error(f"no folder {folder}")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        reports = asyncio.run(run(options))
    except (OcrError, ValueError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    print(show(reports))
    if options.json is not None:
        content = {
            "url": options.url,
            "machine": machine.facts(),
            "sets": [report.as_dict() for report in reports],
        }
        machine.write_json(options.json, content)
    return 0 if any(report.result.found for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
