"""The image serves as a plain user without a network, and ends as it should."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ocr import __version__
from tests import pictures
from tests.image.conftest import Container, Image, running
from tests.service.test_shutdown import CLIENTS, IMAGES, wait_until_all_are_in_work

pytestmark = pytest.mark.image

SIZE = 1.5e9  # bytes, unpacked
READY_S = 15.0
PICTURE = pictures.to_base64(pictures.to_png(pictures.label("Hello 2026", size=28).image))
POST = """
import sys, urllib.request as web
print(web.urlopen("http://127.0.0.1:9533/ocr_system", sys.stdin.buffer.read()).read().decode())
"""
WAIT = """
import time, urllib.request as web
end = time.monotonic() + 60
while True:
    try:
        web.urlopen("http://127.0.0.1:9533/readyz")
        break
    except OSError:
        assert time.monotonic() < end
        time.sleep(0.2)
"""
STATUS = """
import os
for entry in os.scandir("/proc"):
    if entry.name.isdigit():
        print(open(f"/proc/{entry.name}/status").read())
"""

KILL = f"""
import glob, os
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if b"--service-name\\0Detection\\0" in open(path, "rb").read():
        os.kill(int(path.split("/")[2]), {signal.SIGKILL:d})
"""


def test_it_is_small_and_says_what_it_is(image: Image) -> None:
    facts = image.inspect()
    print(f"size {facts['Size'] / 1e6:.0f} MB")
    assert facts["Size"] < SIZE
    assert facts["Config"]["User"] == "bentoml"
    assert facts["Config"]["Labels"]["org.opencontainers.image.version"] == __version__


def test_it_has_the_service_and_nothing_of_its_development(image: Image) -> None:
    script = "ls src models models/*; command -v cc gcc git curl; true"
    done = image.engine.docker("run", "--rm", "--network=none", image.name, "sh", "-c", script)
    models = ["latest", "ppocr-v6-small"]  # "latest" is a file of the store's
    assert done.stdout.split() == [
        *("models:", "ocr-detection", "ocr-recognition"),
        *("models/ocr-detection:", *models, "models/ocr-recognition:", *models),
        *("src:", "bentofile.yaml", "ocr", "runners", "service.py", "web"),
    ]


def test_it_is_ready_soon_and_reads(image: Image) -> None:
    start = time.monotonic()
    with running(image, "--publish=127.0.0.1::9533") as container:
        container.wait_until_ready()
        seconds = time.monotonic() - start
        print(f"ready after {seconds:.1f} s")
        assert seconds < READY_S
        assert container.served.texts(PICTURE) == ["Hello 2026"]
        assert container.served.get("/health/inference").status_code == 200
        assert container.served.get("/docs").status_code == 200


def test_all_its_processes_are_a_plain_user_s(container: Container) -> None:
    processes = container.python(STATUS).strip().split("\n\n")
    facts = [dict(line.split(":\t", 1) for line in each.splitlines()) for each in processes]
    assert len(facts) > 3  # the server, its front, two runners
    for process in facts:
        assert set(process["Uid"].split()) == {"1034"}
        assert set(process["Gid"].split()) == {"1034"}
        assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
        assert process["NoNewPrivs"] == "1"


def test_it_needs_no_network(image: Image) -> None:
    with running(image, "--network=none") as container:
        container.python(WAIT)
        answer = json.loads(container.python(POST, said=json.dumps({"images": [PICTURE]})))
    assert [line["text"] for line in answer["results"][0]] == ["Hello 2026"]


def test_it_listens_on_one_port_only(container: Container) -> None:
    """Not on loopback either: calls to the runners are pickle, nobody else may make them."""
    table = container.run("cat", "/proc/net/tcp", "/proc/net/tcp6")
    fields = [line.split() for line in table.splitlines() if " 0A " in line]  # that listen
    assert [int(each[1].split(":")[1], 16) for each in fields] == [9533]


def test_told_to_end_it_answers_what_is_in_work(container: Container) -> None:
    served = container.served
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [clients.submit(served.read, *IMAGES) for _ in range(CLIENTS)]
        wait_until_all_are_in_work(served)
        container.engine.docker("stop", "--time=120", container.id)
        statuses = [answer.result().status_code for answer in answers]
    assert statuses == [200] * CLIENTS
    state = container.inspect()["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), container.logs()


def test_a_process_of_it_that_dies_is_replaced(container: Container) -> None:
    before = container.inspect()["State"]["StartedAt"]
    container.python(KILL)
    assert container.served.texts(PICTURE) == ["Hello 2026"]  # who waits for it has its answer
    container.wait_until_ready()
    state = container.inspect()["State"]
    assert (state["Running"], state["StartedAt"]) == (True, before), container.logs()
    assert "another one is started" in container.logs()


def test_models_that_it_has_not_are_named(image: Image) -> None:
    arguments = ("run", "--rm", "--network=none", "--env=OCR_PRESET=modelscope", image.name)
    done = image.engine.docker(*arguments, check=False, timeout=60)
    assert done.returncode != 0
    assert "MODEL_MISSING: ocr-detection:seglink-line" in done.stdout + done.stderr
