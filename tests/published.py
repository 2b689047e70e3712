"""Models in folders as ModelScope publishes them, with seeded weights; and ways to spoil them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ocr.catalogue import Entry, HubModel
from ocr.networks import seglink
from ocr.networks.architectures import ARCHITECTURES
from tests import seeded, tensorflow_checkpoint
from tests.golden.cases import CASES

CONFIGURATION, CHECKPOINT, VOCABULARY = "configuration.json", "pytorch_model.pt", "vocab.txt"
TENSORFLOW = "tf_ckpts/checkpoint-80000"
Tensors = dict[str, np.ndarray]

VARIANCE = {name: case.variance for name, case in CASES.items()} | {"seglink": 32}
TRAINING_ONLY: dict[str, dict[str, seeded.Shape]] = {  # what checkpoints have beside the network
    "convnext-vit": {"vitstr.cls_token": (1, 1, 192)},
    "dbnet-resnet18": {"decoder.thresh.0.weight": (64, 256, 3, 3)},
    "dbnet-proxylessnas": {"decoder.thresh.0.depthwise.weight": (64, 1, 5, 5)},
}


def publish(entry: Entry, folder: Path, *, seed: int = 1, shards: int = 1) -> Path:
    """Write a model's folder, with a file that nobody needs; gives the folder.

    `shards` is the number of data files where the checkpoint is TensorFlow's.
    """
    origin = hub_model(entry)
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# 文字识别\n", "utf-8")
    write_configuration(folder, configuration(origin))
    if origin.vocabulary:
        write_vocabulary(folder, vocabulary(origin))
    if CHECKPOINT in origin.files:
        save(checkpoint(entry, seed), folder)
    else:
        prefix = folder / TENSORFLOW
        prefix.parent.mkdir()
        trained = tensorflow_checkpoint.training(checkpoint(entry, seed))
        kept = {name: value for name, value in trained.items() if "/Adam" not in name}  # half of it
        tensorflow_checkpoint.write(prefix, kept, shards=shards)
    return folder


def hub_model(entry: Entry) -> HubModel:
    assert isinstance(entry.origin, HubModel)
    return entry.origin


def checkpoint(entry: Entry, seed: int = 1) -> Tensors:
    """What the published checkpoint holds of the network and, if it is torch's, beside it."""
    name = entry.model.network
    architecture = ARCHITECTURES[name]
    network = architecture.network()
    shapes = seeded.published_shapes(network, architecture.sources(network), seglink.SHARES)
    if CHECKPOINT in hub_model(entry).files:
        shapes |= TRAINING_ONLY.get(name, {})
        means = [tensor for tensor in shapes if tensor.endswith("running_mean")]
        shapes |= {mean.replace("running_mean", "num_batches_tracked"): () for mean in means}
    return seeded.checkpoint(shapes, seed, VARIANCE[name])


def configuration(origin: HubModel) -> dict[str, Any]:
    """The whole of a configuration.json: what the catalogue asks for, nested, and other things."""
    whole: dict[str, Any] = {"framework": "pytorch", "task": "ocr"}
    for key, value in origin.configuration.items():
        *outer, last = key.split(".")
        inner = whole
        if value is not None:
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[last] = value
    return whole


def vocabulary(origin: HubModel) -> list[str]:
    """One character a class, spaces and a separator that is no end of a line among them."""
    odd = [" ", "\u3000", "\u2028", "，", "A"]
    return odd + [chr(0x4E00 + i) for i in range(origin.vocabulary - len(odd))]


def write_configuration(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / CONFIGURATION).write_text(json.dumps(content, indent=4), "utf-8")


def write_vocabulary(folder: Path, characters: list[str]) -> None:
    text = "".join(f"{character}\n" for character in characters)
    (folder / VOCABULARY).write_text(text, "utf-8", newline="\n")


def save(tensors: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write a checkpoint as torch does."""
    content = {name: torch.from_numpy(np.asarray(value)) for name, value in tensors.items()}
    torch.save(content, folder / CHECKPOINT)


# Ways to spoil a folder


def alter(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Let `change` work on the tensors of a folder's checkpoint, by name."""
    tensors = torch.load(folder / CHECKPOINT, weights_only=True)
    change(tensors)
    torch.save(tensors, folder / CHECKPOINT)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    """Leave the first half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
