"""Plain text: a line a line, and a form feed between pages, as pdftotext has it."""

from collections.abc import Sequence

from ocr.document import Document, Page
from ocr.wanted import Wanted

PAGE_BREAK = "\f"


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """All pages of all documents as UTF-8, which ends with a newline if there is any text."""
    pages = [_page(page) for document in documents for page in document.pages]
    text = PAGE_BREAK.join(pages)
    if text.strip() and not text.endswith("\n"):  # the last page is empty
        text += "\n"
    return text.encode("utf-8", "replace")  # a lone surrogate has no UTF-8


def _page(page: Page) -> str:
    return "".join(f"{' '.join(line.text.splitlines())}\n" for line in page.lines)
