"""A running service that things happen to, one after the other."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clients import wait_until_whole
from tests.service.served import Served, serve

DISK_MB = 24


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own where one may be made, else a folder."""
    folder = tmp_path_factory.mktemp("disk")
    made = os.getuid() == 0 and shutil.which("mount") is not None and _mount(folder)
    yield folder
    if made:
        subprocess.run(["umount", "-l", folder], check=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def running(store: Path, disk: Path) -> Iterator[Served]:
    """As in a container, where BentoML by itself would end with the first process that dies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_CONTAINERIZED", "1")
        made = serve(
            store,
            jobs=f"{disk}/jobs.sqlite",
            allow_private_urls="1",
            url_timeout_s="2",
            upload_timeout_s="3",
            timeout_s="30",
            max_image_bytes="4000000",
        )
        with made as service:
            yield service


@pytest.fixture
def whole(running: Served) -> Served:
    """The service, when what the last test did to it is over."""
    wait_until_whole(running)
    return running
