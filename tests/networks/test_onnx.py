"""Each network as an ONNX graph gives in ONNX Runtime what it gives in torch."""

import io
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from ocr.networks import weights
from ocr.networks.architectures import ARCHITECTURES
from ocr.networks.mobile_blocks import condensed
from tests.golden import cases

PICTURES = [(64, 96), (96, 32)]
SIZES = {
    "dbnet-resnet18": PICTURES,
    "dbnet-proxylessnas": PICTURES,
    "convnext-vit": [(32, 300)],
    "crnn": [(32, 640)],
    "lightweight-edge": [(32, 640)],
}


def seeded_network(name: str) -> nn.Module:
    architecture = ARCHITECTURES[name]
    network = architecture.network()
    weights.fill(network, architecture.sources(network), cases.checkpoint(name))
    return network.eval()


def session(network: nn.Module, sizes: list[tuple[int, int]]) -> onnxruntime.InferenceSession:
    """Of a graph that was traced with one picture of the first of `sizes`."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this way of exporting is torch's older one
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *sizes[0]),),
            file,  # type: ignore[arg-type]
            input_names=["planes"],
            dynamic_axes={"planes": {0: "n", 2: "h", 3: "w"} if len(sizes) > 1 else {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    return onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_every_batch_and_size(name: str) -> None:
    network, random = seeded_network(name), np.random.RandomState(6)
    exported = session(condensed(network), SIZES[name])
    for height, width in SIZES[name]:
        for count in (1, 3):
            planes = random.randint(0, 256, (count, 3, height, width)).astype(np.float32)
            (found,) = exported.run(None, {"planes": planes})
            wanted = network(torch.from_numpy(planes)).numpy()
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
