"""The recognition benchmark: how it finds sets of line crops, and the scores by domain."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import labels
import pytest
import recognition
import truths
from client import ReadFailed
from metrics import TextLine
from PIL import Image


def add_pictures(folder: Path, *names: str) -> None:
    """Blank pictures: the first is 1 pixel wide, the second 2, and so on."""
    for width, name in enumerate(names, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 8), "white").save(path)


def found(folder: Path, *names: str, by_folder: bool = False) -> dict[str, dict[str, str]]:
    return {each.name: each.truth for each in labels.crop_sets(folder, names, by_folder)}


def test_truth_files_of_crops_are_sets_and_those_of_pages_are_not(tmp_path: Path) -> None:
    (tmp_path / "plates.jsonl").write_text('{"image": "p/1.png", "text": "京A1"}\n', "utf-8")
    (tmp_path / "pages.jsonl").write_text('{"image": "1.png", "lines": []}\n', "utf-8")
    (tmp_path / "earlier").mkdir()  # predictions have the form of truth
    (tmp_path / "earlier" / "plates.jsonl").write_text('{"image": "p/1.png", "text": ""}', "utf-8")
    assert found(tmp_path) == {"plates": {"p/1.png": "京A1"}}


def test_labels_as_paddleocr_has_them(tmp_path: Path) -> None:
    add_pictures(tmp_path, "test/word_1.png", "test/word_2.jpg", "test/3.png")
    rows = ["train_data/rec/test/word_1.png\t两 个\t词", "test\\word_2.jpg\tHello", "test/3.png\t"]
    content = "\r\n".join([*rows, ""])
    (tmp_path / "rec_gt_test.txt").write_bytes(b"\xef\xbb\xbf" + content.encode())
    (tmp_path / "ppocr_keys.txt").write_text("a\nb\n", "utf-8")
    (tmp_path / "pred.txt").write_text("Hello\tHello\t0.6\n", "utf-8")
    assert found(tmp_path) == {
        "rec_gt_test": {
            "test/word_1.png": "两 个\t词",
            "test/word_2.jpg": "Hello",
            "test/3.png": "",
        }
    }


@pytest.mark.parametrize("key", ["label", "text"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_metadata_as_hugging_face_has_them(tmp_path: Path, key: str, kind: str) -> None:
    add_pictures(tmp_path, "test/a.png", "test/b.png")
    content = f'file_name,{key}\na.png,"一,二"\nb.png,x\n'
    if kind == "jsonl":
        content = (
            f'{{"file_name": "a.png", "{key}": "一,二"}}\n{{"file_name": "b.png", "{key}": "x"}}'
        )
    (tmp_path / "test" / f"metadata.{kind}").write_text(content, "utf-8")
    assert found(tmp_path) == {"test": {"test/a.png": "一,二", "test/b.png": "x"}}


def test_sets_are_called_after_their_folders(tmp_path: Path) -> None:
    add_pictures(tmp_path, "hand/1.png", "plate/train/1.png", "plate/test/1.png")
    (tmp_path / "hand" / "label.txt").write_text("1.png\ta\n", "utf-8")
    for name in ("train", "test"):
        (tmp_path / "plate" / f"{name}.tsv").write_text(f"{name}/1.png\tb\n", "utf-8")
    assert list(found(tmp_path)) == ["hand", "plate/test", "plate/train"]
    assert found(tmp_path, "hand") == {"hand": {"hand/1.png": "a"}}


def test_folders_of_pictures_can_be_sets(tmp_path: Path) -> None:
    add_pictures(tmp_path, "data/hand/1.png", "data/hand/2.png", "data/plate/1.png")
    rows = ["data/hand/1.png\ta", "data/plate/1.png\tb", "data/hand/2.png\tc"]
    (tmp_path / "all.txt").write_text("\n".join(rows), "utf-8")
    assert list(found(tmp_path)) == ["all"]
    assert found(tmp_path, by_folder=True) == {
        "all/hand": {"data/hand/1.png": "a", "data/hand/2.png": "c"},
        "all/plate": {"data/plate/1.png": "b"},
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("1.png\ta\n2.png\tb\n", r"labels\.txt:2: there is no picture 2\.png"),
        ("1.png\ta\n\n1.png\tb\n", r"labels\.txt:3: 1\.png is there twice"),
        ("1.png\ta\n1.png b\n", r"labels\.txt:2: not a picture, a tab"),
        ("1.png\t\udcff\n", r"labels\.txt: not UTF-8"),
    ],
)
def test_malformed_labels_name_their_place(tmp_path: Path, content: str, why: str) -> None:
    add_pictures(tmp_path, "1.png")
    (tmp_path / "labels.txt").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=why):
        found(tmp_path)


def test_folders_without_the_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no line crops"):
        found(tmp_path)
    (tmp_path / "plates.jsonl").write_text('{"image": "1.png", "text": "a"}\n', "utf-8")
    with pytest.raises(ValueError, match="no set other; there are plates"):
        found(tmp_path, "other")
    add_pictures(tmp_path, "plates/1.png")
    (tmp_path / "plates" / "label.txt").write_text("1.png\ta\n", "utf-8")
    with pytest.raises(ValueError, match="both be the set plates"):
        found(tmp_path)


def pretend_to_read(monkeypatch: pytest.MonkeyPatch, texts: dict[int, str]) -> None:
    """Let recognition.py read these texts in pictures of these widths, and fail on others."""

    async def read(content: bytes) -> list[TextLine]:
        width = Image.open(io.BytesIO(content)).width
        if width not in texts:
            raise ReadFailed("DAMAGED: not this one")
        return [TextLine((), texts[width], 0.9)]

    @asynccontextmanager
    async def reading() -> AsyncIterator[object]:
        yield read

    monkeypatch.setattr(recognition, "reading", reading)


def two_domains(folder: Path) -> Path:
    add_pictures(folder, "hand/1.png", "hand/2.png", "plate/3.png", "plate/4.png")
    (folder / "hand" / "label.txt").write_text("1.png\tabcd\n2.png\tA-B\n", "utf-8")
    (folder / "plate.jsonl").write_text(
        '{"image": "plate/3.png", "text": "京A12345"}\n{"image": "plate/4.png", "text": "京"}\n',
        "utf-8",
    )
    return folder


def scores(path: Path) -> dict[str, dict[str, float]]:
    return {each["set"]: each["scores"] for each in json.loads(path.read_text("utf-8"))["sets"]}


def test_scores_by_domain_and_over_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_domains(tmp_path / "data")
    pretend_to_read(monkeypatch, {1: "abxd", 2: "ab", 3: "京A12345"})
    output = tmp_path / "scores.json"
    assert recognition.main([str(folder), "--json", str(output)]) == 0

    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["line", "hand", "plate", "all"]
    assert "plate/4.png: DAMAGED" in said.err
    assert scores(output) == {  # the one that failed is read as nothing
        "hand": {"images": 2, "exact": 0.5, "1-ned": 0.875, "cer": round(1 / 6, 4)},
        "plate": {"images": 2, "exact": 0.5, "1-ned": 0.5, "cer": round(1 / 8, 4)},
        "all": {"images": 4, "exact": 0.5, "1-ned": 0.6875, "cer": round(2 / 14, 4)},
    }


def test_strictly_case_and_punctuation_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_to_read(monkeypatch, {1: "ab cd", 2: "ab"})
    output = tmp_path / "scores.json"
    arguments = [str(two_domains(tmp_path / "data")), "--set", "hand", "--json", str(output)]
    assert recognition.main([*arguments, "--strict"]) == 0
    # "ab" for "A-B": three edits
    assert scores(output) == {
        "hand": {"images": 2, "exact": 0.5, "1-ned": 0.5, "cer": round(3 / 7, 4)}
    }


def test_a_baseline_stands_beside_and_predictions_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, before = two_domains(tmp_path / "data"), tmp_path / "before"
    pretend_to_read(monkeypatch, {1: "abxd", 2: "ab", 3: "京A12345", 4: "京"})
    assert recognition.main([str(folder), "--predictions", str(before)]) == 0
    assert truths.read_crops(before / "hand.jsonl") == {"hand/1.png": "abxd", "hand/2.png": "ab"}

    capsys.readouterr()
    pretend_to_read(monkeypatch, {1: "abcd", 2: "ab", 3: "京A12345", 4: "京"})
    assert recognition.main([str(folder), "--baseline", str(before)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1.000 (+0.500)" in lines[1]
    assert "1.000 (+0.000)" in lines[2]
    assert "1.000 (+0.250)" in lines[3]

    (before / "plate.jsonl").unlink()  # then there is none for all together either
    assert recognition.main([str(folder), "--baseline", str(before)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [("(" in line) for line in lines[1:]] == [True, False, False]


def test_nothing_readable_and_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_to_read(monkeypatch, {})
    assert recognition.main([str(two_domains(tmp_path / "data"))]) == 1
    (tmp_path / "empty").mkdir()
    assert recognition.main([str(tmp_path / "empty")]) == 2
    assert "no line crops" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        recognition.main([str(tmp_path / "missing")])
