"""The bulk job from object storage to object storage, which is served on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from tests.bulk_ray import scans
from tests.bulk_ray.calls import ALL, Bulk, twice

pytestmark = pytest.mark.ray

COUNT = 5


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """How to reach object storage with a bucket `scans` and a bucket `texts`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    yield told
    server.stop()


def file_system(told: dict[str, str]) -> Any:
    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


def test_a_job_from_bucket_to_bucket_goes_on_where_it_was(
    bulk: Bulk, storage: dict[str, str], tmp_path: Path
) -> None:
    objects = file_system(storage)
    for bucket in ("scans", "texts"):
        objects.mkdir(bucket)
    for path in map(Path, scans.draw(tmp_path / "in", COUNT)):
        objects.pipe_file(f"scans/2024/{path.name}", path.read_bytes())
    objects.pipe_file("scans/2024/pages.tif", scans.tiff(2))
    objects.pipe_file("scans/2024/damaged.png", b"nothing")
    caller = Bulk(tmp_path, {**bulk.environment, **storage})

    done = caller.call("s3://scans", "s3://texts/all", "--sample", "3")
    assert done.returncode == ALL, done.stderr
    sampled = {row["source"] for row in rows_of(objects)}
    assert len(sampled) == 3
    done = caller.call("s3://scans", "s3://texts/all")
    assert done.returncode == ALL, done.stderr
    assert "7 inputs, 3 of them done before, to s3://texts/all" in done.stderr

    rows = rows_of(objects)
    assert not twice(rows)
    names = [f"{number:03}.png" for number in range(COUNT)]
    assert [(row["source"], row["page"], row["error_code"]) for row in rows] == [
        *((f"s3://scans/2024/{name}", 1, None) for name in names),
        ("s3://scans/2024/damaged.png", 0, "NOT_AN_IMAGE"),
        *(("s3://scans/2024/pages.tif", page, None) for page in (1, 2)),
    ]
    assert not objects.exists("texts/all/_unfinished")
    assert "7 inputs, 7 of them done before" in caller.call("s3://scans", "s3://texts/all").stderr


def rows_of(objects: Any) -> list[dict[str, Any]]:
    return Bulk(Path(), {}).rows("texts/all", filesystem=objects)
