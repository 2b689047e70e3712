"""What pages of other origins may do here, as Starlette's CORSMiddleware has it."""

from typing import Any

from ocr.settings import Settings
from web.answers import ERRORS
from web.observer import HEADER as REQUEST_ID

SENT = ["Authorization", "Content-Type", "X-API-Key", REQUEST_ID]
SEEN = [ERRORS, REQUEST_ID, "Content-Disposition", "Location", "Retry-After"]


def cors_options(settings: Settings) -> dict[str, Any]:
    """Options of CORSMiddleware for OCR_CORS_ORIGINS. Nobody's cookies count here."""
    return {
        "allow_origins": [each.strip() for each in settings.cors_origins.split(",")],
        "allow_methods": ["GET", "POST", "DELETE"],
        "allow_headers": SENT,
        "expose_headers": SEEN,
    }
