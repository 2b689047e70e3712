"""A long PDF as a job, with the server killed in the middle.

    python benchmarks/long_document.py [--pages 200]

Draws a PDF of numbered forms, has it read by the service of this repository as a job, kills every
process of it (SIGKILL) when half of the pages are done, starts it again and waits for the result.
Shows how far the job said it was, the most memory that the service and its largest process took,
and what came out. The exit status is 1 if a page is missing, there twice or in the wrong place.
"""

import argparse
import io
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import forms
import machine
import pikepdf
import psutil
import serving
from arguments import count
from machine import Meter
from PIL import ImageDraw, ImageFont

from ocr.client import Client, Job
from ocr.wanted import Wanted

DIFFERENT = 12  # forms
DPI = 100
LOOK_S = 0.5
MEGABYTE = 1e6


def document(pages: int) -> bytes:
    """A PDF of forms, each with its page number at the foot."""
    drawn = [forms.draw(seed)[0] for seed in range(min(pages, DIFFERENT))]
    font = ImageFont.load_default(20)
    pdf = pikepdf.new()
    for number in range(1, pages + 1):
        sheet = drawn[number % len(drawn)].copy()
        ImageDraw.Draw(sheet).text((300, 950), f"PAGE {number:04}", fill="black", font=font)
        page = io.BytesIO()
        sheet.save(page, "PDF", resolution=DPI, quality=forms.QUALITY)
        with pikepdf.open(page) as one:
            pdf.pages.extend(one.pages)
    whole = io.BytesIO()
    pdf.save(whole)
    return whole.getvalue()


def kill(pid: int) -> None:
    for process in psutil.Process(pid).children(recursive=True):
        process.kill()
    os.kill(pid, signal.SIGKILL)


def follow(client: Client, job: str, until: int | None) -> Job:
    """Ask for a job until so many pages are done, or all; says how far it is."""
    told = -1
    while True:
        known = client.job(job)
        if known.pages_done >= told + 20 or known.pages_done == known.pages != told:
            told = known.pages_done
            print(f"{time.strftime('%X')} {known.state}, {told} of {known.pages}", file=sys.stderr)
        if known.state in ("done", "failed") or (until and known.pages_done >= until):
            return known
        time.sleep(LOOK_S)


def faults(result: bytes, pages: int) -> list[str]:
    """What is wrong with a result in text: pages that are not in their place."""
    found = result.decode().split("\f")
    wrong = [f"{len(found)} pages"] if len(found) != pages else []
    marks = (f"PAGE{number:04}" for number in range(1, pages + 1))
    return wrong + [
        f"{mark} is not in its place"
        for mark, text in zip(marks, found, strict=False)
        if text.replace(" ", "").count(mark) != 1
    ]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=count, default=200)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    data = document(options.pages)
    with tempfile.TemporaryDirectory() as folder:
        place = {"OCR_JOBS": str(Path(folder) / "jobs.sqlite")}
        start = time.perf_counter()
        with serving.served(**place) as (url, pid), Client(url) as client, Meter(pid) as first:
            job = client.submit(data, wanted=Wanted(format="text"), sources=["long.pdf"])
            before = follow(client, job.id, options.pages // 2)
            kill(pid)
        with serving.served(**place) as (url, pid), Client(url) as client, Meter(pid) as second:
            after = follow(client, job.id, None)
            wrong = faults(client.result(job.id), options.pages)
    print(machine.describe())
    print(f"{options.pages} pages, {len(data) / MEGABYTE:.0f} MB, killed at {before.pages_done}")
    print(f"{after.state} after {time.perf_counter() - start:.0f} s, {after.pages_done} pages read")
    peak = max(meter.usage().peak_bytes for meter in (first, second))
    largest = max(meter.usage().peak_process_bytes for meter in (first, second))
    print(f"peak memory {peak / MEGABYTE:.0f} MB, {largest / MEGABYTE:.0f} MB of it the largest's")
    print("\n".join(wrong) or "every page is there, once, in its place")
    return 1 if wrong or after.state != "done" else 0


if __name__ == "__main__":
    sys.exit(main())
