"""bulk.py, but that some files do to their decoders what these shall not survive."""

import sys
from functools import cache, partial
from typing import Any

import ray

import bulk
from ocr.bulk import stages
from ocr.decoders import Decoders
from ocr.settings import Settings

HOOK = "tests.bulk_ray.dying_bulk.prepare"  # a worker imports it by this name


@cache
def _decoders(settings: Settings) -> Decoders:
    limits = settings.decode_timeout_s, settings.decode_bytes
    return Decoders(1, *limits, program=("-m", "tests.dying_decoder"))


def prepare() -> None:
    """Called in each of Ray's processes before it works."""
    stages._decoders = _decoders


if __name__ == "__main__":
    hook: dict[str, Any] = {"worker_process_setup_hook": HOOK}
    ray.init = partial(ray.init, runtime_env=hook)
    sys.exit(bulk.main())
