"""The benchmarks' metrics, on truths made by hand and against the data's own scorer."""

import json
import subprocess
import sys
from pathlib import Path

import metrics
import pytest
import truths
from metrics import TextLine, score_crops, score_pages
from truths import CropSet, PageSet, TruthSet

DATA = Path(__file__).parents[1].parent / "shared" / "data"
BASELINE = DATA / "baseline_rapidocr"


def line(text: str, left: float = 0, top: float = 0, width: float = 100) -> TextLine:
    """A line of text, 20 pixels high."""
    right, bottom = left + width, top + 20
    return TextLine(((left, top), (right, top), (right, bottom), (left, bottom)), text)


def page_scores(truth: list[TextLine], predicted: list[TextLine]) -> dict[str, float]:
    return score_pages({"page": truth}, {"page": predicted}).as_dict()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Total: 12.50 $", "total1250"),
        ("Ｔｏｔａｌ　①", "total1"),
        ("价格：￥３９。", "价格39"),
        ("*** --", ""),
    ],
)
def test_comparable_drops_what_does_not_count(text: str, expected: str) -> None:
    assert metrics.comparable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Total: 12.50 $", "Total:12.50$"), ("Ｔｏｔａｌ　①", "Total1"), ("a\u200bb\tc", "abc")],
)
def test_strictly_comparable_keeps_case_and_punctuation(text: str, expected: str) -> None:
    assert metrics.comparable(text, strict=True) == expected


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("same", "same", 0),
        ("ab", "ba", 2),
        ("abcd", "abd", 1),
        ("发票号码", "发票编号码", 1),
    ],
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert metrics.edit_distance(a, b) == distance


def test_a_perfect_page() -> None:
    truth = [line("Receipt"), line("合计", top=40)]
    assert page_scores(truth, [line("RECEIPT!"), line("合计", top=42)]) == {
        "images": 1,
        "lines": 2,
        "det_p": 1.0,
        "det_r": 1.0,
        "det_f": 1.0,
        "e2e_p": 1.0,
        "e2e_r": 1.0,
        "e2e_f": 1.0,
        "1-ned_matched": 1.0,
        "1-ned_all": 1.0,
        "bag_cer": 0.0,
        "line_found": 1.0,
    }


def test_misses_false_alarms_and_wrong_characters() -> None:
    truth = [line("abcd"), line("efgh", top=40)]
    scores = page_scores(truth, [line("abxd"), line("zz", top=200), line("yy", top=240)])
    assert (scores["det_p"], scores["det_r"]) == (0.3333, 0.5)
    assert scores["e2e_f"] == 0.0
    assert scores["1-ned_matched"] == 0.75
    assert scores["1-ned_all"] == round(1 - 3.25 / 4, 4)  # a pair, a miss and two false alarms
    assert scores["bag_cer"] == round(5 / 8, 4)  # c, e, f, g and h are missing
    assert scores["line_found"] == 0.0


def test_a_page_without_prediction_has_nothing_found() -> None:
    scores = score_pages({"a": [line("abcd")], "b": [line("efgh")]}, {"a": [line("abcd")]})
    assert (scores.detection.precision, scores.detection.recall) == (1.0, 0.5)
    assert (scores.images, scores.lines) == (2, 2)
    assert scores.bag_cer == 0.5


def test_an_empty_page() -> None:
    scores = page_scores([], [])
    assert (scores["det_f"], scores["1-ned_all"], scores["bag_cer"]) == (0.0, 1.0, 0.0)
    assert page_scores([], [line("x")])["bag_cer"] == 1.0


def test_pairs_are_one_to_one_and_the_best_overlap_wins() -> None:
    predicted = [line("shifted", left=20), line("exact", left=2)]
    counts = metrics.tally([line("exact")], predicted)
    assert (counts.predicted, counts.matched, counts.exact) == (2, 1, 1)


@pytest.mark.parametrize(("left", "matched"), [(33, 1), (34, 0)])
def test_half_the_union_is_the_least_overlap(left: float, matched: int) -> None:
    assert metrics.tally([line("x")], [line("x", left=left)]).matched == matched


@pytest.mark.parametrize("text", ["###", "a ###", "...", ""])
def test_unreadable_lines_neither_hit_nor_miss(text: str) -> None:
    counts = metrics.tally([line(text)], [line("guess", left=10, width=50)])
    assert (counts.lines, counts.predicted, counts.matched, counts.wrong) == (0, 0, 0, 0)


def test_only_what_is_mostly_inside_an_unreadable_line_is_left_out() -> None:
    counts = metrics.tally([line("###")], [line("guess", left=50)])
    assert counts.predicted == 1


def test_a_match_counts_although_it_lies_inside_an_unreadable_line() -> None:
    counts = metrics.tally([line("###", width=300), line("read")], [line("read")])
    assert (counts.predicted, counts.matched) == (1, 1)


def test_a_line_is_found_inside_a_longer_one() -> None:
    truth = [line("invoice", width=40), line("no", left=50, width=20)]
    scores = page_scores(truth, [line("Invoice No.", width=200)])
    assert (scores["det_f"], scores["line_found"], scores["bag_cer"]) == (0.0, 1.0, 0.0)


def test_crossed_corners_stand_for_their_hull() -> None:
    crossed = TextLine(((0, 0), (100, 20), (100, 0), (0, 20)), "abc")
    assert metrics.tally([line("abc")], [crossed]).exact == 1


def test_lines_without_area_do_not_take_part() -> None:
    flat = TextLine(((0, 0), (100, 0), (100, 0), (0, 0)), "abc")
    assert metrics.tally([flat], [flat]) == metrics.Tally()


def test_crops() -> None:
    truth = {"a": "京A12345", "b": "hello", "c": "word"}
    scores = score_crops(truth, {"a": "京A12345", "b": "hallo"})
    assert scores.as_dict() == {
        "images": 3,
        "exact": 0.3333,
        "1-ned": round((1 + 0.8 + 0) / 3, 4),
        "cer": round((1 + 4) / 16, 4),
    }


def test_unknown_images_are_errors() -> None:
    with pytest.raises(ValueError, match="b"):
        score_pages({"a": []}, {"b": []})
    with pytest.raises(ValueError, match="b"):
        score_crops({"a": ""}, {"b": ""})


def test_only_truth_files_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pages.jsonl").write_text('{"image": "p.png", "lines": []}\n', "utf-8")
    (tmp_path / "crops.jsonl").write_text('{"image": "c.png", "text": "x"}\n\n', "utf-8")
    (tmp_path / "odd.jsonl").write_text('{"file": "x", "expect": "text"}\n', "utf-8")
    assert [found.name for found in truths.truth_sets(tmp_path)] == ["crops", "pages"]
    with pytest.raises(ValueError, match="odd"):
        truths.truth_sets(tmp_path, ["odd"])


@pytest.mark.parametrize(
    "content",
    ['{"image": "p", "lines": []}\n' * 2, '{"image": "p", "lines": [{}]}\n', '{"lines": []}\n'],
)
def test_malformed_predictions_are_errors(tmp_path: Path, content: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"predictions\.jsonl"):
        truths.read_pages(path)


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    pages = {"p.png": [TextLine(((0, 0), (9, 0), (9, 5), (0, 5.5)), "第一行", 0.75)], "q.png": []}
    truths.write_pages(tmp_path / "new" / "pages.jsonl", pages)
    assert truths.read_pages(tmp_path / "new" / "pages.jsonl") == pages


def test_strict_scores_of_crops() -> None:
    scores = score_crops({"a": "A-1", "b": "b c"}, {"a": "a1", "b": "bc"}, strict=True)
    assert (scores.exact, scores.cer) == (0.5, 2 / 5)


@pytest.mark.parametrize("strict", [False, True])
def test_scores_are_those_of_the_data_s_own_scorer(strict: bool) -> None:
    if not BASELINE.is_dir():
        pytest.skip(f"no evaluation data at {DATA}")
    names = sorted(path.stem for path in BASELINE.glob("*.jsonl"))
    assert names
    for truth in truths.truth_sets(DATA, names):
        if isinstance(truth, CropSet) or not strict:  # pages are not scored strictly
            assert our_scores(truth, strict) == their_scores(truth, strict), truth.name


def our_scores(truth: TruthSet, strict: bool) -> dict[str, float]:
    predictions = BASELINE / f"{truth.name}.jsonl"
    if isinstance(truth, PageSet):
        return score_pages(truth.truth, truths.read_pages(predictions)).as_dict()
    return score_crops(truth.truth, truths.read_crops(predictions), strict).as_dict()


def their_scores(truth: TruthSet, strict: bool) -> dict[str, float]:
    kind = [] if isinstance(truth, PageSet) else ["--rec"]
    files = [str(DATA / f"{truth.name}.jsonl"), str(BASELINE / f"{truth.name}.jsonl")]
    options = ["--strict"] * strict + ["--json"]
    command = [sys.executable, str(DATA / "score.py"), *kind, *files, *options]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    scores: dict[str, float] = json.loads(answer)
    scores.pop("missing")
    return scores
