"""Reads millions of files with Ray, on one machine or on many, into Parquet or JSON lines.

    python bulk.py scans texts                               a folder, on this machine
    python bulk.py 's3://bucket/scans/**/*.tif' s3://bucket/texts --address auto --gpus 8
    python bulk.py list.txt texts --format jsonl             one path or URL a line
    python bulk.py table.parquet texts --column path
    python bulk.py scans texts --sample 200                  some of them, for a try

A row a page. An input that cannot be read has a row that says why. Called again with the same
OUTPUT it goes on where it was: what has its rows is not read again, what is new is.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

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
)
from ocr.errors import OcrError, RequestError, SourceError
from ocr.malloc import MALLOC
from ocr.progress import tell

EXIT_STATUS = f"""exit status:
  {ALL}    every input has its rows, now or before; what could not be read has one that says why
  {SOME}    the job was ended by an error: the next call goes on from there
  {USAGE}    the arguments make no sense
  {NONE}    nothing could be read at all
  {INTERRUPTED}  interrupted: what was written is whole, and the next call goes on from there"""

FOR_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it reports to its makers by default
    # By default it ends processes after a second without work; the next takes 3 s of a core.
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
    **MALLOC,
    # Stages hand on megabytes all the time: to have them from the system each time takes a tenth.
    "MALLOC_MMAP_THRESHOLD_": "32000000",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; gives the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.address = options.address or os.environ.get("RAY_ADDRESS")
    _set_up_ray(options.address)
    try:
        from ocr.bulk import command  # brings Ray, which is set up once it is there
    except ModuleNotFoundError as error:
        parser.error(f"{error}: pip install '.[cpu,bulk]'")
    try:
        with _ended_by_signals():
            return command.run(options)
    except KeyboardInterrupt:
        tell("bulk: interrupted")
        return INTERRUPTED
    except (UsageError, RequestError, SourceError) as error:
        parser.error(str(error))
    except (OcrError, ValidationError) as error:
        tell(f"bulk: {error.code}: {error}" if isinstance(error, OcrError) else f"bulk: {error}")
        return NONE


def _set_up_ray(address: str | None) -> None:
    for variable, value in FOR_RAY.items():
        os.environ.setdefault(variable, value)  # for the processes that are started by this one
    if address is None:
        # Ray without clusters listens on loopback only, on any system, whatever this name says.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


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
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet")
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
        help="rows of a part of the output, at least; if not given 200, or 5000 on GPUs",
    )  # fmt: skip
    parser.add_argument("--sample", type=at_least_one, metavar="N", help="read N inputs, at random")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to read")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


if __name__ == "__main__":
    sys.exit(main())
