"""How a cluster is reached, and shared out by what Ray says of its machines."""

from typing import Any

import pytest
import ray

from ocr.bulk.cluster import TRIES, Shares, connected, shared_out
from ocr.errors import DeviceUnavailable, ServerUnreachable
from ocr.runtime import Device
from ocr.settings import Settings


def of(*cores: int, threads: int = 0) -> Shares:
    """The shares on CPUs, for machines with so many cores."""
    machines = [{"CPU": float(each)} for each in cores]
    return shared_out(machines, Settings(device="cpu", threads=threads), None)


@pytest.mark.parametrize(
    ("cores", "actors", "threads"),
    [
        ([1], 1, 1),
        ([2], 1, 2),
        ([8], 1, 8),
        ([9], 2, 4),
        ([12], 2, 6),
        ([64], 8, 8),
        ([2, 2, 2], 3, 2),
        ([8, 8], 2, 8),
        ([16, 64], 10, 8),
    ],
)
def test_actors_on_cpus_have_all_cores_and_not_too_many_each(
    cores: list[int], actors: int, threads: int
) -> None:
    shares = of(*cores)
    assert (shares.actors, shares.threads) == (actors, threads)
    assert shares.actor_gpus == 0


@pytest.mark.parametrize(
    ("threads", "actors", "each"), [(1, 1, 1), (4, 1, 4), (16, 2, 8), (100, 8, 8)]
)
def test_threads_are_of_each_network_on_a_machine(threads: int, actors: int, each: int) -> None:
    shares = of(64, threads=threads)
    assert (shares.actors, shares.threads) == (actors, each)
    assert of(64, 64, threads=threads).actors == 2 * actors


@pytest.mark.parametrize("cores", range(1, 97))
def test_actors_and_a_task_of_every_other_stage_fit_on_a_machine(cores: int) -> None:
    shares = of(cores)
    assert 2 * shares.actors * shares.actor_cpus + 2 * shares.task_cpus <= cores
    assert shares.task_cpus != shares.actor_cpus


def test_a_gpu_has_two_actors() -> None:
    machines = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0}]
    settings = Settings(device="cuda", threads=0)
    assert shared_out(machines, settings, None) == Shares(4, 1.0, 0.5, 8, 0.9)
    assert shared_out(machines, settings, 9).actors == 9


@pytest.mark.parametrize(("device", "cores"), [("cuda", 4.0), ("cpu", 0.0)])
def test_a_cluster_without_what_is_needed_is_an_error(device: Device, cores: float) -> None:
    with pytest.raises(DeviceUnavailable):
        shared_out([{"CPU": cores}], Settings(device=device), None)


class Refusing:
    """In place of ray.init: lets nobody in so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0

    def __call__(self, **options: Any) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise ConnectionAbortedError("Starting Ray client server failed.")


def test_a_client_that_is_not_let_in_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", refusing := Refusing(TRIES - 1))
    with connected("auto"):
        assert refusing.asked == TRIES


def test_a_client_that_is_never_let_in_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", refusing := Refusing(1000))
    with pytest.raises(ServerUnreachable, match="Starting Ray client server"), connected("auto"):
        pass
    assert refusing.asked == TRIES
