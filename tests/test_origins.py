"""Where a model's published files are found. What is in them does not matter here."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from ocr import origins
from ocr.catalogue import Entry, WheelFile
from ocr.errors import ModelDamaged, ModelMissing, ModelUnreachable
from tests.conftest import PRESET, known
from tests.hub_server import Hub, hub
from tests.published import CHECKPOINT, CONFIGURATION, TENSORFLOW, hub_model

PACKAGED = (PRESET.detection, PRESET.recognition)
CRNN, SEGLINK = known("crnn-general"), known("seglink-line")
MODEL = hub_model(CRNN).model_id


def wheel_file(entry: Entry) -> WheelFile:
    assert isinstance(entry.origin, WheelFile)
    return entry.origin


def put(root: Path, *names: str) -> Path:
    """Files that hold nothing but their own paths."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(root / name), "utf-8")
    return root


# Packages


@pytest.mark.parametrize("entry", PACKAGED, ids=lambda entry: entry.task)
def test_a_file_of_a_package_has_the_digest_of_the_catalogue(entry: Entry) -> None:
    origin = wheel_file(entry)
    found = origins.find(entry)
    assert found.origin == "rapidocr 3.10.0"
    assert found.digests() == {origin.file: origin.sha256}
    assert found.files[origin.file].name == Path(origin.file).name


def test_a_package_that_is_not_installed_is_named() -> None:
    origin = replace(wheel_file(PRESET.detection), package="no-such-package", version="1.2.3")
    with pytest.raises(ModelMissing, match=r"pip install no-such-package==1\.2\.3"):
        origins.find(replace(PRESET.detection, origin=origin))


def test_a_file_that_the_package_lacks_is_named() -> None:
    origin = replace(wheel_file(PRESET.detection), file="rapidocr/models/none.onnx")
    with pytest.raises(ModelMissing, match=r"rapidocr/models/none\.onnx") as raised:
        origins.find(replace(PRESET.detection, origin=origin))
    assert metadata.version("rapidocr") in raised.value.message


def altered(entry: Entry) -> bytes:
    """The published file with one bit changed."""
    (path,) = origins.find(entry).files.values()
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    return bytes(data)


def test_an_altered_file_is_named_with_both_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of the same shape, installed in a folder of its own, with one bit changed."""
    data = altered(PRESET.recognition)
    path = tmp_path / "carrier" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(data)
    about = tmp_path / "carrier-1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    expected = wheel_file(PRESET.recognition).sha256
    origin = WheelFile("carrier", "1.0", "carrier/model.onnx", expected)
    with pytest.raises(ModelDamaged) as raised:
        origins.find(replace(PRESET.recognition, origin=origin))
    for part in (str(path), expected, hashlib.sha256(data).hexdigest(), "carrier 1.0"):
        assert part in raised.value.message


@pytest.mark.parametrize("entry", PACKAGED, ids=lambda entry: entry.task)
@pytest.mark.parametrize("flat", [True, False])
def test_a_file_of_a_package_may_be_at_hand(tmp_path: Path, entry: Entry, flat: bool) -> None:
    file = wheel_file(entry).file
    path = tmp_path / (Path(file).name if flat else file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(origins.find(entry).files[file])
    found = origins.find(entry, tmp_path)
    assert found.files == {file: path}
    assert found.origin == str(path)


def test_a_file_at_hand_that_is_altered_or_not_there_is_named(tmp_path: Path) -> None:
    name = Path(wheel_file(PRESET.recognition).file).name
    with pytest.raises(ModelMissing, match=name) as raised:
        origins.find(PRESET.recognition, tmp_path)
    assert str(tmp_path) in raised.value.message
    (tmp_path / name).write_bytes(altered(PRESET.recognition))
    with pytest.raises(ModelDamaged, match=name):
        origins.find(PRESET.recognition, tmp_path)


# Folders at hand of models of the hub

LAYOUTS = [MODEL, Path(MODEL).name, "."]


@pytest.mark.parametrize("place", LAYOUTS)
def test_a_model_at_hand_is_found_in_its_own_folder_or_in_the_one_named(
    tmp_path: Path, place: str
) -> None:
    root = put(tmp_path / place, *hub_model(CRNN).files, "README.md")
    found = origins.find(CRNN, tmp_path)
    assert found.files == {name: root / name for name in hub_model(CRNN).files}
    assert found.origin == str(root)
    assert found.digests() == {
        name: hashlib.sha256(str(root / name).encode()).hexdigest() for name in found.files
    }


@pytest.mark.parametrize(("first", "other"), [LAYOUTS[:2], LAYOUTS[1:]])
def test_a_folder_of_the_models_own_comes_first(tmp_path: Path, first: str, other: str) -> None:
    for place in (other, first):
        put(tmp_path / place, *hub_model(CRNN).files)
    assert origins.find(CRNN, tmp_path).origin == str(tmp_path / first)


def test_a_folder_that_lacks_a_file_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / MODEL, CONFIGURATION, "vocab.txt")
    root = put(tmp_path / Path(MODEL).name, *hub_model(CRNN).files)
    assert origins.find(CRNN, tmp_path).origin == str(root)


@pytest.mark.parametrize("lacking", hub_model(CRNN).files)
def test_files_that_are_not_at_hand_are_named(tmp_path: Path, lacking: str) -> None:
    put(tmp_path / MODEL, *(name for name in hub_model(CRNN).files if name != lacking))
    with pytest.raises(ModelMissing) as raised:
        origins.find(CRNN, tmp_path)
    for part in (CRNN.tag, lacking, str(tmp_path), MODEL):
        assert part in raised.value.message


@pytest.mark.parametrize("count", [1, 3])
def test_a_tensorflow_checkpoint_at_hand_may_have_any_number_of_shards(
    tmp_path: Path, count: int
) -> None:
    shards = [f"{TENSORFLOW}.data-{i:05d}-of-{count:05d}" for i in range(count)]
    names = [CONFIGURATION, f"{TENSORFLOW}.index", *shards]
    put(tmp_path, *names, f"{TENSORFLOW}.meta", "tf_ckpts/checkpoint-70000.data-00000-of-00001")
    assert origins.find(SEGLINK, tmp_path).files == {name: tmp_path / name for name in names}


@pytest.mark.parametrize("lacking", [".index", ".data-"])
def test_a_tensorflow_checkpoint_that_is_not_whole_is_missing_its_part(
    tmp_path: Path, lacking: str
) -> None:
    names = (f"{TENSORFLOW}{end}" for end in (".index", ".data-00000-of-00001"))
    put(tmp_path, CONFIGURATION, *(name for name in names if lacking not in name))
    with pytest.raises(ModelMissing, match=rf"{TENSORFLOW}\{lacking}") as raised:
        origins.find(SEGLINK, tmp_path)
    assert str(tmp_path) in raised.value.message


# The hub


@pytest.fixture
def served(tmp_path: Path, hub_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = put(tmp_path / "served", *hub_model(CRNN).files, "README.md")
    with hub({MODEL: folder}) as served:
        served.revisions.add(hub_model(CRNN).revision)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", served.url)
        yield served


def test_a_model_of_the_hub_is_fetched_at_the_revision_of_the_catalogue(served: Hub) -> None:
    found = origins.find(CRNN)
    assert found.origin == f"{MODEL} v2.2.2"
    assert set(found.files) == set(hub_model(CRNN).files) == served.files_asked_for()
    for name, path in found.files.items():
        assert path.read_bytes() == (served.models[MODEL] / name).read_bytes()


def test_another_revision_may_be_asked_for(served: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=f"{MODEL} at revision v9"):
        origins.find(CRNN, revision="v9")
    served.revisions.add("v9")
    assert origins.find(CRNN, revision="v9").origin == f"{MODEL} v9"


def test_another_cache_may_be_named(served: Hub, tmp_path: Path) -> None:
    found = origins.find(CRNN, cache=tmp_path / "mine")
    assert all(path.is_relative_to(tmp_path / "mine") for path in found.files.values())


def test_with_files_at_hand_the_hub_is_not_asked(served: Hub, tmp_path: Path) -> None:
    put(tmp_path / "hand", *hub_model(CRNN).files)
    origins.find(CRNN, tmp_path / "hand", revision="v9")
    with pytest.raises(ModelMissing):
        origins.find(CRNN, tmp_path)
    assert not served.requests


def test_a_hub_that_fails_is_unreachable(served: Hub) -> None:
    served.cut_after[CHECKPOINT] = 1
    with pytest.raises(ModelUnreachable, match=CHECKPOINT):
        origins.find(CRNN)
