from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ocr.document import Line, Page, Quad
from ocr.layout import Block, Heading, Item, Paragraph, Table, blocks, marker
from ocr.order import reading_order
from tests import pictures
from tests.pictures import Drawn

Box = tuple[float, float, float, float]  # left, top, width, height


def page(lines: Sequence[tuple[str, Box]]) -> Page:
    """A page with these lines, in this order."""
    return Page(1000, 1400, [Line(quad(box), text, 0.9) for text, box in lines])


def quad(box: Box) -> Quad:
    x, y, width, height = box
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return np.array(corners, np.float32)


def drawn_page(drawn: Drawn, rotation: int = 0) -> Page:
    """What a perfect reader would make of a picture; quads start where the text does."""
    turns = rotation // 90
    height, width = drawn.image.shape[:2]
    lines = [Line(np.roll(quad, turns, axis=0), text, 0.9, turns) for text, quad in drawn.lines]
    return Page(width, height, lines, rotation=rotation)


def column(texts: Sequence[str], left: float = 100, top: float = 100, step: float = 30) -> Page:
    """Lines of 20 pixels' height, as wide as their text is long: ten pixels a letter."""
    return page([(t, (left, top + i * step, 10 * len(t), 20)) for i, t in enumerate(texts)])


def shown(block: Block) -> list[str] | list[list[str]]:
    """A table's cells row by row, of other blocks the text of each row."""
    if isinstance(block, Table):
        return [[" / ".join(_row(row) for row in cell) for cell in cells] for cells in block.rows]
    return [_row(row) for row in block.rows]


def _row(lines: Sequence[Line]) -> str:
    return " ".join(line.text for line in lines)


def lines_of(block: Block) -> list[Line]:
    if isinstance(block, Table):
        return [line for cells in block.rows for cell in cells for row in cell for line in row]
    return [line for row in block.rows for line in row]


WIDE = "Some lines are as wide as a column"  # 34 letters


def test_a_page_without_lines_has_no_blocks() -> None:
    assert blocks(Page(10, 10)) == []


def test_full_lines_are_one_paragraph() -> None:
    (block,) = blocks(column([WIDE, WIDE, WIDE, "and ends."]))
    assert isinstance(block, Paragraph)
    assert shown(block) == [WIDE, WIDE, WIDE, "and ends."]


def test_a_short_line_ends_a_paragraph() -> None:
    found = blocks(column([WIDE, "Ends here.", WIDE.upper(), WIDE, WIDE]))
    assert [len(shown(block)) for block in found] == [2, 3]


def test_a_line_into_which_the_next_word_did_not_fit_is_not_short() -> None:
    almost = WIDE[:-8]
    assert len(blocks(column([WIDE, almost, "Extraordinarily " + WIDE[16:], WIDE]))) == 1


def test_a_gap_ends_a_paragraph() -> None:
    above, below = column([WIDE] * 3), column([WIDE] * 3, top=100 + 3 * 30 + 25)
    found = blocks(replace(above, lines=above.lines + below.lines))
    assert [len(shown(block)) for block in found] == [3, 3]


def test_double_spaced_text_is_not_torn_apart() -> None:
    assert len(blocks(column([WIDE] * 6, step=50))) == 1


def test_an_indent_starts_a_paragraph() -> None:
    lines = [(WIDE, (100.0 + 40 * (i in (0, 2)), 100.0 + 30 * i, 340.0 - 40 * (i in (0, 2)), 20.0))
             for i in range(5)]  # fmt: skip
    assert [len(shown(block)) for block in blocks(page(lines))] == [2, 3]


def test_a_change_of_size_ends_a_paragraph() -> None:
    small = [(WIDE, (100.0, 100.0 + 30 * i, 340.0, 20.0)) for i in range(4)]
    large = [(WIDE, (100.0, 220.0 + 30 * i, 340.0, 27.0)) for i in range(3)]
    assert [len(shown(block)) for block in blocks(page(small + large))] == [4, 3]


def test_columns_are_read_one_after_the_other() -> None:
    found = [shown(block) for block in blocks(drawn_page(pictures.two_columns()))]
    assert found[0] == ["文字识别服务使用说明"]
    flat = [text for rows in found[1:-1] for text in rows]
    assert flat == list(pictures.CHINESE[:12])
    assert not any({pictures.CHINESE[5], pictures.CHINESE[6]} <= set(rows) for rows in found)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_page_has_the_same_blocks(rotation: int) -> None:
    # What is turned anticlockwise three times stands clockwise by a quarter.
    turned = pictures.turned(pictures.table(), (-rotation // 90) % 4)
    upright = blocks(drawn_page(pictures.table()))
    assert [shown(b) for b in blocks(drawn_page(turned, rotation))] == [shown(b) for b in upright]
    assert [type(block) for block in upright] == [Table]


def test_a_skewed_table_is_one_still() -> None:
    (block,) = blocks(drawn_page(pictures.rotated(pictures.table(), 3)))
    assert shown(block) == [list(row) for row in pictures.CELLS]


def test_rows_of_short_cells_are_a_table() -> None:
    (block,) = blocks(drawn_page(pictures.receipt(12)))
    assert isinstance(block, Table)
    assert len(block.rows) == 12
    assert shown(block)[1] == ["牛奶", "17.15"]


def test_two_rows_are_no_table() -> None:
    found = blocks(drawn_page(pictures.table(pictures.CELLS[:2])))
    assert [type(block) for block in found] == [Paragraph, Paragraph]


def test_cells_that_do_not_line_up_are_no_table() -> None:
    lines = [
        (f"{side}{row}", (left + shift * (row % 3), 100.0 + 30 * row, 60.0, 20.0))
        for row in range(6)
        for side, left, shift in (("left", 100.0, 40.0), ("right", 500.0, -50.0))
    ]
    assert not any(isinstance(block, Table) for block in blocks(page(lines)))


def test_a_cell_may_be_empty_and_another_one_of_two_lines() -> None:
    lines: list[tuple[str, Box]] = [
        ("Name", (100, 100, 60, 20)), ("Price", (400, 100, 60, 20)), ("Note", (600, 100, 60, 20)),
        ("Apples", (100, 150, 80, 20)), ("12.50", (400, 150, 60, 20)),
        ("Long", (100, 200, 60, 20)), ("9.80", (400, 211, 60, 20)), ("none", (600, 211, 60, 20)),
        ("bread", (100, 222, 60, 20)),
        ("Milk", (100, 270, 60, 20)), ("6.20", (400, 270, 60, 20)), ("fresh", (600, 270, 60, 20)),
    ]  # fmt: skip
    (block,) = blocks(page(lines))
    assert shown(block) == [
        ["Name", "Price", "Note"],
        ["Apples", "12.50", ""],
        ["Long / bread", "9.80", "none"],
        ["Milk", "6.20", "fresh"],
    ]


def test_lines_of_one_cell_stand_closer_than_rows() -> None:
    lines: list[tuple[str, Box]] = [("What", (100, 60, 60, 20)), ("Price", (400, 60, 60, 20))]
    for row in range(3):
        top = 100 + 90 * row
        lines += [(f"one {row}", (100, top, 60, 20)), (f"two {row}", (100, top + 22, 60, 20))]
        lines += [(f"{row}.50", (400, top + 22, 60, 20)), (f"end {row}", (100, top + 44, 60, 20))]
    lines += [("last", (100, 370, 60, 20)), ("0.50", (400, 370, 60, 20))]
    (block,) = blocks(page(lines))
    assert shown(block) == [
        ["What", "Price"],
        *([f"one {row} / two {row} / end {row}", f"{row}.50"] for row in range(3)),
        ["last", "0.50"],
    ]


def test_rows_of_one_cell_are_rows_where_all_stand_close() -> None:
    lines: list[tuple[str, Box]] = []
    for row in range(7):
        top = 100 + 22 * row - 1.5 * (row == 3)  # a little closer by chance
        lines.append((f"item {row}", (100, top, 70, 20)))
        if row not in (2, 3):
            lines.append((f"{row}.50", (400, top, 60, 20)))
    (block,) = blocks(page(lines))
    assert [row[0] for row in shown(block)] == [f"item {row}" for row in range(7)]


def test_a_header_may_stand_beside_the_text_of_its_column() -> None:
    lines: list[tuple[str, Box]] = [
        ("Goods", (250, 100, 50, 20)), ("Price", (490, 100, 50, 20)), ("Tax", (720, 100, 30, 20)),
    ]  # fmt: skip
    for row in range(4):
        top = 130 + 30 * row
        lines += [(f"item {row}", (100, top, 70, 20)), (f"{row}.50", (500, top, 40, 20))]
        lines += [(f"{row}%", (720, top, 30, 20))]
    (block,) = blocks(page(lines))
    assert shown(block)[:2] == [["Goods", "Price", "Tax"], ["item 0", "0.50", "0%"]]


def test_larger_text_is_a_heading() -> None:
    body = column([WIDE] * 6, top=300)
    title = Line(quad((100, 100, 300, 50)), "The title", 0.9)
    subtitle = Line(quad((100, 200, 300, 32)), "A chapter", 0.9)
    first, second, text = blocks(replace(body, lines=[title, subtitle, *body.lines]))
    assert isinstance(first, Heading) and first.level == 1
    assert isinstance(second, Heading) and second.level == 2
    assert isinstance(text, Paragraph)


def test_without_a_body_nothing_is_a_heading() -> None:
    lines: list[tuple[str, Box]] = [
        (f"Sign {i}", (100, 100 + 150 * i, 300, 20.0 + 20 * i)) for i in range(4)
    ]
    assert not any(isinstance(block, Heading) for block in blocks(page(lines)))


def test_a_line_of_another_direction_stands_by_itself() -> None:
    text = column([WIDE] * 3)
    stamp = Line(quad((110, 145, 20, 200)), "12345", 0.9, turns=1)
    lines = [*text.lines[:2], stamp, text.lines[2]]
    assert ["12345"] in [shown(block) for block in blocks(replace(text, lines=lines))]


def test_items_of_a_list() -> None:
    texts = ["1. The first item goes on to the end", "2. The second item", "3. The third"]
    found = blocks(column(texts))
    assert [type(block) for block in found] == [Item, Item, Item]
    assert [block.marker.number for block in found if isinstance(block, Item)] == [1, 2, 3]


def test_a_marker_that_was_found_apart_belongs_to_its_item() -> None:
    lines: list[tuple[str, Box]] = []
    for i in range(4):
        lines += [(f"{i + 1}.", (100, 100 + 40 * i, 15, 20)), (WIDE, (150, 100 + 40 * i, 340, 20))]
    found = blocks(page(lines))
    assert [shown(block) for block in found] == [[f"{i + 1}. {WIDE}"] for i in range(4)]
    assert all(isinstance(block, Item) for block in found)


def test_a_marker_by_chance_at_the_start_of_a_line_is_none() -> None:
    assert len(blocks(column([WIDE, "(2) " + WIDE[4:], WIDE]))) == 1


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("• point", "• "), ("●要点", "●"), ("- point", "- "), ("1. point", "1. "), ("2)点", "2)"),
        ("(1) point", "(1) "), ("（一）要点", "（一）"), ("一、要点", "一、"), ("③要点", "③"),
    ],
)  # fmt: skip
def test_a_marker(text: str, start: str) -> None:
    found = marker(text)
    assert found is not None
    assert found.text == start


@pytest.mark.parametrize(
    "text",
    ["1.5 kg", "-5", "- 3 -", "2024. ", "12.50", "R. W. Smith", "(the end)", "——", "一个", "3"],
)
def test_no_marker(text: str) -> None:
    assert marker(text) is None


@pytest.mark.parametrize("seed", range(40))
def test_no_line_is_lost_or_doubled(seed: int) -> None:
    """Whatever is laid out how: all lines, once each, and in order inside of their block."""
    made = random_page(seed)
    found = blocks(made)
    got = [line for block in found for line in lines_of(block)]
    assert sorted(map(id, got)) == sorted(map(id, made.lines))
    place = {id(line): number for number, line in enumerate(made.lines)}
    for block in found:
        if not isinstance(block, Table):  # of which the cells are sorted from the top
            numbers = [place[id(line)] for line in lines_of(block)]
            assert numbers == sorted(numbers)
    assert all(len({len(row) for row in b.rows}) == 1 for b in found if isinstance(b, Table))


def random_page(seed: int) -> Page:
    """Scattered lines, a grid or running text, some of them turned; on any page but a blank one."""
    dice = np.random.default_rng(seed)
    count = int(dice.integers(1, 60))
    if seed % 3 == 0:
        boxes = np.column_stack([dice.uniform(0, 900, count), dice.uniform(0, 1300, count)])
    elif seed % 3 == 1:
        boxes = np.array([(100 + 250 * (i % 3), 50 + 32 * (i // 3)) for i in range(count)], float)
    else:
        boxes = np.array([(100 + 30 * (i % 4 == 0), 50 + 26 * i) for i in range(count)], float)
    boxes += dice.normal(0, 4, boxes.shape)
    sizes = np.column_stack([dice.uniform(5, 240, count), dice.uniform(8, 40, count)])
    quads = [quad((x, y, w, h)) for (x, y), (w, h) in zip(boxes, sizes, strict=True)]
    turns = dice.choice(4, count, p=[0.85, 0.05, 0.05, 0.05])
    starts = ["", "1. ", "• ", "(2) ", "2", "一、"]
    lines = [
        Line(quads[i], f"{dice.choice(starts)}w{i}x", 0.9, int(turns[i]))
        for i in reading_order(np.array(quads))
    ]
    return Page(1000, 1400, lines, rotation=int(dice.choice([0, 0, 0, 90, 180, 270])))
