"""One bulk job: inputs in, parts of an output out, by Ray Data."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from ocr.bulk.cluster import Shares
from ocr.bulk.inputs import Found
from ocr.bulk.networks import Detect, Recognise
from ocr.bulk.output import Part
from ocr.bulk.stages import Stages

BLOCK_BYTES = 32_000_000  # of one block between stages: some two pages with their pictures
INPUTS = range(8, 513)  # of one task that reads them
TASKS = 64  # that read, for each actor, if there are inputs enough
CALLS = 2  # of one actor at a time: while one waits for its last lines another is on its way


@dataclass(frozen=True)
class Batches:
    """Pages of one call of a network, and rows of one part of the output."""

    pages: int
    rows: int


def parts(found: Found, stages: Stages, shares: Shares, batches: Batches) -> Iterator[Part]:
    """Read inputs; gives the parts of the output as they are written, which do not count yet."""
    if not ray.util.client.ray.is_connected():  # type: ignore[no-untyped-call]
        yield from _parts(found, stages, shares, batches)
        return
    kind: Any = ray.remote(_Away)
    away = kind.options(num_cpus=0).remote(found, stages, shares, batches)
    while (part := ray.get(away.next.remote())) is not None:
        yield part


class _Away:
    """A job that is run from within the cluster: Ray Data cannot be, through a Ray client."""

    def __init__(self, found: Found, stages: Stages, shares: Shares, batches: Batches) -> None:
        self._parts = _parts(found, stages, shares, batches)

    def next(self) -> Part | None:
        return next(self._parts, None)


def _parts(found: Found, stages: Stages, shares: Shares, batches: Batches) -> Iterator[Part]:
    data = _dataset(found, stages, shares, batches)
    for written in data.iter_rows():
        yield Part(**written)


def _dataset(found: Found, stages: Stages, shares: Shares, batches: Batches) -> Dataset:
    _set_up()
    task: dict[str, Any] = {"batch_format": "pyarrow", "num_cpus": shares.task_cpus}
    actor: dict[str, Any] = {
        "batch_format": "pyarrow",
        "batch_size": batches.pages,
        "num_cpus": shares.actor_cpus,
        "num_gpus": shares.actor_gpus,
        "compute": ActorPoolStrategy(
            size=shares.actors,
            max_tasks_in_flight_per_actor=2 * CALLS,
            max_concurrent_calls_per_actor=CALLS,
            enable_true_multi_threading=True,
        ),
    }
    settings, models = stages.settings, stages.models
    detect = (models.detection, settings, shares.threads)
    recognise = (models.recognition, settings, shares.threads)
    return (
        ray.data.from_arrow(_tables(found, shares.actors))
        .map_batches(stages.read, **task)
        .map_batches(stages.decode, **task)
        .map_batches(Detect, fn_constructor_args=detect, **actor)
        .map_batches(stages.crop, **task)
        .map_batches(Recognise, fn_constructor_args=recognise, **actor)
        .map_batches(stages.assemble, **task)
        .repartition(target_num_rows_per_block=batches.rows, strict=True)
        .map_batches(stages.write, **task)
    )


def _set_up() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.target_max_block_size = BLOCK_BYTES


def _tables(found: Found, actors: int) -> list[pa.Table]:
    """The inputs, a table for each task that reads them."""
    rows = min(max(len(found) // (TASKS * actors), INPUTS.start), INPUTS.stop - 1)
    return [found.table.slice(start, rows) for start in range(0, len(found), rows)]
