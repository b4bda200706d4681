from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.served_plane import served_plane
from tests.unit.cli import trialshell
from tests.unit.cli.test_commands import Shell


@pytest.fixture
def still(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A wide terminal before a plane of its own, whose controller takes a step only when told to."""
    monkeypatch.chdir(tmp_path)
    with served_plane(tmp_path) as served:
        environ = {"DURE_DATA": str(tmp_path / "data"), "DURE_PROJECT": "alpha", "LANG": "C", "COLUMNS": "200"}
        yield Shell(served, capsys, tmp_path, environ)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trialshell.Shell:
    """For `dure simulate`; where a plane is wanted, a file has a shell of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FLEET.toml").write_text(trialshell.FLEET)
    made = trialshell.Shell(tmp_path, capsys)
    made.write(trialshell.JOBS)
    return made
