"""Public data that lies beside the checkout, or where DURE_SHARED says. None of it is ours to ship, so what needs it may skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("DURE_SHARED", Path(__file__).parents[3] / "shared"))


def shared(name: str) -> Path:
    """The path of a file below that folder; the test is skipped where it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not here: DURE_SHARED names the folder of public data")
    return path
