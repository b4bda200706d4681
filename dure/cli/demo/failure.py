"""How the demo says that something was not as promised."""

from __future__ import annotations

from typing import Any


class DemoFailure(Exception):
    """key: what differed, as a key of the text catalogue; facts: for its placeholders."""

    def __init__(self, key: str, **facts: Any) -> None:
        super().__init__(f"{key}: {facts}")
        self.key = key
        self.facts = facts
