"""openapi.json as it is checked in: `python -m dure.api.openapi > docs/reference/openapi.json`."""

from __future__ import annotations

import json
import sys

from dure.api.app import bare_app


def text() -> str:
    """The document, sorted, so that a change shows as what it is."""
    return json.dumps(bare_app().openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
