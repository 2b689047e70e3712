"""Markdown: headings, paragraphs, lists and tables, as far as a page's lines show them.

CommonMark with pipe tables. Between two pages stands a thematic break; of several documents each
begins with a comment that holds its source. Lines of a paragraph become one line of Markdown.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from ocr.document import Document, Page
from ocr.layout import Heading, Item, Paragraph, Table, blocks
from ocr.tables import Stack
from ocr.wanted import Wanted
from ocr.words import stands_alone

PAGE_BREAK = "\n\n---\n\n"
PUNCTUATION = r"!-/:-@\[-`{-~"  # what Markdown lets one escape

_HYPHENATED = re.compile(r"[^\W\d_][-\u2010\u00ad]$")
_SPECIAL = re.compile(
    rf"\*+|_+|[`~]|\\(?=[{PUNCTUATION}]|$)|<(?=[a-zA-Z/!?])|&(?=\#?\w+;)|\](?=[(\[])"
)
_AT_START = re.compile(r"#{1,6}(?!\S)|[-+*](?!\S)|>|\[|[-_*][-_*\s]+$")
_NUMBER_AT_START = re.compile(r"(\d{1,9})[.)](?!\S)")
_CLOSING_HASHES = re.compile(r"(?<!\S)(?=#+$)")


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """All pages' text as UTF-8, with a line feed at the end if there is any text."""
    kept = [document for document in documents if document.error is None]
    pages = [page for document in kept for page in _pages(document, named=len(kept) > 1)]
    text = PAGE_BREAK.join(pages).strip("\n")
    return f"{text}\n".encode() if text else b""


def _pages(document: Document, named: bool) -> Iterator[str]:
    for position, page in enumerate(document.pages):
        if named and position == 0:
            yield f"{_comment(document.source)}\n\n{_page(page)}"
        else:
            yield _page(page)


def _comment(source: str) -> str:
    """A comment, which is not shown; nothing in the source can end it."""
    name = re.sub(r"-(?=-)", "- ", " ".join(source.split()))
    return f"<!-- {name or 'no name'} -->"


def _page(page: Page) -> str:
    """Blocks with a blank line between them; the items of one list follow each other."""
    parts: list[str] = []
    kind, number = "", 0
    for block in blocks(page):
        if isinstance(block, Item):
            last = kind
            kind, number = _list(block, kind, number)
            parts += ["\n" if kind == last else "\n\n", _item(block, kind)]
        else:
            kind = ""
            parts += ["\n\n", _block(block)]
    return "".join(parts[1:])


def _list(item: Item, kind: str, number: int) -> tuple[str, int]:
    """How an item is marked, after one of that kind and number.

    Markdown counts by itself: a number that does not follow the last one would be lost.
    """
    own = item.marker.number
    if own is None or (item.marker.delimiter == kind and own != number + 1):
        return "-", 0
    return item.marker.delimiter, own


def _item(item: Item, kind: str) -> str:
    text = _text(item.rows)
    if item.marker.bullet or kind != "-":
        text = text[len(item.marker.text) :]
    mark = "-" if kind == "-" else f"{item.marker.number}{kind}"
    return f"{mark} {_at_start(text)}"


def _block(block: Paragraph | Heading | Table) -> str:
    if isinstance(block, Table):
        return "\n".join(_table(block))
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_heading(_text(block.rows))}"
    return _at_start(_text(block.rows))


def _heading(text: str) -> str:
    """Hashes at the end would be taken for a closing sequence."""
    return _CLOSING_HASHES.sub(r"\\", _escaped(text))


def _table(table: Table) -> Iterator[str]:
    """A pipe table, the first row its header."""
    header, *rows = table.rows
    yield _table_row(_cell(cell) for cell in header)
    yield _table_row("---" for _ in header)
    for row in rows:
        yield _table_row(_cell(cell) for cell in row)


def _table_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Stack) -> str:
    return _escaped(_text(cell)).replace("|", r"\|")


def _text(rows: Stack) -> str:
    """Rows joined as running text is; what stands side by side has a space between."""
    texts = (" ".join(" ".join(line.text for line in row).split()) for row in rows)
    return reduce(_joined, texts, "")


def _joined(above: str, below: str) -> str:
    """Two lines of one paragraph: a word that was broken is whole again."""
    if not above:
        return below
    if _HYPHENATED.search(above) and below[:1].isalpha():
        return (above[:-1] if below[0].islower() else above) + below
    ends = (above[-1:], below[:1])
    alone = [stands_alone(each) for each in ends]
    # Chinese and a Latin word side by side are easier to read apart.
    if all(alone) or (any(alone) and not all(each.isalpha() for each in ends)):
        return above + below
    return f"{above} {below}"


def _at_start(text: str) -> str:
    """Escaped text that is not taken for a list, a heading or the like where it starts a line."""
    escaped = _escaped(text)
    if number := _NUMBER_AT_START.match(text):
        return f"{number[1]}\\{escaped[len(number[1]) :]}"
    if _AT_START.match(text) and not escaped.startswith("\\"):
        return f"\\{escaped}"
    return escaped


def _escaped(text: str) -> str:
    """Text in which nothing is taken for Markdown, wherever it stands in a line."""
    return _SPECIAL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """Escape each character found, but stars and dashes where they cannot mean emphasis."""
    found = match[0]
    if found[0] in "*_":
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        within_word = found[0] == "_" and before.isalnum() and after.isalnum()
        if within_word or not (before.strip() or after.strip()):
            return found
    return "".join(f"\\{character}" for character in found)
