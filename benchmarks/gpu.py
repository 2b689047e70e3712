"""Measures the networks in torch on a GPU: first whether they are right, then how fast they are.

    python benchmarks/gpu.py [--detection MODEL_FOLDER --recognition MODEL_FOLDER]
        [--precision as-imported|half|single ...] [--regardless] [--pages 5000] [--seconds 6]
        [--device cuda] [--json FILE]

Without folders the models are those of the store that the OCR_* variables select. --precision takes
several: each is a run of its own, over copies of the folders that say so. Nothing else should use
the GPU meanwhile.

Right means: the same boxes and texts as network.onnx in ONNX Runtime on the CPU, on drawn pages;
and for one picture the same bits in any company, in any replay, and also while graphs were recorded
beside each other. If it is not, there are no timings and the exit status is 1. Weights that were
never trained seldom read alike in half precision: --regardless times them all the same.

Then, with 1, 4 and 8 pages at once in this process:

- detection and recognition alone, and line by line: recognition as ModelScope's pipeline calls the
  same network, in single precision with torch's own settings;
- whole pages of 30 lines, 60 to 800 pixels wide, by `ocr.pipeline`. Nothing but a trained network
  finds exactly these lines, so what both networks gave is replaced, after they have done all of
  their work, by the lines that were drawn and by a confidence that leaves nothing to be read again;
- memory over --pages pages of many sizes, with 1 to 60 lines each.

The exit status is 1 as well if a goal is missed, 2 if there is nothing to measure. A run takes some
5 minutes; the pages of the last part end early rather than let it take more than 8. --device cpu is
a dry run of the script itself: small counts, no goals but those of being right.
"""

import argparse
import asyncio
import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import machine
import numpy as np
import numpy.typing as npt
import oracle
import psutil
import torch
from arguments import count
from gpu_usage import Busy
from tables import table
from torch import Tensor

from ocr import geometry, torch_network
from ocr.detection import tiles
from ocr.detection.detector import Boxes, Detector
from ocr.document import Pixels
from ocr.errors import InferenceFailed, ModelMissing, OcrError
from ocr.local import Local
from ocr.model import (
    DESCRIPTION,
    WEIGHTS,
    DetectionModel,
    RecognitionModel,
    read_charset,
    read_detection_model,
    read_recognition_model,
)
from ocr.networks import precision
from ocr.networks.architectures import ARCHITECTURES
from ocr.pipeline import Pipeline
from ocr.recognition import ctc, lines
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import Network, Outputs, check_device
from ocr.settings import available_cores
from ocr.torch_network import TorchNetwork

Work = Callable[[int], Awaitable[object]]  # does what there is to do for the page of this number
Rule = Literal["<=", ">="]

RIGHT = 0.99  # F of boxes at an IoU of 0.9, share of texts
TIMES = 50  # as many lines a second as line by line, at least
PAGES_A_SECOND = 100
FLAT = 1.02  # memory after all pages, of that after a tenth of them
LIMIT_S = 450  # of the whole run

WIDTH, HEIGHT = 1024, 1440  # of a drawn page
LINE_HEIGHT = 28
NARROWEST, WIDEST = 60, 800  # lines, as wide as they are when LINE_AT high
LINE_AT = 32
SHOWN = ((HEIGHT, WIDTH), (1000, WIDTH), (HEIGHT, 700), (720, 720))  # parts of pages, for checks
SIDES = (300, 2000)  # of the pages of many sizes
ALONE = 3  # pictures that are run alone as well
MEGABYTE = 1e6
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:-/"


@dataclass(frozen=True)
class Scale:
    """How much of everything: a GPU does in no time what takes a CPU seconds."""

    lines: int  # on a page
    checked: int  # pages
    at_once: tuple[int, ...]
    seconds: float  # of each timing, but each does one page at least
    pages: int  # of many sizes
    sizes: int


GPU = Scale(lines=30, checked=4, at_once=(1, 4, 8), seconds=6, pages=5000, sizes=100)
DRY = Scale(lines=2, checked=2, at_once=(1, 2), seconds=0, pages=6, sizes=2)
DRY_LINES = 4  # in a batch
DRY_FIELD = {"resize": "short", "short_side": 128, "long_side": 512, "small_text": 0}


@dataclass(frozen=True)
class Figure:
    """A number. `bound` is what it must keep to, None if it is only told; `busy` is the share of
    the time in which the GPU had work, `cpu` the processor's seconds for a page."""

    what: str
    value: float
    at_once: int | None = None
    busy: float | None = None
    cpu: float | None = None
    bound: float | None = None
    rule: Rule = ">="

    @property
    def held(self) -> bool:
        if self.bound is None:
            return True
        return self.value <= self.bound if self.rule == "<=" else self.value >= self.bound


@dataclass(frozen=True)
class Run:
    """One precision: what runs the two networks, and what was found."""

    precision: str
    providers: tuple[str, str]
    figures: list[Figure]

    @property
    def held(self) -> bool:
        return all(figure.held for figure in self.figures)


@dataclass(frozen=True)
class Folders:
    detection: Path
    recognition: Path


# What is read


@dataclass(frozen=True)
class Sheet:
    """A drawn page, RGB, and the quads of its lines, (n, 4, 2)."""

    pixels: Pixels
    quads: npt.NDArray[np.float32]

    def crops(self, model: RecognitionModel) -> list[list[Pixels]]:
        """The lines as the network takes them, those that are too wide for it in parts."""
        cut = (geometry.crop(self.pixels, quad, model.height) for quad in self.quads)
        return [lines.split(crop, model) for crop in cut]

    def packed(self, model: RecognitionModel) -> PackedLines:
        return lines.pack([part for line in self.crops(model) for part in line])


def draw(seed: int, count: int) -> Sheet:
    """Lines of letters, evenly from the narrowest to the widest, in any order."""
    random = np.random.default_rng(seed)
    page = np.asarray(np.clip(random.normal(235, 5, (HEIGHT, WIDTH, 3)), 0, 255), np.uint8)
    widths = np.linspace(NARROWEST, WIDEST, count) * LINE_HEIGHT / LINE_AT
    pitch = HEIGHT / count
    quads = []
    for row, width in enumerate(random.permutation(widths)):
        left, top = int(random.integers(20, 120)), int((row + 0.5) * pitch - LINE_HEIGHT / 2)
        right, bottom = left + int(width), top + LINE_HEIGHT
        page[top:bottom, left:right] = _draw_line(random, int(width))
        quads.append([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Sheet(page, np.array(quads, np.float32))


def _draw_line(random: np.random.Generator, width: int) -> Pixels:
    line = np.asarray(np.clip(random.normal(235, 5, (LINE_HEIGHT, width, 3)), 0, 255), np.uint8)
    text = "".join(random.choice(list(LETTERS), 2 + width // 10))
    ink = [float(value) for value in random.integers(0, 100, 3)]
    cv2.putText(line, text, (3, 21), cv2.FONT_HERSHEY_DUPLEX, 0.75, ink, 1, cv2.LINE_AA)
    return line


def shown(page: Pixels, model: DetectionModel) -> list[Pixels]:
    """What the network is shown of a page at first."""
    plan = tiles.first_look(page.shape[1], page.shape[0], model)
    return [tile.pixels for tile in tiles.prepare(page, plan, model)]


# What reads it


def chosen(options: argparse.Namespace) -> Folders:
    """The folders that were named, or those of the store. Raises ModelError without them."""
    if options.detection is not None:
        return Folders(options.detection, options.recognition)
    import inprocess  # loads BentoML

    from runners import store

    pair = inprocess.SETTINGS.models
    return Folders(store.model_folder(pair.detection), store.model_folder(pair.recognition))


def check_folders(folders: Folders, device: Literal["cpu", "cuda"]) -> None:
    """Raises ModelError if a folder has no weights for torch, DeviceUnavailable without CUDA."""
    read_detection_model(folders.detection)
    read_recognition_model(folders.recognition)
    for folder in (folders.detection, folders.recognition):
        if not (folder / WEIGHTS).is_file():
            raise ModelMissing(f"no weights at {folder / WEIGHTS}")
    if device == "cuda":
        check_device(device)


@contextmanager
def altered(folders: Folders, kind: str, device: str) -> Iterator[Folders]:
    """Copies of the folders that say which precision, and in a dry run show smaller pictures."""
    changes: dict[str, Any] = {} if kind == "as-imported" else {"half": kind == "half"}
    with tempfile.TemporaryDirectory() as temporary:
        copies = Folders(Path(temporary) / "detection", Path(temporary) / "recognition")
        dry = DRY_FIELD if device == "cpu" else {}
        _copy(folders.detection, copies.detection, changes | dry)
        _copy(folders.recognition, copies.recognition, changes)
        yield copies


def _copy(folder: Path, place: Path, changes: dict[str, Any]) -> None:
    shutil.copytree(folder, place)
    path = place / DESCRIPTION
    path.chmod(0o644)  # that of a store may be for reading only
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def open_pair(folders: Folders, device: Literal["cpu", "cuda"]) -> Local:
    """The pair in torch, in a dry run too."""
    pair, threads = _opened(folders, device), available_cores()
    if device == "cpu":
        for reader, folder in (
            (pair.detector, folders.detection),
            (pair.recogniser, folders.recognition),
        ):
            reader.network = TorchNetwork(folder, reader.model, "cpu", threads)
    return pair


def _opened(folders: Folders, device: Literal["cpu", "cuda"]) -> Local:
    threads = available_cores()
    return Local(
        Detector(folders.detection, device, threads),
        Recogniser(folders.recognition, device, threads),
    )


# Whether it is right


def check(ours: Local, reference: Local, scale: Scale) -> list[Figure]:
    """Compare freshly opened networks with the reference, and with themselves."""
    sheets = [draw(seed, scale.lines) for seed in range(scale.checked)]
    pictures = [
        picture
        for sheet, (height, width) in zip(sheets, SHOWN, strict=False)
        for picture in shown(sheet.pixels[:height, :width], ours.detector.model)
    ]
    packed = [sheet.packed(ours.recogniser.model) for sheet in sheets]
    # First of all, so that graphs are recorded while others are, and while others run.
    beside = asyncio.run(_read_all(ours, pictures, packed))
    boxes, texts = asyncio.run(_read_all(reference, pictures, packed))
    found, read = asyncio.run(_read_all(ours, pictures, packed))
    agreement = [
        precision.agreement(_quads(a), _quads(b)) for a, b in zip(boxes, found, strict=True)
    ]
    equal = [a.text == b.text for a, b in zip(_flat(texts), _flat(read), strict=True)]
    return [
        Figure("right: boxes in ONNX Runtime", sum(map(len, boxes))),
        Figure("right: boxes' F against it", float(np.mean(agreement)), bound=RIGHT),
        Figure("right: lines in ONNX Runtime", sum(bool(each.text) for each in _flat(texts))),
        Figure("right: share of its texts", float(np.mean(equal)), bound=RIGHT),
        _none("right: changed, recorded side by side", not _same(beside, (found, read))),
        _none("right: changed, detection", _changed(ours.detector.network, pictures)),
        _none(
            "right: changed, recognition", _changed(ours.recogniser.network, _windows(packed, ours))
        ),
    ]


async def _read_all(
    pair: Local, pictures: Sequence[Pixels], packed: Sequence[PackedLines]
) -> tuple[list[Boxes], list[list[Reading]]]:
    """Everything at once."""
    boxes, readings = await asyncio.gather(
        asyncio.gather(*(pair.detect(picture) for picture in pictures)),
        asyncio.gather(*(pair.recognise(page) for page in packed)),
    )
    return list(boxes), list(readings)


def _quads(boxes: Boxes) -> npt.NDArray[np.float32]:
    return boxes[:, :8].reshape(-1, 4, 2)


def _flat(pages: Sequence[list[Reading]]) -> list[Reading]:
    return [reading for page in pages for reading in page]


def _same(
    one: tuple[list[Boxes], list[list[Reading]]], other: tuple[list[Boxes], list[list[Reading]]]
) -> bool:
    boxes = zip(one[0], other[0], strict=True)
    return one[1] == other[1] and all(np.array_equal(a, b) for a, b in boxes)


def _none(what: str, count: int) -> Figure:
    return Figure(what, count, bound=0, rule="<=")


def _windows(packed: Sequence[PackedLines], pair: Local) -> list[Pixels]:
    model = pair.recogniser.model
    return [
        window for page in packed for line in page.unpack() for window in lines.windows(line, model)
    ]


def _changed(network: Network, pictures: Sequence[Pixels]) -> int:
    """Of how many pictures the bits depend on what else is run, or on when."""
    together = _bits(network, pictures)
    others = [
        _bits(network, pictures),
        _bits(network, pictures[::-1])[::-1],
        [_bits(network, [picture])[0] for picture in pictures[:ALONE]] + together[ALONE:],
    ]
    return sum(any(other[i] != bits for other in others) for i, bits in enumerate(together))


def _bits(network: Network, pictures: Sequence[Pixels]) -> list[bytes]:
    found = network.each(pictures, _as_bytes)
    failed = next((each for each in found if isinstance(each, InferenceFailed)), None)
    if failed is not None:
        raise failed
    return [each for each in found if isinstance(each, bytes)]


def _as_bytes(image: Pixels, outputs: Outputs) -> bytes:
    return b"".join(output.tobytes() for output in outputs)


# How fast it is


class LineByLine:
    """Recognition as ModelScope's pipeline has it: line by line, all windows of each."""

    def __init__(self, folder: Path, device: str) -> None:
        self.model = read_recognition_model(folder)
        self._device = device
        self._charset = read_charset(folder)
        self._served = ARCHITECTURES[self.model.network].from_file(folder / WEIGHTS).to(device)

    def read(self, crop: Pixels) -> str:
        """Read a line, (height, width, 3) uint8 RGB."""
        with torch.no_grad():
            images = torch.from_numpy(fields(crop, self.model)).to(self._device)
            (logits,) = self._served.maps(self._served.planes(images))
            probabilities = torch.softmax(joined(logits, self.model), dim=1)
            classes = probabilities.argmax(dim=1).cpu().numpy()
            best = probabilities.max(dim=1).values.cpu().numpy()
        return ctc.decode(classes, best, self._charset, len(classes)).text


def fields(crop: Pixels, model: RecognitionModel) -> npt.NDArray[np.uint8]:
    """What ModelScope shows a network of a line, (n, height, width, 3): wide lines are squashed."""
    line = lines.pad(oracle.line_field(crop, model.height, model.max_width), model)
    cut = model.windows
    if cut is None:
        return line[np.newaxis]
    starts = [i * cut.advance for i in range(cut.count)]
    return np.stack([line[:, start : start + cut.width] for start in starts])


def joined(logits: Tensor, model: RecognitionModel) -> Tensor:
    """The steps (steps, classes) of a line of those of its windows, (n, steps, classes)."""
    cut = model.windows
    if cut is None:
        return logits[0]
    first, *middle, last = logits
    inner = [each[cut.trim : -cut.trim] for each in middle]
    return torch.cat([first[: -cut.trim], *inner, last[cut.trim :]])


def time_line_by_line(folder: Path, sheet: Sheet, device: str, seconds: float) -> Figure:
    """Lines a second, with torch's own settings: they round more than TorchNetwork's do."""
    reader = LineByLine(folder, device)
    crops = [geometry.crop(sheet.pixels, quad, reader.model.height) for quad in sheet.quads]
    with torch_settings():
        for crop in crops[:3]:
            reader.read(crop)
        done, start, cpu = 0, time.perf_counter(), time.process_time()
        with Busy(device) as busy:
            while not done or time.perf_counter() < start + seconds:
                reader.read(crops[done % len(crops)])
                done += 1
        rate = done / (time.perf_counter() - start)
    per_page = (time.process_time() - cpu) / done * len(crops)
    return Figure("line by line, lines/s", rate, 1, busy.share, per_page)


@contextmanager
def torch_settings() -> Iterator[None]:
    """The settings of cuDNN that torch starts with, in place of those of TorchNetwork."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic = before


def time_pages(
    what: str, work: Work, device: str, scale: Scale, *, bound: float | None = None
) -> list[Figure]:
    """Pages a second with each number of pages at once; the bound is for the best."""
    asyncio.run(drive(work, max(scale.at_once), 0))  # records graphs, starts threads
    figures = []
    for at_once in scale.at_once:
        cpu = time.process_time()
        with Busy(device) as busy:
            done, seconds = asyncio.run(drive(work, at_once, scale.seconds))
        per_page = (time.process_time() - cpu) / done
        figures.append(Figure(f"{what}, pages/s", done / seconds, at_once, busy.share, per_page))
    if bound is None:
        return figures
    best = max(figures, key=lambda figure: figure.value)
    return [replace(each, bound=bound) if each is best else each for each in figures]


async def drive(work: Work, at_once: int, seconds: float) -> tuple[int, float]:
    """Do pages for so long, so many at once; gives how many, and how long they took."""
    started = done = 0
    start = time.perf_counter()

    async def client() -> None:
        nonlocal started, done
        while True:
            number, started = started, started + 1
            await work(number)
            done += 1
            if time.perf_counter() >= start + seconds:
                return

    await asyncio.gather(*(client() for _ in range(at_once)))
    return done, time.perf_counter() - start


def time_everything(pair: Local, folders: Folders, device: str, scale: Scale) -> list[Figure]:
    """All timings."""
    model, sheets = pair.recogniser.model, [draw(seed, scale.lines) for seed in range(4)]
    one_by_one = time_line_by_line(folders.recognition, sheets[0], device, scale.seconds)
    pictures = [shown(sheet.pixels, pair.detector.model) for sheet in sheets]
    packed = [sheet.packed(model) for sheet in sheets]
    reader, bound = known_lines(pair, sheets[0]), device == "cuda"

    async def detect(number: int) -> None:
        await asyncio.gather(*(pair.detect(tile) for tile in pictures[number % len(pictures)]))

    async def recognise(number: int) -> None:
        await pair.recognise(packed[number % len(packed)])

    async def read(number: int) -> None:
        await reader.read(sheets[0].pixels)

    recognition = time_pages("recognition", recognise, device, scale)
    best = max(figure.value for figure in recognition) * scale.lines
    windows = len(_windows(packed, pair)) / len(packed)
    return [
        one_by_one,
        Figure("recognition, lines/s", best),
        Figure(
            "recognition, times line by line",
            best / one_by_one.value,
            bound=TIMES if bound else None,
        ),
        *recognition,
        Figure(f"recognition, pictures a page (a batch: {torch_network.LINES})", windows),
        *time_pages("detection", detect, device, scale),
        *time_pages("whole pages", read, device, scale, bound=PAGES_A_SECOND if bound else None),
    ]


def known_lines(pair: Local, sheet: Sheet) -> Pipeline:
    """A pipeline whose networks do all their work, and then are said to have found these lines."""
    height, width = sheet.pixels.shape[:2]
    plan = tiles.first_look(width, height, pair.detector.model)
    if len(plan.tiles) != 1:
        raise ValueError("a page should be one picture for detection")
    (tile,) = tiles.prepare(sheet.pixels, plan, pair.detector.model)
    quads = sheet.quads * np.array([plan.width / width, plan.height / height]) + tile.inset
    known = np.concatenate([quads.reshape(-1, 8), np.ones((len(quads), 1))], axis=1)

    async def detect(image: Pixels) -> Boxes:
        await pair.detect(image)
        return known.astype(np.float32)

    async def recognise(packed: PackedLines) -> list[Reading]:
        return [replace(each, confidence=1.0) for each in await pair.recognise(packed)]

    return Pipeline(pair.detector.model, pair.recogniser.model, detect, recognise)


# What it keeps in use


@dataclass(frozen=True)
class Memory:
    """Bytes after so many pages: the most that torch had reserved of the GPU's, what this process
    has resident, and what of the GPU's is in use, recorded graphs and other processes included."""

    pages: int
    reserved: int
    resident: int
    in_use: int


def mixed(pair: Local, scale: Scale) -> Work:
    """Pages of many sizes, each of which is among the first `sizes`, with any number of lines."""
    random = np.random.default_rng(1)
    parts = [part for line in draw(1, 30).crops(pair.recogniser.model) for part in line]
    whole = np.tile(draw(1, 30).pixels, (2, 2, 1))[: SIDES[1], : SIDES[1]]
    sizes = random.integers(*SIDES, (scale.sizes, 2), endpoint=True)

    async def read(number: int) -> None:
        height, width = sizes[number % len(sizes)]
        page = whole[:height, :width]
        pictures = await asyncio.to_thread(shown, page, pair.detector.model)
        await asyncio.gather(*(pair.detect(picture) for picture in pictures))
        count = 1 + number * 7 % (2 * scale.lines)
        await pair.recognise(lines.pack([parts[i % len(parts)] for i in range(count)]))

    return read


def wear(pair: Local, device: str, scale: Scale, deadline: float) -> list[Figure]:
    """The most memory until 10 %, 50 % and 100 % of the pages."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    samples = asyncio.run(_wear(mixed(pair, scale), device, scale, deadline))
    seconds, total = time.perf_counter() - start, samples[-1].pages
    stages = [most(samples, share * total) for share in (0.1, 0.5, 1)]
    figures = [Figure(f"{total} mixed pages, pages/s", total / seconds, max(scale.at_once))]
    for name, what, bound in (
        ("reserved", "torch's of the GPU's", FLAT),
        ("resident", "resident", FLAT),
        ("in_use", "anyone's of the GPU's", None),
    ):
        sizes = [getattr(sample, name) for sample in stages]
        figures += [
            Figure(f"memory, {what}, MB after {sample.pages} pages", size / MEGABYTE)
            for sample, size in zip(stages, sizes, strict=True)
        ]
        growth = sizes[-1] / sizes[0] if sizes[0] else 1.0
        goal = bound if device == "cuda" else None
        figures.append(Figure(f"memory, {what}, last of first", growth, bound=goal, rule="<="))
    return figures


async def _wear(work: Work, device: str, scale: Scale, deadline: float) -> list[Memory]:
    samples: list[Memory] = []
    numbers = iter(range(scale.pages))
    done = 0

    async def client() -> None:
        nonlocal done
        for number in numbers:  # one iterator for all
            await work(number)
            done += 1
            if done % max(1, scale.pages // 500) == 0:
                samples.append(_memory(done, device))
            if time.perf_counter() > deadline:
                return

    await asyncio.gather(*(client() for _ in range(max(scale.at_once))))
    return [*samples, _memory(done, device)]


def _memory(pages: int, device: str) -> Memory:
    resident = int(psutil.Process().memory_info().rss)
    if device != "cuda":
        return Memory(pages, 0, resident, 0)
    try:
        in_use = torch.cuda.device_memory_used(0)  # by NVML: CUDA may be recording a graph
    except Exception:  # whatever NVML lacks
        in_use = 0
    return Memory(pages, torch.cuda.max_memory_reserved(), resident, in_use)


def most(samples: Sequence[Memory], pages: float) -> Memory:
    """The most of each until so many pages: what one moment shows depends on what is in work."""
    until = next(i for i, sample in enumerate(samples, 1) if sample.pages >= pages)
    reserved, resident, in_use = (
        max(getattr(sample, name) for sample in samples[:until])
        for name in ("reserved", "resident", "in_use")
    )
    return Memory(samples[until - 1].pages, reserved, resident, in_use)


# The run


def measure(folders: Folders, kind: str, options: argparse.Namespace, deadline: float) -> Run:
    """Check one precision and, if it is right, time it."""
    scale = options.scale
    with altered(folders, kind, options.device) as copies:
        pair = open_pair(copies, options.device)
        providers = pair.detector.network.provider, pair.recogniser.network.provider
        run = Run(kind, providers, check(pair, _opened(copies, "cpu"), scale))
        say(f"{kind}: {'right' if run.held else 'wrong'}")
        if run.held or options.regardless:
            run.figures.extend(time_everything(pair, copies, options.device, scale))
            say(f"{kind}: timed")
            run.figures.extend(wear(pair, options.device, scale, deadline))
    return run


def say(line: str) -> None:
    print(f"gpu: {line}", file=sys.stderr)


def show(runs: Sequence[Run]) -> str:
    """A row a figure."""
    header = ["figure", "precision", "at once", "value", "GPU busy", "CPU ms/page", "goal", ""]
    return table(header, [_row(run, figure) for run in runs for figure in run.figures])


def _row(run: Run, figure: Figure) -> list[str]:
    bound = "" if figure.bound is None else f"{figure.rule} {figure.bound:g}"
    return [
        figure.what,
        run.precision,
        "" if figure.at_once is None else str(figure.at_once),
        f"{figure.value:.4g}" if figure.value < 1000 else f"{figure.value:.0f}",
        "" if figure.busy is None else f"{figure.busy:.0%}",
        "" if figure.cpu is None else f"{1000 * figure.cpu:.1f}",
        bound,
        "" if figure.held else "MISSED",
    ]


def content(runs: Sequence[Run]) -> dict[str, object]:
    """Everything, for a JSON file."""
    return {
        "machine": machine.facts() | {"torch": torch.__version__, "cuda": torch.version.cuda},
        "runs": [
            asdict(run) | {"figures": [asdict(each) | {"held": each.held} for each in run.figures]}
            for run in runs
        ],
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--detection", type=Path, metavar="FOLDER", help="of a model")
    parser.add_argument("--recognition", type=Path, metavar="FOLDER", help="of a model")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run")
    parser.add_argument(
        "--precision", nargs="+", choices=("as-imported", "half", "single"), default=["as-imported"]
    )
    parser.add_argument("--regardless", action="store_true", help="time what is not right too")
    parser.add_argument("--pages", type=count, help=f"of many sizes; default: {GPU.pages}")
    parser.add_argument("--seconds", type=float, help=f"of a timing; default: {GPU.seconds:g}")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    if (options.detection is None) != (options.recognition is None):
        parser.error("--detection goes with --recognition")
    scale = GPU if options.device == "cuda" else DRY
    pages = scale.pages if options.pages is None else options.pages
    seconds = scale.seconds if options.seconds is None else options.seconds
    sizes = max(1, min(scale.sizes, pages // 10))  # so that a tenth of the pages has all of them
    options.scale = replace(scale, pages=pages, seconds=seconds, sizes=sizes)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    start, runs = time.perf_counter(), []
    try:
        folders = chosen(options)
        check_folders(folders, options.device)
        with batches(options.device):
            for i, kind in enumerate(options.precision, 1):
                deadline = start + LIMIT_S * i / len(options.precision)
                runs.append(measure(folders, kind, options, deadline))
    except InferenceFailed as error:
        print(f"gpu: a network failed: {error.message}", file=sys.stderr)
        return 1
    except (OcrError, ValueError) as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        machine.write_json(options.json, content(runs))
    print(machine.describe())
    for run in runs:
        print(
            f"{run.precision}: detection in {run.providers[0]}; recognition in {run.providers[1]}"
        )
    print(f"\n{show(runs)}")
    return 0 if all(run.held for run in runs) else 1


@contextmanager
def batches(device: str) -> Iterator[None]:
    """In a dry run, batches of a few lines."""
    usual = torch_network.LINES
    torch_network.LINES = DRY_LINES if device == "cpu" else usual
    try:
        yield
    finally:
        torch_network.LINES = usual


if __name__ == "__main__":
    sys.exit(main())
