"""The typed client of the plane's REST API: all that console, cli and agent use to reach it.

Lives here: one method a route, keys and safe repeats, pages as iterators, streams that reconnect, proofs that need no trust in
the plane (`audit`). May never live here: a decision, a table, a print, a setting from the environment.
A refusal of the plane is an `ApiError` with its Reason; a plane that cannot be reached is a `LinkError`.
"""

from __future__ import annotations

from dure.client.client import DureClient
from dure.client.transport import LogPiece, Retries, Transport

__all__ = ["DureClient", "LogPiece", "Retries", "Transport"]
