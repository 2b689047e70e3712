"""The Ray cluster that works: how to reach it, and how its machines are shared out."""

import logging
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from ocr.errors import DeviceUnavailable, ServerUnreachable
from ocr.settings import Settings, available_cores, available_memory

LOCAL = "local"
CONNECT_S = 10.0
# Behind ray:// a process is forked for each client, out of one in which gRPC has threads; at times
# it dies at once, of which the client learns half a minute later.
TRIES = 4
# Of the object store of a cluster that is only this machine: for each core, and at most, of its
# memory. It holds pages on their way, of which the first stages make more than the last ones take.
CORE_BYTES, STORE_SHARE = 500_000_000, 0.25
# Cores that an actor on CPUs has at most: its calls are of too few pages to keep more of them busy.
ACTOR_CORES = 8
# An actor of a GPU has half of it. One of CPUs claims a quarter of its cores, and the stages
# without a network have the rest; its threads run on all of them, as do the runners'. So there is
# room on the other machines for the actors of one that is lost. One of each stage has to fit on one
# machine: Ray lets a stage that finds no room wait until those before it are through with all. A
# task claims something else than an actor, or Ray would open files in the process of a network.
GPU_SHARE, ACTOR_SHARE, TASK_SHARE, TASK_CORES = 0.5, 0.25, 0.16, 0.9

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shares:
    """How the stages share the machines.

    `actors` of each of the two networks, which claim `actor_cpus` and `actor_gpus` each and compute
    with `threads`; a task of the other stages claims `task_cpus`.
    """

    actors: int
    actor_cpus: float
    actor_gpus: float
    threads: int
    task_cpus: float


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to the cluster at an address, or to one of this machine for as long as it lasts.

    Raises ServerUnreachable.
    """
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # says it is on
    address = address or LOCAL
    before = signal.getsignal(signal.SIGTERM)
    try:
        _look_for(address)
        _connect(address)
    except Exception as error:  # Ray has many, and a bare one for a machine too slow to start
        raise ServerUnreachable(f"no Ray cluster at {address}: {error}") from error
    signal.signal(signal.SIGTERM, before)  # which Ray has made its own
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    """Raises what Ray raises."""
    options: dict[str, Any] = {"address": address, "logging_level": logging.WARNING}
    if address == LOCAL:
        cores = available_cores()  # Ray would take all of the machine; a container may have less
        store = min(CORE_BYTES * cores, int(STORE_SHARE * available_memory()))
        options |= {"include_dashboard": False, "num_cpus": cores, "object_store_memory": store}
    for left in reversed(range(TRIES)):
        try:
            ray.init(**options)
            return
        except ConnectionAbortedError as error:
            if not left:
                raise
            reason = str(error).strip().rpartition("\n")[2]  # before are the lines of its traceback
            log.warning("%s did not let this client in, trying again: %s", address, reason)


def _look_for(address: str) -> None:
    """Raises OSError if nobody is at HOST:PORT, for whom Ray would wait for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()


def shares(settings: Settings, gpus: int | None) -> Shares:
    """How to share out the cluster, on CUDA `gpus` of its GPUs, or all that there are now.

    More may be asked for than there are: actors wait for those that are yet to come. Raises
    DeviceUnavailable if there are none of what is needed.
    """
    machines = [
        each["Resources"]
        for each in ray.nodes()  # type: ignore[no-untyped-call]
        if each["Alive"]
    ]
    return shared_out(machines, settings, gpus)


def shared_out(
    machines: Sequence[Mapping[str, float]], settings: Settings, gpus: int | None
) -> Shares:
    """As `shares`, for machines with what Ray says they have."""
    cores = [int(each["CPU"]) for each in machines if each.get("CPU", 0) >= 1]
    if not cores:
        raise DeviceUnavailable("no machine of the Ray cluster has a core to compute on")
    task = min(TASK_CORES, TASK_SHARE * min(cores))
    if settings.device == "cpu":
        used = [min(each, settings.threads or each) for each in cores]
        least = min(used)
        own = least // -(-least // ACTOR_CORES)  # cores of an actor: equal parts of a machine's
        return Shares(sum(each // own for each in used), ACTOR_SHARE * own, 0.0, own, task)
    gpus = gpus or int(sum(each.get("GPU", 0) for each in machines))
    if not gpus:
        raise DeviceUnavailable("no machine of the Ray cluster has a GPU")
    actor = min(1.0, ACTOR_SHARE * min(cores))
    return Shares(gpus, actor, GPU_SHARE, settings.threads or min(cores), task)
