"""What the networks of differentiable binarization have in common."""

from torch import Tensor, nn
from torch.nn.functional import interpolate


class Doubled(nn.Sequential):
    """(n, width, h, w) to (n, width, 2h, 2w): a transposed convolution and its batch norm."""

    def __init__(self, width: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width, width, 2, stride=2, groups=groups)
        self.norm = nn.BatchNorm2d(width)


def enlarged(x: Tensor, times: int) -> Tensor:
    """(n, c, h, w) to (n, c, h * times, w * times), each value repeated."""
    return interpolate(x, scale_factor=float(times), mode="nearest")
