"""What the command line does: finds what there is to read, has it read, says what came of it."""

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath

from ray.exceptions import RayError

from ocr import decode
from ocr.bulk import cluster, inputs, job, models, output, stages, tally
from ocr.command import engines
from ocr.command.options import ALL, NONE, UsageError, wanted
from ocr.progress import tell
from ocr.settings import Settings

ENDED = 1  # by an error, before all was read
ON_CPUS, ON_GPUS = job.Batches(pages=8, rows=200), job.Batches(pages=32, rows=5000)


@dataclass
class Summary:
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


def run(options: argparse.Namespace) -> int:
    """Do what options say; gives the exit status.

    Raises UsageError, OcrError, KeyboardInterrupt.
    """
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
        return ALL
    with place.alone(), cluster.connected(options.address):
        shipped = models.shipped(folders, settings.device)
        batches = ON_GPUS if settings.device == "cuda" else ON_CPUS
        work = job.Job(
            stages.Stages(settings, shipped, wishes),
            cluster.shares(settings, options.gpus),
            job.Batches(batches.pages, options.part_rows or batches.rows),
            place,
        )
        return _read(missing, work, quiet=options.quiet)


def _read(missing: inputs.Found, work: job.Job, *, quiet: bool) -> int:
    """Read inputs into parts, and take each as it comes. Raises OcrError, KeyboardInterrupt."""
    place = work.output
    place.clean()
    done, start = Summary(), time.monotonic()
    try:
        with tally.Progress(len(missing), quiet=quiet) as progress:
            for event in job.run(missing, work):
                if isinstance(event, tally.Counts):
                    progress.add(event)
                else:
                    place.take(event)
                    done.add(event)
    except (RayError, OSError) as error:  # OSError: of the output
        tell(f"bulk: the job was ended by an error: {_reason(error)}")
        return ENDED
    finally:
        tell(f"bulk: {done.told(time.monotonic() - start)}")
    place.clean()
    return ALL if done.read else NONE


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
