"""Reads files and writes down what they say, with the models of this machine or by a server.

    python -m ocr scan.pdf                                   its text, on standard output
    python -m ocr scans --output texts                       a text file for each of a folder
    python -m ocr scan.png --output scan.pdf                 a PDF that can be searched
    python -m ocr '*.png' --format json --words --url http://server:9533
    cat scan.png | python -m ocr -

A file that was written after its input is left as it is, whatever the options were then; so what
was interrupted goes on where it was when it is called again.
"""

import argparse
import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import ValidationError

from ocr import decode, progress
from ocr.command import engines
from ocr.command import options as options_of
from ocr.command.batch import Batch, Tally
from ocr.command.engines import Engine
from ocr.command.inputs import Input, find
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
from ocr.command.outputs import SEPARATORS, Files, Output, Stream, places
from ocr.errors import OcrError
from ocr.formats.catalogue import FORMATS
from ocr.settings import Settings
from ocr.wanted import Wanted

EXIT_STATUS = f"""exit status:
  {ALL}    every file was read, now or before
  {SOME}    some could not be read
  {USAGE}    the arguments make no sense, or name nothing to read
  {NONE}    nothing could be read at all
  {INTERRUPTED}  interrupted: what was written is whole, and the next call goes on from there"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; gives the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            # Of odd files, which are told of if they cannot be read.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            return _run(options)
    except UsageError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        progress.tell("ocr: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # What Python still holds for whoever reads no more would be an error at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME
    except (OcrError, ValidationError, ModuleNotFoundError) as error:
        progress.tell(f"ocr: {_told(error)}")
        return NONE


def _run(options: argparse.Namespace) -> int:
    """Raises UsageError, KeyboardInterrupt, BrokenPipeError, and what no file is to blame for."""
    inputs = find(options.files, decode.suffixes(), options.output and Path(options.output))
    if not inputs:
        raise UsageError("there is nothing to read: no picture and no PDF in what was named")
    wanted = _wanted(options)
    output = _output(options, inputs, wanted)
    return asyncio.run(_read(options, inputs, wanted, output))


def _parser() -> argparse.ArgumentParser:
    parser = Parser("ocr", "python -m ocr", __doc__ or "", EXIT_STATUS)
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="files, folders with pictures and PDFs, patterns; - for standard input",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=list(FORMATS),
        help="what --output's name says, or else text",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="DIR|FILE",
        help="of one file a file, of several a folder; standard output if not given",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="read again what was read before")
    _add_wanted(parser)
    add_models(parser)
    parser.add_argument("--url", help="of a server that reads in place of this process")
    parser.add_argument(
        "--api-key", metavar="KEY", default=os.environ.get("OCR_API_KEY"),
        help="of that server; OCR_API_KEY if not given",
    )  # fmt: skip
    parser.add_argument("--jobs", type=at_least_one, metavar="N", help="files read at a time")
    parser.add_argument("--quiet", action="store_true", help="tell of nothing but failures")
    return parser


def _add_wanted(parser: argparse.ArgumentParser) -> None:
    """The options that are a request's as well; what they may be Wanted says."""
    about = {name: field.description for name, field in Wanted.model_fields.items()}
    parser.add_argument("--pages", default="", help=about["pages"])
    add_wanted(parser)
    parser.add_argument("--words", action="store_true", help=about["words"])


def _wanted(options: argparse.Namespace) -> Wanted:
    """Raises UsageError."""
    by_suffix = {each.suffix: each.name for each in FORMATS.values()}
    suffix = Path(options.output or "").suffix.lower()
    return options_of.wanted(
        format=options.format or by_suffix.get(suffix, "text"),
        words=options.words,
        pages=options.pages,
        dpi=options.dpi,
        pdf_text=options.pdf_text,
    )


def _output(options: argparse.Namespace, inputs: Sequence[Input], wanted: Wanted) -> Output:
    """Raises UsageError."""
    if options.output is None:
        return _standard_output(inputs, wanted)
    place = Path(options.output)
    several = len(inputs) > 1 or any(Path(name).is_dir() for name in options.files)
    if several and place.exists() and not place.is_dir():
        raise UsageError(f"--output {place} is a file, and a folder is needed for several")
    if several or place.is_dir() or options.output.endswith(("/", os.sep)):
        taken = places(inputs, place, FORMATS[wanted.format].suffix)
    else:
        taken = [place]
    both = {each.resolve() for each in taken} & {
        each.path.resolve() for each in inputs if each.path
    }
    if both:
        raise UsageError(f"--output would put a file in place of an input: {min(both)}")
    return Files(dict(zip(inputs, taken, strict=True)), options.force)


def _standard_output(inputs: Sequence[Input], wanted: Wanted) -> Output:
    kind = wanted.format
    if kind not in SEPARATORS and len(inputs) > 1:
        raise UsageError(f"several files as {kind} need a folder to go to: --output DIR")
    if kind in ("pdf", "png") and sys.stdout.isatty():
        raise UsageError(f"{kind} is nothing for a terminal: --output FILE")
    return Stream(sys.stdout.buffer, inputs, kind)


async def _read(
    options: argparse.Namespace, inputs: Sequence[Input], wanted: Wanted, output: Output
) -> int:
    """Read what is not there yet; gives the exit status."""
    missing = [each for each in inputs if not output.has(each)]
    tally = Tally(done_before=len(inputs) - len(missing), left=len(missing))
    if missing:
        async with _engine(options, wanted) as engine:
            await Batch(engine, output, tally, options.quiet).run(
                missing, options.jobs or engine.jobs
            )
    if len(inputs) > 1 and not options.quiet:
        progress.tell(f"ocr: {tally}")
    if tally.failed == 0:
        return ALL
    return SOME if tally.read or tally.done_before else NONE


@asynccontextmanager
async def _engine(options: argparse.Namespace, wanted: Wanted) -> AsyncIterator[Engine]:
    if options.url:
        async with engines.there(wanted, options.url, options.api_key) as engine:
            yield engine
    else:
        settings = Settings()
        folders = engines.folders(settings, options.models)
        yield engines.here(wanted, *folders, settings)


def _told(error: Exception) -> str:
    if isinstance(error, OcrError):
        return f"{error.code}: {error}"
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: pip install 'ocr-service[client]'"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
