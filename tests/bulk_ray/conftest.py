"""What tests of the bulk job share: how to call it, and a Ray that is there already."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bulk_ray.calls import Bulk
from tests.bulk_ray.machines import Machines, machines


@pytest.fixture(scope="session")
def environment(store: Path) -> Iterator[dict[str, str]]:
    """That of a user who has set nothing but the models' store; and Ray's own folder and token.

    The folder's name has to be short: there are sockets in it.
    """
    folder = tempfile.mkdtemp(prefix="ray-")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OCR_", "RAY_", "AWS_"))
    }
    yield kept | {
        "BENTOML_HOME": str(store),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": folder,
    }
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def call_in(environment: dict[str, str]) -> Callable[[Path], Bulk]:
    """Gives bulk.py as it is called in a folder."""
    return lambda folder: Bulk(folder, environment)


@pytest.fixture
def bulk(call_in: Callable[[Path], Bulk], tmp_path: Path) -> Bulk:
    return call_in(tmp_path)


@pytest.fixture(scope="session")
def cluster_of_one(environment: dict[str, str]) -> Iterator[Machines]:
    """A Ray that is there already: calls need not start one."""
    with machines(1, environment) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def one_machine(cluster_of_one: Machines) -> str:
    """Its address."""
    return cluster_of_one.address
