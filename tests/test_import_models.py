"""The importer: what it brings, where to, what it says, and that a failure leaves no trace."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import import_models
from ocr import conversion, local, origins
from ocr.catalogue import ENTRIES, Entry, HubModel, WheelFile
from ocr.errors import ModelDamaged
from ocr.hub import fetch
from ocr.model import (
    CHARSET,
    DESCRIPTION,
    EDITION,
    NETWORK,
    WEIGHTS,
    in_this_edition,
    read_recognition_model,
)
from ocr.origins import Published
from ocr.recognition.recogniser import Recogniser
from tests import pictures, tensorflow_checkpoint
from tests import published as publishing
from tests.conftest import (
    BY_HAND,
    BY_HUB,
    PRESET,
    ROOT,
    Imports,
    import_into,
    known,
    model_folder,
    run_importer,
)
from tests.hub_server import Hub, hub
from tests.published import CHECKPOINT, CONFIGURATION, TENSORFLOW, VOCABULARY, hub_model

PAIR = (PRESET.detection, PRESET.recognition)
OLDER = {"min_width": 320}
SMALL, SEGLINK = known(BY_HAND), known("seglink-line")
MODEL = hub_model(SMALL).model_id
Folder = Callable[[str], Path]
Fault = tuple[Callable[[Path], None], str, list[str]]  # how to spoil, code, what is named

# Of what BentoML takes a model's folder with.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def facts(home: Path, entry: Entry) -> dict[str, Any]:
    """What the store says of a model."""
    text = (model_folder(home, entry) / "model.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def in_store(home: Path) -> list[str]:
    """The tags of what is in a store; makes sure that nothing else is."""
    assert not [path for path in home.iterdir() if path.name.startswith(".")]
    return sorted(":".join(path.parts[-2:]) for path in (home / "models").glob("*/*/"))


# As a user runs it: the default pair


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store that was just made, and what the importer said."""
    home = tmp_path_factory.mktemp("fresh")
    return home, import_into(home)


def test_the_default_pair_is_saved(fresh: tuple[Path, str]) -> None:
    home, said = fresh
    assert said.splitlines() == [
        f"{entry.tag}: checked and saved (rapidocr 3.10.0, Apache-2.0)" for entry in PAIR
    ]
    assert in_store(home) == [entry.tag for entry in PAIR]
    for entry in PAIR:
        folder = model_folder(home, entry)
        assert (folder / DESCRIPTION).is_file()
        assert (folder / NETWORK).stat().st_size > 1_000_000
        assert (folder / WEIGHTS).stat().st_size > 1_000_000
    assert (model_folder(home, PRESET.recognition) / CHARSET).is_file()


def test_the_store_says_where_the_default_pair_comes_from(fresh: tuple[Path, str]) -> None:
    for entry in PAIR:
        assert isinstance(entry.origin, WheelFile)
        assert facts(fresh[0], entry)["metadata"] == {
            "source": "rapidocr 3.10.0",
            "files": {entry.origin.file: entry.origin.sha256},
            "licence": "Apache-2.0",
        }


def test_a_second_import_leaves_them_and_force_makes_them_again(fresh: tuple[Path, str]) -> None:
    home, _ = fresh
    before = [facts(home, entry)["creation_time"] for entry in PAIR]
    said = import_into(home)
    assert said.splitlines() == [f"{entry.tag}: already in the store" for entry in PAIR]
    assert [facts(home, entry)["creation_time"] for entry in PAIR] == before
    assert import_into(home, "--force").count(": checked and saved (") == len(PAIR)
    assert all(facts(home, e)["creation_time"] != t for e, t in zip(PAIR, before, strict=True))
    assert in_store(home) == [entry.tag for entry in PAIR]


def test_the_default_pair_takes_no_torch(tmp_path: Path) -> None:
    script = "import sys; sys.modules['torch'] = None; import import_models; import_models.main([])"
    environment = os.environ | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(tmp_path)}
    command = [sys.executable, "-c", script]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=300)
    assert in_store(tmp_path) == [entry.tag for entry in PAIR]


def test_what_an_earlier_version_saved_serves_on_and_is_imported_anew(
    fresh: tuple[Path, str], tmp_path: Path
) -> None:
    """One has no weights for torch and names no network, the other has an older setting."""
    shutil.copytree(fresh[0], tmp_path, dirs_exist_ok=True)
    detection, recognition = [model_folder(tmp_path, entry) for entry in PAIR]
    (detection / WEIGHTS).unlink()
    for folder, old in ((detection, {"network": None, "half": False}), (recognition, OLDER)):
        said = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        (folder / DESCRIPTION).write_text(json.dumps(said | old))
    drawn = pictures.page(pictures.ENGLISH[:2])
    page = asyncio.run(local.pipeline(detection, recognition, threads=2).read(drawn.image))
    assert [line.text for line in page.lines] == drawn.texts
    said = import_into(tmp_path).splitlines()
    assert [line.rpartition(", ")[2] for line in said] == [
        "in place of what an earlier version saved"
    ] * len(PAIR)
    assert (detection / WEIGHTS).is_file()
    assert read_recognition_model(recognition) == in_this_edition(PRESET.recognition.model)
    assert import_into(tmp_path).count("already in the store") == len(PAIR)


@pytest.mark.parametrize("edition", [None, EDITION - 1, EDITION + 1])
def test_a_model_of_another_edition_is_not_current(
    model_folders: tuple[Path, Path], tmp_path: Path, edition: int | None
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folders[0], folder)
    assert import_models.is_current(PRESET.detection, folder)
    said = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    del said["edition"]
    told = said if edition is None else said | {"edition": edition}
    (folder / DESCRIPTION).write_text(json.dumps(told))
    assert not import_models.is_current(PRESET.detection, folder)


# As a user runs it: models of ModelScope, from a folder and by way of a hub


def test_a_model_of_a_folder_at_hand_is_saved(imports: Imports, published: Folder) -> None:
    origin = published(BY_HAND)
    said = f"{SMALL.tag}: checked and saved ({origin}, Apache-2.0)\n"
    assert imports.said[BY_HAND] == said
    metadata = facts(imports.home, SMALL)["metadata"]
    assert metadata["source"] == str(origin)
    assert metadata["files"] == {
        name: origins.sha256(origin / name) for name in hub_model(SMALL).files
    }


def test_a_model_of_the_hub_is_saved(imports: Imports, published: Folder) -> None:
    entry = known(BY_HUB)
    origin = hub_model(entry)
    said = f"{entry.tag}: checked and saved ({origin.model_id} master, Apache-2.0)\n"
    assert imports.said[BY_HUB] == said
    assert imports.asked_for == set(origin.files)
    assert facts(imports.home, entry)["metadata"] == {
        "source": f"{origin.model_id} master",
        "files": {name: origins.sha256(published(BY_HUB) / name) for name in origin.files},
        "licence": "Apache-2.0",
    }
    assert in_store(imports.home) == [entry.tag, SMALL.tag]


def test_an_import_that_succeeds_says_nothing_else(imports: Imports) -> None:
    assert set(imports.errors.values()) == {""}


def test_others_may_read_what_is_stored(imports: Imports) -> None:
    for entry, names in (
        (SMALL, {DESCRIPTION, NETWORK, WEIGHTS, CHARSET, "model.yaml"}),
        (known(BY_HUB), {DESCRIPTION, NETWORK, WEIGHTS, "model.yaml"}),
    ):
        folder = model_folder(imports.home, entry)
        assert {path.name for path in folder.iterdir()} == names
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        for path in folder.iterdir():
            assert path.stat().st_mode & stat.S_IROTH, path


def test_a_failure_is_one_line_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run_importer(tmp_path, "--recognition", SMALL.name, "--from", str(tmp_path / "empty"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"import_models: MODEL_MISSING: {SMALL.tag} needs ")
    assert done.stderr.count("\n") == 1
    assert not in_store(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--preset", "nonsense"], "modelscope-db"),
        (["--detection", "crnn-general"], "dbnet-resnet18"),
        (["--recognition", "seglink-line"], "convnext-general"),
        (["--from", "no/such/folder"], "no folder no/such/folder"),
    ],
)
def test_a_command_that_is_none_is_refused_and_what_there_is_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        import_models.main(arguments)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


# In this process, into a store of the test's own


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty store that this process imports into."""
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    for name in ("PRESET", "DETECTION", "RECOGNITION"):
        monkeypatch.delenv(f"OCR_{name}", raising=False)
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    made = tmp_path / "bentoml"
    models = made / "models"
    models.mkdir(parents=True)
    with (
        BentoMLContainer.model_store_dir.patch(str(models)),
        BentoMLContainer.model_store.patch(ModelStore(models)),
    ):
        yield made
    shutil.rmtree(made)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion that only notes what it is given."""

    def convert(entry: Entry, published: Published, folder: Path) -> None:
        (folder / DESCRIPTION).write_text(in_this_edition(entry.model).model_dump_json(), "utf-8")
        (folder / NETWORK).write_text(published.origin, "utf-8")
        (folder / WEIGHTS).write_bytes(b"")

    monkeypatch.setattr(conversion, "convert", convert)


@pytest.fixture
def hand(tmp_path: Path) -> Path:
    """A folder that holds all models of ModelScope by name, though nothing of them."""
    for entry in ENTRIES:
        if isinstance(entry.origin, HubModel):
            for name in entry.origin.files:
                path = tmp_path / "hand" / entry.origin.model_id / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(entry.name, "utf-8")
    return tmp_path / "hand"


PPOCR = ["ocr-detection:ppocr-v6-small", "ocr-recognition:ppocr-v6-small"]
SEGLINK_LINE, DBNET = "ocr-detection:seglink-line", "ocr-detection:dbnet-resnet18"
CONVNEXT, CRNN = "ocr-recognition:convnext-general", "ocr-recognition:crnn-general"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "environment", "tags"),
    [
        ("--preset modelscope", {}, [SEGLINK_LINE, CONVNEXT]),
        ("--preset modelscope-db", {}, [DBNET, CONVNEXT]),
        ("--detection dbnet-resnet18", {}, [DBNET]),
        ("--recognition crnn-general", {}, [CRNN]),
        ("--detection dbnet-resnet18 --recognition crnn-general", {}, [DBNET, CRNN]),
        ("--preset modelscope --recognition crnn-general", {}, [SEGLINK_LINE, CRNN]),
        ("--preset modelscope --detection dbnet-resnet18", {}, [DBNET, CONVNEXT]),
        (
            "--preset modelscope --detection dbnet-resnet18 --recognition crnn-general",
            {},
            [DBNET, CRNN],
        ),
        ("", {"PRESET": "modelscope"}, [SEGLINK_LINE, CONVNEXT]),
        ("", {"PRESET": "modelscope-db", "RECOGNITION": "crnn-general"}, [DBNET, CRNN]),
        (
            "",
            {"DETECTION": "seglink-line", "RECOGNITION": "convnext-general"},
            [SEGLINK_LINE, CONVNEXT],
        ),
        # What is asked for counts, whatever the environment.
        ("--preset modelscope", {"RECOGNITION": "crnn-general"}, [SEGLINK_LINE, CONVNEXT]),
        ("--recognition crnn-general", {"PRESET": "modelscope-db"}, [CRNN]),
    ],
)
def test_what_is_asked_for_is_saved_and_nothing_else(
    home: Path,
    hand: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    environment: dict[str, str],
    tags: list[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"OCR_{name}", value)
    assert import_models.main([*arguments.split(), "--from", str(hand)]) == 0
    assert in_store(home) == sorted(tags)


@pytest.mark.usefixtures("quick")
def test_without_anything_the_default_pair_is_saved(home: Path) -> None:
    assert import_models.main([]) == 0
    assert in_store(home) == PPOCR


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("layout", ["iic/name", "name", "itself"])
def test_files_at_hand_are_found_in_three_layouts(
    home: Path, hand: Path, tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = hand / hub_model(SMALL).model_id
    places = {"iic/name": hand, "name": folder.parent, "itself": folder}
    assert import_models.main(["--recognition", BY_HAND, "--from", str(places[layout])]) == 0
    assert capsys.readouterr().out == f"{SMALL.tag}: checked and saved ({folder}, Apache-2.0)\n"
    assert (model_folder(home, SMALL) / NETWORK).read_text("utf-8") == str(folder)


@pytest.mark.usefixtures("quick")
def test_all_shards_at_hand_are_noted(home: Path, published: Folder) -> None:
    folder = published(SEGLINK.name)
    assert import_models.main(["--detection", SEGLINK.name, "--from", str(folder)]) == 0
    names = [CONFIGURATION, f"{TENSORFLOW}.index"]
    names += [f"{TENSORFLOW}.data-{i:05d}-of-00003" for i in range(3)]
    assert facts(home, SEGLINK)["metadata"]["files"] == {
        name: origins.sha256(folder / name) for name in names
    }


@pytest.mark.usefixtures("quick")
def test_the_list_shows_every_model_its_state_and_its_presets(
    home: Path, hand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_models.main(["--detection", "seglink-line", "--from", str(hand)])
    capsys.readouterr()
    assert import_models.main(["--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(ENTRIES)
    for entry, line in zip(ENTRIES, shown, strict=True):
        assert line.startswith(f"--{entry.task} {entry.name} ")
        assert str(entry.origin) in line
        assert ("in the store" in line) == (entry.name == "seglink-line")
    ends = [line[line.rindex("(") :] for line in shown]
    assert ends[:3] == ["(ppocr)", "(modelscope)", "(-)"]
    assert "(modelscope, modelscope-db)" in ends
    assert in_store(home) == [SEGLINK_LINE]


@pytest.mark.usefixtures("quick")
def test_what_is_there_is_left_alone_and_not_looked_for(
    home: Path, hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--recognition", BY_HAND, "--from"]
    assert import_models.main([*arguments, str(hand)]) == 0
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    assert import_models.main([*arguments, str(tmp_path / "empty")]) == 0
    assert capsys.readouterr().out == f"{SMALL.tag}: already in the store\n"


@pytest.mark.usefixtures("quick")
def test_what_came_before_a_failure_stays(
    home: Path, hand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hand / hub_model(known("convnext-general")).model_id / VOCABULARY).unlink()
    assert import_models.main(["--preset", "modelscope", "--from", str(hand)]) == 1
    assert in_store(home) == [SEGLINK_LINE]
    said = capsys.readouterr()
    assert said.out.startswith(f"{SEGLINK_LINE}: checked and saved")
    assert said.err.startswith(f"import_models: MODEL_MISSING: {CONVNEXT} needs")


def test_a_setting_that_is_wrong_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OCR_DETECTION", "east")
    assert import_models.main([]) == 1
    assert "no model 'east': there are ppocr-v6-small, seglink-line" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named_with_what_to_install(
    home: Path, hand: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert import_models.main(["--recognition", BY_HAND, "--from", str(hand)]) == 1
    said = capsys.readouterr().err
    assert "torch" in said
    assert "pip install '.[import]' or '.[modelscope]'" in said
    assert not in_store(home)


# A save that does not come to its end


@pytest.fixture
def saved(home: Path, published: Folder, imports: Imports) -> Path:
    """The store with a model that can be used; gives the model's folder."""
    place = model_folder(home, SMALL)
    shutil.copytree(model_folder(imports.home, SMALL), place)
    return place


def fails_in_copying(source: Any, target: Any) -> None:
    Path(target).write_bytes(b"half")
    raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))


def is_interrupted(*arguments: Any, **options: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("place", "fault", "kind"),
    [
        ("shutil.copyfile", fails_in_copying, OSError),
        ("shutil.copyfile", is_interrupted, KeyboardInterrupt),
        ("shutil.copytree", is_interrupted, KeyboardInterrupt),
        ("import_models.move", is_interrupted, KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_save_that_fails_leaves_the_store_as_it_was(
    request: pytest.FixtureRequest,
    home: Path,
    hand: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    fault: Callable[..., None],
    kind: type[BaseException],
    before: bool,
) -> None:
    if before:
        request.getfixturevalue("saved")
    contents = tree(home)
    monkeypatch.setattr(place, fault)
    with pytest.raises(kind):
        import_models.main(["--recognition", BY_HAND, "--force", "--from", str(hand)])
    assert tree(home) == contents
    assert in_store(home) == ([SMALL.tag] if before else [])
    if before:
        assert Recogniser(model_folder(home, SMALL)).charset


def tree(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()
    }


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("moves", [0, 1, 2])
def test_an_interrupt_between_any_two_moves_leaves_a_whole_model(
    saved: Path, home: Path, hand: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    rename, left = Path.rename, [moves]

    def counted(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == -1:
            raise KeyboardInterrupt
        return rename(path, target)

    old = (saved / NETWORK).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted)
        if moves < 2:  # the old one aside, the new one to its place
            with pytest.raises(KeyboardInterrupt):
                import_models.main(["--recognition", BY_HAND, "--force", "--from", str(hand)])
        else:
            import_models.main(["--recognition", BY_HAND, "--force", "--from", str(hand)])
    assert in_store(home) == [SMALL.tag]
    assert ((saved / NETWORK).read_bytes() == old) == (moves < 2)


def test_a_failed_import_leaves_the_model_that_is_there(
    saved: Path, home: Path, copied: Folder
) -> None:
    contents = tree(home)
    folder = copied(BY_HAND)
    publishing.cut_off(folder / CHECKPOINT)
    arguments = ["--recognition", BY_HAND, "--from", str(folder)]
    assert import_models.main([*arguments, "--force"]) == 1
    assert tree(home) == contents
    assert Recogniser(saved).charset


KILLED = """
import shutil, sys, time
import import_models
from ocr import conversion

def convert(entry, published, folder):
    (folder / "model.json").write_text("new")
    (folder / "network.onnx").write_text("new")

def copyfile(source, target):
    copy(source, target)
    print("half", flush=True)
    time.sleep(60)

copy, conversion.convert, shutil.copyfile = shutil.copyfile, convert, copyfile
import_models.main(sys.argv[1:])
"""


def test_a_process_that_is_killed_leaves_the_model_that_is_there(
    saved: Path, home: Path, hand: Path
) -> None:
    contents = tree(home)
    arguments = ["--recognition", BY_HAND, "--force", "--from", str(hand)]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    kept = {name: data for name, data in tree(home).items() if not name.startswith(".importing-")}
    assert kept == contents
    assert Recogniser(saved).charset


@pytest.mark.usefixtures("quick")
def test_half_a_model_in_the_store_is_none_and_is_replaced(home: Path, hand: Path) -> None:
    """As earlier versions could leave it."""
    half = model_folder(home, SMALL)
    half.mkdir(parents=True)
    (half / NETWORK).write_text("half", "utf-8")
    assert not import_models.stored(SMALL)
    assert import_models.main(["--recognition", BY_HAND, "--from", str(hand)]) == 0
    assert import_models.stored(SMALL)
    assert in_store(home) == [SMALL.tag]
    assert (half / NETWORK).read_text("utf-8") != "half"


# Disks that are full: the kernel's device that has no room


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk")


def to_full_disk(source: Any, target: Any) -> None:
    real_copyfile(source, "/dev/full")


def tree_to_full_disk(source: Any, target: Any, **options: Any) -> None:
    real_copytree(source, target, copy_function=to_full_disk, **options)


real_copyfile, real_copytree = shutil.copyfile, shutil.copytree


@full
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("place", "fault"),
    [("shutil.copyfile", to_full_disk), ("shutil.copytree", tree_to_full_disk)],
)
def test_no_room_in_the_store_is_its_own_error(
    home: Path,
    hand: Path,
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    fault: Callable[..., None],
) -> None:
    contents = tree(home)
    monkeypatch.setattr(place, fault)
    arguments = ["--recognition", BY_HAND, "--force", "--from", str(hand)]
    assert import_models.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"import_models: DISK_FULL: no room for {SMALL.tag}")
    assert tree(home) == contents


@full
def test_no_room_for_the_network_is_its_own_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convert = conversion.convert

    def into_full_disk(entry: Entry, published: Published, folder: Path) -> None:
        (folder / NETWORK).symlink_to("/dev/full")
        convert(entry, published, folder)

    monkeypatch.setattr(conversion, "convert", into_full_disk)
    assert import_models.main(["--detection", PRESET.detection.name]) == 1
    assert "DISK_FULL: no room for ocr-detection:ppocr" in capsys.readouterr().err
    assert not in_store(home)


def test_no_room_for_the_weights_is_its_own_error(
    home: Path,
    published: Folder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """safetensors raises an error of its own, that is no OSError, and says it so."""
    from safetensors import SafetensorError

    def write(*arguments: object) -> None:
        reason = f"{os.strerror(errno.ENOSPC)} (os error {errno.ENOSPC})"
        raise SafetensorError(f"Error while serializing: I/O error: {reason}")

    monkeypatch.setattr("ocr.networks.weights.write", write)
    folder = published(BY_HAND)
    assert import_models.main(["--recognition", BY_HAND, "--from", str(folder)]) == 1
    assert f"DISK_FULL: no room for {SMALL.tag}" in capsys.readouterr().err
    assert not in_store(home)


def test_other_errors_are_not_taken_for_a_full_disk() -> None:
    assert not import_models.disk_is_full(OSError(errno.EACCES, os.strerror(errno.EACCES), "x"))
    assert not import_models.disk_is_full(ModelDamaged("cut off"))


# Files that are not what they should be


def corrupt(folder: Path) -> None:
    publishing.flip(folder / CHECKPOINT)


def truncate(folder: Path) -> None:
    publishing.cut_off(folder / CHECKPOINT)


def a_page(folder: Path) -> None:
    (folder / CHECKPOINT).write_bytes(b"<!DOCTYPE html><html>404</html>")


def a_pointer(folder: Path) -> None:
    (folder / CHECKPOINT).write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")


def of_tensorflow(folder: Path) -> None:
    prefix = folder / "checkpoint-80000"
    tensorflow_checkpoint.write(prefix, tensorflow_checkpoint.training({}))
    tensorflow_checkpoint.index_file(prefix).rename(folder / CHECKPOINT)


def of_another_network(folder: Path) -> None:
    publishing.save(publishing.checkpoint(known(BY_HUB)), folder)


def without_tensor(folder: Path) -> None:
    publishing.alter(folder, lambda tensors: tensors.pop("head.bias"))


def with_another_tensor(folder: Path) -> None:
    publishing.alter(folder, lambda tensors: tensors.update({"head.x": tensors["head.bias"]}))


def with_a_shorter_tensor(folder: Path) -> None:
    publishing.alter(
        folder, lambda tensors: tensors.update({"head.bias": tensors["head.bias"][1:]})
    )


def with_no_number(folder: Path) -> None:
    publishing.alter(folder, lambda tensors: tensors["head.bias"].fill_(float("nan")))


def with_another_line(folder: Path) -> None:
    with (folder / VOCABULARY).open("a", encoding="utf-8") as file:
        file.write("终\n")


def without_a_line(folder: Path) -> None:
    text = (folder / VOCABULARY).read_text("utf-8")
    (folder / VOCABULARY).write_text(text[:-2], "utf-8", newline="\n")


def not_utf8(folder: Path) -> None:
    text = (folder / VOCABULARY).read_text("utf-8")
    (folder / VOCABULARY).write_bytes(text.encode("gb18030"))


def configuration_of_another(folder: Path) -> None:
    other = publishing.configuration(hub_model(known("crnn-general")))
    publishing.write_configuration(folder, other)


def configuration_that_is_none(folder: Path) -> None:
    (folder / CONFIGURATION).write_text("framework: pytorch\n", "utf-8")


def no_configuration(folder: Path) -> None:
    (folder / CONFIGURATION).unlink()


def no_checkpoint(folder: Path) -> None:
    (folder / CHECKPOINT).unlink()


FAULTS: list[Fault] = [
    (corrupt, "MODEL_DAMAGED", [CHECKPOINT]),
    (truncate, "MODEL_DAMAGED", [CHECKPOINT]),
    (a_page, "MODEL_DAMAGED", [CHECKPOINT]),
    (a_pointer, "MODEL_DAMAGED", [CHECKPOINT]),
    (of_tensorflow, "MODEL_DAMAGED", [CHECKPOINT]),
    (of_another_network, "MODEL_DAMAGED", ["lacks", "head.bias"]),
    (without_tensor, "MODEL_DAMAGED", ["lacks", "head.bias"]),
    (with_another_tensor, "MODEL_DAMAGED", ["another network", "head.x"]),
    (with_a_shorter_tensor, "MODEL_DAMAGED", ["head.bias", "7643", "7644"]),
    (with_no_number, "MODEL_DAMAGED", ["head.bias", "not finite"]),
    (with_another_line, "MODEL_DAMAGED", [VOCABULARY, "7643", "7642"]),
    (without_a_line, "MODEL_DAMAGED", [VOCABULARY, "7641", "7642"]),
    (not_utf8, "MODEL_DAMAGED", [VOCABULARY, "UTF-8"]),
    (configuration_of_another, "MODEL_DAMAGED", [CONFIGURATION, "model.recognizer is 'CRNN'"]),
    (configuration_that_is_none, "MODEL_DAMAGED", [CONFIGURATION, "no JSON"]),
    (no_configuration, "MODEL_MISSING", [CONFIGURATION, SMALL.tag]),
    (no_checkpoint, "MODEL_MISSING", [CHECKPOINT, SMALL.tag]),
]


@pytest.mark.parametrize(
    ("spoil", "code", "parts"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS]
)
def test_files_that_are_not_the_models_are_refused(
    home: Path,
    copied: Folder,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    code: str,
    parts: list[str],
) -> None:
    folder = copied(BY_HAND)
    spoil(folder)
    refused(["--recognition", BY_HAND, "--from", str(folder)], code, parts, capsys)
    assert not in_store(home)


def refused(
    arguments: list[str], code: str, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_models.main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()[-1]  # before it there may be bars of progress
    assert last.startswith(f"import_models: {code}: ")
    assert [part for part in parts if part not in last] == []


def shard_cut_off(folder: Path) -> None:
    publishing.cut_off(folder / f"{TENSORFLOW}.data-00001-of-00003")


def shard_altered(folder: Path) -> None:
    path = folder / f"{TENSORFLOW}.data-00000-of-00003"
    path.write_bytes(path.read_bytes()[::-1])


def shard_gone(folder: Path) -> None:
    (folder / f"{TENSORFLOW}.data-00002-of-00003").unlink()


def no_shards(folder: Path) -> None:
    for path in (folder / TENSORFLOW).parent.glob("*.data-*"):
        path.unlink()


def index_altered(folder: Path) -> None:
    publishing.flip(folder / f"{TENSORFLOW}.index")


def index_of_torch(folder: Path) -> None:
    publishing.save(publishing.checkpoint(known(BY_HUB)), folder)
    (folder / CHECKPOINT).rename(folder / f"{TENSORFLOW}.index")


def configuration_of_a_dbnet(folder: Path) -> None:
    publishing.write_configuration(folder, publishing.configuration(hub_model(known(BY_HUB))))


TENSORFLOW_FAULTS: list[Fault] = [
    (shard_cut_off, "MODEL_DAMAGED", ["data-00001-of-00003", "cut off"]),
    (shard_altered, "MODEL_DAMAGED", ["data-00000-of-00003", "altered"]),
    (shard_gone, "MODEL_MISSING", ["data-00002-of-00003"]),
    (no_shards, "MODEL_MISSING", ["checkpoint-80000.data-"]),
    (index_altered, "MODEL_DAMAGED", ["checkpoint-80000.index"]),
    (index_of_torch, "MODEL_DAMAGED", ["checkpoint-80000.index"]),
    (configuration_of_a_dbnet, "MODEL_DAMAGED", [CONFIGURATION, "expected None"]),
]


@pytest.mark.parametrize(
    ("spoil", "code", "parts"),
    TENSORFLOW_FAULTS,
    ids=[fault.__name__ for fault, *_ in TENSORFLOW_FAULTS],
)
def test_a_tensorflow_checkpoint_that_is_not_whole_is_refused(
    home: Path,
    copied: Folder,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    code: str,
    parts: list[str],
) -> None:
    folder = copied(SEGLINK.name)
    spoil(folder)
    refused(["--detection", SEGLINK.name, "--from", str(folder)], code, parts, capsys)
    assert not in_store(home)


# A hub that does not do what it should


@pytest.fixture
def served(hand: Path, hub_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = hand / MODEL
    (folder / CHECKPOINT).write_bytes(b"0123456789abcdef" * 20_000)
    with hub({MODEL: folder}) as served:
        served.revisions.add(hub_model(SMALL).revision)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", served.url)
        yield served


FROM_HUB = ["--recognition", BY_HAND]


@pytest.mark.usefixtures("quick")
def test_another_revision_is_fetched_and_noted(
    home: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([*FROM_HUB, "--revision", "v9"], "MODEL_MISSING", [f"{MODEL} at revision v9"], capsys)
    served.revisions.add("v9")
    assert import_models.main([*FROM_HUB, "--revision", "v9"]) == 0
    assert f"checked and saved ({MODEL} v9, Apache-2.0)" in capsys.readouterr().out
    assert facts(home, SMALL)["metadata"]["source"] == f"{MODEL} v9"


@pytest.mark.usefixtures("quick")
def test_the_revision_of_the_catalogue_is_fetched_and_noted(home: Path, served: Hub) -> None:
    assert import_models.main(FROM_HUB) == 0
    assert facts(home, SMALL)["metadata"]["source"] == f"{MODEL} v2.4.1"
    assert served.files_asked_for() == set(hub_model(SMALL).files)


def test_a_hub_that_cannot_be_reached_is_named(
    home: Path,
    hub_environment: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", endpoint)
        refused(FROM_HUB, "MODEL_UNREACHABLE", [endpoint, MODEL, "--from DIR"], capsys)
    assert not in_store(home)


def test_a_model_that_the_hub_no_longer_has_is_named(
    home: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    served.models.clear()
    refused(FROM_HUB, "MODEL_MISSING", [MODEL, served.url], capsys)
    assert not in_store(home)


@pytest.mark.usefixtures("quick")
def test_half_a_download_is_no_model_and_the_next_import_fetches_the_rest(
    home: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    served.cut_after[CHECKPOINT] = 16 * 1024
    refused(FROM_HUB, "MODEL_UNREACHABLE", [CHECKPOINT, MODEL], capsys)
    assert not in_store(home)
    served.cut_after.clear()
    served.requests.clear()
    assert import_models.main(FROM_HUB) == 0
    (span,) = served.asked_for(CHECKPOINT)
    assert span is not None and span != "bytes=0-"
    assert in_store(home) == [SMALL.tag]


def test_files_that_are_not_those_listed_are_named(
    home: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    served.sent[CHECKPOINT] = b"x" * 320_000
    refused(FROM_HUB, "MODEL_DAMAGED", [CHECKPOINT, MODEL], capsys)
    assert not in_store(home)


@full
def test_no_room_for_the_download_is_its_own_error(
    home: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fetch(MODEL, hub_model(SMALL).revision, [CONFIGURATION])
    half = first.files[CONFIGURATION].path.with_name(f"{CHECKPOINT}.incomplete")
    half.symlink_to("/dev/full")
    refused(FROM_HUB, "DISK_FULL", [CHECKPOINT, "320000 bytes"], capsys)
    assert not in_store(home)
