"""CRNN, convolutions and two bidirectional LSTMs that read lines by CTC.

Shi, Bai and Yao, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition",
TPAMI 2017; here with batch norm after each convolution and a linear layer after each LSTM.
"""

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from ocr.networks.layers import ConvNorm, Pair, grey, renamed
from ocr.networks.weights import Source

UNUSED: tuple[str, ...] = ()

# Channels, kernel, stride, and what is pooled afterwards; of 32 x 640 there is left
CONVOLUTIONS: tuple[tuple[int, Pair, Pair, Pair], ...] = (
    (64, (3, 3), (1, 1), (2, 2)),  # 16 x 320
    (128, (3, 3), (1, 1), (2, 2)),  # 8 x 160
    (256, (3, 3), (1, 1), (1, 1)),
    (256, (3, 3), (1, 1), (2, 1)),  # 4 x 160
    (512, (3, 3), (1, 1), (1, 1)),
    (512, (3, 3), (1, 1), (2, 1)),  # 2 x 160
    (512, (2, 1), (2, 1), (1, 1)),  # 1 x 160
)
PUBLISHED = ("conv0.0", "conv1.0", "conv2.0", "conv2.3", "conv3.0", "conv3.3", "conv4.0")
PUBLISHED_NORMS = ("conv0.1", "conv1.1", "conv2.1", "conv2.4", "conv3.1", "conv3.4", "conv4.1")


class CRNN(nn.Module):
    """(n, 3, 32, width) to logits, (n, width / 4, classes); class 0 is the blank of CTC."""

    def __init__(self, classes: int = 7644) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        before = 1
        for after, kernel, stride, _ in CONVOLUTIONS:
            self.convolutions.append(ConvNorm(before, after, kernel, stride, bias=True))
            before = after
        self.recurrent = nn.Sequential(Recurrent(512, 256, 256), Recurrent(256, 256, 512))
        self.head = nn.Linear(512, classes, bias=False)

    def forward(self, planes: Tensor) -> Tensor:
        x = grey(planes)
        for convolution, (*_, pool) in zip(self.convolutions, CONVOLUTIONS, strict=True):
            x = convolution(x).relu()
            x = max_pool2d(x, pool) if pool != (1, 1) else x
        steps = x.squeeze(2).permute(2, 0, 1)  # (steps, n, 512), which is how LSTMs are fastest
        return self.head(self.recurrent(steps).transpose(0, 1))


class Recurrent(nn.Module):
    """(steps, n, before) to (steps, n, after), by an LSTM in each direction."""

    def __init__(self, before: int, inner: int, after: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(before, inner, bidirectional=True)
        self.linear = nn.Linear(2 * inner, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.lstm(x)[0])


def sources(network: CRNN) -> dict[str, Source]:
    """What each of a network's tensors is called in the published checkpoint."""
    return renamed(
        network,
        [
            *((rf"convolutions\.{i}\.conv", name) for i, name in enumerate(PUBLISHED)),
            *((rf"convolutions\.{i}\.norm", name) for i, name in enumerate(PUBLISHED_NORMS)),
            (r"recurrent\.(\d)\.lstm", r"rnn.\1.rnn"),
            (r"recurrent\.(\d)\.linear", r"rnn.\1.embedding"),
            (r"head", "cls"),
        ],
    )
