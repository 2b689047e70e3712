"""MTWI 2018: its folders are read as they are, and its rule counts as worked out by hand."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import log
from pathlib import Path

import accuracy
import mtwi
import pytest
from client import ReadFailed
from metrics import TextLine
from mtwi import Rules, Tally
from PIL import Image

PAIR = 2 / (1 + log(2))  # what two things count that stand for one: 1.18


def box(left: float, top: float = 0, width: float = 100, text: str = "text") -> TextLine:
    """A line 20 pixels high."""
    right, bottom = left + width, top + 20
    return TextLine(((left, top), (right, top), (right, bottom), (left, bottom)), text)


def dont_care(left: float, top: float = 0, width: float = 100) -> TextLine:
    return box(left, top, width, "###")


def tally(truth: list[TextLine], found: list[TextLine], rules: Rules | None = None) -> Tally:
    return mtwi.tally(truth, found, rules or Rules())


def row(line: TextLine) -> str:
    """A line as MTWI's files of truth have it."""
    return ",".join([*(f"{value:.2f}" for point in line.polygon for value in point), line.text])


def picture(width: int, kind: str = "JPEG") -> bytes:
    """A blank picture, known by its width."""
    file = io.BytesIO()
    Image.new("RGB", (width, 20), "white").save(file, kind)
    return file.getvalue()


def data_set(folder: Path, truths: dict[str, list[TextLine]], name: str = "train") -> Path:
    """MTWI's folders: the first picture is 1 pixel wide, the second 2, and so on."""
    images, texts = folder / f"image_{name}", folder / f"txt_{name}"
    images.mkdir(parents=True)
    texts.mkdir()
    for width, (image, lines) in enumerate(truths.items(), 1):
        (images / image).write_bytes(picture(width))
        (texts / f"{image.removesuffix('.jpg')}.txt").write_text(
            "".join(f"{row(line)}\n" for line in lines), "utf-8"
        )
    return folder


def test_a_box_on_a_text_is_right_and_finds_it() -> None:
    assert tally([box(0)], [box(2)]) == Tally(texts=1, boxes=1, found=1, right=1, matched=1)


def test_misses_and_false_alarms() -> None:
    counts = tally([box(0), box(0, top=50)], [box(0), box(300), box(300, top=50)])
    assert counts == Tally(texts=2, boxes=3, found=1, right=1, matched=1)
    scores = mtwi.Evaluation(Rules(), 1, counts)
    assert (scores.by_areas.precision, scores.by_areas.recall) == (1 / 3, 1 / 2)
    assert scores.by_areas.f == pytest.approx(0.4)
    assert scores.by_iou == scores.by_areas


@pytest.mark.parametrize(("shift", "found", "matched"), [(30, 1, 1), (31, 0, 1), (34, 0, 0)])
def test_seven_tenths_of_both_areas_or_more_than_half_the_union(
    shift: float, found: int, matched: int
) -> None:
    counts = tally([box(0)], [box(shift)])  # of 100 pixels they share 70, 69 and 66: IoU 0.49
    assert (counts.found, counts.right, counts.matched) == (found, found, matched)


def test_the_thresholds_can_be_chosen() -> None:
    counts = tally([box(0)], [box(34)], Rules(areas=0.66, iou=0.49))
    assert (counts.found, counts.matched) == (1, 1)


def test_a_text_in_two_boxes_is_found_and_its_boxes_count_less() -> None:
    counts = tally([box(0)], [box(0, width=50), box(50, width=50)])
    assert counts == Tally(texts=1, boxes=2, found=1, right=PAIR, matched=0)


def test_two_texts_in_one_box_count_less_and_the_box_is_right() -> None:
    counts = tally([box(0, width=50), box(50, width=50)], [box(0)])
    assert counts == Tally(texts=2, boxes=1, found=PAIR, right=1, matched=0)


def test_boxes_that_cover_too_little_of_a_text_do_not_find_it() -> None:
    counts = tally([box(0)], [box(0, width=30), box(40, width=30)])
    assert (counts.found, counts.right) == (0, 0)


def test_boxes_that_lie_in_a_text_by_half_are_no_part_of_it() -> None:
    counts = tally([box(0)], [box(-50), box(50)])
    assert (counts.found, counts.right) == (0, 0)


def test_of_two_boxes_on_one_text_both_count_less() -> None:
    counts = tally([box(0)], [box(0), box(5)])
    assert counts == Tally(texts=1, boxes=2, found=1, right=PAIR, matched=1)


def test_dont_cares_are_no_misses_and_boxes_in_them_no_false_alarms() -> None:
    truth = [box(0), dont_care(200), dont_care(400)]
    counts = tally(truth, [box(0), box(210), box(200, width=20)])
    assert counts == Tally(texts=1, dont_cares=2, boxes=1, left_out=2, found=1, right=1, matched=1)


@pytest.mark.parametrize(("left", "boxes"), [(249, 0), (250, 1)])
def test_a_box_must_lie_in_a_dont_care_by_more_than_half(left: float, boxes: int) -> None:
    assert tally([dont_care(200)], [box(left)]).boxes == boxes


def test_other_unreadable_looking_texts_are_texts() -> None:
    truth = [box(0, text="..."), box(0, top=50, text=""), box(0, top=100, text="### a")]
    assert tally(truth, []).texts == 3


def test_corners_in_any_order_and_crossed_ones() -> None:
    corners = box(0).polygon
    turned = TextLine(corners[::-1], "text")
    crossed = TextLine((corners[0], corners[2], corners[1], corners[3]), "text")
    for line in (turned, crossed):
        assert tally([line], [box(0)]).found == 1
        assert tally([box(0)], [line]).right == 1


def test_boxes_without_area_do_not_take_part() -> None:
    flat = TextLine(((0, 0), (100, 0), (100, 0), (0, 0)), "text")
    assert tally([flat], [flat]) == Tally()


def test_pages_without_texts_or_boxes() -> None:
    assert tally([], []) == Tally()
    assert tally([], [box(0)]) == Tally(boxes=1)
    assert tally([box(0), dont_care(200)], []) == Tally(texts=1, dont_cares=1)


def test_counts_are_summed_over_all_pictures() -> None:
    truth = {"a": [box(0), box(0, top=50), box(0, top=100)], "b": [box(0)], "c": [box(0)]}
    found = {"a": [box(0)], "b": [box(0), box(300)]}
    scores = mtwi.evaluate(truth, found, Rules())
    assert (scores.by_areas.precision, scores.by_areas.recall) == (2 / 3, 2 / 5)  # not of means


def test_the_folders_are_read_as_they_are(tmp_path: Path) -> None:
    truths = {
        "T1a_!!0-item_pic.jpg.jpg": [box(0, text="有，逗号,和, 空格"), dont_care(5)],
        "TB1.b.jpg": [],
    }
    data_set(tmp_path / "mtwi_2018_train", truths)
    found = mtwi.read(tmp_path)
    assert found.folder == tmp_path / "mtwi_2018_train" / "image_train"
    assert found.truth == truths


def test_odd_files_of_truth(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    rows = ["9,0,0,0,0,9,9,9,a\u2028b", "", "9,0,0,0,0,9,9,9,", "9,0,0,0,0,9,9,9", "  "]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    lines = mtwi.read_truth(path)
    assert [line.text for line in lines] == ["a\u2028b", "", ""]
    assert {line.polygon for line in lines} == {((9, 0), (0, 0), (0, 9), (9, 9))}


@pytest.mark.parametrize("text", ["1,2,3,4,5,6,7", "1,2,3,4,5,6,7,x,text", "text"])
def test_malformed_truth_names_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(f"0,0,9,0,9,9,0,9,good\n{text}\n", "utf-8")
    with pytest.raises(ValueError, match=r"bad\.txt:2"):
        mtwi.read_truth(path)


def test_pictures_and_truth_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "img_1.jpg").write_bytes(picture(1))
    (tmp_path / "img_1.txt").write_text(row(box(0)), "utf-8")
    assert mtwi.read(tmp_path).truth == {"img_1.jpg": [box(0)]}


def test_one_set_is_chosen_by_its_folder_of_pictures(tmp_path: Path) -> None:
    data_set(tmp_path, {"a.jpg": []}, "9000")
    data_set(tmp_path, {"b.jpg": []}, "1000")
    with pytest.raises(ValueError, match="image_1000, image_9000"):
        mtwi.read(tmp_path)
    assert list(mtwi.read(tmp_path / "image_1000").truth) == ["b.jpg"]


def test_what_lacks_truth_or_pictures_is_refused(tmp_path: Path) -> None:
    data_set(tmp_path / "test", {"a.jpg": []}, "test")
    (tmp_path / "test" / "txt_test" / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"1 of 1 pictures .* a\.txt"):
        mtwi.read(tmp_path / "test")
    (tmp_path / "test" / "txt_test").rmdir()
    with pytest.raises(ValueError, match=r"txt_test is not there.*not published"):
        mtwi.read(tmp_path / "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        mtwi.read(tmp_path / "empty")


def pretend_to_find(monkeypatch: pytest.MonkeyPatch, boxes: dict[int, list[TextLine]]) -> None:
    """Let accuracy.py find these boxes on pictures of these widths, and fail on others."""

    async def read(content: bytes) -> list[TextLine]:
        width = Image.open(io.BytesIO(content)).width
        if width not in boxes:
            raise ReadFailed("DAMAGED: not this one")
        return boxes[width]

    @asynccontextmanager
    async def reading() -> AsyncIterator[object]:
        yield read

    def locating(url: str | None) -> AbstractAsyncContextManager[object]:
        return reading()

    monkeypatch.setattr(accuracy, "locating", locating)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truths = {
        "a.jpg.jpg": [box(0), dont_care(0, top=50)],
        "b.jpg": [box(0), box(0, top=50)],
        "c.jpg": [box(0)],
    }
    data_set(tmp_path / "data", truths)
    pretend_to_find(monkeypatch, {1: [box(1), box(1, top=50)], 2: [box(0), box(300)]})
    output = tmp_path / "scores.json"
    arguments = ["--mtwi", str(tmp_path / "data"), "--json", str(output)]
    assert accuracy.main([*arguments, "--predictions", str(tmp_path / "first")]) == 0

    said = capsys.readouterr()
    assert "3 images, 1 of them not read; 4 texts and 1 don't cares; 3 boxes found" in said.out
    assert "c.jpg: DAMAGED" in said.err
    by_areas, by_iou, card = (line.split()[-3:] for line in said.out.splitlines()[-3:])
    assert by_areas == by_iou == ["66.7", "50.0", "57.1"]
    assert card == ["84.9", "68.1", "75.6"]
    written = json.loads(output.read_text("utf-8"))
    assert written["mtwi"]["found"]["areas"] == {
        "least": 0.7,
        "precision": 0.6667,
        "recall": 0.5,
        "f": 0.5714,
    }
    assert written["failures"] == {"c.jpg": "DAMAGED: not this one"}

    assert accuracy.main([*arguments, "--baseline", str(tmp_path / "first")]) == 0
    assert capsys.readouterr().out.count("66.7") == 4


def test_the_command_fails_if_nothing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_set(tmp_path, {"a.jpg": [box(0)]})
    pretend_to_find(monkeypatch, {})
    assert accuracy.main(["--mtwi", str(tmp_path)]) == 1


@pytest.mark.parametrize("wrong", [["--areas", "0"], ["--iou", "1.5"], ["--set", "train"]])
def test_arguments_that_make_no_sense(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        accuracy.main(["--mtwi", str(tmp_path), *wrong])
