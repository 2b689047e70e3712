"""docker-compose.yml starts the image, hardened, watched and started again."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import serving

from tests.conftest import ROOT
from tests.image.conftest import Image
from tests.image.engine import Engine
from tests.image.test_image import PICTURE
from tests.service.served import Served
from tests.service.test_jobs import ended, submit, wait

pytestmark = pytest.mark.image

FILE = ROOT / "docker-compose.yml"
NOTICE = ROOT / "examples" / "notice.jpg"


def _config(engine: Engine, profile: str, **variables: str) -> dict[str, Any]:
    chosen = Engine({**engine.environment, **variables})
    done = chosen.docker("compose", "--profile", profile, "config", "--format", "json")
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    (service,) = services.values()
    assert isinstance(service, dict)
    return service


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_profile_is_valid_and_hardened(engine: Engine, profile: str) -> None:
    service = _config(engine, profile)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "1034:1034"
    assert service["ports"][0]["published"] == "9533"
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_one_gpu_is_asked_for_unless_more_are_named(engine: Engine) -> None:
    for variables, count in (({}, 1), ({"OCR_GPUS": "2"}, 2)):
        service = _config(engine, "gpu", **variables)
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["count"]) == ("nvidia", count)
    assert "deploy" not in _config(engine, "cpu")


def test_plain_up_starts_the_cpu_profile(engine: Engine) -> None:
    assert engine.docker("compose", "config", "--services").stdout.split() == ["cpu"]


def test_a_typo_is_refused(engine: Engine, tmp_path: Path) -> None:
    text = FILE.read_text()
    misspelt = tmp_path / "docker-compose.yml"
    misspelt.write_text(text.replace("restart:", "restrat:"))
    arguments = ("compose", "--file", str(misspelt), "--profile", "cpu", "config", "--quiet")
    done = engine.docker(*arguments, check=False)
    assert done.returncode != 0
    assert "restrat" in done.stderr


@pytest.fixture
def composed(image: Image) -> Iterator[tuple[Engine, Served]]:
    """`docker compose up --wait` with the image under test."""
    port = serving.free_port()
    name, _, _ = image.name.rpartition(":")
    environment = {
        **image.engine.environment,
        "COMPOSE_PROJECT_NAME": "ocr-service-under-test",
        "OCR_IMAGE": name,
        "OCR_VERSION": "latest",
        "OCR_BIND": "127.0.0.1",
        "OCR_PORT": str(port),
    }
    engine = Engine(environment)
    compose = ("compose", "--profile", "cpu")
    try:
        engine.docker(*compose, "up", "--detach", "--wait", "--wait-timeout", "120")
        yield engine, Served(f"http://127.0.0.1:{port}", 0)
    finally:
        engine.docker(*compose, "down", "--volumes", "--timeout", "30")


def test_up_waits_until_it_reads(composed: tuple[Engine, Served]) -> None:
    engine, served = composed
    assert served.texts(PICTURE) == ["Hello 2026"]
    done = engine.docker("compose", "--profile", "cpu", "ps", "--format", "json")
    assert json.loads(done.stdout)["Health"] == "healthy"


def test_jobs_are_kept_in_the_volume_over_a_restart(composed: tuple[Engine, Served]) -> None:
    """Nothing but the volume can be written to: the container is read-only."""
    engine, served = composed
    picture = base64.b64decode(PICTURE)
    place = submit(served, ("hello.png", picture), format="pdf")
    assert ended(served, place)["state"] == "done"
    engine.docker("compose", "--profile", "cpu", "restart")
    wait(lambda: _takes_jobs(served))
    assert served.get(f"{place}/result").content.startswith(b"%PDF")


def _takes_jobs(served: Served) -> bool:
    try:
        return served.get("/capabilities").json().get("jobs") is True
    except httpx.HTTPError:  # it is not up again yet
        return False


def test_the_image_has_a_font_for_chinese(composed: tuple[Engine, Served]) -> None:
    answer = composed[1].upload(("notice.jpg", NOTICE.read_bytes()), format="png")
    assert answer.headers["content-type"] == "image/png"
