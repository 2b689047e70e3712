import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocr.errors import DiskFull, ModelDamaged, ModelError, ModelMissing, ModelUnreachable
from ocr.hub import PATIENCE, Fetched, fetch
from tests.conftest import ROOT
from tests.hub_server import LARGE, PIECE, Hub, hub

MODEL = "owner/reader"
BIG, SMALL, INNER = "weights.bin", "settings.json", "tables/words.txt"
NEEDED = [BIG, SMALL, INNER]


def content(length: int) -> bytes:
    """Bytes without a pattern, so that a piece in a wrong place shows."""
    return b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(length // 32 + 1))[
        :length
    ]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A model's folder as its owner sees it: three files that are needed and two that are not."""
    folder = tmp_path / "published"
    (folder / "tables").mkdir(parents=True)
    (folder / BIG).write_bytes(content(5 * LARGE))
    (folder / SMALL).write_text('{"classes": 3}', "utf-8")
    (folder / INNER).write_text("一二三", "utf-8")
    (folder / "README.md").write_text("# reader", "utf-8")
    (folder / "training.bin").write_bytes(content(2 * LARGE))
    return folder


@pytest.fixture
def served(
    published: Path, hub_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    with hub({MODEL: published}) as served:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", served.url)
        yield served


def get(folder: Path | None = None, files: list[str] | None = None) -> Fetched:
    return fetch(MODEL, "master", NEEDED if files is None else files, folder)


def intact(fetched: Fetched, published: Path) -> bool:
    """Whether every needed file is there as it was published."""
    return [file.path.read_bytes() for file in fetched.files.values()] == [
        (published / name).read_bytes() for name in NEEDED
    ]


def test_the_needed_files_come_and_no_others(served: Hub, published: Path) -> None:
    fetched = get()
    assert (fetched.endpoint, fetched.model_id, fetched.revision) == (served.url, MODEL, "master")
    assert list(fetched.files) == NEEDED
    assert intact(fetched, published)
    for name, file in fetched.files.items():
        data = (published / name).read_bytes()
        assert file.size == len(data)
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.commit == served.commit
    assert served.files_asked_for() == set(NEEDED)


def test_files_go_to_the_cache_of_the_environment_or_to_the_folder_named(
    served: Hub, tmp_path: Path
) -> None:
    assert get().files[BIG].path.is_relative_to(tmp_path / "cache")
    assert get(tmp_path / "mine").files[BIG].path.is_relative_to(tmp_path / "mine")


def test_what_is_there_is_not_fetched_again(served: Hub) -> None:
    first = get()
    served.requests.clear()
    assert get() == first
    listing = f"/api/v1/models/{MODEL}/repo/files"
    assert {request.path for request in served.requests} == {listing}


def test_the_older_name_of_the_endpoint_works_and_says_nothing(
    served: Hub, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.delenv("MODELSCOPE_ENDPOINT")
    monkeypatch.setenv("MODELSCOPE_DOMAIN", served.url)
    assert get().endpoint == served.url
    assert not list(recwarn)


@pytest.mark.parametrize("revision", ["v1.0", "a" * 40])
def test_a_tag_and_a_commit_are_fetched_apart(served: Hub, revision: str) -> None:
    served.revisions.add(revision)
    fetched = fetch(MODEL, revision, [SMALL])
    assert fetched.files[SMALL].path != get(files=[SMALL]).files[SMALL].path


def test_a_cut_connection_is_taken_up_within_a_call(served: Hub, published: Path) -> None:
    served.cut_after[BIG], served.cuts = 3 * PIECE, 2
    assert intact(get(), published)
    assert served.asked_for(BIG) == [None, f"bytes={3 * PIECE}-", f"bytes={6 * PIECE}-"]


def test_a_download_that_failed_is_taken_up_by_the_next_call(served: Hub, published: Path) -> None:
    served.cut_after[BIG] = PIECE
    with pytest.raises(ModelUnreachable, match="goes on where this ended") as raised:
        get()
    assert BIG in raised.value.message
    assert served.url in raised.value.message
    arrived = len(served.asked_for(BIG)) * PIECE
    served.cut_after.clear()
    served.requests.clear()
    assert intact(get(), published)
    assert served.asked_for(BIG) == [f"bytes={arrived}-"]


def test_a_process_that_was_killed_is_taken_up_by_another(
    served: Hub, published: Path, tmp_path: Path
) -> None:
    served.pause_s = 0.2
    call = f"from ocr.hub import fetch; fetch({MODEL!r}, 'master', [{BIG!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", call], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: any(path.stat().st_size for path in tmp_path.rglob(f"{BIG}.incomplete")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    served.pause_s = 0
    served.requests.clear()
    assert intact(get(), published)
    (span,) = served.asked_for(BIG)
    assert span is not None and 0 < int(span.removeprefix("bytes=").removesuffix("-")) < 5 * LARGE


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_a_damaged_half_is_found_out_and_fetched_anew(served: Hub, published: Path) -> None:
    served.cut_after[BIG] = PIECE
    with pytest.raises(ModelUnreachable):
        get()
    served.cut_after.clear()
    (half,) = Path(os.environ["MODELSCOPE_CACHE"]).rglob("*.incomplete")
    half.write_bytes(b"x" * half.stat().st_size)
    assert intact(get(), published)


def test_a_file_altered_in_the_cache_is_fetched_anew(served: Hub, published: Path) -> None:
    path = get().files[BIG].path
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert intact(get(), published)


def test_the_call_after_wrong_bytes_fetches_anew(served: Hub, published: Path) -> None:
    served.sent[BIG] = b"x" * 5 * LARGE
    with pytest.raises(ModelDamaged, match=BIG):
        get()
    served.sent.clear()
    served.requests.clear()
    assert intact(get(), published)
    assert served.asked_for(BIG) == [None]


@pytest.mark.parametrize("name", [BIG, SMALL])
def test_wrong_bytes_are_named_with_what_was_listed_and_are_not_kept(
    served: Hub, published: Path, tmp_path: Path, name: str
) -> None:
    good = (published / name).read_bytes()
    bad = b"x" * len(good)
    served.sent[name] = bad
    with pytest.raises(ModelDamaged) as raised:
        get()
    for part in (name, MODEL, str(len(good)), hashlib.sha256(good).hexdigest()):
        assert part in raised.value.message
    assert hashlib.sha256(bad).hexdigest()[:16] in raised.value.message
    assert not list((tmp_path / "cache").rglob(f"{name}*"))


@pytest.mark.parametrize(
    "listed", [{"Sha256": "0" * 64}, {"Size": 7}, {"Size": 10**9}], ids=["digest", "short", "long"]
)
@pytest.mark.parametrize("name", [BIG, SMALL])
def test_a_file_that_is_not_the_listed_one_is_damaged(
    served: Hub, name: str, listed: dict[str, object], tmp_path: Path
) -> None:
    served.listed[name] = listed
    with pytest.raises(ModelDamaged) as raised:
        get()
    assert name in raised.value.message
    assert str(next(iter(listed.values()))) in raised.value.message
    assert not list((tmp_path / "cache").rglob(f"{name}*"))


def test_files_are_checked_even_if_the_library_trusts_its_cache(
    served: Hub, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = get().files[BIG].path
    path.write_bytes(b"x" * 9)
    with monkeypatch.context() as trusting:
        trusting.setattr("modelscope_hub._download.DownloadManager._cache_hit", trust)
        with pytest.raises(ModelDamaged) as raised:
            get()
    expected = hashlib.sha256((published / BIG).read_bytes()).hexdigest()
    found = hashlib.sha256(b"x" * 9).hexdigest()
    for part in (str(path), "9 bytes", str(5 * LARGE), expected, found):
        assert part in raised.value.message
    assert not path.exists()
    assert intact(get(), published)


def trust(*arguments: object, **options: object) -> bool:
    return True


def test_a_listing_without_digests_leaves_the_size_to_check(served: Hub) -> None:
    served.listed[SMALL] = {"Sha256": "", "Revision": ""}
    file = get().files[SMALL]
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert file.commit is None


def test_a_model_that_is_gone_is_named(served: Hub) -> None:
    served.models.clear()
    with pytest.raises(ModelMissing, match=f"{MODEL} at revision master") as raised:
        get()
    assert served.url in raised.value.message
    assert "record not found" in raised.value.message


@pytest.mark.parametrize("quiet", [False, True])
def test_an_unknown_revision_is_named(served: Hub, quiet: bool) -> None:
    served.quiet_about_revisions = quiet
    with pytest.raises(ModelMissing, match=f"{MODEL} at revision v9"):
        fetch(MODEL, "v9", NEEDED)


def test_a_file_that_is_not_listed_is_named_and_nothing_is_fetched(served: Hub) -> None:
    with pytest.raises(ModelMissing, match=r"no none\.bin, tables at"):
        get(files=[SMALL, "none.bin", "tables"])
    assert not served.files_asked_for()


def test_a_file_that_is_listed_but_gone_is_named(served: Hub) -> None:
    served.lost.add(INNER)
    with pytest.raises(ModelMissing, match=f"{INNER} of {MODEL}"):
        get()


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_hub_that_fails_is_unreachable(served: Hub, status: int) -> None:
    served.status = status
    with pytest.raises(ModelUnreachable, match=f"{served.url}: HTTP {status}"):
        get()


def test_a_hub_that_fails_between_files_keeps_what_came(served: Hub, published: Path) -> None:
    served.lost.add(SMALL)
    with pytest.raises(ModelMissing):
        get()
    served.lost.clear()
    assert intact(get(), published)
    assert served.asked_for(BIG) == [None]


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"[]", b"{}", b'{"Data": [1]}'])
def test_a_host_that_is_no_hub_is_an_error_of_this_project(served: Hub, body: bytes) -> None:
    served.body = body
    with pytest.raises((ModelUnreachable, ModelMissing), match=served.url):
        get()


def test_a_hub_that_is_silent_is_unreachable(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelscope_hub._legacy_api.REPO_TREE_PAGE_TIMEOUT_SECONDS", 0.2)
    served.silence_s = 1
    with pytest.raises(ModelUnreachable, match="no answer in time"):
        get()


def test_a_download_that_stands_still_is_unreachable(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelscope_hub._legacy_api.DOWNLOAD_TIMEOUT", 0.2)
    served.pause_s = 2
    with pytest.raises(ModelUnreachable, match=BIG):
        get()


def test_a_hub_that_is_not_there_is_unreachable_and_the_way_without_it_is_named(
    hub_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", endpoint)
        with pytest.raises(ModelUnreachable, match="Connection refused") as raised:
            get()
    assert endpoint in raised.value.message
    assert "--from DIR" in raised.value.message


@pytest.mark.parametrize("endpoint", ["http://hub.invalid", "http://[", "ftp://hub", "///"])
def test_an_endpoint_that_is_no_host_is_unreachable(
    hub_environment: None, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown_name)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", endpoint)
    with pytest.raises(ModelUnreachable):
        get()


def unknown_name(*arguments: object, **options: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_is_its_own_error(served: Hub, published: Path) -> None:
    """The half file is the kernel's device that has no room, so the write itself fails."""
    half = get(files=[SMALL]).files[SMALL].path.with_name(f"{BIG}.incomplete")
    half.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="No space left") as raised:
        get()
    for part in (os.environ["MODELSCOPE_CACHE"], BIG, str(5 * LARGE)):
        assert part in raised.value.message
    assert len(served.asked_for(BIG)) == 1
    half.unlink()
    assert intact(get(), published)


def test_a_folder_that_cannot_be_one_is_named(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", "utf-8")
    with pytest.raises(ModelError, match="taken") as raised:
        get(tmp_path / "taken")
    assert not isinstance(raised.value, ModelUnreachable)


def test_two_processes_at_once_share_one_download(served: Hub, tmp_path: Path) -> None:
    call = f"from ocr.hub import fetch; fetch({MODEL!r}, 'master', {NEEDED!r})"
    processes = [subprocess.Popen([sys.executable, "-c", call], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert served.asked_for(BIG) == [None]


def test_the_library_is_patient_enough_and_quiet(served: Hub) -> None:
    script = f"""
import sys
from ocr.hub import fetch
assert "modelscope_hub" not in sys.modules
fetch({MODEL!r}, "master", {NEEDED!r})
from ocr.errors import ModelMissing
try:
    fetch({MODEL!r}, "v9", [])
except ModelMissing:
    pass
loaded = {{"tensorflow", "transformers"}} & set(sys.modules)
assert not loaded, loaded
from modelscope_hub import constants
listing = constants.REPO_TREE_PAGE_TIMEOUT_SECONDS * constants.REPO_TREE_PAGE_MAX_ATTEMPTS
assert listing <= 60, listing
assert constants.DOWNLOAD_TIMEOUT * (constants.DOWNLOAD_RETRY_TIMES + 1) <= 90
"""
    ours = {*PATIENCE, "TQDM_DISABLE"}
    unset = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=unset,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
