"""Brings models into the BentoML model store: fetch, convert, check, save.

    python import_models.py [--preset ppocr] [--force]

The store is where BENTOML_HOME says. A model that is there already is left alone.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

from ocr.catalogue import PRESETS, Entry
from ocr.errors import ModelDamaged, ModelError, ModelMissing
from ocr.model import CHARSET, DESCRIPTION, NETWORK, RecognitionModel

TOLERANCE = 1e-5  # between the stored network and the fetched one


def fetch(entry: Entry) -> Path:
    """Find an entry's file in the installed package that carries it, and check its digest.

    Raises ModelMissing if package or file are not there, ModelDamaged if its bytes are others.
    """
    try:
        package = metadata.distribution(entry.source)
    except metadata.PackageNotFoundError:
        raise ModelMissing(
            f"{entry.tag} comes with the package {entry.source} {entry.revision}, "
            f"which is not installed: pip install {entry.source}=={entry.revision}"
        ) from None
    path = Path(str(package.locate_file(entry.file.name)))
    if not path.is_file():
        raise ModelMissing(
            f"{entry.tag} needs {path}, which {entry.source} {entry.revision} should hold; "
            f"installed is {entry.source} {package.version}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != entry.file.sha256:
        raise ModelDamaged(
            f"{path} has SHA-256 {digest}, expected {entry.file.sha256} "
            f"({entry.source} {entry.revision})"
        )
    return path


def convert(entry: Entry, source: Path, folder: Path) -> None:
    """Write a model folder: its description, its network and, for recognition, its characters."""
    import onnx

    from ocr import conversion

    network = onnx.load(source)
    conversion.take_rgb_bytes(network, mean=127.5, std=127.5)
    if isinstance(entry.model, RecognitionModel):
        characters = conversion.metadata(network, "character")
        if characters is None:
            raise ModelDamaged(f"{source} carries no character set")
        # One a line; the class after the last of them is a space.
        (folder / CHARSET).write_text("\n".join([*characters.splitlines(), " ", ""]), "utf-8")
        conversion.give_best_class(network)
    onnx.checker.check_model(network)
    onnx.save(network, folder / NETWORK)
    (folder / DESCRIPTION).write_text(entry.model.model_dump_json(indent=2) + "\n", "utf-8")


def check(entry: Entry, source: Path, folder: Path) -> None:
    """Run the converted network against the fetched one on a probe picture.

    Raises ModelDamaged if they differ.
    """
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    fetched = onnxruntime.InferenceSession(str(source), providers=providers)
    stored = onnxruntime.InferenceSession(str(folder / NETWORK), providers=providers)
    height = entry.model.height if isinstance(entry.model, RecognitionModel) else 64
    probe = np.random.default_rng(0).integers(0, 256, (1, height, 160, 3), np.uint8)
    planes = ((probe[..., ::-1].astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)
    (expected,) = fetched.run(None, {fetched.get_inputs()[0].name: np.ascontiguousarray(planes)})
    outputs = stored.run(None, {stored.get_inputs()[0].name: probe})
    if isinstance(entry.model, RecognitionModel):
        classes, probabilities = outputs
        same = bool((classes == expected.argmax(axis=2)).all())
        difference = float(np.abs(probabilities - expected.max(axis=2)).max())
    else:
        same, difference = True, float(np.abs(outputs[0] - expected).max())
    if not same or difference > TOLERANCE:
        raise ModelDamaged(f"{entry.tag}: the converted network differs by {difference:.2g}")


def save(entry: Entry, folder: Path) -> None:
    """Copy a model folder into the store under the entry's tag."""
    import bentoml

    facts = {
        "source": entry.source,
        "revision": entry.revision,
        "file": entry.file.name,
        "sha256": entry.file.sha256,
        "licence": entry.licence,
    }
    labels = {"task": entry.task, "model": entry.name}
    with bentoml.models.create(entry.tag, labels=labels, metadata=facts) as stored:
        for path in folder.iterdir():
            shutil.copy(path, stored.path_of(path.name))


def stored(entry: Entry) -> bool:
    """Whether the store has this entry."""
    import bentoml
    from bentoml.exceptions import NotFound

    try:
        bentoml.models.get(entry.tag)
    except NotFound:
        return False
    return True


def bring_in(entry: Entry, force: bool) -> str:
    """Import one entry unless it is there; gives a line that says what was done."""
    import bentoml

    there = stored(entry)
    if there and not force:
        return f"{entry.tag}: already in the store"
    source = fetch(entry)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        convert(entry, source, folder)
        check(entry, source, folder)
        if there:
            bentoml.models.delete(entry.tag)
        save(entry, folder)
    return f"{entry.tag}: saved ({entry.source} {entry.revision}, {entry.licence})"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="ppocr")
    parser.add_argument("--force", action="store_true", help="import again what is there already")
    options = parser.parse_args(arguments)
    preset = PRESETS[options.preset]
    try:
        for entry in (preset.detection, preset.recognition):
            print(bring_in(entry, options.force), flush=True)
    except ModuleNotFoundError as error:
        print(f"import_models: {error}: pip install '.[cpu,import]'", file=sys.stderr)
        return 1
    except ModelError as error:
        print(f"import_models: {error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
