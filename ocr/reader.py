"""One picture from where it is to what it says: load, decode, read, page by page."""

import asyncio

from ocr import decode
from ocr.budget import Budget
from ocr.decode import DecodeLimits
from ocr.document import Document, Page
from ocr.pipeline import Pipeline
from ocr.sources import Sources


class Reader:
    """Reads pictures within limits. `budget` is in pixels, over all pages held at a time."""

    def __init__(
        self, pipeline: Pipeline, sources: Sources, limits: DecodeLimits, budget: Budget
    ) -> None:
        self.pipeline = pipeline
        self.sources = sources
        self.limits = limits
        self.budget = budget

    async def read(self, entry: str) -> Document:
        """Read a URL, a data URI or base64. Raises SourceError, PictureError, InferenceFailed."""
        return await self.read_bytes(await self.sources.load(entry))

    async def read_bytes(self, data: bytes) -> Document:
        """Read a picture's bytes. Raises PictureError, InferenceFailed."""
        frames = decode.frames(data, self.limits)
        pages: list[Page] = []
        while (frame := await asyncio.to_thread(next, frames, None)) is not None:
            async with self.budget.hold(frame.width * frame.height):
                pages.append(await self.pipeline.read(await asyncio.to_thread(frame.pixels)))
        return Document(pages)
