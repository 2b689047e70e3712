"""Draws throughput and latency over the number of clients, of what throughput.py wrote.

python benchmarks/plot.py results.json docs/throughput.svg
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 60, 60, 30, 40
INK = "#333"
CURVES = {  # by figure: colour, name, and whether it belongs to the axis on the right
    "images_a_second": ("#1f6fb4", "images/s", False),
    "p50_ms": ("#e08a1e", "p50 s", True),
    "p95_ms": ("#c0392b", "p95 s", True),
    "p99_ms": ("#7d3c98", "p99 s", True),
}
Place = Callable[[float], float]


def points(results: dict[str, Any], figure: str) -> list[tuple[int, float]]:
    """(clients, median over the rounds) of the service; seconds for what is in milliseconds."""
    unit = 1000 if figure.endswith("_ms") else 1
    return [
        (each["clients"], statistics.median(run[figure] for run in each["rounds"]) / unit)
        for each in results["contestants"]
        if each["name"] == "service"
    ]


def draw(results: dict[str, Any]) -> str:
    """An SVG: images a second on the left axis, seconds on the right, clients evenly spaced."""
    curves = {figure: points(results, figure) for figure in CURVES}
    clients = [number for number, _ in curves["images_a_second"]]
    step = (WIDTH - LEFT - RIGHT) / max(1, len(clients) - 1)
    across = {number: LEFT + i * step for i, number in enumerate(clients)}
    parts = [_text(across[number], HEIGHT - 18, str(number)) for number in clients]
    parts.append(_text(WIDTH / 2, HEIGHT - 3, "clients"))
    tops = {
        right: max(value for figure, (_, _, on) in CURVES.items() if on == right
                   for _, value in curves[figure])
        for right in (False, True)
    }  # fmt: skip
    for i, (figure, (colour, name, right)) in enumerate(CURVES.items()):
        up = _scale(tops[right])
        line = [(across[number], up(value)) for number, value in curves[figure]]
        parts.append(_curve(line, colour))
        parts.append(_text(LEFT + 60 + 140 * i, 16, name, colour))
    for right, top in tops.items():
        up, x = _scale(top), WIDTH - RIGHT + 28 if right else LEFT - 26
        parts += [_text(x, up(share * top) + 4, f"{share * top:.3g}") for share in (0, 0.5, 1)]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _scale(top: float) -> Place:
    return lambda value: HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _curve(line: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in line)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _text(x: float, y: float, text: str, colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}">{text}</text>'


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="what throughput.py --json wrote")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    options = parser.parse_args()
    picture = draw(json.loads(options.results.read_text("utf-8")))
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    options.picture.write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
