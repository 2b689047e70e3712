"""The data set MTWI 2018 and how its contest scores text detection.

The data (ICPR 2018 contest on robust reading for multi-type web images) are a folder image_NAME of
pictures and, beside it, a folder txt_NAME of their truth: image_train/PICTURE.jpg and
txt_train/PICTURE.txt, where many a picture is called PICTURE.jpg.jpg and its truth PICTURE.jpg.txt.
A line of truth is x1,y1,x2,y2,x3,y3,x4,y4,text: corners in pixels, in either direction, and a text
that may hold commas. The text ### is a don't care. Pictures and truth in one folder will do too.

The contest's rule counts by areas, after Wolf and Jolion's DetEval: a box and a text are one if
each covers 0.7 of the other and neither does so with a third. Of the others, several boxes that
lie in one text by 0.7 and together cover 0.7 of it find that text, and several texts can be found
by one box in the same way; where n things stand for one, they count n / (1 + ln n) together. Boxes
that lie in a don't care by more than half are left out. Counts are summed over all pictures.

So has https://github.com/MhLiao/DB the rule under the contest's name, but for boxes whose
corners cross over: DB drops them, here they stand for their hull. No program of the contest itself
is known. The rule behind the model card's figures is not stated, so the other usual one stands
beside: ICDAR 2015's, one box for one text with more than half their union in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from metrics import DIGITS, MOSTLY, UNREADABLE, Agreement, TextLine, agreement, shape
from tables import table
from truths import PICTURES, PageSet

IMAGES, TRUTH = "image_", "txt_"
NAME = "mtwi"

LEAST_AREAS = 0.7  # the contest's
LEAST_IOU = 0.5  # ICDAR 2015's

# https://modelscope.cn/models/damo/cv_resnet18_ocr-detection-line-level_damo
CARD_MODEL = "SegLink++ ResNet18"
CARD = Agreement(precision=0.849, recall=0.681, f=0.756)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """What makes a box find a text: the least shares of area, and the overlap to be exceeded."""

    areas: float = LEAST_AREAS
    iou: float = LEAST_IOU


@dataclass(frozen=True)
class Tally:
    """What is counted on one picture; tallies add up to those of the set.

    `texts` and `dont_cares` of the truth, the `boxes` that count and those `left_out`; by areas,
    how many texts are `found` and how many boxes `right`, which need not be whole numbers; and the
    pairs `matched` by their overlap.
    """

    texts: int = 0
    dont_cares: int = 0
    boxes: int = 0
    left_out: int = 0
    found: float = 0.0
    right: float = 0.0
    matched: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Evaluation:
    """A set's scores by both rules."""

    rules: Rules
    images: int
    total: Tally

    @property
    def by_areas(self) -> Agreement:
        """The scores by the contest's rule."""
        total = self.total
        return agreement(total.right, total.boxes, total.found, total.texts)

    @property
    def by_iou(self) -> Agreement:
        """The scores by ICDAR 2015's rule."""
        total = self.total
        return agreement(total.matched, total.boxes, total.matched, total.texts)

    def as_dict(self) -> dict[str, object]:
        total = self.total
        return {
            "images": self.images,
            "texts": total.texts,
            "dont_cares": total.dont_cares,
            "boxes": total.boxes,
            "left_out": total.left_out,
            "areas": {"least": self.rules.areas, **_rounded(self.by_areas)},
            "iou": {"above": self.rules.iou, **_rounded(self.by_iou)},
        }


def read(folder: Path) -> PageSet:
    """The pictures of a folder and their truth. Raises ValueError if that is not what it holds."""
    images = _images(folder)
    texts = _truth(images)
    pictures = sorted(path for path in images.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise ValueError(f"no pictures in {images}")
    truths = {picture: texts / f"{picture.stem}.txt" for picture in pictures}
    missing = [truth.name for truth in truths.values() if not truth.is_file()]
    if missing:
        raise ValueError(
            f"{texts} has no truth for {len(missing)} of {len(pictures)} pictures in {images}, "
            f"such as {missing[0]}"
        )
    return PageSet(NAME, images, {path.name: read_truth(truths[path]) for path in pictures})


def read_truth(path: Path) -> list[TextLine]:
    """The lines of one file of truth. Raises ValueError if it is malformed."""
    rows = path.read_text("utf-8-sig").split("\n")  # not splitlines: a text may hold odd breaks
    return [_line(row.rstrip("\r"), f"{path}:{i}") for i, row in enumerate(rows, 1) if row.strip()]


def evaluate(
    truth: Mapping[str, Sequence[TextLine]],
    found: Mapping[str, Sequence[TextLine]],
    rules: Rules,
) -> Evaluation:
    """Score the boxes of each picture; one without any has nothing found."""
    total = sum(
        (tally(lines, found.get(image, ()), rules) for image, lines in truth.items()), Tally()
    )
    return Evaluation(rules, len(truth), total)


def tally(truth: Sequence[TextLine], found: Sequence[TextLine], rules: Rules) -> Tally:
    """Compare the boxes of one picture. Those whose corners enclose no area do not take part."""
    areas = _Areas.of(truth, found)
    found_texts, right_boxes = _by_areas(areas, rules.areas)
    return Tally(
        texts=int(areas.wanted.sum()),
        dont_cares=int((~areas.wanted).sum()),
        boxes=int(areas.counted.sum()),
        left_out=int((~areas.counted).sum()),
        found=found_texts,
        right=right_boxes,
        matched=_by_overlap(areas, rules.iou),
    )


def show(evaluations: Mapping[str, Evaluation]) -> str:
    """The scores in per cent of what is named, by both rules, and the model card's below."""
    rows = []
    for name, each in evaluations.items():
        rows += [
            [f"{name}: the contest's rule at {each.rules.areas:g}", *_cells(each.by_areas)],
            [f"{name}: one to one, IoU above {each.rules.iou:g}", *_cells(each.by_iou)],
        ]
    card = [f"{CARD_MODEL}: its model card, rule not stated", *_cells(CARD)]
    return table(["MTWI 2018, detection", "precision", "recall", "F"], [*rows, card])


def describe(evaluation: Evaluation, unread: int) -> str:
    """What was compared, in one line."""
    total = evaluation.total
    return (
        f"{evaluation.images} images, {unread} of them not read; {total.texts} texts and "
        f"{total.dont_cares} don't cares; {total.boxes} boxes found, and {total.left_out} more "
        "in don't cares"
    )


def card() -> dict[str, object]:
    """What the model card says, for JSON."""
    return {"model": CARD_MODEL, **_rounded(CARD)}


def _images(folder: Path) -> Path:
    """The folder of pictures: the one image_NAME in a folder, or the folder itself."""
    if folder.name.startswith(IMAGES):
        return folder
    inside = sorted(path for path in folder.rglob(f"{IMAGES}*") if path.is_dir())
    if len(inside) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in inside)
        raise ValueError(f"{folder} has several folders of pictures, give one of them: {names}")
    return inside[0] if inside else folder


def _truth(images: Path) -> Path:
    """The folder of truth that belongs to a folder of pictures."""
    if not images.name.startswith(IMAGES):
        return images
    texts = images.with_name(TRUTH + images.name.removeprefix(IMAGES))
    if not texts.is_dir():
        raise ValueError(
            f"no truth for {images}: {texts} is not there (the contest has not published the "
            "truth of its test set; image_train has txt_train)"
        )
    return texts


def _line(row: str, place: str) -> TextLine:
    fields = row.split(",", 8)
    try:
        x1, y1, x2, y2, x3, y3, x4, y4 = map(float, fields[:8])
    except ValueError as error:
        raise ValueError(f"{place}: not x1,y1,x2,y2,x3,y3,x4,y4,text: {row!r}") from error
    return TextLine(((x1, y1), (x2, y2), (x3, y3), (x4, y4)), "".join(fields[8:]))


@dataclass(frozen=True)
class _Areas:
    """The boxes of one picture: texts of the truth along the first axis, found ones along the
    second. `covered` is what the box takes of the text, `inside` what the text takes of the box.
    """

    covered: Floats
    inside: Floats
    iou: Floats
    wanted: Flags  # texts that are no don't cares
    counted: Flags  # boxes that are not left out

    @classmethod
    def of(cls, truth: Sequence[TextLine], found: Sequence[TextLine]) -> "_Areas":
        shapes = [(shape(line.polygon), line.text.strip() != UNREADABLE) for line in truth]
        wanted = np.array([cares for each, cares in shapes if each is not None], bool)
        texts = _column([each for each, _ in shapes])[:, None]
        boxes = _column([shape(line.polygon) for line in found])[None, :]
        shared = shapely.area(shapely.intersection(texts, boxes))
        inside = shared / shapely.area(boxes)
        counted = ~(inside[~wanted] > MOSTLY).any(axis=0)
        iou = shared / (shapely.area(texts) + shapely.area(boxes) - shared)
        return cls(shared / shapely.area(texts), inside, iou, wanted, counted)


def _column(shapes: Sequence[Any]) -> npt.NDArray[Any]:
    return np.array([each for each in shapes if each is not None], object)


def _by_areas(areas: _Areas, least: float) -> tuple[float, float]:
    """How many texts are found, and how many boxes are right, by the contest's rule."""
    # DB also asks for near centres: areas that agree by 0.7 leave no others.
    texts, boxes = areas.wanted.copy(), areas.counted.copy()  # what is not matched yet
    same = (areas.covered >= least) & (areas.inside >= least)
    alone = same & (same.sum(axis=1, keepdims=True) == 1) & (same.sum(axis=0) == 1)
    pairs = alone & texts[:, None] & boxes
    texts &= ~pairs.any(axis=1)
    boxes &= ~pairs.any(axis=0)
    found, parts = _joined(texts, boxes, areas.inside, areas.covered, least)
    right, texts_in_one = _joined(boxes, texts, areas.covered.T, areas.inside.T, least)
    whole = int(pairs.sum())
    return whole + found + texts_in_one, whole + parts + right


def _joined(
    wholes: Flags, parts: Flags, within: Floats, filled: Floats, least: float
) -> tuple[int, float]:
    """How many wholes are made up of parts, and what those parts count; both are marked off.

    `within` is what each whole takes of each part, `filled` what each part takes of each whole.
    """
    count, weight = 0, 0.0
    for i in np.flatnonzero(wholes):
        chosen = np.flatnonzero(parts & (within[i] >= least))
        if round(float(filled[i, chosen].sum()), DIGITS) >= least:
            wholes[i], parts[chosen] = False, False
            count += 1
            weight += len(chosen) / (1 + log(len(chosen)))
    return count, weight


def _by_overlap(areas: _Areas, least: float) -> int:
    """Pairs of one text and one box that overlap by more than `least`, the best first."""
    overlaps = np.where(areas.wanted[:, None] & areas.counted, areas.iou, 0.0)
    matched = 0
    while overlaps.size and overlaps.max() > least:
        i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[i, :] = overlaps[:, j] = 0.0
        matched += 1
    return matched


def _cells(scores: Agreement) -> list[str]:
    return [f"{100 * share:.1f}" for share in (scores.precision, scores.recall, scores.f)]


def _rounded(scores: Agreement) -> dict[str, float]:
    return {name: round(share, DIGITS) for name, share in vars(scores).items()}
