"""The bulk job on a cluster: called from without, and with three machines, one of which is lost."""

import pytest

from tests.bulk_ray import scans
from tests.bulk_ray.calls import ALL, PATIENCE_S, Bulk, twice, wait_for_parts
from tests.bulk_ray.machines import Machines, machines

pytestmark = pytest.mark.ray

COUNT = 96
PART = 5
OTHERS = (1, 2)  # machines that are not the head


def test_a_cluster_can_be_called_from_without(bulk: Bulk, cluster_of_one: Machines) -> None:
    sources = scans.draw(bulk.folder / "in", 20)
    options = ("--part-rows", "8", "--address", cluster_of_one.client)
    done = bulk.call("in", "out", *options)
    assert done.returncode == ALL, done.stderr
    assert "20 pages read, 0 failed" in done.stderr
    rows = bulk.rows()
    assert [row["source"] for row in rows] == sources
    assert {row["status"] for row in rows} == {"read"}


def of_the_job(cluster: Machines, machine: int) -> list[str]:
    """The job's actors and tasks on a machine."""
    return [each for each in cluster.titles(machine) if "MapBatches" in each]


def test_a_lost_machine_costs_no_row(bulk: Bulk, environment: dict[str, str]) -> None:
    sources = scans.draw(bulk.folder / "in", COUNT)
    with machines(3, environment) as cluster:
        options = ("--address", cluster.address, "--part-rows", str(PART))
        with bulk.begun("in", "out", *options) as process:
            wait_for_parts(process, bulk.folder / "out", 2)
            lost = max(OTHERS, key=lambda machine: len(of_the_job(cluster, machine)))
            assert any("MapWorker" in each for each in of_the_job(cluster, lost))
            cluster.lose(lost)
            assert process.poll() is None
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ALL, err
    rows = bulk.rows()
    assert not twice(rows)
    assert [row["source"] for row in rows] == sources
    assert {row["status"] for row in rows} == {"read"}
