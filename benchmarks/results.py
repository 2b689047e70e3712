"""What was read of a set: scored, set beside a baseline, shown and written."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import truths
from client import ReadFailed
from metrics import TextLine, score_crops, score_pages
from tables import table
from truths import CropSet, PageSet, TruthSet

AT_ONCE = 2  # pictures
TOLD_EVERY = 500  # pictures

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

    def scores(self, strict: bool = False) -> Scores:
        """The scores of pages or, `strict` if need be, of line crops."""
        if isinstance(self.truth, PageSet):
            return score_pages(self.truth.truth, self.found).as_dict()
        return score_crops(self.truth.truth, self.texts, strict).as_dict()


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
        done = len(found) + len(failures)
        if done % TOLD_EVERY == 0:
            print(f"{truth.name}: {done} of {len(truth.truth)} read", file=sys.stderr)

    start = time.perf_counter()
    await asyncio.gather(*(read_one(image) for image in truth.truth))
    in_order = {image: found[image] for image in truth.truth if image in found}
    return Result(truth, in_order, failures, time.perf_counter() - start)


def report(result: Result, baseline: Result | None, strict: bool = False) -> Report:
    """Score a result and its baseline alike."""
    theirs = None if baseline is None else baseline.scores(strict)
    return Report(result, result.scores(strict), theirs)


def read_predictions(truth: TruthSet, folder: Path | None) -> Result | None:
    """What NAME.jsonl of a folder of predictions says, None if it is not there."""
    if folder is None:
        return None
    path = folder / f"{truth.name}.jsonl"
    if not path.is_file():
        print(f"{truth.name}: no baseline at {path}", file=sys.stderr)
        return None
    if isinstance(truth, PageSet):
        return Result(truth, truths.read_pages(path), {}, 0)
    texts = truths.read_crops(path)
    return Result(truth, {image: [TextLine((), text)] for image, text in texts.items()}, {}, 0)


def write_predictions(result: Result, folder: Path) -> None:
    """Write what was found as NAME.jsonl."""
    path = folder / f"{result.truth.name}.jsonl"
    if isinstance(result.truth, PageSet):
        truths.write_pages(path, result.found)
    else:
        truths.write_crops(path, result.texts)


def show(reports: Sequence[Report]) -> str:
    """A table of the sets of pages and one of the sets of line crops."""
    pages = [each for each in reports if isinstance(each.result.truth, PageSet)]
    crops = [each for each in reports if isinstance(each.result.truth, CropSet)]
    tables = []
    if pages:
        rows = [
            [*_counts(each, "images", "lines"), *each.cells(PAGE_COLUMNS), _seconds(each)]
            for each in pages
        ]
        tables.append(table(["set", "images", "lines", *PAGE_COLUMNS, "seconds"], rows))
    if crops:
        rows = [
            [*_counts(each, "images"), *each.cells(CROP_COLUMNS), _seconds(each)] for each in crops
        ]
        tables.append(table(["line crops", "images", *CROP_COLUMNS, "seconds"], rows))
    return "\n\n".join(tables)


def _counts(each: Report, *keys: str) -> list[str]:
    return [each.result.truth.name, *(str(each.scores[key]) for key in keys)]


def _seconds(each: Report) -> str:
    return f"{each.result.seconds:.1f}"
