"""Networks in torch against the same in ONNX Runtime, and by themselves; graphs need a GPU."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ocr import torch_network
from ocr.catalogue import ENTRIES, Entry
from ocr.detection.detector import Detector
from ocr.document import Pixels
from ocr.errors import DeviceUnavailable, InferenceFailed, ModelDamaged, ModelMissing, OcrError
from ocr.geometry import crop
from ocr.model import NETWORK, WEIGHTS, RecognitionModel
from ocr.networks.architectures import ARCHITECTURES
from ocr.recognition.lines import pack, pad
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import Device, OnnxNetwork, Outputs, open_network
from ocr.torch_network import TorchNetwork
from tests import pictures
from tests.conftest import BY_HAND, PRESET, known
from tests.pictures import CHINESE, ENGLISH

RECOGNITION = ["convnext-general", "crnn-general", "lightweight-edge-general"]
DETECTION = ["seglink-line", "dbnet-resnet18", "dbnet-proxylessnas"]
SMALL = known(BY_HAND)
WIDTHS = {"convnext-general": 300, "crnn-general": 640, "lightweight-edge-general": 640}
BATCH = 4  # in place of LINES: what takes a GPU no time takes a CPU seconds
Folder = Callable[[str], Path]

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
in_both_precisions = pytest.mark.parametrize("half", [False, True], ids=["single", "half"])
has_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_network, "LINES", BATCH)


def opened(
    converted: Folder, name: str, device: Device = "cpu", half: bool = False
) -> TorchNetwork:
    model = known(name).model.model_copy(update={"half": half})
    return TorchNetwork(converted(name), model, device, threads=2)


def patches(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture of patches of any colour, which these networks make something of."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8, width // 8 + 1, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:, :width])


def lines(name: str, count: int) -> list[Pixels]:
    return [patches(32, WIDTHS[name], seed) for seed in range(count)]


def kept(image: Pixels, outputs: Outputs) -> Outputs:
    """All that a network gives, as `finish`."""
    return outputs


def bits(found: Sequence[Outputs | InferenceFailed]) -> list[list[bytes]]:
    return [
        [output.tobytes() for output in outputs]
        for outputs in found
        if not isinstance(outputs, InferenceFailed)
    ]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("name", RECOGNITION)
def test_lines_have_the_classes_that_they_have_in_onnx_runtime(
    converted: Folder, name: str
) -> None:
    given = lines(name, 3)
    expected = OnnxNetwork(converted(name) / NETWORK).each(given, kept)
    found = opened(converted, name).each(given, kept)
    for ours, theirs in zip(found, expected, strict=True):
        assert not isinstance(ours, InferenceFailed)
        assert not isinstance(theirs, InferenceFailed)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", DETECTION)
def test_maps_are_those_of_onnx_runtime(converted: Folder, name: str) -> None:
    given = [patches(256, 384)]
    (expected,) = OnnxNetwork(converted(name) / NETWORK).each(given, kept)
    (found,) = opened(converted, name).each(given, kept)
    assert not isinstance(expected, InferenceFailed)
    assert not isinstance(found, InferenceFailed)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("name", RECOGNITION)
def test_a_line_gives_the_same_bits_whatever_else_is_in_its_batch(
    converted: Folder, name: str
) -> None:
    network = opened(converted, name)
    given = lines(name, BATCH + 1)
    alone = [bits(network.each([line], kept))[0] for line in given]
    assert len({each[0] for each in alone}) == len(given)
    assert bits(network.each(given, kept)) == alone  # one batch, and one that is not full
    assert bits(network.each(given[::-1], kept)) == alone[::-1]
    white = np.full_like(given[0], 255)
    assert bits(network.each([white, given[0], white], kept))[1] == alone[0]


@pytest.mark.parametrize("name", DETECTION[1:])
def test_mixed_shapes_keep_their_order_and_their_bits(converted: Folder, name: str) -> None:
    network = opened(converted, name)
    shapes = [(64, 96), (128, 64), (96, 96), (64, 96), (128, 64)]  # in batches: 0 3, 1 4, 2
    given = [patches(height, width, seed) for seed, (height, width) in enumerate(shapes)]
    alone = [bits(network.each([image], kept))[0] for image in given]
    assert bits(network.each(given, kept)) == alone
    seen = network.each(given, lambda image, outputs: (image.shape[:2], outputs[0].shape[1:]))
    assert seen == [(shape, shape) for shape in shapes]


@pytest.mark.usefixtures("small_batches")
def test_no_pictures_no_answers(converted: Folder) -> None:
    assert opened(converted, RECOGNITION[2]).each([], kept) == []


@pytest.mark.usefixtures("small_batches")
def test_a_finish_that_fails_fails_for_its_own_picture(converted: Folder) -> None:
    network, given = opened(converted, RECOGNITION[2]), lines(RECOGNITION[2], BATCH + 2)

    def finish(image: Pixels, outputs: Outputs) -> bytes:
        if image is given[1]:
            raise ValueError("not this one")
        return outputs[0].tobytes()

    found = network.each(given, finish)
    assert isinstance(found[1], InferenceFailed)
    assert str(found[1]) == "ValueError: not this one"
    expected = [outputs[0] for outputs in bits(network.each(given, kept))]
    assert found[:1] + found[2:] == expected[:1] + expected[2:]


def test_a_picture_that_is_none_fails_alone(converted: Folder) -> None:
    network = opened(converted, DETECTION[2])
    good, bad = patches(64, 64), np.zeros((64, 64, 5), np.uint8)
    first, failed, last = network.each([good, bad, good], kept)
    assert isinstance(failed, InferenceFailed)
    assert bits([first, last]) == bits(network.each([good], kept)) * 2


def test_a_folder_without_weights_is_missing_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=str(tmp_path / WEIGHTS)):
        TorchNetwork(tmp_path, known("crnn-general").model, "cpu")


def test_a_network_that_is_not_here_is_named(converted: Folder) -> None:
    model = SMALL.model.model_copy(update={"network": "east"})
    with pytest.raises(ModelDamaged, match=rf"{SMALL.name} .*: east"):
        TorchNetwork(converted(SMALL.name), model, "cpu")


def test_every_model_has_a_network_here() -> None:
    assert {entry.model.network for entry in ENTRIES} == ARCHITECTURES.keys()


def test_weights_of_another_network_are_refused(converted: Folder) -> None:
    folder = converted(SMALL.name)
    with pytest.raises(ModelDamaged, match=str(folder / WEIGHTS)):
        TorchNetwork(folder, known("dbnet-proxylessnas").model, "cpu")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_weights_that_are_cut_off_are_refused(
    converted: Folder, tmp_path: Path, share: float
) -> None:
    data = (converted(SMALL.name) / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(data[: round(share * len(data))])
    with pytest.raises(ModelDamaged, match=str(tmp_path / WEIGHTS)):
        TorchNetwork(tmp_path, SMALL.model, "cpu")


def test_on_a_cpu_the_network_runs_in_onnx_runtime(converted: Folder) -> None:
    network = open_network(converted(SMALL.name), SMALL.model, "cpu", 2)
    assert isinstance(network, OnnxNetwork)


@has_no_gpu
def test_cuda_is_not_replaced_by_a_cpu_in_torch(converted: Folder) -> None:
    with pytest.raises(DeviceUnavailable, match=rf"'cuda'.*torch {torch.__version__[:3]}.*none"):
        open_network(converted(SMALL.name), SMALL.model, "cuda", 1)


def test_cuda_without_torch_says_that_torch_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DeviceUnavailable, match=r"'cuda'.*torch is missing"):
        open_network(tmp_path, known("crnn-general").model, "cuda", 1)


# The default pair: pages of any size, and lines of any width


@pytest.fixture(scope="module")
def line_network(model_folders: tuple[Path, Path]) -> TorchNetwork:
    return TorchNetwork(model_folders[1], PRESET.recognition.model, "cpu", threads=2)


def padded(texts: Sequence[str]) -> list[Pixels]:
    """Drawn lines as the network is shown them, of several widths."""
    model = PRESET.recognition.model
    assert isinstance(model, RecognitionModel)
    drawn = pictures.page(texts)
    return [pad(crop(drawn.image, quad, model.height), model) for quad in drawn.quads]


def test_a_batch_of_lines_has_as_many_columns_whatever_their_width(
    line_network: TorchNetwork,
) -> None:
    model = PRESET.recognition.model
    assert isinstance(model, RecognitionModel)
    widths = range(model.min_width, model.max_width + 1, model.width_step)
    for width in widths:
        size = line_network.batch_size((model.height, width, 3))
        assert 1 <= size <= torch_network.LINES
        assert torch_network.COLUMNS - width < size * width <= torch_network.COLUMNS
    assert len(widths) <= torch_network.MAX_GRAPHS


def test_the_default_pair_finds_and_reads_the_same_in_torch(
    model_folders: tuple[Path, Path], line_network: TorchNetwork, small_batches: None
) -> None:
    drawn = pictures.page((*CHINESE[:3], *ENGLISH[:3]), width=640)
    height, width = (side // 32 * 32 for side in drawn.image.shape[:2])
    page = np.ascontiguousarray(drawn.image[:height, :width])
    detector = Detector(model_folders[0], threads=2)
    (expected,) = detector.detect([page])
    detector.network = TorchNetwork(model_folders[0], detector.model, "cpu", threads=2)
    (found,) = detector.detect([page])
    assert not isinstance(expected, OcrError)
    assert not isinstance(found, OcrError)
    assert len(expected) == 6
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)

    recogniser = Recogniser(model_folders[1], threads=2)
    request = pack([crop(drawn.image, quad, recogniser.model.height) for quad in drawn.quads])
    (read,) = recogniser.recognise([request])
    recogniser.network = line_network
    (again,) = recogniser.recognise([request])
    assert not isinstance(read, OcrError)
    assert not isinstance(again, OcrError)
    assert [reading.text for reading in read] == drawn.texts
    assert [reading.text for reading in again] == drawn.texts
    for one, other in zip(read, again, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)


def test_a_line_of_any_width_gives_the_same_bits_whatever_else_is_in_its_batch(
    line_network: TorchNetwork, small_batches: None
) -> None:
    given = padded((*CHINESE[:4], *ENGLISH[:2], "电话", "OCR"))
    assert len({line.shape for line in given}) < len(given)  # some go together
    alone = [bits(line_network.each([line], kept))[0] for line in given]
    assert bits(line_network.each(given, kept)) == alone
    assert bits(line_network.each(given[::-1], kept)) == alone[::-1]


def test_default_weights_that_are_not_this_networks_are_refused(
    model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelDamaged, match=rf"{model_folders[0] / WEIGHTS}: .* 151"):
        TorchNetwork(model_folders[0], PRESET.recognition.model, "cpu")
    data = (model_folders[1] / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelDamaged, match=str(tmp_path / WEIGHTS)):
        TorchNetwork(tmp_path, PRESET.recognition.model, "cpu")


# On a GPU


def on_gpu(folder: Path, entry: Entry, half: bool) -> TorchNetwork:
    model = entry.model.model_copy(update={"half": half})
    return TorchNetwork(folder, model, "cuda", threads=2)


@needs_gpu
@in_both_precisions
def test_the_default_pair_finds_and_reads_the_same_on_a_gpu(
    model_folders: tuple[Path, Path], half: bool
) -> None:
    drawn = pictures.page((*CHINESE[:3], *ENGLISH[:3]), width=640)
    height, width = (side // 32 * 32 for side in drawn.image.shape[:2])
    page = np.ascontiguousarray(drawn.image[:height, :width])
    detector, recogniser = Detector(model_folders[0]), Recogniser(model_folders[1])
    request = pack([crop(drawn.image, quad, recogniser.model.height) for quad in drawn.quads])
    (expected,) = detector.detect([page])
    detector.network = on_gpu(model_folders[0], PRESET.detection, half)
    recogniser.network = on_gpu(model_folders[1], PRESET.recognition, half)
    (found,) = detector.detect([page])
    assert not isinstance(expected, OcrError)
    assert not isinstance(found, OcrError)
    np.testing.assert_allclose(found[:, :8], expected[:, :8], rtol=0, atol=2)
    (read,) = recogniser.recognise([request])
    assert not isinstance(read, OcrError)
    assert [reading.text for reading in read] == drawn.texts


@needs_gpu
@in_both_precisions
def test_replays_of_lines_of_any_width_give_the_same_bits(
    model_folders: tuple[Path, Path], half: bool
) -> None:
    network = on_gpu(model_folders[1], PRESET.recognition, half)
    given = padded((*CHINESE, *ENGLISH, "电话", "OCR")) * 3
    alone = [bits(network.each([line], kept))[0] for line in given]
    for _ in range(3):
        assert bits(network.each(given, kept)) == alone
        assert bits(network.each(given[::-1], kept)) == alone[::-1]


def check_that_memory_stays_flat(
    network: TorchNetwork, given: Sequence[Pixels], rounds: int
) -> None:
    """On a GPU, once every shape has been recorded."""
    network.each(given, kept)
    torch.cuda.synchronize()
    free, allocated = torch.cuda.mem_get_info()[0], torch.cuda.memory_allocated()
    for _ in range(rounds):
        network.each(given, kept)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == allocated
    assert torch.cuda.mem_get_info()[0] > free - 2**26


@needs_gpu
def test_memory_stays_flat_over_lines_of_every_width(model_folders: tuple[Path, Path]) -> None:
    model = PRESET.recognition.model
    assert isinstance(model, RecognitionModel)
    network = TorchNetwork(model_folders[1], model, "cuda", threads=2)
    widths = range(model.min_width, model.max_width + 1, model.width_step)
    given = [patches(model.height, width) for width in widths]
    check_that_memory_stays_flat(network, given, 5)
    assert len(network._graphs) == len(widths)


@needs_gpu
@pytest.mark.parametrize("name", RECOGNITION)
def test_graphs_read_lines_as_a_cpu_does(converted: Folder, name: str) -> None:
    """But for a class here and there, where two are all but equal."""
    given = lines(name, 20)
    expected = OnnxNetwork(converted(name) / NETWORK, threads=2).each(given, kept)
    found = opened(converted, name, "cuda").each(given, kept)
    same = [
        np.mean(ours[0] == theirs[0])
        for ours, theirs in zip(found, expected, strict=True)
        if not isinstance(ours, InferenceFailed) and not isinstance(theirs, InferenceFailed)
    ]
    assert len(same) == len(given)
    assert np.mean(same) > 0.99


@needs_gpu
@pytest.mark.parametrize("name", DETECTION)
def test_graphs_give_the_maps_that_a_cpu_gives(converted: Folder, name: str) -> None:
    given = [patches(256, 384), patches(512, 256)]
    expected = OnnxNetwork(converted(name) / NETWORK, threads=2).each(given, kept)
    found = opened(converted, name, "cuda").each(given, kept)
    for ours, theirs in zip(found, expected, strict=True):
        assert not isinstance(ours, InferenceFailed)
        assert not isinstance(theirs, InferenceFailed)
        for our, their in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(our, their, rtol=1e-3, atol=1e-2)


@needs_gpu
@in_both_precisions
@pytest.mark.parametrize("name", RECOGNITION)
def test_replays_give_a_line_the_same_bits_whatever_else_is_in_its_batch(
    converted: Folder, name: str, half: bool
) -> None:
    network = opened(converted, name, "cuda", half)
    given = lines(name, torch_network.LINES + 3)
    together = bits(network.each(given, kept))
    assert len(together) == len(given)
    assert together == bits(network.each(given, kept))
    assert together[::-1] == bits(network.each(given[::-1], kept))
    assert together[:3] == [bits(network.each([line], kept))[0] for line in given[:3]]


@needs_gpu
@in_both_precisions
@pytest.mark.parametrize("name", DETECTION)
def test_replays_of_mixed_shapes_give_the_same_bits(
    converted: Folder, name: str, half: bool
) -> None:
    """Also where one graph's replay lies between two of another, which share memory."""
    network = opened(converted, name, "cuda", half)
    shapes = [(256, 384), (384, 256), (512, 512), (256, 384), (384, 256)]
    given = [patches(height, width, seed) for seed, (height, width) in enumerate(shapes)]
    first = bits(network.each(given, kept))
    assert len(first) == len(given)
    assert first[0] != first[3]
    for _ in range(3):
        assert bits(network.each(given, kept)) == first
        assert [bits(network.each([image], kept))[0] for image in given[::-1]] == first[::-1]


@needs_gpu
def test_shapes_beyond_the_graphs_that_are_kept_run_as_they_come(
    converted: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, given = DETECTION[2], [patches(64, width) for width in (64, 96, 128)]
    expected = opened(converted, name, "cuda").each(given, kept)
    monkeypatch.setattr(torch_network, "MAX_GRAPHS", 1)
    network = opened(converted, name, "cuda")
    for ours, theirs in zip(network.each(given, kept), expected, strict=True):
        assert not isinstance(ours, InferenceFailed)
        assert not isinstance(theirs, InferenceFailed)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-3)
    assert len(network._graphs) == 1


@needs_gpu
@in_both_precisions
@pytest.mark.parametrize("name", ["convnext-general", "seglink-line", "dbnet-resnet18"])
def test_memory_stays_flat_over_runs_of_mixed_shapes(
    converted: Folder, name: str, half: bool
) -> None:
    network = opened(converted, name, "cuda", half)
    if name in WIDTHS:
        given = lines(name, torch_network.LINES + 5)
    else:
        given = [patches(256 + 128 * (i % 3), 256 + 128 * (i % 2)) for i in range(6)]
    check_that_memory_stays_flat(network, given, 50)
