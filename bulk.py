"""Reads millions of files with Ray, on one machine or on many, into Parquet or JSON lines.

    python bulk.py scans texts                               a folder, on this machine
    python bulk.py 's3://bucket/scans/**.tif' s3://bucket/texts --address auto --gpus 8
    python bulk.py list.txt texts --format jsonl             one path or URL a line
    python bulk.py table.parquet texts --column path
    python bulk.py scans texts --sample 200                  some of them, for a try

A row a page. An input that cannot be read has a row that says why. Called again with the same
OUTPUT it goes on where it was: what has its rows is not read again, what is new is.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import NoReturn, get_args

from pydantic import ValidationError

from ocr import decode
from ocr.command import engines
from ocr.command.options import (
    ALL,
    INTERRUPTED,
    NONE,
    SOME,
    USAGE,
    Parser,
    UsageError,
    add_models,
    add_wanted,
    at_least_one,
    wanted,
)
from ocr.errors import OcrError, RequestError, SourceError
from ocr.progress import tell
from ocr.settings import Settings

try:
    from ray.exceptions import RayError

    from ocr.bulk import cluster, inputs, job, models, output, rows, stages, tally
    from ocr.bulk.rows import RowFormat
except ModuleNotFoundError as missing_module:
    sys.exit(f"bulk: {missing_module}: pip install '.[cpu,bulk]'")

EXIT_STATUS = f"""exit status:
  {ALL}    every input was read, now or before
  {SOME}    some could not be read, or the job was ended by an error: call it again
  {USAGE}    the arguments make no sense
  {NONE}    nothing could be read at all
  {INTERRUPTED}  interrupted: what was written is whole, and the next call goes on from there"""
ON_CPUS, ON_GPUS = job.Batches(pages=8, rows=200), job.Batches(pages=32, rows=5000)


@dataclass
class Tally:
    """What has come of a job: rows that count."""

    read: int = 0
    failed: int = 0
    parts: int = 0

    def add(self, part: output.Part) -> None:
        self.read += part.rows - part.failed
        self.failed += part.failed
        self.parts += 1

    def told(self, seconds: float) -> str:
        pages = self.read + self.failed
        return (
            f"{self.read} pages read, {self.failed} failed, {self.parts} parts, "
            f"{seconds:.0f} s, {pages / max(seconds, 1e-9):.2f} pages/s"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; gives the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with _ended_by_signals():
            return _run(options)
    except KeyboardInterrupt:
        tell("bulk: interrupted")
        return INTERRUPTED
    except (UsageError, RequestError, SourceError) as error:
        parser.error(str(error))
    except (OcrError, ValidationError) as error:
        tell(f"bulk: {error.code}: {error}" if isinstance(error, OcrError) else f"bulk: {error}")
        return NONE


def _run(options: argparse.Namespace) -> int:
    """Raises OcrError, KeyboardInterrupt."""
    wishes = wanted(dpi=options.dpi, pdf_text=options.pdf_text)
    settings = Settings()
    if options.gpus is not None:
        settings = settings.model_copy(update={"device": "cuda"})
    folders = engines.folders(settings, options.models)
    place = output.Output(options.output, options.format)
    found = inputs.find(options.input, decode.suffixes(), options.output, options.column)
    if not len(found):
        raise UsageError(f"there is nothing to read in {options.input}")
    if options.sample is not None:
        found = found.sample(options.sample)
    done = place.done()
    missing = output.left(found, done)
    tell(f"bulk: {len(found)} inputs, {len(found) - len(missing)} of them done before, to {place}")
    if options.dry_run:
        print("\n".join(_kinds(missing)))
        return ALL
    if not len(missing):
        return SOME if rows.failures(done) else ALL
    with cluster.connected(options.address):
        shipped = models.shipped(folders, settings.device)
        steps = stages.Stages(settings, shipped, place, cluster.beside(tally.Tally), wishes)
        return _read(options, steps, missing)


def _read(options: argparse.Namespace, steps: stages.Stages, missing: inputs.Found) -> int:
    """Read inputs into parts, and take each as it comes. Raises OcrError, KeyboardInterrupt."""
    settings, place = steps.settings, steps.output
    place.clean()
    shares = cluster.shares(settings, options.gpus)
    batches = ON_GPUS if settings.device == "cuda" else ON_CPUS
    batches = job.Batches(batches.pages, options.part_rows or batches.rows)
    done, start = Tally(), time.monotonic()
    try:
        with tally.Progress(steps.tally, len(missing), quiet=options.quiet):
            for part in job.parts(missing, steps, shares, batches):
                place.take(part)
                done.add(part)
    except (RayError, OSError) as error:  # OSError: of the output
        tell(f"bulk: the job was ended by an error: {_reason(error)}")
        return SOME
    finally:
        tell(f"bulk: {done.told(time.monotonic() - start)}")
    place.clean()
    if not done.failed:
        return ALL
    return SOME if done.read else NONE


def _kinds(found: inputs.Found) -> list[str]:
    """How many inputs there are of each kind of name."""
    suffixes = Counter(
        PurePath(name).suffix.lower() for name in found.table[inputs.SOURCE].to_pylist()
    )
    return [f"{count:9} {suffix or '(no suffix)'}" for suffix, count in suffixes.most_common()]


def _reason(error: BaseException) -> str:
    """An error's innermost cause, in a line."""
    while (cause := getattr(error, "cause", None) or error.__cause__) is not None:
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Take SIGTERM, by which clusters end what runs, as Ctrl-C."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("bulk", "python bulk.py", __doc__ or "", EXIT_STATUS)
    parser.add_argument(
        "input", metavar="INPUT",
        help="a folder, a pattern, a picture, a list of paths and URLs, or a Parquet table; "
        "local, or in object storage: s3://, gs://, oss://",
    )  # fmt: skip
    parser.add_argument("output", metavar="OUTPUT", help="a folder, local or in object storage")
    parser.add_argument("--format", choices=get_args(RowFormat), default="parquet")
    parser.add_argument("--column", help="of a Parquet table: the one with paths and URLs")
    add_wanted(parser)
    parser.add_argument(
        "--address",
        help="of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; RAY_ADDRESS if not given, "
        "and without that this machine",
    )
    parser.add_argument(
        "--gpus", type=at_least_one, metavar="N",
        help="GPUs to use, all there are if OCR_DEVICE=cuda; without either CPUs",
    )  # fmt: skip
    add_models(parser)
    parser.add_argument(
        "--part-rows", type=at_least_one, metavar="N",
        help=f"rows of a part of the output; {ON_CPUS.rows}, or {ON_GPUS.rows} with GPUs",
    )  # fmt: skip
    parser.add_argument("--sample", type=at_least_one, metavar="N", help="read N inputs, at random")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to read")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


if __name__ == "__main__":
    sys.exit(main())
