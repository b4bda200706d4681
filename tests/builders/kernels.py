"""What numba keeps on disk: it looks at the file of a kernel alone, and not at those of the kernels that it calls."""

from __future__ import annotations

import hashlib
from pathlib import Path

DURE = Path(__file__).parents[2] / "dure"
NOTE = DURE / "__pycache__" / "kernels.sha256"


def forget_stale_kernels() -> None:
    """Take away everything compiled when any kernel is not as it was: a test would run what the source no longer says."""
    sources = sorted((DURE / "scheduler" / "kernels").glob("*.py")) + sorted((DURE / "simulator").glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if NOTE.exists() and NOTE.read_text() == digest:
        return
    for kept in DURE.rglob("*.nb[ic]"):
        kept.unlink(missing_ok=True)
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(digest)
