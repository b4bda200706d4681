from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.api_plane import ApiPlane, api_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ApiPlane]:
    with api_plane(tmp_path) as made:
        yield made
