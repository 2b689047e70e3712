"""What goes into the images is what the project says that it needs, pinned."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from variant import variant

from ocr import __version__
from ocr.catalogue import PRESETS
from ocr.settings import Settings
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEVICES = ("cpu", "cuda")


def _bentofile() -> dict[str, Any]:
    bentofile: dict[str, Any] = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    return bentofile


def _pins(device: str) -> dict[str, str]:
    """The versions of a lock file, by name."""
    text = (ROOT / f"deploy/requirements/{device}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def _needed(device: str) -> list[Requirement]:
    extra = PROJECT["optional-dependencies"][device]
    return [Requirement(each) for each in (*PROJECT["dependencies"], *extra)]


@pytest.mark.parametrize("device", DEVICES)
def test_the_lock_has_what_the_project_needs(device: str) -> None:
    pins = _pins(device)
    for requirement in _needed(device):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: make lock"


@pytest.mark.parametrize("device", DEVICES)
def test_everything_locked_has_a_hash(device: str) -> None:
    text = (ROOT / f"deploy/requirements/{device}.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_each_device_has_its_own_runtime() -> None:
    assert "onnxruntime" in _pins("cpu") and "torch" not in _pins("cpu")
    assert "torch" in _pins("cuda")
    assert not [name for name in _pins("cuda") if name.startswith("onnxruntime")]


def test_the_cuda_libraries_are_of_one_major() -> None:
    """Two side by side would be gigabytes twice, and clash in one process."""
    nvidia = [name for name in _pins("cuda") if name.startswith("nvidia-")]
    assert "nvidia-cuda-runtime" in nvidia and "nvidia-cudnn-cu13" in nvidia
    assert not [name for name in nvidia if re.search(r"-cu\d+$", name) and "-cu13" not in name]
    assert not [name for name in _pins("cpu") if name.startswith("nvidia-cu")]


def test_plain_bentoml_build_packs_the_default_image() -> None:
    assert variant(Settings(device="cpu", preset="ppocr")) == _bentofile()


def test_a_variant_has_its_models_and_packages() -> None:
    made = variant(Settings(device="cuda", preset="modelscope", detection="dbnet-resnet18"))
    recognition = PRESETS["modelscope"].recognition
    assert made["models"] == ["ocr-detection:dbnet-resnet18", recognition.tag]
    assert made["python"]["requirements_txt"] == "deploy/requirements/cuda.txt"
    envs = {env["name"]: env["value"] for env in made["envs"]}
    assert envs.items() >= {
        ("OCR_DEVICE", "cuda"),
        ("OCR_PRESET", "modelscope"),
        ("OCR_DETECTION", "dbnet-resnet18"),
    }
    assert envs.keys() >= {env["name"] for env in _bentofile()["envs"]}


def test_the_settings_file_lists_every_setting_with_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = (ROOT / "deploy/ocr.env").read_text().splitlines()
    listed = dict(line[1:].split("=", 1) for line in lines if line.startswith("#OCR_"))
    fields = {f"OCR_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert listed.keys() == fields.keys() - {"OCR_DEVICE", "OCR_PRESET"}  # the image's
    assert all(f"# {fields[name].description}" in lines for name in listed)
    assert f"value: {listed.pop('OCR_JOBS')}\n" in (ROOT / "bentofile.yaml").read_text()
    for name, value in listed.items():
        monkeypatch.setenv(name, value)
    assert Settings() == Settings.model_construct()


def test_the_release_calls_targets_that_there_are() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    targets = [step["run"].split()[1] for step in steps if step.get("run", "").startswith("make ")]
    assert targets == ["check-tag", "test", "test-slow", "test-image", "release"]
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--opt push --opt sbom=true --opt provenance=mode=max" in done.stdout


def test_a_tag_of_another_version_is_not_released() -> None:
    for tag, code in ((f"v{__version__}", 0), ("v0.0.1", 2)):
        command = ["make", "check-tag", f"GIT_TAG={tag}"]
        assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == code
