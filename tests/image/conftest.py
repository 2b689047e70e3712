"""An engine, an image made with `make image`, and containers of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.image.engine import Engine, started
from tests.service.served import Served

NAME = "ocr-service-under-test"
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
READY_S = 60.0


@dataclass(frozen=True)
class Image:
    """An image, and the engine that has it."""

    engine: Engine
    name: str

    def inspect(self) -> dict[str, Any]:
        (facts,) = json.loads(self.engine.docker("image", "inspect", self.name).stdout)
        assert isinstance(facts, dict)
        return facts


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    engine: Engine
    id: str

    def inspect(self) -> dict[str, Any]:
        (facts,) = json.loads(self.engine.docker("inspect", self.id).stdout)
        assert isinstance(facts, dict)
        return facts

    def run(self, *command: str, said: str | None = None) -> str:
        """Run a command in it; gives what it prints."""
        return self.engine.docker("exec", "-i", self.id, *command, said=said).stdout

    def python(self, script: str, said: str | None = None) -> str:
        return self.run("python", "-c", script, said=said)

    @property
    def url(self) -> str:
        where = self.engine.docker("port", self.id, "9533/tcp").stdout.splitlines()[0]
        return f"http://{where}"

    @property
    def served(self) -> Served:
        return Served(self.url, self.inspect()["State"]["Pid"])

    def wait_until_ready(self) -> None:
        end = time.monotonic() + READY_S
        while not ready(self.url):
            running = self.inspect()["State"]["Running"]
            assert running and time.monotonic() < end, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        done = self.engine.docker("logs", self.id)
        return done.stdout + done.stderr


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:  # nobody listens yet
        return False


@contextmanager
def running(image: Image, *options: str) -> Iterator[Container]:
    """A container as hardened as compose and Kubernetes make it; it is removed in the end."""
    done = image.engine.docker("run", "--detach", *HARDENED, *options, image.name)
    container = Container(image.engine, done.stdout.strip())
    try:
        yield container
    finally:
        image.engine.docker("rm", "--force", "--volumes", container.id)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with started() as engine:
        yield engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> Image:
    """The CPU image with the embedded models, made as a user makes it."""
    options = [f"IMAGE={NAME}", "TAG=latest-cpu", f"OPTIONS={engine.build_options}"]
    done = engine.run("make", "image", *options, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return Image(engine, f"{NAME}:latest-cpu")


@pytest.fixture
def container(image: Image) -> Iterator[Container]:
    with running(image, "--publish=127.0.0.1::9533") as container:
        container.wait_until_ready()
        yield container
