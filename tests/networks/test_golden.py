"""The networks against what ModelScope's own code gave for the same weights and pictures."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from ocr.networks import weights
from ocr.networks.architectures import ARCHITECTURES
from ocr.networks.mobile_blocks import condensed
from tests.golden import cases

BOUNDS = dict.fromkeys(cases.CASES, 1e-4) | {"seglink": 1e-3}


@pytest.fixture(scope="module", params=cases.CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(name: str) -> nn.Module:
    architecture = ARCHITECTURES[name]
    network = architecture.network().eval()
    sources = architecture.sources(network)
    weights.fill(network, sources, cases.checkpoint(name), architecture.unused)
    return network


@pytest.mark.parametrize("form", [lambda network: network, condensed], ids=["whole", "condensed"])
def test_outputs_are_those_of_the_published_code(
    name: str, network: nn.Module, form: Callable[[nn.Module], nn.Module]
) -> None:
    outputs, golden = _outputs(name, form(network)), cases.load(name)
    for i, found in enumerate(cases.CASES[name].part(outputs)):
        np.testing.assert_allclose(found, golden[str(i)], rtol=0, atol=BOUNDS[name])
    if "best" in golden:  # no other class may be better by more than rounding
        best = np.take_along_axis(outputs[0], golden["best"][..., None].astype(int), axis=2)
        np.testing.assert_allclose(best[..., 0], outputs[0].max(-1), rtol=0, atol=BOUNDS[name])


@torch.no_grad()
def _outputs(name: str, network: nn.Module) -> list[np.ndarray]:
    found = network(torch.from_numpy(cases.CASES[name].planes()))
    outputs = [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]
    return [cases.joined(outputs[0])] if name == "convnext-vit" else outputs
