from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.api import call
from dure.model.reason import Reason
from tests.builders.api_plane import ApiPlane, api_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ApiPlane]:
    with api_plane(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def refusals_write_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test of the API has refused, its transaction is committed as it is: it must not have written anything."""
    partial: list[Reason] = []
    done_once = call.once

    def watched(tx: Any, *rest: Any, **more: Any) -> Any:
        answer = done_once(tx, *rest, **more)
        if isinstance(answer, Reason) and getattr(tx, "_overlay", None):  # of a MemoryStore: what it has written
            partial.append(answer)
        return answer

    monkeypatch.setattr(call, "once", watched)
    yield
    assert not partial, "a refusal came after a write"
