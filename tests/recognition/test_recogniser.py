"""Recognition models with seeded weights: what they read means nothing, but must stay the same."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocr.document import Pixels
from ocr.errors import InferenceFailed
from ocr.model import read_charset
from ocr.recognition import ctc, lines
from ocr.recognition.ctc import Reading, Steps
from ocr.recognition.lines import PackedLines
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import OnnxNetwork, Outputs
from tests.golden import cases

HEIGHT, FIELD = 32, 804
SHOWN = {1: 1, 251: 1, 252: 1, 253: 2, 300: 2, 504: 2, 505: 3, 804: 3}  # windows of each width
ONE_FIELD = ["crnn-general", "lightweight-edge-general"]


@pytest.fixture(scope="module")
def convnext(converted: Callable[[str], Path]) -> Recogniser:
    return Recogniser(converted("convnext-general"), threads=2)


@pytest.fixture(scope="module", params=ONE_FIELD)
def one_field(request: pytest.FixtureRequest, converted: Callable[[str], Path]) -> Recogniser:
    return Recogniser(converted(request.param), threads=2)


def patches(width: int, seed: int = 0) -> Pixels:
    """A line of patches of any colour, which these networks make something of."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (HEIGHT // 4, width // 4 + 1, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(4, axis=0).repeat(4, axis=1)[:, :width])


def on_black(line: Pixels, width: int) -> Pixels:
    field = np.zeros((HEIGHT, width, 3), np.uint8)
    field[:, : line.shape[1]] = line
    return field


def every_window(recogniser: Recogniser, line: Pixels) -> Steps:
    """As the publisher does it: all three windows are run, and their steps laid side by side."""
    network = recogniser.network
    assert isinstance(network, OnnxNetwork)
    field = on_black(line, FIELD)
    runs = [
        network.run(np.ascontiguousarray(field[:, start : start + 300])) for start in (0, 252, 504)
    ]
    classes, probabilities = (cases.joined(np.stack(each))[0] for each in zip(*runs, strict=True))
    return classes, probabilities


def read(recogniser: Recogniser, *requests: Sequence[Pixels]) -> list[list[Reading]]:
    found = recogniser.recognise([lines.pack(request) for request in requests])
    return [[each for each in answer if isinstance(each, Reading)] for answer in as_lists(found)]


def as_lists(found: Sequence[Any]) -> list[list[Any]]:
    assert all(isinstance(each, list) for each in found), found
    return list(found)


@pytest.mark.parametrize("width", SHOWN)
def test_a_line_reads_as_if_every_window_had_been_run(convnext: Recogniser, width: int) -> None:
    line = patches(width, seed=width)
    classes, probabilities = every_window(convnext, line)
    assert len(classes) == FIELD // 4
    expected = ctc.decode(classes, probabilities, convnext.charset, width / 4)
    assert expected.text
    assert read(convnext, [line]) == [[expected]]


@pytest.mark.parametrize("width", SHOWN)
def test_windows_join_to_the_steps_of_the_whole_line(convnext: Recogniser, width: int) -> None:
    network, line = convnext.network, patches(width, seed=width)
    assert isinstance(network, OnnxNetwork)
    steps: list[Steps] = [
        (classes, probabilities)
        for window in lines.windows(line, convnext.model)
        for classes, probabilities in [network.run(window)]
    ]
    nothing, unlikely = network.run(np.zeros((HEIGHT, 300, 3), np.uint8))
    joined = lines.join_windows(steps, convnext.model, (nothing, unlikely))
    for found, expected in zip(joined, every_window(convnext, line), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("width", "count"), SHOWN.items())
def test_windows_that_see_none_of_a_line_are_not_run(
    convnext: Recogniser, monkeypatch: pytest.MonkeyPatch, width: int, count: int
) -> None:
    shapes = counted(convnext, monkeypatch)
    read(convnext, [patches(width)])
    assert shapes == [(HEIGHT, 300, 3)] * count


def counted(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the pictures that the network is given from now on."""
    network = recogniser.network
    assert isinstance(network, OnnxNetwork)
    run, shapes = network.run, list[tuple[int, ...]]()

    def counting(image: Pixels) -> Outputs:
        shapes.append(image.shape)
        return run(image)

    monkeypatch.setattr(network, "run", counting)
    return shapes


def test_what_a_line_is_cut_into_is_the_line_on_black(convnext: Recogniser) -> None:
    line = patches(505)
    shown = lines.windows(line, convnext.model)
    assert all(window.flags.c_contiguous for window in shown)
    for start, window in zip((0, 252, 504), shown, strict=True):
        np.testing.assert_array_equal(window, on_black(line, FIELD)[:, start : start + 300])


def test_a_line_that_is_wider_than_the_field_is_split_before(convnext: Recogniser) -> None:
    parts = lines.split(patches(2000), convnext.model)
    assert all(part.shape[1] <= FIELD for part in parts)
    (found,) = read(convnext, parts)
    assert len(found) == len(parts)


def test_a_line_reads_the_same_whatever_its_neighbours(convnext: Recogniser) -> None:
    given = [patches(width, seed=width) for width in (70, 804, 300, 12, 505, 300)]
    alone = [read(convnext, [line])[0][0] for line in given]
    assert len({reading.text for reading in alone}) > 1
    assert read(convnext, given) == [alone]
    assert read(convnext, given[::-1]) == [alone[::-1]]
    assert read(convnext, given[:2], given[2:3], given[3:]) == [alone[:2], alone[2:3], alone[3:]]


def test_one_bad_request_fails_alone(convnext: Recogniser) -> None:
    good = lines.pack([patches(300), patches(40)])
    too_short = PackedLines(good.pixels[:-3], good.widths, good.height)
    too_high = lines.pack([np.zeros((48, 100, 3), np.uint8)])
    first, *failed, last = convnext.recognise([good, too_short, too_high, good])
    assert first == last == convnext.recognise([good])[0]
    assert [str(each) for each in failed] == [
        "recognition: 32637 bytes are not lines of 340 columns",
        "recognition: lines are 48 pixels high",
    ]
    assert {type(each) for each in failed} == {InferenceFailed}


def test_a_window_that_fails_fails_the_request_of_its_line(
    convnext: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = convnext.network
    assert isinstance(network, OnnxNetwork)
    run = network.run

    def failing(image: Pixels) -> Outputs:
        if (image == 255).all():
            raise RuntimeError("out of order")
        return run(image)

    given = [patches(300), patches(804)]
    bad = patches(804)
    bad[:, 252:552] = 255  # its second window
    expected = read(convnext, given)
    monkeypatch.setattr(network, "run", failing)
    first, failed, last = convnext.recognise([lines.pack(each) for each in (given, [bad], given)])
    assert [first, last] == expected * 2
    assert isinstance(failed, InferenceFailed)
    assert str(failed) == "recognition: RuntimeError: out of order"


def test_a_network_that_cannot_read_nothing_is_no_recogniser(
    converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(network: OnnxNetwork, image: Pixels) -> Outputs:
        raise RuntimeError("out of order")

    monkeypatch.setattr(OnnxNetwork, "run", failing)
    with pytest.raises(InferenceFailed, match="out of order"):
        Recogniser(converted("convnext-general"))


def test_a_class_without_character_gives_nothing_but_parts_its_neighbours() -> None:
    classes, probabilities = np.array([2, 1, 2, 2, 3, 1, 1]), np.full(7, 0.5, np.float32)
    reading = ctc.decode(classes, probabilities, ["", "a", "中"], 7)
    assert reading.text == "aa中"
    assert [round(7 * span.start) for span in reading.spans] == [0, 2, 4]
    assert ctc.decode(np.array([1, 1, 0, 1]), np.ones(4), ["", "a"], 4) == Reading("", 0.0)


@pytest.mark.parametrize(
    ("name", "first"),
    [("convnext-general", ""), ("crnn-general", " "), ("lightweight-edge-general", "")],
)
def test_only_crnn_has_a_character_for_its_first_class(
    converted: Callable[[str], Path], name: str, first: str
) -> None:
    charset = read_charset(converted(name))
    assert len(charset) == 7643
    assert charset[0] == first
    assert "" not in charset[1:]


@pytest.mark.parametrize("width", [1, 333, 640])
def test_a_line_is_shown_on_black_in_one_field(one_field: Recogniser, width: int) -> None:
    network, line = one_field.network, patches(width, seed=width)
    assert isinstance(network, OnnxNetwork)
    classes, probabilities = network.run(on_black(line, 640))
    assert len(classes) == 160
    expected = ctc.decode(classes, probabilities, one_field.charset, width / 4)
    assert read(one_field, [line]) == [[expected]]


def test_lines_in_one_field_read_the_same_whatever_their_neighbours(
    one_field: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [patches(width, seed=width) for width in (640, 90, 500)]
    alone = [read(one_field, [line])[0][0] for line in given]
    assert len({reading.text for reading in alone}) > 1
    shapes = counted(one_field, monkeypatch)
    assert read(one_field, given, given[1:]) == [alone, alone[1:]]
    assert shapes == [(HEIGHT, 640, 3)] * 5
    assert [part.shape[1] <= 640 for part in lines.split(patches(641), one_field.model)] == [
        True
    ] * 2
