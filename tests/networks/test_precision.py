"""Folding keeps what a network says, and half precision is used only where it does too."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ocr.catalogue import DETECTION, RECOGNITION
from ocr.model import DBModel, RecognitionModel
from ocr.networks import precision
from ocr.networks.architectures import ARCHITECTURES
from ocr.networks.folding import folded
from ocr.networks.precision import agreement, half_holds, rounded
from ocr.networks.served import BestClass, Served, TextMap
from tests.golden import cases

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)


@pytest.mark.parametrize("name", cases.CASES)
def test_a_folded_network_says_the_same(name: str) -> None:
    served = ARCHITECTURES[name].from_checkpoint(cases.checkpoint(name))
    planes = torch.from_numpy(cases.CASES[name].planes())
    before = {key: value.clone() for key, value in served.state_dict().items()}
    with torch.inference_mode():
        for expected, found in zip(served.maps(planes), folded(served).maps(planes), strict=True):
            largest = max(1.0, float(expected.abs().max()))
            assert float((expected - found).abs().max()) <= 5e-5 * largest
    assert all(torch.equal(before[key], value) for key, value in served.state_dict().items())


def test_norms_after_convolutions_are_gone_after_folding() -> None:
    """Their variances may be more than half precision holds."""
    for name in (
        "seglink", "dbnet-resnet18", "crnn", "lightweight-edge", "ppocr-v6-recognition"
    ):  # fmt: skip
        layers = folded(ARCHITECTURES[name].served()).modules()
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in layers), name


class Chooser(nn.Module):
    """Two classes that are `apart`; the second is the better one where a line is dark."""

    def __init__(self, apart: float) -> None:
        super().__init__()
        self.gain = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.gain.weight.fill_(apart / 765)

    def forward(self, planes: Tensor) -> Tensor:
        light = self.gain(planes).mean(dim=2)[:, 0, ::4]  # (n, steps)
        middle = self.gain.weight.sum() * 128
        return torch.stack([light - middle, middle - light], dim=2) + 1000


@pytest.mark.parametrize(("apart", "holds"), [(2000.0, True), (0.05, False)])
def test_half_precision_holds_if_it_reads_the_same(apart: float, holds: bool) -> None:
    """Beside 1,000, what is less than half a unit apart is rounded away."""
    model = RECOGNITION["lightweight-edge-general"].model
    assert isinstance(model, RecognitionModel)
    served = Served(Coarse(Chooser(apart)), BestClass(), ("classes", "probabilities")).eval()
    assert half_holds(served, model) is holds


def test_a_blank_that_parts_no_two_of_a_kind_is_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*classes: int) -> list[int]:
        monkeypatch.setattr(precision, "_run", lambda *given: [np.array(classes), None])
        return list(precision._classes(None, None))  # type: ignore[arg-type]

    assert read(5, 0, 80) == read(5, 80, 80) == read(0, 5, 80) == [5, 80]
    assert read(5, 0, 5) == [5, 5] != read(5, 5, 5)


class Coarse(nn.Sequential):
    """A network, and a last layer that changes nothing but is one that gives something."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, nn.Identity())


@pytest.mark.parametrize(("noise", "holds"), [(0.0, True), (1e-3, False)])
def test_half_precision_holds_if_it_finds_the_same(noise: float, holds: bool) -> None:
    """A map of dark pixels, or one that hangs on what half precision rounds away."""

    class Dark(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blur = nn.AvgPool2d(9, 1, 4)

        def forward(self, planes: Tensor) -> Tensor:
            dark = self.blur((planes.mean(dim=1, keepdim=True) < 190).to(planes.dtype))
            lost = self.blur(planes / 255 * noise + 1)[:, :1] - 1
            return (
                torch.sigmoid((dark - 0.2) * 20)
                if not noise
                else torch.sigmoid((lost * (1 / noise) - 0.88) * 400)
            )

    model = DETECTION["dbnet-resnet18"].model
    assert isinstance(model, DBModel)
    network = Coarse(Dark())
    network.weight = nn.Parameter(torch.ones(1))  # whose type is that of the planes
    assert half_holds(Served(network, TextMap(), ("probability",)).eval(), model) is holds


def test_rounded_weights_are_those_that_half_precision_has() -> None:
    served = ARCHITECTURES["lightweight-edge"].from_checkpoint(cases.checkpoint("lightweight-edge"))
    for value in rounded(served).network.parameters():
        assert torch.equal(value, value.half().float())


def test_agreement_is_the_f_of_boxes_in_the_same_place() -> None:
    far, near, apart = SQUARE + 100, SQUARE + 0.2, SQUARE + 1
    assert agreement(np.zeros((0, 4, 2)), np.zeros((0, 4, 2))) == 1
    assert agreement(np.stack([SQUARE, far]), np.stack([far, near])) == 1
    assert agreement(np.stack([SQUARE]), np.stack([apart])) == 0
    assert agreement(np.stack([SQUARE, far]), np.stack([SQUARE])) == pytest.approx(2 / 3)
    assert agreement(np.stack([SQUARE]), np.stack([SQUARE, SQUARE])) == pytest.approx(2 / 3)
