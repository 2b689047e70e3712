"""A folder of test pictures by kind, and random sequences of them."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

SMALL_FILE = 60_000  # bytes
CROPS, SMALL, PAGES, ODD = "crops", "small pictures", "whole pages", "odd files"

Kind = TypeVar("Kind")
Thing = TypeVar("Thing")


def pictures(folder: Path) -> dict[str, list[Path]]:
    """The pictures of the folder's truth sets and of its robustness.jsonl, by kind.

    The kinds are CROPS, SMALL, PAGES and ODD; a kind of which there is none is left out.
    """
    kinds: dict[str, list[Path]] = {kind: [] for kind in (CROPS, SMALL, ODD, PAGES)}
    for truth in sorted(folder.glob("*.jsonl")):
        for record in map(json.loads, truth.read_text("utf-8").splitlines()):
            if "file" in record:
                kinds[ODD].append(folder / record["file"])
            elif "lines" not in record:
                kinds[CROPS].append(folder / record["image"])
            else:
                path = folder / record["image"]
                small = path.stat().st_size < SMALL_FILE
                kinds[SMALL if small else PAGES].append(path)
    return {kind: paths for kind, paths in kinds.items() if paths}


def draw(
    kinds: Mapping[Kind, Sequence[Thing]], shares: Mapping[Kind, float], chance: random.Random
) -> Thing:
    """One thing: its kind by the share of it, and any of that kind."""
    (kind,) = chance.choices(list(kinds), [shares[kind] for kind in kinds])
    return chance.choice(kinds[kind])
