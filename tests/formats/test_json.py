import json
from dataclasses import replace
from typing import Any

import pytest

from ocr.document import Document, Page, Picture
from ocr.errors import ImageTooLarge, OcrError
from ocr.formats.json import Answer, as_dict, page_as_dict, page_of_dict, parse, render
from ocr.wanted import Wanted
from tests.formats.comparing import assert_same
from tests.formats.documents import ALL, FAILED, MIXED, PAGES, PICTURED, TURNED

WORDS = Wanted(words=True)


def rendered(documents: list[Document], wanted: Wanted) -> Any:
    return json.loads(render(documents, wanted))["documents"]


def test_every_field_is_where_the_api_says() -> None:
    (document,) = rendered([MIXED], WORDS)
    assert list(document) == ["source", "error", "pages"]
    assert (document["source"], document["error"]) == ("收据 1.png", None)
    (page,) = document["pages"]
    lines = page.pop("lines")
    assert page == {
        "number": 1,
        "width": 1654,
        "height": 2339,
        "dpi": None,
        "rotation": 0,
        "text_layer": False,
        "text": "欢迎使用 OCR 服务\nTotal price:  $42.75\n合计128.50元",
    }
    line = lines[1]
    assert list(line) == ["text", "confidence", "quad", "turns", "words"]
    assert (line["text"], line["turns"]) == ("Total price:  $42.75", 0)
    assert line["quad"] == [[100, 80], [340, 80], [340, 104], [100, 104]]
    assert [word["text"] for word in line["words"]] == ["Total", "price:", "$42.75"]
    assert list(line["words"][0]) == ["text", "confidence", "quad"]


def test_numbers_are_short() -> None:
    for document in rendered([MIXED, TURNED], WORDS):
        for line in document["pages"][0]["lines"]:
            for part in [line, *line["words"]]:
                assert part["confidence"] == round(part["confidence"], 4)
                corners = [value for point in part["quad"] for value in point]
                assert corners == [round(value, 1) for value in corners]


def test_words_and_pictures_come_only_when_wanted() -> None:
    (document,) = rendered([PICTURED], Wanted())
    assert "picture" not in document["pages"][0]
    assert "words" not in document["pages"][0]["lines"][0]
    (document,) = rendered([PICTURED], Wanted(pictures=True))
    assert document["pages"][0]["picture"] == "data:image/jpeg;base64,/9gAcGljdHVyZf/Z"
    assert "words" not in document["pages"][0]["lines"][0]


def test_what_failed_is_told() -> None:
    found = rendered([MIXED, FAILED], Wanted())
    assert found[0]["error"] is None
    assert found[1] == {
        "source": "broken.bin",
        "error": {"code": "NOT_AN_IMAGE", "message": "the bytes are of no picture"},
        "pages": [],
    }


def test_text_is_written_as_it_is_and_in_one_line() -> None:
    data = render(ALL, WORDS)
    assert "欢迎使用".encode() in data
    assert "𠮷野家".encode() in data
    assert b"\n" not in data and b'": ' not in data


def test_the_model_describes_the_answer() -> None:
    wanted = Wanted(words=True, pictures=True)
    answer = Answer.model_validate(as_dict(ALL, wanted))
    assert answer.model_dump(exclude_unset=True) == as_dict(ALL, wanted)
    described = Answer.model_json_schema()["$defs"]
    assert set(described["AnswerLine"]["properties"]) == {
        "text", "confidence", "quad", "turns", "words",
    }  # fmt: skip


def test_there_and_back() -> None:
    found = parse(render(ALL, Wanted(words=True, pictures=True)))
    assert_same(found, ALL)
    kept = [page.text_layer for document in found for page in document.pages]
    assert kept == [page.text_layer for document in ALL for page in document.pages]
    assert found[-1].pages[0].picture == PICTURED.pages[0].picture


def test_there_and_back_without_words() -> None:
    found = parse(render([TURNED], Wanted()))
    assert found[0].pages[0].text == TURNED.pages[0].text
    assert all(not line.words for line in found[0].pages[0].lines)


def test_an_error_comes_back_as_the_one_it_was() -> None:
    errors = [FAILED.error, ImageTooLarge("too large"), OcrError("see the log")]
    found = parse(render([Document([], error=error) for error in errors], Wanted()))
    assert [(type(each.error), str(each.error)) for each in found] == [
        (type(error), str(error)) for error in errors
    ]


def test_an_error_of_a_later_version_keeps_its_code() -> None:
    answer = as_dict([FAILED], Wanted())
    answer["documents"][0]["error"]["code"] = "ON_FIRE"
    (found,) = parse(json.dumps(answer).encode())
    assert str(found.error) == "ON_FIRE: the bytes are of no picture"


def test_fields_of_a_later_version_are_passed_over() -> None:
    answer = as_dict([MIXED], WORDS) | {"took": 3}
    answer["documents"][0]["pages"][0]["lines"][0]["colour"] = "red"
    assert_same(parse(json.dumps(answer).encode()), [MIXED])


@pytest.mark.parametrize("page", [*PAGES.pages, *TURNED.pages, *PICTURED.pages])
def test_one_page_there_and_back(page: Page) -> None:
    as_json = json.loads(json.dumps(page_as_dict(page)))
    found = page_of_dict(as_json)
    assert_same([Document([found])], [Document([page])])
    assert found.picture == page.picture
    assert found.text_layer == page.text_layer


def test_a_resolution_with_decimals_is_kept() -> None:
    page = replace(MIXED.pages[0], dpi=203.25)
    assert page_of_dict(page_as_dict(page)).dpi == 203.25


def test_a_lone_surrogate_does_not_cost_the_answer() -> None:
    (document,) = rendered([replace(MIXED, source="a\ud800b.png")], Wanted())
    assert document["source"] == "a?b.png"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"documents": [{"pages": [{"width": 1, "height": 1}]}]}',
        b'{"documents": [{"pages": [{"width": 1, "height": 1, "lines": '
        b'[{"text": "a", "confidence": 1, "quad": [[1, 2], [3, 4]]}]}]}]}',
    ],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)


@pytest.mark.parametrize("uri", ["data:text/html;base64,AAAA", "data:image/png;base64,?", "x"])
def test_a_picture_is_a_data_uri(uri: str) -> None:
    found = page_as_dict(PICTURED.pages[0]) | {"picture": uri}
    with pytest.raises(ValueError):
        page_of_dict(found)


def test_a_png_stays_a_png() -> None:
    page = replace(PICTURED.pages[0], picture=Picture(b"\x89PNG", "image/png"))
    assert page_of_dict(page_as_dict(page)).picture == page.picture
