"""OCR as a library: pictures in, lines of text out. Knows no server and no model store."""

__version__ = "0.1.0"
