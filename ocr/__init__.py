"""OCR as a library: pictures in, lines of text out. Knows no server and no model store."""

import os

__version__ = "0.1.0"

# The published packages of ONNX Runtime, from 1.29 on, report on models and machines to their
# makers, unless this is set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
