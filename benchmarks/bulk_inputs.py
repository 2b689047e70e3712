"""Inputs for a bulk job: pictures of a folder, and PDFs and damaged files made of them."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mixture
from mixture import CROPS, PAGES, SMALL
from PIL import Image

SEED = 8
PDFS = "PDFs"
# Of 2,000 inputs some 660 pages are no line crops. Two cores take half a second to one for each,
# and a twentieth of one for a crop.
SHARES = {CROPS: 0.77, SMALL: 0.12, PAGES: 0.06, PDFS: 0.05}
LIGHT = {CROPS: 0.96, SMALL: 0.04}
DAMAGED_EVERY = 50
MOST_PDFS, PDF_PAGES = 8, (2, 3, 4)
CUT = 3  # line crops of which there is half, and as many small pictures
DPI = 150

Kinds = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Inputs:
    """Paths in the order in which they are listed, some of them many times.

    `pages` says how many rows each path that is not damaged has.
    """

    listed: tuple[Path, ...]
    damaged: frozenset[Path] = frozenset()
    pages: Mapping[Path, int] | None = None

    @property
    def counts(self) -> Counter[Path]:
        """How often each path is listed."""
        return Counter(self.listed)

    def keys(self) -> Counter[tuple[str, int, int]]:
        """The keys of the rows that there must be once: source, occurrence, page.

        Raises ValueError if some inputs are damaged: theirs are not known.
        """
        if self.damaged:
            raise ValueError("nobody knows which page of a damaged file fails")
        pages = self.pages or {}
        return Counter(
            (str(path), occurrence, page)
            for path, count in self.counts.items()
            for occurrence in range(count)
            for page in range(1, pages.get(path, 1) + 1)
        )

    def write(self, file: Path) -> Path:
        """Write the list that bulk.py takes."""
        file.write_text("".join(f"{path}\n" for path in self.listed), "utf-8")
        return file


def light(folder: Path, count: int) -> Inputs:
    """Line crops and small pictures of a folder of truth sets."""
    return Inputs(tuple(_drawn(_of_folder(folder), LIGHT, count)))


def mixed(folder: Path, made: Path, count: int, *, damaged: bool) -> Inputs:
    """All kinds of a folder's pictures and PDFs of them, one in 50 damaged if any are to be.

    What the folder has not is made in the folder `made`.
    """
    kinds = _of_folder(folder)
    pdfs = _pdfs(kinds[SMALL], made)
    drawn = _drawn({**kinds, PDFS: list(pdfs)}, SHARES, count)
    if not damaged:
        return Inputs(tuple(drawn), pages=pdfs)
    broken = _damaged(kinds, list(pdfs), made)
    listed = (
        broken[i // DAMAGED_EVERY % len(broken)] if i % DAMAGED_EVERY == 0 else path
        for i, path in enumerate(drawn)
    )
    return Inputs(tuple(listed), frozenset(broken), pdfs)


def repeated(paths: Sequence[Path], count: int) -> Inputs:
    """All of these again and again, so often that there are at least so many."""
    return Inputs(tuple(paths) * -(-count // len(paths)))


def _of_folder(folder: Path) -> dict[str, list[Path]]:
    found = mixture.pictures(folder.resolve())
    return {kind: found[kind] for kind in (CROPS, SMALL, PAGES) if kind in found}


def _drawn(kinds: Kinds, shares: Mapping[str, float], count: int) -> Iterator[Path]:
    chance = random.Random(SEED)
    known = {kind: kinds[kind] for kind in shares if kinds.get(kind)}
    return (mixture.draw(known, shares, chance) for _ in range(count))


def _pdfs(pictures: Sequence[Path], made: Path) -> dict[Path, int]:
    """PDFs of some pages each, with how many these are."""
    chance = random.Random(SEED)
    found = {}
    for number in range(MOST_PDFS):
        pages = PDF_PAGES[number % len(PDF_PAGES)]
        path = made / f"document-{number}.pdf"
        first, *others = (_opened(each) for each in chance.choices(pictures, k=pages))
        first.save(path, save_all=True, append_images=others, resolution=DPI)
        found[path] = pages
    return found


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _damaged(kinds: Kinds, pdfs: Sequence[Path], made: Path) -> list[Path]:
    """Halves of pictures and of a PDF, a file that is no picture, and a path where nothing is."""
    chance = random.Random(SEED)
    whole = [*chance.sample(kinds[CROPS], CUT), *chance.sample(kinds[SMALL], CUT), pdfs[0]]
    broken = []
    for number, path in enumerate(whole):
        data = path.read_bytes()
        broken.append(made / f"cut-{number}{path.suffix}")
        broken[-1].write_bytes(data[: len(data) // 2])
    no_picture = made / "no-picture.png"
    no_picture.write_bytes(b"This is not a picture. " * 100)
    return [*broken, no_picture, made / "missing.png"]
