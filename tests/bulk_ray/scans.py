"""Files to read: small ones, so that a test takes seconds."""

from pathlib import Path

from PIL import Image

from tests import pdfs, pictures
from tests.pictures import encoded

WORDS = [word for line in pictures.ENGLISH for word in line.rstrip(".").split() if len(word) > 3]
CODES = {
    "damaged/cut.jpg": "IMAGE_DAMAGED",
    "damaged/empty.png": "NOT_AN_IMAGE",
    "damaged/text.png": "NOT_AN_IMAGE",
    "damaged/cut.pdf": "IMAGE_DAMAGED",
}
PAGES = {"mixed.pdf": 3, "pages.tif": 3, "notice.png": 1, "label.webp": 1}


def draw(folder: Path, count: int) -> list[str]:
    """So many labels with a word each; gives their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(label(number))
    return [str(path) for path in paths]


def label(number: int = 0) -> bytes:
    return pictures.to_png(pictures.label(WORDS[number % len(WORDS)], 24).image)


def draw_all_kinds(folder: Path) -> None:
    """The files of PAGES, and the damaged ones of CODES."""
    (folder / "damaged").mkdir(parents=True)
    notice = pictures.page(pictures.CHINESE[:3], width=600)
    files = {
        "notice.png": pictures.to_png(notice.image),
        "label.webp": encoded(Image.fromarray(pictures.label("Thank you", 24).image), "WEBP"),
        "pages.tif": tiff(3),
        "mixed.pdf": mixed_pdf(),
        "damaged/cut.jpg": pictures.to_jpeg(notice.image)[:600],
        "damaged/empty.png": b"",
        "damaged/text.png": b"no picture",
        "damaged/cut.pdf": mixed_pdf()[:300],
        "notes.txt": b"not to be read",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)


def tiff(pages: int) -> bytes:
    first, *others = (
        Image.fromarray(pictures.page([pictures.ENGLISH[page]], width=700).image)
        for page in range(pages)
    )
    return encoded(first, "TIFF", save_all=True, append_images=others)


def mixed_pdf() -> bytes:
    """A page with text, one that has to be read, though nothing is on it, and one with text."""
    return pdfs.of(pdfs.text("The first page", 30, 150), "0 0 50 50 re f", pdfs.text("Two", 9, 90))
