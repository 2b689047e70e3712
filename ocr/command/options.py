"""What the command lines have in common: their parser, options and exit statuses."""

import argparse
from pathlib import Path
from typing import Any, NoReturn, get_args

from pydantic import ValidationError

from ocr.wanted import PdfText, Wanted

ALL, SOME, USAGE, NONE, INTERRUPTED = 0, 1, 2, 3, 130


class UsageError(Exception):
    """The arguments make no sense together."""


class Parser(argparse.ArgumentParser):
    """Ends with the status USAGE for what makes no sense.

    Of a program's docstring the first paragraph says what it does, the rest comes after the
    options, and so do its exit statuses.
    """

    def __init__(self, name: str, program: str, about: str, statuses: str) -> None:
        summary, _, examples = about.partition("\n\n")
        super().__init__(
            prog=program,
            description=summary,
            epilog=f"examples:\n{examples}\n{statuses}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._name = name

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.format_usage()}{self._name}: {message}\n")


def add_wanted(parser: argparse.ArgumentParser) -> None:
    """The options that are a request's as well, of how PDFs are read."""
    about = {name: field.description for name, field in Wanted.model_fields.items()}
    parser.add_argument("--dpi", type=int, default=Wanted().dpi, help=about["dpi"])
    parser.add_argument(
        "--pdf-text", choices=get_args(PdfText), default="auto", help=about["pdf_text"]
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Where the models are."""
    parser.add_argument(
        "--models", type=Path, metavar="DIR",
        help="a folder with the folders of a detection and a recognition model; "
        "if not given, those of BentoML's model store that OCR_PRESET names",
    )  # fmt: skip


def at_least_one(text: str) -> int:
    """A type of options. Raises ArgumentTypeError."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1")
    return number


def wanted(**chosen: Any) -> Wanted:
    """What options say is wanted. Raises UsageError, which names those that make no sense."""
    try:
        return Wanted(**chosen)
    except ValidationError as error:
        faults = [
            f"--{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise UsageError("; ".join(faults)) from None
