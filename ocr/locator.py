"""Where the lines of a page are: one look at it or, where the text turns out small, two."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocr.detection import tiles
from ocr.detection.detector import Boxes
from ocr.detection.tiles import Plan, Tile
from ocr.document import Pixels
from ocr.model import DetectionModel
from ocr.stages import stage

Detect = Callable[[Pixels], Awaitable[Boxes]]


@dataclass(frozen=True)
class Locator:
    """Finds lines with a callable, which may be a server or a network of this process."""

    model: DetectionModel
    detect: Detect

    def prepare(self, page: Pixels) -> list[Tile]:
        """What the network is shown of a page, (height, width, 3) uint8 RGB, at first."""
        return tiles.prepare(page, self._first(page), self.model)

    async def locate(
        self, page: Pixels, shown: Sequence[Tile] | None = None
    ) -> npt.NDArray[np.float32]:
        """All lines of a page, as (n, 4, 2) quads in pixels of the page.

        `shown` is what `prepare` gave, if it has been called. Raises InferenceFailed if the network
        fails on it.
        """
        height, width = page.shape[:2]
        plan = self._first(page)
        quads = await self._look(page, plan, shown)
        closer = tiles.closer_look(width, height, quads, plan, self.model)
        return quads if closer is None else await self._look(page, closer)

    def _first(self, page: Pixels) -> Plan:
        height, width = page.shape[:2]
        return tiles.first_look(width, height, self.model)

    async def _look(
        self, page: Pixels, plan: Plan, shown: Sequence[Tile] | None = None
    ) -> npt.NDArray[np.float32]:
        height, width = page.shape[:2]
        with stage("detect"):
            if shown is None:
                shown = await asyncio.to_thread(tiles.prepare, page, plan, self.model)
            found = await asyncio.gather(*(self.detect(tile.pixels) for tile in shown))
            return await asyncio.to_thread(tiles.restore, shown, found, plan, width, height)
