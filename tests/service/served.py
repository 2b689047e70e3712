"""The service as a user starts it, on a free port, and calls to it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import serving


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    pid: int

    def read(self, *images: str, path: str = "/ocr_system") -> httpx.Response:
        return self.post({"images": images}, path)

    def post(self, body: Any, path: str = "/ocr_system") -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60)

    def upload(
        self,
        *files: tuple[str, bytes],
        headers: dict[str, str] | None = None,
        path: str = "/ocr",
        **options: str,
    ) -> httpx.Response:
        """Send files, each a name and its bytes, as a form with these options in the query."""
        form = [("file", each) for each in files]
        return httpx.post(self.url + path, files=form, params=options, headers=headers, timeout=120)

    def texts(self, image: str) -> list[str]:
        answer = self.read(image)
        assert answer.status_code == 200, answer.text
        return [line["text"] for line in answer.json()["results"][0]]


@contextmanager
def serve(store: Path, **settings: str) -> Iterator[Served]:
    """Run `bentoml serve` with these OCR_* settings, and no others, until the context ends.

    Raises RuntimeError with what the service said if it does not start.
    """
    others = {name for name in os.environ if name.startswith("OCR_")} - {"OCR_JOBS"}
    defaults = dict.fromkeys(others, "")
    chosen = {f"OCR_{name.upper()}": value for name, value in settings.items()}
    with tempfile.TemporaryDirectory() as home:
        # One of its own: where a server starts, the metrics of those beside it are wiped.
        if (store / "models").is_dir():
            (Path(home) / "models").symlink_to(store / "models")
        with serving.served(BENTOML_HOME=home, **(defaults | chosen)) as (url, pid):
            yield Served(url, pid)
