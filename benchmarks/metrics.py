"""How well lines were found and read, measured against a truth.

Two texts are compared after NFKC, in lower case and without spaces, punctuation and symbols. A
line of the truth whose text contains "###" or has nothing left to compare is unreadable: finding
it is no hit and missing it is no miss.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from shapely.geometry import MultiPoint, Polygon

UNREADABLE = "###"
SAME_PLACE = 0.5  # the overlap (intersection over union) from which two lines are one
MOSTLY = 0.5  # the share of a found line inside an unreadable one from which it is left out
DIGITS = 4
SPACES = "ZC"  # Unicode categories: separators and control characters
PUNCTUATION = "PS"  # punctuation and symbols


@dataclass(frozen=True)
class TextLine:
    """A line of text: its corners in pixels, and its confidence (0 to 1; of a truth, 1)."""

    polygon: tuple[tuple[float, float], ...]
    text: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Tally:
    """What is counted on one page; tallies add up to those of a set.

    `lines` of the truth and `predicted` lines that count, `matched` pairs of them, `exact` pairs
    of equal text, `distance`, the sum of the pairs' normalised edit distances, `characters` of
    the truth, `wrong` characters of the page taken as a bag, and the lines of the truth `found`
    inside the text of any predicted line.
    """

    lines: int = 0
    predicted: int = 0
    matched: int = 0
    exact: int = 0
    distance: float = 0.0
    characters: int = 0
    wrong: int = 0
    found: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Agreement:
    """Precision, recall and their harmonic mean (0 to 1)."""

    precision: float
    recall: float
    f: float


@dataclass(frozen=True)
class PageScores:
    """The scores of a set of pages, all 0 to 1 except `bag_cer`, which may be more.

    `detection` asks for the right place, `end_to_end` for the right text there as well.
    `ned_matched` and `ned_all` are 1 minus the mean normalised edit distance: of the pairs, and
    of all lines, where each miss and each false alarm has distance 1. `bag_cer` is the share of
    wrong characters whatever their order and grouping.
    """

    images: int
    lines: int
    detection: Agreement
    end_to_end: Agreement
    ned_matched: float
    ned_all: float
    bag_cer: float
    line_found: float

    def as_dict(self) -> dict[str, float]:
        """Short names and rounded values, as in published tables."""
        values = {
            "det_p": self.detection.precision,
            "det_r": self.detection.recall,
            "det_f": self.detection.f,
            "e2e_p": self.end_to_end.precision,
            "e2e_r": self.end_to_end.recall,
            "e2e_f": self.end_to_end.f,
            "1-ned_matched": self.ned_matched,
            "1-ned_all": self.ned_all,
            "bag_cer": self.bag_cer,
            "line_found": self.line_found,
        }
        return {"images": self.images, "lines": self.lines} | _rounded(values)


@dataclass(frozen=True)
class CropScores:
    """The scores of a set of line crops: equal texts, 1 minus the mean normalised edit
    distance, and edits a character of the truth."""

    images: int
    exact: float
    ned: float
    cer: float

    def as_dict(self) -> dict[str, float]:
        """Short names and rounded values, as in published tables."""
        values = {"exact": self.exact, "1-ned": self.ned, "cer": self.cer}
        return {"images": self.images} | _rounded(values)


@dataclass(frozen=True)
class _Region:
    """A line made ready: its shape and its comparable text."""

    shape: Any
    text: str
    readable: bool

    def shared_area(self, other: "_Region") -> float:
        return float(self.shape.intersection(other.shape).area)

    def overlap(self, other: "_Region") -> float:
        """Intersection over union."""
        shared = self.shared_area(other)
        return shared / float(self.shape.area + other.shape.area - shared)


def score_pages(
    truth: Mapping[str, Sequence[TextLine]], predicted: Mapping[str, Sequence[TextLine]]
) -> PageScores:
    """Score the lines of each image; one without a prediction has nothing found.

    Raises ValueError if a predicted image is not in the truth.
    """
    _check_known(truth, predicted)
    total = Tally()
    for image, lines in truth.items():
        total += tally(lines, predicted.get(image, ()))
    all_lines = total.lines + total.predicted - total.matched
    all_distances = total.distance + all_lines - total.matched
    return PageScores(
        images=len(truth),
        lines=total.lines,
        detection=agreement(total.matched, total.predicted, total.matched, total.lines),
        end_to_end=agreement(total.exact, total.predicted, total.exact, total.lines),
        ned_matched=1 - total.distance / total.matched if total.matched else 0.0,
        ned_all=1 - all_distances / all_lines if all_lines else 1.0,
        bag_cer=total.wrong / total.characters if total.characters else float(total.wrong > 0),
        line_found=_share(total.found, total.lines),
    )


def score_crops(
    truth: Mapping[str, str], predicted: Mapping[str, str], strict: bool = False
) -> CropScores:
    """Score the text of each line crop; one without a prediction is read as nothing.

    If it is `strict`, case, punctuation and symbols count. Raises ValueError if a predicted image
    is not in the truth.
    """
    _check_known(truth, predicted)
    pairs = [
        (comparable(text, strict), comparable(predicted.get(image, ""), strict))
        for image, text in truth.items()
    ]
    return CropScores(
        images=len(pairs),
        exact=_share(sum(a == b for a, b in pairs), len(pairs)),
        ned=_share(sum(1 - normalised_distance(a, b) for a, b in pairs), len(pairs)),
        cer=_share(sum(edit_distance(a, b) for a, b in pairs), sum(len(a) for a, _ in pairs)),
    )


def tally(truth: Sequence[TextLine], predicted: Sequence[TextLine]) -> Tally:
    """Compare the lines of one page. Lines whose polygon has no area do not take part."""
    regions = _regions(truth)
    wanted = [region for region in regions if region.readable]
    unreadable = [region for region in regions if not region.readable]
    found = _regions(predicted)
    pairs = _match(wanted, found)
    taken = {j for _, j in pairs}
    counted = [
        region
        for j, region in enumerate(found)
        if j in taken or not _mostly_inside(region, unreadable)
    ]
    texts = [(wanted[i].text, found[j].text) for i, j in pairs]
    return Tally(
        lines=len(wanted),
        predicted=len(counted),
        matched=len(pairs),
        exact=sum(a == b for a, b in texts),
        distance=sum((normalised_distance(a, b) for a, b in texts), 0.0),
        characters=sum(len(region.text) for region in wanted),
        wrong=_bag_errors(wanted, counted),
        found=sum(any(line.text in other.text for other in found) for line in wanted),
    )


def comparable(text: str, strict: bool = False) -> str:
    """Strip a text of what does not count: width forms, case, spaces, punctuation, symbols.

    If it is `strict`, only width forms and spaces are stripped.
    """
    folded = unicodedata.normalize("NFKC", text)
    folded, passed_over = (folded, SPACES) if strict else (folded.lower(), SPACES + PUNCTUATION)
    return "".join(character for character in folded if not _is_in(passed_over, character))


def shape(corners: Sequence[tuple[float, float]]) -> Any:
    """The area that corners enclose, their hull if they cross over, None if there is none."""
    area: Any = Polygon(corners)
    if not area.is_valid or area.area <= 0:
        area = MultiPoint(corners).convex_hull
    return area if area.geom_type == "Polygon" and area.area > 0 else None


def agreement(right: float, predicted: int, found: float, wanted: int) -> Agreement:
    """Precision, of how many predicted are right, and recall, of how many wanted are found."""
    precision, recall = _share(right, predicted), _share(found, wanted)
    both = precision + recall
    return Agreement(precision, recall, 2 * precision * recall / both if both else 0.0)


def edit_distance(a: str, b: str) -> int:
    """Insertions, deletions and replacements that make `b` of `a`."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            replaced = diagonal + (left != right)
            diagonal = row[j]
            row[j] = min(replaced, diagonal + 1, row[j - 1] + 1)
    return row[-1]


def normalised_distance(a: str, b: str) -> float:
    """The edit distance as a share of the longer text: 0 equal, 1 nothing in common."""
    return edit_distance(a, b) / max(len(a), len(b), 1)


def _is_in(categories: str, character: str) -> bool:
    return unicodedata.category(character)[0] in categories or character.isspace()


def _regions(lines: Sequence[TextLine]) -> list[_Region]:
    regions = []
    for line in lines:
        area, text = shape(line.polygon), comparable(line.text)
        if area is not None:
            regions.append(_Region(area, text, bool(text) and UNREADABLE not in line.text))
    return regions


def _match(wanted: Sequence[_Region], found: Sequence[_Region]) -> list[tuple[int, int]]:
    """Pair lines one to one, the best overlap first; gives the pairs' positions."""
    overlaps = (
        (line.overlap(other), i, j)
        for i, line in enumerate(wanted)
        for j, other in enumerate(found)
    )
    candidates = sorted((c for c in overlaps if c[0] >= SAME_PLACE), reverse=True)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in candidates:
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return list(pairs.items())


def _mostly_inside(region: _Region, others: Iterable[_Region]) -> bool:
    limit = MOSTLY * region.shape.area
    return any(region.shared_area(other) > limit for other in others)


def _bag_errors(wanted: Iterable[_Region], found: Iterable[_Region]) -> int:
    """Characters missing or too many, whichever are more: a replaced one is both."""
    expected = Counter("".join(region.text for region in wanted))
    seen = Counter("".join(region.text for region in found))
    return max((expected - seen).total(), (seen - expected).total())


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in values.items()}


def _check_known(truth: Mapping[str, object], predicted: Mapping[str, object]) -> None:
    unknown = sorted(set(predicted) - set(truth))
    if unknown:
        raise ValueError(f"predicted, but not in the truth: {', '.join(unknown[:5])}")
