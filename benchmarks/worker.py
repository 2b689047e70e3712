"""A reader in a process of its own, so that what it uses can be measured. Run by throughput.py.

    python benchmarks/worker.py in-process [LINES]
    python benchmarks/worker.py rapidocr [NAME=VALUE ...]
    python benchmarks/worker.py modelscope DETECTION RECOGNITION [LINES]

NAME=VALUE is a parameter of RapidOCR, as Global.use_cls=false; its value is YAML. DETECTION and
RECOGNITION are folders of models. LINES is a JSON file of a list of quads for each
picture: they are read in place of those that detection, which runs all the same, has found.

The first line of input is a list of picture files; when they and the networks are loaded, the
worker answers null. Each further line {"clients": n, "order": [position, ...]} reads the pictures
at those positions and is answered with the drive. All lines are JSON; the end of input ends it.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import numpy as np
from driving import Answer, Drive, drive

Run = Callable[[Sequence[int], int], Drive]


def in_process(paths: Sequence[Path], lines: str | None = None) -> Run:
    """The pipeline without HTTP and runners, reading bytes, so many pages at once."""
    import inprocess

    pipeline = inprocess.pipeline()
    given = given_lines(paths, lines)
    pipelines = [pipeline if q is None else inprocess.with_lines(pipeline, q) for q in given]
    pictures = [path.read_bytes() for path in paths]

    def run(order: Sequence[int], clients: int) -> Drive:
        readers = [lambda i: inprocess.read(pipelines[i], pictures[i])] * clients
        return asyncio.run(drive(readers, order))

    return run


def given_lines(paths: Sequence[Path], file: str | None) -> list[np.ndarray | None]:
    """The quads, (n, 4, 2), of each picture in a file of lines, or None for each without one."""
    if file is None:
        return [None for _ in paths]
    found = json.loads(Path(file).read_text("utf-8"))
    return [np.array(quads, np.float32).reshape(-1, 4, 2) for quads in found]


def rapidocr(paths: Sequence[Path], *parameters: str) -> Run:
    """The rapidocr library with these parameters, reading files one after the other."""
    from rapidocr import RapidOCR
    from rapidocr.utils.output import RapidOCROutput

    engine = RapidOCR(params=dict(_parameter(each) for each in parameters))

    def count(output: object) -> int:
        assert isinstance(output, RapidOCROutput)  # the other kinds are for parts of the way
        return len(output.txts or ())

    def read(path: Path) -> Answer:
        start = time.perf_counter()
        try:
            lines = count(engine(path))
        except Exception as error:  # it documents none; any other picture can still be read
            return Answer(time.perf_counter() - start, None, repr(error))
        return Answer(time.perf_counter() - start, lines)

    return one_by_one(paths, read)


def _parameter(text: str) -> tuple[str, object]:
    import yaml
    from rapidocr import EngineType

    name, _, value = text.partition("=")
    known = EngineType(value) if name.endswith(".engine_type") else yaml.safe_load(value)
    return name, known


def modelscope(
    paths: Sequence[Path], detection: str, recognition: str, lines: str | None = None
) -> Run:
    """ModelScope's two pipelines, one picture after the other, its lines one by one.

    Needs a Python with modelscope, torch, TensorFlow, tf_keras, tf_slim and OpenCV.
    """
    import cv2
    import modelscope_pipelines

    detect, recognise = modelscope_pipelines.load(detection, recognition)
    given = dict(zip(paths, given_lines(paths, lines), strict=True))

    def read(path: Path) -> Answer:
        start = time.perf_counter()
        picture = cv2.imread(str(path))
        if picture is None:
            return Answer(time.perf_counter() - start, None, "not a picture that OpenCV reads")
        found, known = modelscope_pipelines.quads(detect, picture), given[path]
        quads = found if known is None else known
        for quad in quads:
            with suppress(cv2.error):  # it cannot resize what is much higher than wide
                recognise(modelscope_pipelines.crop(picture, quad))
        return Answer(time.perf_counter() - start, len(quads))

    return one_by_one(paths, read)


def one_by_one(paths: Sequence[Path], read: Callable[[Path], Answer]) -> Run:
    """Read pictures one after the other."""

    def run(order: Sequence[int], clients: int) -> Drive:
        if clients != 1:
            raise ValueError("it reads one picture at a time")
        start = time.perf_counter()
        answers = [read(paths[i]) for i in order]
        return Drive(time.perf_counter() - start, answers)

    return run


KINDS: dict[str, Callable[..., Run]] = {
    "in-process": in_process,
    "rapidocr": rapidocr,
    "modelscope": modelscope,
}


def answer_channel() -> TextIO:
    """The standard output, which from now on is the error output for everyone else."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def serve(kind: str, options: Sequence[str], channel: TextIO) -> None:
    """Load, then run what is asked for, until the input ends."""
    logging.disable(logging.WARNING)  # they tell of every network they load
    run = KINDS[kind]([Path(name) for name in json.loads(sys.stdin.readline())], *options)
    print("null", file=channel, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        done = run(command["order"], command["clients"])
        print(json.dumps(asdict(done)), file=channel, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:], answer_channel())
