"""How a command gets its client."""

from __future__ import annotations

from dure.cli.run import Run
from dure.client import DureClient, Retries

# A person waits: four more tries within a second and a half, then the truth.
PATIENCE = Retries(times=4, first_s=0.1, most_s=0.8)


def connect_http(run: Run) -> DureClient:
    """A client of the plane that is meant, with the token that was given or that lies in the data folder."""
    return DureClient(run.address, run.config.token or _token(run), lang=run.texts.lang, retries=PATIENCE)


def _token(run: Run) -> str:
    try:
        return run.config.admin_token.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
