"""Tests run the kernels that the source says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import kernels


def test_what_was_compiled_of_other_sources_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "DURE", tmp_path)
    monkeypatch.setattr(kernels, "NOTE", tmp_path / "__pycache__" / "kernels.sha256")
    folder = tmp_path / "scheduler" / "kernels"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "called.py").write_text("1")
    compiled = folder / "__pycache__" / "caller.nbi"
    compiled.touch()
    kernels.forget_stale_kernels()
    assert not compiled.exists()
    compiled.touch()
    kernels.forget_stale_kernels()
    assert compiled.exists(), "nothing has changed"
    (folder / "called.py").write_text("2")
    kernels.forget_stale_kernels()
    assert not compiled.exists()
