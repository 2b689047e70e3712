"""Scores what is read against a folder of truth files.

    python benchmarks/accuracy.py ../shared/data [--set en_pdf zh_pdf]
        [--url http://127.0.0.1:9533] [--baseline ../shared/data/baseline_rapidocr]
        [--json FILE] [--predictions DIR]
    python benchmarks/accuracy.py --mtwi FOLDER [--areas 0.7] [--iou 0.5] [--json FILE] ...

With --url the pictures go through the service that listens there, else through the pipeline in
this process, with the models of the store that BENTOML_HOME selects. Line crops take the whole
way as well: their text is that of all lines found on them, joined in order (recognition.py reads
them without detection). The exit status is 1 if not one picture could be read.

With --mtwi the folder is one of MTWI 2018's, image_NAME beside txt_NAME (see mtwi.py), and what
is scored are the boxes that detection finds, before a text is read in any. A service answers with
the lines that it could read only, so with --url boxes without readable text are missing.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import client
import machine
import mtwi
import results
import truths
from results import Reader, Report, Result, read_predictions, read_set, write_predictions

from ocr.errors import OcrError


def reading(url: str | None) -> AbstractAsyncContextManager[Reader]:
    """The service at `url`, or the pipeline in this process."""
    return _in_process() if url is None else _through_service(url)


def locating(url: str | None) -> AbstractAsyncContextManager[Reader]:
    """The service at `url`, or detection alone in this process."""
    return _detection_in_process() if url is None else _through_service(url)


@asynccontextmanager
async def _through_service(url: str) -> AsyncIterator[Reader]:
    async with client.connect(results.AT_ONCE) as session:
        yield lambda picture: client.read(session, url, client.body(picture))


@asynccontextmanager
async def _in_process() -> AsyncIterator[Reader]:
    import inprocess  # BentoML and ONNX Runtime are not needed with --url

    pipeline = inprocess.pipeline()
    yield lambda picture: inprocess.read(pipeline, picture)


@asynccontextmanager
async def _detection_in_process() -> AsyncIterator[Reader]:
    import inprocess
    import stages

    pipeline = inprocess.pipeline()
    print(f"detection: {stages.detection_model()}", file=sys.stderr)
    yield lambda picture: stages.locate(pipeline, picture)


async def run(options: argparse.Namespace) -> list[Report]:
    """Read and score all sets, one after the other."""
    reports = []
    sets = truths.truth_sets(options.folder, options.set)
    async with reading(options.url) as reader:
        for truth in sets:
            baseline = read_predictions(truth, options.baseline)
            result = await read_set(truth, reader)
            reports.append(results.report(result, baseline))
            if options.predictions is not None:
                write_predictions(result, options.predictions)
    return reports


async def run_mtwi(options: argparse.Namespace) -> tuple[Result, dict[str, mtwi.Evaluation]]:
    """Find and score the boxes on MTWI's pictures; gives those of the baseline as well."""
    truth = mtwi.read(options.folder)
    rules = mtwi.Rules(options.areas, options.iou)
    baseline = read_predictions(truth, options.baseline)
    async with locating(options.url) as reader:
        result = await read_set(truth, reader)
    if options.predictions is not None:
        write_predictions(result, options.predictions)
    evaluations = {"found": mtwi.evaluate(truth.truth, result.found, rules)}
    if baseline is not None:
        evaluations["baseline"] = mtwi.evaluate(truth.truth, baseline.found, rules)
    return result, evaluations


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the truth files")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME", help="only these sets")
    parser.add_argument("--url", help="of the service; without it, the pipeline in process")
    parser.add_argument("--baseline", type=Path, help="a folder of predictions to compare with")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--predictions", type=Path, help="write predictions to this folder")
    _add_mtwi(parser)
    options = parser.parse_args(arguments)
    for folder in (options.folder, options.baseline):
        if folder is not None and not folder.is_dir():
            parser.error(f"no folder {folder}")
    if options.mtwi and options.set:
        parser.error("--mtwi has no sets to choose from with --set")
    return options


def _add_mtwi(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("MTWI 2018")
    group.add_argument("--mtwi", action="store_true", help="score detection on MTWI's own folders")
    group.add_argument(
        "--areas",
        type=_share,
        default=mtwi.LEAST_AREAS,
        help="the least shares of area in the contest's rule (%(default)s)",
    )
    group.add_argument(
        "--iou",
        type=_share,
        default=mtwi.LEAST_IOU,
        help="the overlap to exceed in the rule of one to one (%(default)s)",
    )


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share above 0 and up to 1")
    return share


def _read(options: argparse.Namespace) -> tuple[bool, dict[str, object]]:
    """Read, print the scores; gives whether any picture could be read, and what goes into JSON."""
    if options.mtwi:
        result, evaluations = asyncio.run(run_mtwi(options))
        print(mtwi.describe(evaluations["found"], len(result.failures)), end="\n\n")
        print(mtwi.show(evaluations))
        return bool(result.found), {
            "mtwi": {name: each.as_dict() for name, each in evaluations.items()},
            "card": mtwi.card(),
            "seconds": round(result.seconds, 2),
            "failures": result.failures,
        }
    reports = asyncio.run(run(options))
    print(results.show(reports))
    return any(report.result.found for report in reports), {
        "sets": [report.as_dict() for report in reports]
    }


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        anything, content = _read(options)
    except (OcrError, ValueError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        facts = {"url": options.url, "machine": machine.facts()}
        machine.write_json(options.json, facts | content)
    return 0 if anything else 1


if __name__ == "__main__":
    sys.exit(main())
