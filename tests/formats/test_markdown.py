"""Checked with a Markdown parser: what is read out of it is what was put in."""

from collections.abc import Sequence

import numpy as np
import pytest
from markdown_it import MarkdownIt

from ocr.document import Document, Line, Page
from ocr.errors import NotAnImage
from ocr.formats import markdown
from ocr.wanted import Wanted
from tests import pictures
from tests.test_layout import WIDE, column, drawn_page, page, quad, random_page

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PLAIN = {"text", "text_special"}

NASTY = (
    "# not a heading", "###### nor this", "#tag", "C #", "> no quotation", ">none",
    "+ plus", "1986. A great year", "1234) twelve", "---", "- - -", "***", "___", "====",
    "*emphasised*", "**strong**", "_emphasised_", "__strong__", "snake_case_name",
    "2 * 3 * 4 = 24", "****1234", "Name: ____ Date: ____", "Name:____Date:____", "`code`",
    "```python", "~~~", "~~struck~~", "9:00~18:00, 19:00~20:00", "[link](https://example.org)",
    "![picture](x.png)", "[label]: https://example.org", "[x] done", "[a][b]", "a[1] and b[2]",
    "<https://example.org>", "<b>bold</b>", "<!-- comment -->", "a < b > c", "AT&T &amp; &#65;",
    "C:\\new\\*", "back\\", "\\", "|", "a | b | c", "| --- | --- |", "50% & more $5 $6", "！？。",
    "-", "+", "*", "#", "1.", "&", "<", "- 3 -", "1.5 kg", "(the end)", "\ttab", "a  b",
)  # fmt: skip


def written(*pages: Page, source: str = "") -> str:
    return markdown.render([Document(list(pages), source)], Wanted()).decode("utf-8")


def read(text: str) -> list[tuple[str, str]]:
    """Each text with the element that it stands in; fails if there is anything but text in it."""
    found, stack = [], [""]
    for token in PARSER.parse(text):
        if token.nesting == 1:
            stack.append(token.tag)
        elif token.nesting == -1:
            stack.pop()
        elif token.type == "inline":
            children = token.children or []
            assert {child.type for child in children} <= PLAIN, token.content
            found.append((_kind(stack), "".join(child.content for child in children)))
        else:
            found.append((token.type, token.content.strip()))
    return found


def _kind(stack: Sequence[str]) -> str:
    """h1, p, td, or ul or ol for what stands in an item of a list."""
    lists = [tag for tag in stack if tag in ("ul", "ol")]
    return lists[-1] if lists else stack[-1]


def alone(text: str) -> Page:
    return page([(text, (100, 100, 300, 20))])


@pytest.mark.parametrize("text", NASTY)
def test_text_is_not_taken_for_markdown(text: str) -> None:
    assert read(written(alone(text))) == [("p", " ".join(text.split()))]


@pytest.mark.parametrize("text", NASTY)
def test_nor_is_it_in_a_table_or_a_heading_or_an_item(text: str) -> None:
    plain = " ".join(text.split())
    cells = [(value, (left, 100.0 + 40 * row, 60.0, 20.0))
             for row in range(3) for value, left in ((text, 100.0), ("other", 400.0))]  # fmt: skip
    assert [value for _, value in read(written(page(cells)))] == [plain, "other"] * 3
    body = column([WIDE] * 6, top=300).lines
    title = Line(quad((100, 100, 300, 50)), f"A heading of words {text}", 0.9)
    assert read(written(Page(1000, 1400, [title, *body])))[0] == (
        "h1",
        f"A heading of words {plain}",
    )
    assert read(written(alone(f"• {text}"))) == [("ul", plain)]


def test_lines_of_a_paragraph_are_joined() -> None:
    english = column(["The quick brown fox jumps over the", "lazy dog in the gar-", "den."])
    assert written(english) == "The quick brown fox jumps over the lazy dog in the garden.\n"
    chinese = page(
        [("今天天气很好我们去公园", (100, 100, 220, 20)), ("散步。", (100, 130, 60, 20))]
    )
    assert written(chinese) == "今天天气很好我们去公园散步。\n"


@pytest.mark.parametrize(
    ("above", "below", "joined"),
    [
        ("开放时间上午九点", "Open from Monday", "开放时间上午九点 Open from Monday"),
        ("The Anglo-", "American", "The Anglo-American"),
        ("the years 1998-", "and later", "the years 1998- and later"),
        ("this word -", "and that", "this word - and that"),
        ("all of 共有", "12个", "all of 共有12个"),
    ],
)
def test_where_two_lines_meet(above: str, below: str, joined: str) -> None:
    lines = [(above, (100.0, 100.0, 300.0, 20.0)), (below, (100.0, 125.0, 290.0, 20.0))]
    assert written(page(lines)) == f"{joined}\n"


def test_a_table_is_a_table() -> None:
    text = written(drawn_page(pictures.table()))
    rows = [cell for row in pictures.CELLS for cell in row]
    assert read(text) == [("th" if i < 3 else "td", cell) for i, cell in enumerate(rows)]
    assert text.splitlines()[1] == "| --- | --- | --- |"


def test_headings_and_paragraphs() -> None:
    body = column([WIDE] * 4 + ["It ends.", WIDE, WIDE], top=300).lines
    title = Line(quad((100, 100, 300, 50)), "The title", 0.9)
    chapter = Line(quad((100, 200, 300, 32)), "A chapter", 0.9)
    assert read(written(Page(1000, 1400, [title, chapter, *body]))) == [
        ("h1", "The title"),
        ("h2", "A chapter"),
        ("p", " ".join([WIDE] * 4 + ["It ends."])),
        ("p", f"{WIDE} {WIDE}"),
    ]


def test_lists() -> None:
    texts = ["• A bullet", "● Another one", "1. Number one", "2. Number two", "(1) In brackets"]
    text = written(column(texts))
    assert read(text) == [
        ("ul", "A bullet"), ("ul", "Another one"), ("ol", "Number one"), ("ol", "Number two"),
        ("ul", "(1) In brackets"),
    ]  # fmt: skip


def test_a_number_is_as_it_was_though_markdown_counts_by_itself() -> None:
    html = PARSER.render(written(column(["3. Three", "4. Four", "7. Seven", "8) Eight"])))
    assert '<ol start="3">' in html
    assert '<ol start="8">' in html
    assert "7. Seven" in html
    assert html.count("<li>") == 4


@pytest.mark.parametrize("seed", range(30))
def test_every_line_is_there_once(seed: int) -> None:
    made = random_page(seed)
    text = "".join(value for _, value in read(written(made)))
    assert [text.count(_name(line)) for line in made.lines] == [1] * len(made.lines)


def _name(line: Line) -> str:
    return line.text[line.text.index("w") :]


def test_pages_are_separated() -> None:
    pages = [alone("One"), Page(10, 10), alone("Three")]
    assert read(written(*pages)) == [("p", "One"), ("hr", ""), ("hr", ""), ("p", "Three")]


def test_documents_are_named_where_there_are_several() -> None:
    documents = [
        Document([alone("One"), alone("Two")], "a.pdf"),
        Document([], "broken.png", error=NotAnImage("no")),
        Document([alone("Three")], "--> <b>b--.png\n# x"),
        Document([alone("Four")]),
    ]
    text = markdown.render(documents, Wanted()).decode()
    assert text.startswith("<!-- a.pdf -->\n\nOne\n")
    assert [kind for kind, _ in read(text)] == [
        "html_block", "p", "hr", "p", "hr", "html_block", "p", "hr", "html_block", "p",
    ]  # fmt: skip
    assert "broken" not in text
    comments = [value for kind, value in read(text) if kind == "html_block"]
    assert all("--" not in value[4:-3] for value in comments)
    assert written(alone("One"), source="a.pdf") == "One\n"


def test_no_text_is_an_empty_file() -> None:
    assert markdown.render([], Wanted()) == b""
    assert written(Page(10, 10)) == ""


def test_blank_lines_of_text_do_no_harm() -> None:
    lines = [Line(quad((100, 100.0 + 30 * i, 300, 20)), " ", 0.9) for i in range(3)]
    assert written(Page(1000, 1000, lines)).strip() == ""


def test_many_lines_take_little_time() -> None:
    dice = np.random.default_rng(0)
    lines = [(f"w{i}x", (100.0 + 100 * (i % 8), 20.0 * (i // 8), dice.uniform(30, 90), 15.0))
             for i in range(2000)]  # fmt: skip
    text = written(page(lines))
    assert all(f"w{i}x" in text for i in (0, 999, 1999))
