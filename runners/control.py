"""How BentoML's arbiter is told things: over sockets that nobody else reaches."""

import shutil
import tempfile
from typing import Any

from bentoml._internal.utils.circus import Arbiter


def close_control() -> None:
    """Let the arbiter listen in a folder of this user's only.

    By itself it takes commands on a port of loopback, from whoever connects there: all users of
    the machine, who could have it run any program as this one.
    """
    arbiter: Any = Arbiter
    if hasattr(arbiter, "bentoml_init"):
        return
    arbiter.bentoml_init = arbiter.__init__

    def init(this: Any, *args: Any, **kwargs: Any) -> None:
        folder = tempfile.mkdtemp(prefix="ocr-control-")
        endpoints = {name: f"ipc://{folder}/{name}" for name in ("endpoint", "pubsub_endpoint")}
        this.bentoml_init(*args, **(kwargs | endpoints))
        this.exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)

    arbiter.__init__ = init
