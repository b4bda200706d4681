"""Where a farm and its agent write their logs."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(level: str) -> None:
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
