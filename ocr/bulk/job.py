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
from ocr.bulk.output import Output, Part
from ocr.bulk.stages import Stages
from ocr.bulk.tally import Counts

BLOCK_BYTES = 32_000_000  # of one block between stages: some two pages with their pictures
INPUTS = range(8, 513)  # of one task that reads them
TASKS = 64  # that read, for each actor, if there are inputs enough
CALLS = 2  # of one actor at a time: while one waits for its last lines another is on its way


@dataclass(frozen=True)
class Batches:
    """Pages of one call of a network, and rows of one part of the output, at least."""

    pages: int
    rows: int


@dataclass(frozen=True)
class Job:
    """What is done with inputs, with what of the cluster, and where it goes."""

    stages: Stages
    shares: Shares
    batches: Batches
    output: Output


def run(found: Found, job: Job) -> Iterator[Counts | Part]:
    """Read inputs; counts what is done, and gives the parts of the output as they are written.

    They do not count for the output yet.
    """
    if not ray.util.client.ray.is_connected():  # type: ignore[no-untyped-call]
        yield from _run(found, job)
        return
    kind: Any = ray.remote(_Away)
    away = kind.options(num_cpus=0).remote(found, job)
    while (event := ray.get(away.next.remote())) is not None:
        yield event


class _Away:
    """A job that is run from within the cluster: Ray Data cannot be, through a Ray client."""

    def __init__(self, found: Found, job: Job) -> None:
        self._events = _run(found, job)

    def next(self) -> Counts | Part | None:
        return next(self._events, None)


def _run(found: Found, job: Job) -> Iterator[Counts | Part]:
    """Read inputs, and have rows written as soon as there are enough for a part.

    A stage of Ray Data cannot do that: one that asks for so many rows is given more, and makes a
    small part of the rest; one that makes blocks of so many claims a whole core, for which it waits
    on a machine of few until nothing is left to read.
    """
    write: Any = ray.remote(num_cpus=0)(_write)
    blocks: list[Any] = []
    rows = 0
    for bundle in _dataset(found, job).iter_internal_ref_bundles():
        for block in bundle.block_refs:
            yield Counts.of(ray.get(block))
        blocks += bundle.block_refs
        rows += bundle.num_rows()
        if rows >= job.batches.rows:
            yield ray.get(write.remote(job.output, *blocks))
            blocks, rows = [], 0
    if blocks:
        yield ray.get(write.remote(job.output, *blocks))


def _write(output: Output, *blocks: pa.Table) -> Part:
    """Write blocks of rows as a part: a task, which Ray gives the blocks themselves."""
    return output.write(pa.concat_tables(blocks))


def _dataset(found: Found, job: Job) -> Dataset:
    """The rows of inputs, not read yet."""
    _set_up()
    stages, shares = job.stages, job.shares
    task: dict[str, Any] = {"batch_format": "pyarrow", "num_cpus": shares.task_cpus}
    actor: dict[str, Any] = {
        "batch_format": "pyarrow",
        "batch_size": job.batches.pages,
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
    located = (
        ray.data.from_arrow(_tables(found, shares.actors))
        .map_batches(stages.read, **task)
        .map_batches(stages.decode, **task)
        .map_batches(Detect, fn_constructor_args=detect, **actor)
    )
    # On CPUs what reads lines cuts them, on the same cores: this stage would cost a copy of each
    # page. A GPU must not wait for that.
    cut = located.map_batches(stages.crop, **task) if shares.actor_gpus else located
    return cut.map_batches(Recognise, fn_constructor_args=recognise, **actor).map_batches(
        stages.assemble, **task
    )


def _set_up() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.target_max_block_size = BLOCK_BYTES
    context.memory_usage_poll_interval_s = None  # of its tasks, which costs them time


def _tables(found: Found, actors: int) -> list[pa.Table]:
    """The inputs, a table for each task that reads them."""
    rows = min(max(len(found) // (TASKS * actors), INPUTS.start), INPUTS.stop - 1)
    return [found.table.slice(start, rows) for start in range(0, len(found), rows)]
