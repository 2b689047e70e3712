"""Which pages are wanted, and what is no wish at all."""

import pytest
from pydantic import ValidationError

from ocr.errors import PagesOutOfRange
from ocr.wanted import Wanted


@pytest.mark.parametrize(
    ("pages", "numbers"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("  ", [1, 2, 3, 4, 5]),
        ("3", [3]),
        ("2-4", [2, 3, 4]),
        ("4-", [4, 5]),
        ("5-", [5]),
        ("4,1-2", [4, 1, 2]),
        ("2-3, 1 , 3 - 4", [2, 3, 1, 4]),
        ("1-5,2-4", [1, 2, 3, 4, 5]),
    ],
)
def test_pages_come_once_in_the_order_that_was_asked_for(pages: str, numbers: list[int]) -> None:
    assert Wanted(pages=pages).page_numbers(5) == numbers


@pytest.mark.parametrize("pages", ["6", "1-6", "6-", "1,9-10", "1-999999999", "999999999-"])
def test_a_page_that_is_not_there(pages: str) -> None:
    with pytest.raises(PagesOutOfRange, match="the last one is 5"):
        Wanted(pages=pages).page_numbers(5)


@pytest.mark.parametrize(
    "pages",
    ["0", "0-2", "3-2", "-3", "a", "1,,2", "1-2-3", "1.5", ",", "1;2", "1" * 10, "1," * 500],
)
def test_what_is_no_range_of_pages(pages: str) -> None:
    with pytest.raises(ValidationError):
        Wanted(pages=pages)


@pytest.mark.parametrize(
    "options",
    [{"format": "docx"}, {"dpi": 49}, {"dpi": 601}, {"pdf_text": "some"}, {"colour": True}],
)
def test_what_is_no_option(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Wanted.model_validate(options)
