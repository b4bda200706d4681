"""Whether a farm answers."""

from __future__ import annotations

from dure.client import DureClient, Retries
from dure.errors import ApiError, LinkError


def answers(url: str) -> bool:
    """Ask once, without a token."""
    try:
        with DureClient(url, retries=Retries(times=0)) as client:
            return client.healthz().get("status") == "ok"
    except (ApiError, LinkError):
        return False
