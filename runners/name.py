"""What a process of the server is called, in its log."""

from bentoml import server_context


def process_name() -> str:
    """The name of its service and its number among that service's; BentoML's own has neither."""
    service = server_context.service_name
    return f"{service}:{server_context.worker_index}" if service else "arbiter"
