"""The routes of the service by name, for metrics, logs and spans: a path may be anything."""

ROUTES = frozenset(
    {
        "/",
        "/ocr_system",
        "/predict/ocr_system",
        "/ocr",
        "/jobs",
        "/docs",
        "/docs.json",
        "/capabilities",
        "/health",
        "/health/inference",
        "/livez",
        "/readyz",
        "/healthz",
        "/metrics",
        "/schema.json",
    }
)
FOLDERS = frozenset({"page", "static_content"})
OTHER = "other"


def route_of(path: str) -> str:
    """The route that a path belongs to, with {id} for a job's; `other` where there is none."""
    if path in ROUTES:
        return path
    match path.split("/"):
        case ["", folder, _, *_] if folder in FOLDERS:
            return f"/{folder}"
        case ["", "jobs", id] if id:
            return "/jobs/{id}"
        case ["", "jobs", id, "result"] if id:
            return "/jobs/{id}/result"
    return OTHER
