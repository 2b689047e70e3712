"""Compares our networks and what is made of their maps with ModelScope's own code.

    python benchmarks/parity.py ORACLE_ROOT [--images DIR] [--only NAME ...] [--half]
        [--device cuda] [--json FILE]

ORACLE_ROOT has models/ and golden/: model folders in ModelScope's layout, and the tensors and
results that ModelScope's pipelines gave for some pictures (see benchmarks/oracle.py). Each model
is imported as import_models.py does it, and its picture-ready inputs, raw maps (in torch, from
weights.safetensors, and in ONNX Runtime, from network.onnx), polygons and texts are compared.
--half compares half precision with single precision as well: with --device cuda what the service
runs there; on a CPU, which has no units for it, weights and the output of every layer are rounded
to half precision, as a GPU that adds up in single precision would. Its bound holds for models that
the import has found fit for it; the service runs the others in single precision.

Two float32 evaluations of one network differ by rounding, so two comparisons take it into account:
the map of a DBNet in ONNX Runtime may differ by the bound plus twice what ModelScope's own map
differs from the same network in float64; and a step of a text counts as equal if the classes that
were chosen are less than TIE apart in ModelScope's own logits.

The exit status is 1 if a bound is missed.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import machine
import numpy as np
import onnxruntime
import oracle
import torch
from oracle import Case, Subject
from tables import table

from ocr import conversion
from ocr.detection import db, seglink
from ocr.errors import OcrError
from ocr.model import (
    DESCRIPTION,
    NETWORK,
    WEIGHTS,
    DBModel,
    RecognitionModel,
    SegLinkModel,
)
from ocr.networks import export, precision
from ocr.networks.architectures import ARCHITECTURES
from ocr.networks.folding import folded
from ocr.networks.served import SegmentScores, Served
from ocr.origins import Published, find
from ocr.recognition import ctc, lines
from ocr.recognition.recogniser import Recogniser

MAPS, MAPS_DB, LOGITS = 1e-3, 1e-4, 1e-3  # largest differences of raw outputs
TIE = 1e-4  # logits
PIXELS = 1.0  # largest difference of a polygon's corner
HALF = 0.99  # F of polygons at an IoU of 0.9, share of texts

Maps = tuple[np.ndarray, ...]
Run = Callable[[np.ndarray], Maps]


@dataclass(frozen=True)
class Measure:
    """One comparison; `worst` may be at most, or must be at least, the bound."""

    model: str
    picture: str
    what: str
    worst: float
    bound: float
    rule: Literal["<=", ">="] = "<="

    @property
    def held(self) -> bool:
        return self.worst <= self.bound if self.rule == "<=" else self.worst >= self.bound


@dataclass(frozen=True)
class Imported:
    """A model of ours that was imported from one of ModelScope's."""

    subject: Subject
    folder: Path
    torch: Run
    double: Run
    onnx: Run
    half: Run | None
    half_bound: float


def run_torch(served: Served, device: str) -> Run:
    """Runs (n, 3, height, width) float32 planes to the network's raw maps."""
    kind = next(served.network.parameters()).dtype

    def run(planes: np.ndarray) -> Maps:
        with torch.inference_mode():
            found = served.network(torch.from_numpy(planes).to(device, kind))
        several = (found,) if isinstance(found, torch.Tensor) else found
        return tuple(each.float().cpu().numpy() for each in several)

    return run


def run_onnx(folder: Path, name: str) -> Run:
    """The same with the network inside a stored file."""
    part = export.network_alone(folder / NETWORK, ARCHITECTURES[name])
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda planes: tuple(session.run(None, {export.PLANES: planes}))


def halved(served: Served, device: str) -> Served:
    """A network in half precision, or rounded to it on a CPU."""
    if device != "cuda":
        return precision.rounded(served)
    served = folded(served)
    served.network.half()
    return served


def bring_in(subject: Subject, folder: Path, options: argparse.Namespace) -> Imported:
    """Import a model as import_models.py does, into a folder."""
    published: Published = find(subject.entry, subject.folder)
    conversion.convert(subject.entry, published, folder)
    name = subject.entry.model.network
    assert name is not None

    def served() -> Served:
        return ARCHITECTURES[name].from_file(folder / WEIGHTS).to(options.device)

    return Imported(
        subject,
        folder,
        run_torch(served(), options.device),
        run_torch(served().double(), options.device),
        run_onnx(folder, name),
        run_torch(halved(served(), options.device), options.device) if options.half else None,
        HALF if _fit_for_half(folder) else 0.0,
    )


def _fit_for_half(folder: Path) -> bool:
    return bool(json.loads((folder / DESCRIPTION).read_text("utf-8"))["half"])


def compare(imported: Imported) -> Iterator[Measure]:
    """All measures of one model."""
    model = imported.subject.entry.model
    recogniser = Recogniser(imported.folder) if isinstance(model, RecognitionModel) else None
    for case in imported.subject.cases():
        if isinstance(model, SegLinkModel):
            yield from _seglink(imported, case, model)
        elif isinstance(model, DBModel):
            yield from _dbnet(imported, case, model)
        elif recogniser is not None:
            yield from _recognition(imported, case, recogniser)


def _seglink(imported: Imported, case: Case, model: SegLinkModel) -> Iterator[Measure]:
    field = oracle.seglink_field(case.picture)
    same = oracle.seglink_digest(field) == case.results["input_sha1"]
    yield _measure(imported, case, "input differs", float(not same), 0)
    golden = oracle.seglink_maps(case.tensors)
    planes = field.transpose(2, 0, 1)[np.newaxis]
    ours = tuple(each[0] for each in imported.torch(planes))
    in_onnx = tuple(each[0] for each in imported.onnx(planes))
    yield _measure(imported, case, "maps, torch", _difference(golden, ours), MAPS)
    yield _measure(imported, case, "maps, ONNX Runtime", _difference(golden, in_onnx), MAPS)

    side = max(case.picture.shape[:2])
    expected = _sorted_polygons(case.tensors.get("polygons"))
    groups, polygons = _read_seglink(golden, model, side)
    wrong = int(np.count_nonzero(groups != case.tensors["group"]))
    yield _measure(imported, case, "nodes in other groups", wrong, 0)
    yield _measure(imported, case, "polygons that differ", _unequal(expected, polygons), 0)
    if imported.half is not None:
        _, single = _read_seglink(ours, model, side)
        rounded = tuple(each[0] for each in imported.half(planes))
        _, found = _read_seglink(rounded, model, side)
        yield _measure(
            imported, case, "polygons' F, half", _f(single, found), imported.half_bound, ">="
        )


def _read_seglink(
    maps: Sequence[np.ndarray], model: SegLinkModel, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """The group of each node (-1 for none), and polygons (n, 8) as ModelScope's pipeline has it."""
    tensors = [torch.from_numpy(np.ascontiguousarray(each))[None] for each in maps]
    nodes, links, offsets = (each[0].numpy() for each in SegmentScores()(*tensors))
    found = seglink.segments(nodes, links, offsets, 1024, 1024, model)
    groups = np.full(len(nodes), -1)
    groups[found.node] = found.group
    rboxes, _ = seglink.combine(found)
    quads = np.clip(seglink.corners(rboxes) * np.float32(side / 1024), 0, side - 1)
    whole = np.round(quads).astype(np.int32)
    return groups, whole[seglink.suppress(whole)].reshape(-1, 8)


def _dbnet(imported: Imported, case: Case, model: DBModel) -> Iterator[Measure]:
    field = oracle.dbnet_field(case.picture)
    planes = field.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    golden = case.tensors["out"]
    (ours,) = imported.torch(planes)
    (in_onnx,) = imported.onnx(planes)
    yield _measure(imported, case, "map, torch", _difference([golden], [ours]), MAPS_DB)
    rounding = _difference(imported.double(planes), [golden])
    apart = max(0.0, _difference([golden], [in_onnx]) - 2 * rounding)
    yield _measure(imported, case, "map, ModelScope's own rounding", rounding, np.inf)
    yield _measure(imported, case, "map, ONNX Runtime, beyond rounding", apart, MAPS_DB)
    expected = _sorted_polygons(np.array(case.results["polygons"]))
    found = _read_dbnet(golden, model, case)
    apart = (
        float(np.abs(expected - found).max(initial=0)) if len(expected) == len(found) else np.inf
    )
    yield _measure(imported, case, "polygons, pixels apart", apart, PIXELS)
    if imported.half is not None:
        (rounded,) = imported.half(planes)
        half_f = _f(_read_dbnet(ours, model, case), _read_dbnet(rounded, model, case))
        yield _measure(imported, case, "polygons' F, half", half_f, imported.half_bound, ">=")


def _read_dbnet(probability: np.ndarray, model: DBModel, case: Case) -> np.ndarray:
    """Polygons (n, 8) in whole pixels of the picture, as ModelScope's pipeline has it."""
    height, width = case.picture.shape[:2]
    scale = np.array([width / probability.shape[3], height / probability.shape[2]])
    quads = db.boxes(probability[0, 0], model)[:, :8].reshape(-1, 4, 2)
    return np.asarray(np.clip(np.round(quads * scale), 0, [width, height])).reshape(-1, 8)


def _recognition(imported: Imported, case: Case, recogniser: Recogniser) -> Iterator[Measure]:
    model = recogniser.model
    line = oracle.line_field(case.picture, model.height, model.max_width)
    fields = _all_windows(line, model)
    planes = np.stack(fields).transpose(0, 3, 1, 2).astype(np.float32)
    apart = _difference([case.tensors["input"] * 255], [planes])
    yield _measure(imported, case, "input differs", apart, 1e-4)
    golden = case.tensors["out"]
    ours = _joined(imported.torch(planes)[0], model)
    in_onnx = _joined(imported.onnx(planes)[0], model)
    yield _measure(imported, case, "logits, torch", _difference([golden[0]], [ours]), LOGITS)
    yield _measure(
        imported, case, "logits, ONNX Runtime", _difference([golden[0]], [in_onnx]), LOGITS
    )

    classes, wanted = in_onnx.argmax(axis=1), golden[0].argmax(axis=1)
    steps = np.arange(len(wanted))
    tied = golden[0][steps, wanted] - golden[0][steps, classes] < TIE
    charset = recogniser.charset
    text = _text(recogniser, line)
    untied = _decode(np.where(tied, wanted, classes), charset)
    wrong = text != _decode(classes, charset) or untied != _expected_text(case)
    ties = int(np.count_nonzero(classes != wanted))
    yield _measure(imported, case, "steps that were ties", ties, np.inf)
    yield _measure(imported, case, "texts that differ", wrong, 0)
    if imported.half is not None:
        rounded = _joined(imported.half(planes)[0], model)
        texts = [_decode(each.argmax(axis=1), charset) for each in (ours, rounded)]
        same = float(texts[0] == texts[1])
        yield _measure(imported, case, "texts equal, half", same, imported.half_bound, ">=")


def _all_windows(line: np.ndarray, model: RecognitionModel) -> list[np.ndarray]:
    """What ModelScope shows the network: also the windows that see none of the line."""
    found = list(lines.windows(line, model))
    if model.windows is not None:
        empty = np.zeros((model.height, model.windows.width, 3), np.uint8)
        found += [empty] * (model.windows.count - len(found))
    return found


def _joined(logits: np.ndarray, model: RecognitionModel) -> np.ndarray:
    """The logits (steps, classes) of a line, of those of its windows."""
    cut = model.windows
    if cut is None:
        (only,) = logits
        return np.asarray(only)
    last = len(logits) - 1
    return np.concatenate(
        [
            each[(cut.trim if i else 0) : (len(each) - cut.trim if i < last else len(each))]
            for i, each in enumerate(logits)
        ]
    )


def _expected_text(case: Case) -> str:
    text: str | list[str] = case.results["text"]
    return text if isinstance(text, str) else text[0]


def _decode(classes: np.ndarray, charset: Sequence[str]) -> str:
    return ctc.decode(classes, np.ones(len(classes)), charset, len(classes)).text


def _text(recogniser: Recogniser, line: np.ndarray) -> str:
    (answer,) = recogniser.recognise([lines.pack([line])])
    if isinstance(answer, OcrError):
        raise answer
    return answer[0].text


def _measure(
    imported: Imported, case: Case, what: str, worst: float, bound: float, rule: Any = "<="
) -> Measure:
    return Measure(imported.subject.name, case.name, what, float(worst), bound, rule)


def _difference(expected: Iterable[np.ndarray], found: Iterable[np.ndarray]) -> float:
    pairs = list(zip(expected, found, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf")
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def _sorted_polygons(polygons: np.ndarray | None) -> np.ndarray:
    """ModelScope's polygons in their order, (n, 8); it raises an error where there are none."""
    return np.zeros((0, 8)) if polygons is None else polygons.reshape(-1, 8)


def _unequal(expected: np.ndarray, found: np.ndarray) -> int:
    if expected.shape != found.shape:
        return max(len(expected), len(found))
    return int(np.count_nonzero((expected != found).any(axis=1)))


def _f(expected: np.ndarray, found: np.ndarray) -> float:
    """F of one set of polygons, (n, 8), against another."""
    return precision.agreement(expected.reshape(-1, 4, 2), found.reshape(-1, 4, 2))


def show(measures: Sequence[Measure]) -> str:
    """A row a model and comparison: the worst of its pictures; shares are means."""
    rows = []
    for model, what in dict.fromkeys((each.model, each.what) for each in measures):
        group = [each for each in measures if (each.model, each.what) == (model, what)]
        total = _summary(group)
        mark = "" if total.held else "MISSED"
        bound = f"{total.rule} {total.bound:g}"
        rows.append([model, str(len(group)), what, f"{total.worst:.3g}", bound, mark])
    return table(["model", "pictures", "comparison", "worst", "bound", ""], rows)


def _summary(group: Sequence[Measure]) -> Measure:
    first = group[0]
    values = [each.worst for each in group]
    worst = max(values) if first.rule == "<=" else float(np.mean(values))
    return Measure(first.model, "", first.what, worst, first.bound, first.rule)


def held(measures: Sequence[Measure]) -> bool:
    """Whether all bounds are kept."""
    groups: dict[tuple[str, str], list[Measure]] = {}
    for each in measures:
        groups.setdefault((each.model, each.what), []).append(each)
    return all(_summary(group).held for group in groups.values())


def run(options: argparse.Namespace) -> list[Measure]:
    """Import and compare all models of the folder. Raises as they do."""
    measures: list[Measure] = []
    for subject in oracle.subjects(options.root, options.images):
        if options.only and subject.name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            measures += compare(bring_in(subject, Path(temporary), options))
        print(f"{subject.name}: done", file=sys.stderr)
    return measures


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="holds models/ and golden/")
    parser.add_argument("--images", type=Path, help="the folder of the pictures")
    parser.add_argument("--half", action="store_true", help="half precision as well")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these models")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of torch")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        measures = run(options)
    except (OcrError, ValueError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    print(show(measures))
    if options.json is not None:
        rows = [asdict(each) | {"held": each.held} for each in measures]
        machine.write_json(options.json, {"machine": machine.facts(), "measures": rows})
    return 0 if held(measures) else 1


if __name__ == "__main__":
    sys.exit(main())
