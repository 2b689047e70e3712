"""The benchmark of the networks on a GPU, as a dry run on a CPU: it judges before it times."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gpu
import numpy as np
import pytest
import torch
from gpu import Figure, Folders, Memory
from gpu_usage import Busy
from safetensors.torch import load_file, save_file

from ocr import geometry, torch_network
from ocr.model import DESCRIPTION, WEIGHTS
from ocr.recognition import lines
from ocr.recognition.recogniser import Recogniser
from ocr.settings import Settings
from tests.conftest import BY_HAND, BY_HUB, known

TIMINGS = (
    "line by line, lines/s",
    "recognition, lines/s",
    "recognition, times line by line",
    "recognition, pages/s",
    "detection, pages/s",
    "whole pages, pages/s",
    "2 mixed pages, pages/s",
    "memory, torch's of the GPU's, last of first",
    "memory, resident, last of first",
)


@pytest.fixture
def folders(converted: Callable[[str], Path]) -> Folders:
    return Folders(converted(BY_HUB), converted(BY_HAND))


def arguments(folders: Folders, *more: str) -> list[str]:
    named = ["--detection", str(folders.detection), "--recognition", str(folders.recognition)]
    return [*named, "--device", "cpu", "--pages", "2", *more]


def with_other_weights(folder: Path, place: Path) -> Path:
    """A copy whose network in torch has another head than the one in ONNX Runtime."""
    shutil.copytree(folder, place)
    tensors = load_file(place / WEIGHTS)
    changed = {name: -value if "head" in name else value for name, value in tensors.items()}
    assert any("head" in name for name in tensors)
    save_file(changed, place / WEIGHTS)
    return place


def test_a_dry_run_ends_with_a_table_of_everything(
    folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    assert gpu.main(arguments(folders, "--json", str(results))) == 0
    told, table = capsys.readouterr().out.split("\n\n")
    assert f"detection in torch {torch.__version__}, single precision, cpu" in told
    header, *rows = table.splitlines()
    assert header.split() == [
        "figure", "precision", "at", "once", "value", "GPU", "busy", "CPU", "ms/page", "goal",
    ]  # fmt: skip
    assert sum(row.startswith("right: ") for row in rows) == 7
    for timing in TIMINGS:
        assert any(row.startswith(timing) for row in rows), timing
    assert "MISSED" not in table
    (run,) = json.loads(results.read_text("utf-8"))["runs"]
    assert len(run["figures"]) == len(rows)
    found = {figure["what"]: figure["value"] for figure in run["figures"]}
    assert found["right: boxes in ONNX Runtime"] > 0  # or nothing would have been compared
    assert found["right: lines in ONNX Runtime"] > 0
    assert min(found[timing] for timing in TIMINGS) > 0
    assert torch_network.LINES > gpu.DRY_LINES


@pytest.mark.parametrize(
    "task, figure",
    [("detection", "right: boxes' F against it"), ("recognition", "right: share of its texts")],
)
def test_what_is_not_right_is_not_timed(
    folders: Folders,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    task: str,
    figure: str,
) -> None:
    other = with_other_weights(getattr(folders, task), tmp_path / task)
    assert gpu.main([*arguments(folders), f"--{task}", str(other)]) == 1
    rows = capsys.readouterr().out.split("\n\n")[1].splitlines()[1:]
    assert [row[: len(figure)] for row in rows if "MISSED" in row] == [figure]
    assert all(row.startswith("right: ") for row in rows)


def test_the_models_are_those_of_the_settings(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import inprocess

    monkeypatch.setenv("BENTOML_HOME", str(store))
    monkeypatch.setattr(inprocess, "SETTINGS", Settings(recognition="convnext-handwritten"))
    assert gpu.main(["--device", "cpu"]) == 2
    assert "--recognition convnext-handwritten" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
def test_without_a_gpu_there_is_nothing_to_measure(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(arguments(folders, "--device", "cuda")) == 2
    assert "finds none" in capsys.readouterr().err


@pytest.mark.parametrize("kind, half", [("half", True), ("single", False)])
def test_a_precision_is_that_of_copies(folders: Folders, kind: str, half: bool) -> None:
    before = (folders.recognition / DESCRIPTION).read_bytes()
    with gpu.altered(folders, kind, "cuda") as copies:
        for folder in (copies.detection, copies.recognition):
            assert json.loads((folder / DESCRIPTION).read_text("utf-8"))["half"] is half
            assert (folder / WEIGHTS).is_file()
    assert (folders.recognition / DESCRIPTION).read_bytes() == before
    assert not copies.recognition.exists()


def test_line_by_line_reads_what_the_recogniser_reads(folders: Folders) -> None:
    sheet = gpu.draw(seed=0, count=3)
    reader = gpu.LineByLine(folders.recognition, "cpu")
    recogniser = Recogniser(folders.recognition)
    model = recogniser.model
    crops = [geometry.crop(sheet.pixels, quad, model.height) for quad in sheet.quads]
    narrow = [crop for crop in crops if crop.shape[1] <= model.max_width]
    assert len(narrow) == 2
    (expected,) = recogniser.recognise([lines.pack(narrow)])
    assert isinstance(expected, list)
    assert [reader.read(crop) for crop in narrow] == [reading.text for reading in expected]
    assert all(reading.text for reading in expected)


def test_line_by_line_shows_all_windows_and_joins_them() -> None:
    model = known("convnext-general").model
    assert model.task == "recognition"
    crop = gpu.draw(seed=0, count=1).pixels[:32, :250]
    assert crop.shape == (32, 250, 3)
    fields = gpu.fields(crop, model)
    assert fields.shape == (3, 32, 300, 3)
    np.testing.assert_array_equal(fields[0, :, :250], crop)
    assert not fields[1:].any()
    steps = torch.arange(3 * 75).reshape(3, 75, 1)
    expected = [*range(69), *range(75 + 6, 75 + 69), *range(150 + 6, 225)]
    assert gpu.joined(steps, model)[:, 0].tolist() == expected


def test_lines_are_as_wide_as_they_should_be() -> None:
    model = known(BY_HAND).model
    assert model.task == "recognition"
    sheet = gpu.draw(seed=0, count=30)
    widths = sorted(geometry.crop(sheet.pixels, quad, 32).shape[1] for quad in sheet.quads)
    assert (widths[0], widths[-1]) == (pytest.approx(60, abs=2), pytest.approx(800, abs=2))
    assert len(sheet.crops(model)) == 30
    parts = [part for line in sheet.crops(model) for part in line]
    assert max(part.shape[1] for part in parts) <= model.max_width


def test_pages_are_in_work_at_once_for_as_long_as_asked() -> None:
    now: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        now.append(number)
        most = max(most, len(now))
        await asyncio.sleep(0.01)
        now.remove(number)

    done, seconds = asyncio.run(gpu.drive(work, 3, 0.1))
    assert most == 3
    assert done >= 6
    assert 0.1 <= seconds < 1
    assert asyncio.run(gpu.drive(work, 2, 0))[0] == 2


def test_memory_is_the_most_until_then() -> None:
    samples = [Memory(1, 5, 9, 0), Memory(2, 6, 7, 3), Memory(3, 7, 8, 1)]
    assert gpu.most(samples, 0.3) == samples[0]
    assert gpu.most(samples, 1.5) == Memory(2, 6, 9, 3)
    assert gpu.most(samples, 3) == Memory(3, 7, 9, 3)


def test_bounds() -> None:
    assert Figure("told", 0).held
    assert Figure("reached", 50, bound=50).held
    assert not Figure("missed", 49.9, bound=50).held
    assert not Figure("too much", 1.03, bound=1.02, rule="<=").held
    assert not Figure("no number", float("nan"), bound=0).held


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
def test_a_gpu_that_nobody_knows_of_does_not_end_a_timing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Busy("cuda") as busy:
        asyncio.run(asyncio.sleep(0.3))
    assert busy.share is None
    assert "nobody knows" in capsys.readouterr().err
