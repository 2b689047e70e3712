"""Where the models are: the BentoML model store."""

from pathlib import Path

import bentoml
from bentoml.exceptions import NotFound

from ocr.catalogue import Entry
from ocr.errors import ModelMissing


def model_folder(entry: Entry) -> Path:
    """An entry's folder in the store. Raises ModelMissing, naming what to do about it."""
    try:
        return Path(bentoml.models.get(entry.tag).path)
    except NotFound:
        raise ModelMissing(
            f"{entry.tag} is not in the model store (BENTOML_HOME): "
            f"run `python import_models.py --{entry.task} {entry.name}`"
        ) from None
