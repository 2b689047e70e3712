"""bulk.py, but that it says how far it is four times a second."""

import sys

import bulk
from ocr.bulk import tally

if __name__ == "__main__":
    tally.EVERY_S, tally.TOLD_EVERY = 0.25, 1
    sys.exit(bulk.main())
