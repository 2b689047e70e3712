"""Scores recognition alone, on pictures of one line each.

    python benchmarks/recognition.py FOLDER [--set rec_zh_mtwi ...] [--by-folder] [--strict]
        [--baseline ../shared/data/baseline_rapidocr] [--json FILE] [--predictions DIR]

Each set of the folder is a domain and gets a row, and so do all together. A set is a truth file
NAME.jsonl of {"image", "text"} or the labels of a published set (see labels.py). Each picture is
taken for one line and goes through recognition in this process, with the model that the OCR_*
variables select, cropped and scaled as the pipeline does with a line that covers the picture.
`exact`: equal texts; `1-NED`: 1 minus the mean normalised edit distance; `CER`: edits a character
of the truth. Width forms, case, spaces, punctuation and symbols do not count; with --strict only
width forms and spaces do not, which is nearly PaddleOCR's rule. The exit status is 1 if not one
picture could be read.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import labels
import machine
import results
from metrics import TextLine
from results import Reader, Report, Result, read_predictions, read_set, write_predictions
from truths import CropSet

from ocr.errors import OcrError

ALL = "all"


@asynccontextmanager
async def reading() -> AsyncIterator[Reader]:
    """Recognition in this process, of the whole picture as one line."""
    import inprocess  # BentoML and ONNX Runtime, which tests of the scores do without
    import stages

    pipeline = inprocess.pipeline()
    print(f"recognition: {stages.recognition_model()}", file=sys.stderr)
    yield lambda picture: stages.read_line(pipeline, picture)


async def run(options: argparse.Namespace) -> list[Report]:
    """Read and score all sets, one after the other, and all of them together."""
    sets = labels.crop_sets(options.folder, options.set, options.by_folder)
    pairs: list[tuple[Result, Result | None]] = []
    async with reading() as reader:
        for truth in sets:
            baseline = read_predictions(truth, options.baseline)
            result = await read_set(truth, reader)
            pairs.append((result, baseline))
            if options.predictions is not None:
                write_predictions(result, options.predictions)
    if len(pairs) > 1:
        baselines = [baseline for _, baseline in pairs if baseline is not None]
        complete = len(baselines) == len(pairs)
        every = together([result for result, _ in pairs])
        pairs.append((every, together(baselines) if complete else None))
    return [results.report(result, baseline, options.strict) for result, baseline in pairs]


def together(parts: Sequence[Result]) -> Result:
    """The results of several sets of line crops as those of one."""
    truth: dict[str, str] = {}
    found: dict[str, list[TextLine]] = {}
    failures: dict[str, str] = {}
    for part in parts:
        assert isinstance(part.truth, CropSet)
        # Two sets may share a picture: the set's name keeps their texts apart.
        truth |= {f"{part.truth.name}: {image}": text for image, text in part.truth.truth.items()}
        found |= {f"{part.truth.name}: {image}": lines for image, lines in part.found.items()}
        failures |= {f"{part.truth.name}: {image}": why for image, why in part.failures.items()}
    seconds = sum(part.seconds for part in parts)
    return Result(CropSet(ALL, parts[0].truth.folder, truth), found, failures, seconds)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the line crops and their texts")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME", help="only these sets")
    parser.add_argument(
        "--by-folder", action="store_true", help="a set for each folder of pictures"
    )
    parser.add_argument(
        "--strict", action="store_true", help="case, punctuation and symbols count as well"
    )
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
        print(f"recognition: {error}", file=sys.stderr)
        return 2
    print(results.show(reports))
    if options.json is not None:
        content = {
            "strict": options.strict,
            "machine": machine.facts(),
            "sets": [report.as_dict() for report in reports],
        }
        machine.write_json(options.json, content)
    return 0 if any(report.result.found for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
