import os
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml  # type: ignore[import-untyped]

import import_models
from ocr.catalogue import Entry, SourceFile
from ocr.errors import ModelDamaged, ModelMissing
from ocr.model import CHARSET, DESCRIPTION, NETWORK
from tests.conftest import PRESET, ROOT, import_into, model_folder

ENTRIES = (PRESET.detection, PRESET.recognition)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store that was just made, and what the importer said."""
    home = tmp_path_factory.mktemp("fresh")
    return home, import_into(home)


def facts(store: Path, entry: Entry) -> dict[str, object]:
    text = (model_folder(store, entry) / "model.yaml").read_text("utf-8")
    found: dict[str, object] = yaml.safe_load(text)
    return found


def test_both_models_are_saved(fresh: tuple[Path, str]) -> None:
    home, said = fresh
    for entry in ENTRIES:
        assert f"{entry.tag}: saved" in said
        folder = model_folder(home, entry)
        assert (folder / DESCRIPTION).is_file()
        assert (folder / NETWORK).stat().st_size > 1_000_000
    assert (model_folder(home, PRESET.recognition) / CHARSET).is_file()


def test_the_store_says_where_each_model_comes_from(fresh: tuple[Path, str]) -> None:
    for entry in ENTRIES:
        assert facts(fresh[0], entry)["metadata"] == {
            "source": entry.source,
            "revision": entry.revision,
            "file": entry.file.name,
            "sha256": entry.file.sha256,
            "licence": entry.licence,
        }


def test_a_second_import_leaves_them_and_force_makes_them_again(fresh: tuple[Path, str]) -> None:
    home, _ = fresh
    before = [facts(home, entry)["creation_time"] for entry in ENTRIES]
    said = import_into(home)
    assert said.splitlines() == [f"{entry.tag}: already in the store" for entry in ENTRIES]
    assert [facts(home, entry)["creation_time"] for entry in ENTRIES] == before
    assert import_into(home, "--force").count(": saved") == len(ENTRIES)
    assert all(facts(home, e)["creation_time"] != t for e, t in zip(ENTRIES, before, strict=True))


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "import_models.py", "--preset", "nonsense"],
        env={**os.environ, "BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2
    assert "ppocr" in done.stderr


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.task)
def test_the_stored_network_answers_as_the_fetched_one(
    model_folders: tuple[Path, Path], entry: Entry
) -> None:
    folder = model_folders[ENTRIES.index(entry)]
    fetched = onnxruntime.InferenceSession(import_models.fetch(entry))
    stored = onnxruntime.InferenceSession(folder / NETWORK)
    height = 48 if entry.task == "recognition" else 96
    picture = np.random.default_rng(5).integers(0, 256, (1, height, 192, 3), np.uint8)
    planes = (picture[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
    (expected,) = fetched.run(None, {fetched.get_inputs()[0].name: np.ascontiguousarray(planes)})
    answer = stored.run(None, {stored.get_inputs()[0].name: picture})
    if entry.task == "detection":
        assert np.abs(answer[0] - expected).max() < 1e-5
        return
    classes, probabilities = answer
    assert np.array_equal(classes, expected.argmax(axis=2))
    assert np.abs(probabilities - expected.max(axis=2)).max() < 1e-5


def test_fetch_gives_the_file_whose_digest_it_is() -> None:
    for entry in ENTRIES:
        assert import_models.fetch(entry).name == Path(entry.file.name).name


def test_a_package_that_is_not_installed_is_named() -> None:
    entry = replace(PRESET.detection, source="no-such-package", revision="1.2.3")
    with pytest.raises(ModelMissing, match=r"no-such-package==1\.2\.3"):
        import_models.fetch(entry)


def test_a_file_that_the_package_lacks_is_named() -> None:
    entry = replace(PRESET.detection, file=SourceFile("rapidocr/models/none.onnx", "0" * 64))
    with pytest.raises(ModelMissing, match=r"rapidocr/models/none\.onnx") as raised:
        import_models.fetch(entry)
    assert metadata.version("rapidocr") in raised.value.message


def test_an_altered_file_is_named_with_both_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of the same shape, installed in a folder of its own, with one byte changed."""
    altered = bytearray(import_models.fetch(PRESET.recognition).read_bytes())
    altered[1000] ^= 1
    path = tmp_path / "carrier" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(altered)
    about = tmp_path / "carrier-1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    expected = PRESET.recognition.file.sha256
    entry = replace(
        PRESET.recognition, source="carrier", file=SourceFile("carrier/model.onnx", expected)
    )
    with pytest.raises(ModelDamaged) as raised:
        import_models.fetch(entry)
    assert str(path) in raised.value.message
    assert expected in raised.value.message
