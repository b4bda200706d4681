"""`DureClient`: every route as a method, gathered from the nouns."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import httpx

from dure.client.money import MoneyMethods
from dure.client.plane import PlaneMethods
from dure.client.tenancy import TenancyMethods
from dure.client.transport import Retries, Transport, new_key
from dure.client.work import WorkMethods


class DureClient(TenancyMethods, MoneyMethods, WorkMethods, PlaneMethods):
    """The plane at `base_url` (without /api/v1), as the holder of `token`.

    Writes carry a fresh Idempotency-Key from `keys` and are repeated with the same one when the link fails or the plane
    answers 502, 503 or 504. Answers are the JSON documents of the API. Raises ApiError and LinkError. lang: "en" or "ko"."""

    def __init__(
        self,
        base_url: str,
        token: str = "",
        *,
        lang: str = "en",
        keys: Callable[[], str] = new_key,
        pause: Callable[[float], None] = time.sleep,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = Transport(base_url, token, lang=lang, keys=keys, pause=pause, retries=retries, http=http)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> DureClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
