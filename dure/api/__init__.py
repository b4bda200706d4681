"""The REST door of the plane: request → access → command → response, under /api/v1.

Lives here: routes by noun, the bodies they take and the documents they give, tokens, problem documents, streams.
May never live here: a decision about workloads, money or sites (the controller's), SQL, settings from the environment,
a vendor library other than FastAPI, Starlette and pydantic. No route without an access decision; no write without an
`Idempotency-Key`; no refusal without a Reason; no queue, page, body or stream without a bound.
"""

from __future__ import annotations

from dure.api.app import create_app
from dure.api.services import ApiSettings, PlaneServices

__all__ = ["ApiSettings", "PlaneServices", "create_app"]
