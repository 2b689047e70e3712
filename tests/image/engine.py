"""A container engine to test with: the machine's own, or one that the tests start."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

BASE = "python:3.11-slim"
CACHE = ROOT / ".cache" / "image"  # where ./install puts things
DAEMON = Path("/usr/sbin/dockerd")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Engine:
    """A Docker that answers: the environment to call it in, and what `make image` needs for it."""

    environment: Mapping[str, str]
    build_options: str = ""

    def docker(
        self, *arguments: str, check: bool = True, said: str | None = None, timeout: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run a docker command; `said` goes to its standard input."""
        done = self.run("docker", *arguments, said=said, timeout=timeout)
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def run(
        self, *command: str, said: str | None = None, timeout: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )


@contextmanager
def started() -> Iterator[Engine]:
    """The machine's engine if it answers, else one that lives as long as the context.

    Skips the test that asks where there is neither.
    """
    machines = Engine(dict(os.environ))
    if answers(machines):
        yield machines
    elif os.geteuid() != 0:
        pytest.skip("no container engine answers, and without root none can be started")
    elif not DAEMON.exists() or not (CACHE / "base.tar").exists():
        pytest.skip("no container engine answers, and tests/image/install has not got one ready")
    else:
        with _daemon() as engine:
            _import_base(engine)
            yield engine


def answers(engine: Engine) -> bool:
    try:
        return engine.run("docker", "compose", "ls", timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextmanager
def _daemon() -> Iterator[Engine]:
    """An engine that leaves the machine's network filters alone: its containers reach nothing."""
    bridge = Path("/sys/class/net/docker0")
    bridge_was_there = bridge.exists()
    with tempfile.TemporaryDirectory(prefix="ocr-engine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        socket = f"unix://{folder}/docker.sock"
        command = [str(DAEMON), "--host", socket, "--data-root", f"{folder}/data"]
        command += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/dockerd.pid"]
        command += ["--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        command += ["--storage-driver=overlay2", "--default-ulimit", "nofile=20000:20000"]
        environment = os.environ | {
            "PATH": f"/usr/bin:{os.environ['PATH']}",
            "DOCKER_HOST": socket,
            "DOCKER_CONFIG": str(CACHE / "docker"),
        }
        engine = Engine(environment, build_options="--opt network=host")
        with (folder / "log").open("w") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(engine, daemon, folder / "log")
            yield engine
        finally:
            daemon.terminate()
            daemon.wait(60)
            subprocess.run(["umount", folder / "exec/netns/default"], check=False)
            if not bridge_was_there and bridge.exists():
                subprocess.run(["ip", "link", "delete", bridge.name], check=False)


def _wait_for(engine: Engine, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while not answers(engine):
        assert daemon.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def _import_base(engine: Engine) -> None:
    """Give the stand-in the base image's name, and the way to this machine's package index."""
    variables = {"SSL_CERT_FILE": CERTIFICATES, "PIP_CERT": CERTIFICATES}
    index = engine.run("pip", "config", "get", "global.index-url").stdout.strip()
    if index:
        variables |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    changes = [f"--change=ENV {name}={value}" for name, value in variables.items()]
    engine.docker("import", *changes, str(CACHE / "base.tar"), BASE)
