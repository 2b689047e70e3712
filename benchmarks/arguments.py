"""Kinds of command line arguments that several benchmarks take."""


def count(text: str) -> int:
    """A number of things, at least one. Raises ValueError, which argparse explains."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def counts(text: str) -> tuple[int, ...]:
    """Numbers of things with commas between them. Raises ValueError as `count` does."""
    return tuple(count(part) for part in text.split(","))
