"""Kinds of command line arguments that several benchmarks take."""


def count(text: str) -> int:
    """A number of things, at least one. Raises ValueError, which argparse explains."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
