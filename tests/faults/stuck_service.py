"""The service with a network that hangs once, for tests: when the file STUCK names is there.

It is taken away by the run that hangs. The watchdog's patience is shorter than it is.
"""

import os
import time
from pathlib import Path
from typing import Any

from ocr.runtime import OnnxNetwork
from runners import watchdog
from service import OCR

__all__ = ["OCR"]

watchdog.STILL_S = 2.0
_run = OnnxNetwork.run
_stuck = Path(os.environ["STUCK"])


def _stick(network: OnnxNetwork, *arguments: Any) -> Any:
    if _stuck.exists():
        _stuck.unlink()
        time.sleep(3600)
    return _run(network, *arguments)


setattr(OnnxNetwork, "run", _stick)  # noqa: B010
