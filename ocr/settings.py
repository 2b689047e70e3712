"""Every OCR_* environment variable, typed, in one place; read once, at start."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ocr.catalogue import DETECTION, PRESETS, RECOGNITION, Entry, Pair
from ocr.decode import DecodeLimits
from ocr.runtime import Device

CONTAINER = Path("/sys/fs/cgroup")  # where the limits of the container are that this runs in


class Settings(BaseSettings):
    """What the service does, from the environment: `max_images` is OCR_MAX_IMAGES and so on."""

    model_config = SettingsConfigDict(env_prefix="OCR_", env_ignore_empty=True, frozen=True)

    preset: Literal["ppocr", "modelscope", "modelscope-db"] = Field(
        default="ppocr", description="the pair of models: ppocr, modelscope or modelscope-db"
    )
    detection: str = Field(default="", description="another detection model than the preset's")
    recognition: str = Field(default="", description="another recognition model than the preset's")
    device: Device = Field(
        default="cpu", description="cpu or cuda; cuda where there is none is an error"
    )
    threads: int = Field(default=0, ge=0, description="threads of each runner; 0 for all cores")
    workers: int = Field(default=1, ge=1, description="processes that decode, crop and answer")
    runner_workers: int = Field(default=1, ge=1, description="processes of each runner")
    batch_pages: int = Field(default=4, ge=2, description="pages in one batch of a runner, at most")

    min_confidence: float = Field(
        default=0.5, ge=0, le=1, description="lines below it are left out"
    )
    max_images: int = Field(default=64, ge=1, description="images in one request")
    max_request_bytes: int = Field(default=256_000_000, ge=1, description="of one request's body")
    max_image_bytes: int = Field(default=50_000_000, ge=1, description="of one image, as a file")
    max_pixels: int = Field(default=100_000_000, ge=1, description="of one page")
    max_pages: int = Field(default=100, ge=1, description="of one image: a TIFF can hold many")
    pixels_in_work: int = Field(
        default=150_000_000, ge=1, description="of all pages that one process holds at a time"
    )
    max_concurrency: int = Field(default=64, ge=1, description="requests in work in one process")
    max_waiting: int = Field(
        default=256, ge=1, description="images that wait for their turn in one process"
    )
    max_bytes_in_work: int = Field(
        default=512_000_000, ge=1, description="of all requests that one process holds at a time"
    )
    timeout_s: float = Field(default=120.0, gt=0, description="for one request")
    upload_timeout_s: float = Field(default=60.0, gt=0, description="for receiving one request")
    url_timeout_s: float = Field(default=15.0, gt=0, description="for fetching one URL")
    decoders: int = Field(
        default=2, ge=1, description="processes that open files, for each that answers"
    )
    decode_timeout_s: float = Field(default=30.0, gt=0, description="for opening one page")
    decode_bytes: int = Field(
        default=2_000_000_000, ge=1, description="of memory that opening one page may take"
    )
    runner_timeout_s: float = Field(
        default=3.0, gt=0, description="after which a runner without a sign of life is replaced"
    )
    jobs: str = Field(
        default="~/.local/state/ocr-service/jobs.sqlite",
        description="the database of jobs: a file of SQLite, a postgresql:// URL, or off",
    )
    jobs_process: str = Field(
        default="local",
        description="what this server is called among those that share the jobs: its host's name",
    )
    jobs_keep_s: float = Field(default=86_400, gt=0, description="for which a job is kept")
    max_jobs: int = Field(default=100, ge=1, description="jobs waiting or in work")
    max_job_pages: int = Field(default=5000, ge=1, description="of one file of a job")
    allow_private_urls: bool = Field(
        default=False, description="fetch from private addresses as well"
    )
    api_keys: str = Field(
        default="", description="keys, with commas between them; without any, all may call"
    )
    rate_limit: int = Field(
        default=0, ge=0, description="requests a minute of one key, or address; 0 for any number"
    )
    cors_origins: str = Field(
        default="", description="origins, with commas, whose pages may call; * for all"
    )
    log_format: Literal["text", "json"] = Field(default="text", description="text or json")
    traces: str = Field(
        default="", description="where OpenTelemetry spans go: an OTLP endpoint, over HTTP"
    )
    traces_share: float = Field(
        default=1.0, ge=0, le=1, description="of requests that are traced, if any are"
    )

    @field_validator("detection")
    @classmethod
    def _known_detection(cls, name: str) -> str:
        return _known(name, DETECTION)

    @field_validator("recognition")
    @classmethod
    def _known_recognition(cls, name: str) -> str:
        return _known(name, RECOGNITION)

    @property
    def models(self) -> Pair:
        """The models to use: the preset's, but for those that are named."""
        pair = PRESETS[self.preset]
        return Pair(
            DETECTION[self.detection] if self.detection else pair.detection,
            RECOGNITION[self.recognition] if self.recognition else pair.recognition,
        )

    @property
    def decode_limits(self) -> DecodeLimits:
        return DecodeLimits(self.max_image_bytes, self.max_pixels, self.max_pages)

    @property
    def own_limits(self) -> DecodeLimits:
        """For files that are one's own: any number of bytes and pages."""
        return DecodeLimits(sys.maxsize, self.max_pixels, sys.maxsize)

    @property
    def job_limits(self) -> DecodeLimits:
        return DecodeLimits(self.max_image_bytes, self.max_pixels, self.max_job_pages)

    @property
    def jobs_url(self) -> str | None:
        """The database of jobs as SQLAlchemy has it, if there is to be one."""
        if self.jobs == "off":
            return None
        if "://" in self.jobs:
            return self.jobs.replace("postgresql://", "postgresql+psycopg://", 1)
        return f"sqlite:///{Path(self.jobs).expanduser()}"

    @property
    def pages_at_once(self) -> int:
        """Pages that one process has in work: more would only wait, before those that come later.

        On a GPU a batch runs in each runner while the next one is made ready; on a CPU a page runs
        on each core while others are made ready.
        """
        return 2 * self.batch_pages if self.device == "cuda" else available_cores() + 2

    @property
    def network_threads(self) -> int:
        """Threads of one process of a runner: its processes share the runner's."""
        return max(1, (self.threads or available_cores()) // self.runner_workers)


def _known(name: str, models: Mapping[str, Entry]) -> str:
    if name and name not in models:
        raise ValueError(f"no model {name!r}: there are {', '.join(models)}")
    return name


def available_cores() -> int:
    """The cores this process may use: its affinity, or less where a container's quota says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit, *period = _container_limit("cpu.max")
    if limit == "max":
        return max(1, cores or 1)
    return max(1, min(cores or 1, round(int(limit) / int(period[0]))))


def available_memory() -> int:
    """The bytes this process may use: the machine's, or less where a container's limit says so."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, *_ = _container_limit("memory.max")
    return memory if limit == "max" else min(memory, int(limit))


def _container_limit(name: str) -> list[str]:
    """What is in one of the files of the container's limits; outside of one nothing is limited."""
    file = CONTAINER / name
    return file.read_text().split() if file.is_file() else ["max"]
