"""Two running services: one as it comes, and one with narrow limits and private URLs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.served import Served, serve


@pytest.fixture(scope="session")
def served(store: Path) -> Iterator[Served]:
    with serve(store) as running:
        yield running


@pytest.fixture(scope="session")
def narrow(store: Path) -> Iterator[Served]:
    with serve(
        store,
        allow_private_urls="1",
        url_timeout_s="1",
        max_images="3",
        max_pixels="1000000",
        max_image_bytes="200000",
        max_request_bytes="500000",
        max_concurrency="2",
        timeout_s="6",
    ) as running:
        yield running
