"""bulk.py, but that it says how far it is four times a second."""

import sys

import bulk
from ocr.bulk import tally

if __name__ == "__main__":
    tally.TOLD_EVERY_S = 0.25
    sys.exit(bulk.main())
