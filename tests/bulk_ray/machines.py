"""A Ray cluster whose machines are all this one, in a process of its own.

Ray has been told by then, by the environment, what it asks for only once in a process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import serving
from ray.cluster_utils import Cluster

from tests.conftest import ROOT

CORES = 2  # of each machine
STORE_BYTES = 200_000_000
END_S = 60.0


@dataclass(frozen=True)
class Machines:
    """A running cluster: its address, that for Ray's client, and the process that is each machine's
    Ray, its head's first.
    """

    address: str
    client: str
    raylets: tuple[int, ...]
    process: subprocess.Popen[str]

    def titles(self, machine: int) -> list[str]:
        """What works on a machine, as Ray calls its processes."""
        raylet = psutil.Process(self.raylets[machine])
        return [title(each) for each in raylet.children()]

    def lose(self, machine: int) -> None:
        """Have a machine go, but not the head, without a word to the others; wait until it has."""
        assert machine and self.process.stdin
        raylet = psutil.Process(self.raylets[machine])
        print(machine, file=self.process.stdin, flush=True)
        raylet.wait(END_S)


def title(process: psutil.Process) -> str:
    """What a process is called now, which Ray changes as it works; nothing if it has gone."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def machines(count: int, environment: Mapping[str, str]) -> Iterator[Machines]:
    """A cluster of so many machines, for as long as the context lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bulk_ray.machines", str(count)],
        cwd=environment["RAY_TMPDIR"],  # not where bulk.py is called
        env={**environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        told = json.loads(process.stdout.readline())
        yield Machines(told["address"], told["client"], tuple(told["raylets"]), process)
        process.stdin.close()  # tells it to end
        assert process.wait(END_S) == 0


def main() -> None:
    """Start a cluster of as many machines as the argument says, and tell of it on standard output.

    A line of standard input is the number of a machine to lose; at the end of them all end.
    """
    cluster = Cluster()
    port = serving.free_port()
    nodes = [
        cluster.add_node(
            num_cpus=CORES,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            ray_client_server_port=None if number else port,
        )
        for number in range(int(sys.argv[1]))
    ]
    told = {
        "address": cluster.address,
        "client": f"ray://127.0.0.1:{port}",
        "raylets": [node.all_processes["raylet"][0].process.pid for node in nodes],
    }
    print(json.dumps(told), flush=True)
    for line in sys.stdin:
        cluster.remove_node(nodes[int(line)], allow_graceful=False)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
