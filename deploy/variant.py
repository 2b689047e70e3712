"""The bentofile of an image: bentofile.yaml for the device and the models that OCR_* name.

OCR_DEVICE=cuda OCR_PRESET=modelscope python deploy/variant.py > build/bentofile.yaml
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from ocr.settings import Settings

ROOT = Path(__file__).parents[1]


def variant(settings: Settings) -> dict[str, Any]:
    """What bentofile.yaml says, for this device and these models."""
    bentofile: dict[str, Any] = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    models = settings.models
    bentofile["labels"] |= {"device": settings.device, "preset": settings.preset}
    bentofile["models"] = [models.detection.tag, models.recognition.tag]
    bentofile["python"]["requirements_txt"] = f"deploy/requirements/{settings.device}.txt"
    chosen = settings.model_dump(include={"device", "preset", "detection", "recognition"})
    envs = {env["name"]: env["value"] for env in bentofile["envs"]}
    envs |= {f"OCR_{name.upper()}": value for name, value in chosen.items() if value}
    bentofile["envs"] = [{"name": name, "value": value} for name, value in envs.items()]
    return bentofile


if __name__ == "__main__":
    yaml.safe_dump(variant(Settings()), sys.stdout, sort_keys=False)
