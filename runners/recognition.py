"""Recognition: packed lines in, readings out."""

import asyncio
from typing import Any

import bentoml

from ocr.settings import Settings
from runners import metrics
from runners.observer import observe_calls
from runners.options import batching_options, runner_options
from runners.store import model_folder
from runners.tracing import tracing_options
from runners.watchdog import show_life
from runners.wire import receive_lines, send_readings

settings = Settings()
entry = settings.models.recognition


@bentoml.service(name="Recognition", **runner_options(settings), **tracing_options(settings))
class Recognition:
    """Reads the lines of pages, those of several pages at a time."""

    model = bentoml.models.BentoModel(entry.tag)

    def __init__(self) -> None:
        from ocr.recognition.recogniser import Recogniser

        self.recogniser = Recogniser(model_folder(entry), settings.device, settings.network_threads)
        self._life: asyncio.Task[None] | None = None
        self.recogniser.warm_up()
        observe_calls()
        metrics.count_start()

    @bentoml.on_startup
    async def open(self) -> None:
        self._life = show_life(self.recogniser.network.motion)

    @bentoml.api(**batching_options(settings))
    def recognise(self, requests: list[Any]) -> list[Any]:
        """For each page's lines its readings, or the OcrError that it met; as runners.wire has it.

        One request to this call is one page: [send_lines(page)].
        """
        pages = [receive_lines(request) for request in requests]
        metrics.count_batch(len(pages), sum(len(page.widths) for page in pages))
        return [send_readings(answer) for answer in self.recogniser.recognise(pages)]

    @bentoml.api
    def describe(self) -> dict[str, str]:
        """The model and what runs it."""
        return {"model": entry.tag, "provider": self.recogniser.network.provider}
