"""What is wanted of a file: which pages, how, and in which format."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ocr.errors import PagesOutOfRange

FormatName = Literal["json", "text", "markdown", "hocr", "alto", "pdf", "png"]
PdfText = Literal["auto", "keep", "ignore"]

_NO_END = 10**9

_PART = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?\s*)?")


class Wanted(BaseModel):
    """Options of one request; the service, the command line and the client all take these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: FormatName = Field(default="json", description="of the answer")
    words: bool = Field(default=False, description="json: with the words of each line")
    pages: str = Field(
        default="", description="as 1-5,8 or 3-; all if empty", examples=["1-5,8"], max_length=1000
    )
    dpi: int = Field(default=200, ge=50, le=600, description="at which PDF pages are read")
    pdf_text: PdfText = Field(
        default="auto",
        description="text that a PDF has already: auto takes it where it was written and reads "
        "what was scanned, keep takes whatever there is, ignore reads every page",
    )
    pictures: bool = Field(default=False, description="json: with a picture of each page")

    @field_validator("pages")
    @classmethod
    def _are_pages(cls, text: str) -> str:
        page_ranges(text)
        return text

    @property
    def page_ranges(self) -> tuple[range, ...]:
        """The pages, counted from 1, in the order in which they were asked for; () for all.

        A range without an end goes up to 10**9: how many there are only the file knows.
        """
        return page_ranges(self.pages)

    def page_numbers(self, count: int) -> list[int]:
        """Which of `count` pages are wanted, each once, in the order in which they were asked for.

        A range without an end goes up to the last one. Raises PagesOutOfRange if a page is named
        that is not there.
        """
        if not self.page_ranges:
            return list(range(1, count + 1))
        numbers: dict[int, None] = {}
        for pages in self.page_ranges:
            last = count if pages[-1] == _NO_END else pages[-1]
            missing = max(pages[0], last)
            if missing > count:
                raise PagesOutOfRange(f"there is no page {missing}, the last one is {count}")
            numbers.update(dict.fromkeys(range(pages[0], last + 1)))
        return list(numbers)


def page_ranges(text: str) -> tuple[range, ...]:
    """Read "1-5,8,12-". Raises ValueError if it is none, or names page 0."""
    if not text.strip():
        return ()
    return tuple(_page_range(part) for part in text.split(","))


def _page_range(text: str) -> range:
    match = _PART.fullmatch(text)
    if match is None:
        raise ValueError(f"{text.strip()!r} is not a page or a range of pages, as 3 or 2-5 or 7-")
    first = int(match[1])
    last = int(match[3]) if match[3] else _NO_END if match[2] else first
    if not 1 <= first <= last:
        raise ValueError(f"{text.strip()!r}: pages are counted from 1, and upwards")
    return range(first, last + 1)
