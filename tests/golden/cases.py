"""What the golden files are made of: seeded weights, a drawn picture, a part of the outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ocr.networks import seglink
from ocr.networks.architectures import ARCHITECTURES
from tests import seeded

FOLDER = Path(__file__).parent
SEED = 1
CLASSES = 32  # every 32nd class of a step is kept
CHUNKS = 3  # of one line


@dataclass(frozen=True)
class Case:
    """`variance` of the batch norms keeps a network of seeded weights from running over.

    `kept`: of each output every so manieth value along each axis.
    """

    size: tuple[int, int]
    kept: tuple[tuple[int, ...], ...]
    variance: float = 1
    pictures: int = 1

    def planes(self) -> np.ndarray:
        """(pictures, 3, height, width) float32 RGB, 0 to 255: patches of colour, and noise."""
        random = np.random.RandomState(SEED)
        height, width = self.size
        patches = random.randint(0, 224, (self.pictures, 3, height // 4, width // 4))
        noise = random.randint(0, 32, (self.pictures, 3, height, width))
        return (patches.repeat(4, axis=2).repeat(4, axis=3) + noise).astype(np.float32)

    def part(self, outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What of a network's outputs is in its golden file."""
        return [
            output[tuple(slice(None, None, step) for step in steps)]
            for output, steps in zip(outputs, self.kept, strict=True)
        ]


LOGITS = ((1, 1, CLASSES),)
CASES = {
    "seglink": Case((256, 256), ((1, 5, 1), (1, 13, 1), (1, 7, 1)), variance=50),
    "dbnet-resnet18": Case((192, 256), ((1, 1, 3, 3),), variance=2),
    "dbnet-proxylessnas": Case((192, 256), ((1, 1, 3, 3),), variance=3.25),
    "convnext-vit": Case((32, 300), LOGITS, pictures=CHUNKS),
    "crnn": Case((32, 640), LOGITS),
    "lightweight-edge": Case((32, 640), LOGITS, variance=3),
}


def checkpoint(name: str) -> dict[str, np.ndarray]:
    """An architecture's checkpoint, under the publisher's names."""
    architecture = ARCHITECTURES[name]
    network = architecture.network()
    shapes = seeded.published_shapes(network, architecture.sources(network), seglink.SHARES)
    return seeded.checkpoint(shapes, SEED, CASES[name].variance)


def joined(chunks: np.ndarray) -> np.ndarray:
    """The steps of three chunks (3, 75, classes) of one line, (1, 201, classes).

    Chunks overlap by 48 pixels, which are 12 steps; each chunk's last and first 6 are left out.
    """
    first, middle, last = chunks
    return np.concatenate([first[:-6], middle[6:-6], last[6:]])[None]


def load(name: str) -> Mapping[str, np.ndarray]:
    """A golden file: `0`, `1`, ... the parts of the outputs, `best` the best class of each step."""
    with np.load(FOLDER / f"{name}.npz") as golden:
        return dict(golden)
