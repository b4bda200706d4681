"""Imports point downwards, the core is pure, and each dangerous thing has one home. The contracts are in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

# contract → a file of the copy, and a line in it that the contract must catch
VIOLATIONS = {
    "layers": ("dure/controller/rules.py", "import dure.api.app"),
    "pure": ("dure/scheduler/quote.py", "import time"),
    "settings": ("dure/config.py", "import dure.model.money"),
    "choice-of-sql": ("dure/cli/run.py", "import dure.store.sql"),
    "choice-of-backend": ("dure/cli/console.py", "import dure.backends.local.driver"),
    "choice-of-fakes": ("dure/bootstrap/plane.py", "import dure.backends.fake"),
    "agent-alone": ("dure/bootstrap/site.py", "import dure.scheduler.plan"),
    "backends-apart": ("dure/backends/local/files.py", "import dure.backends.fake.script"),
    "home-of-sql": ("dure/api/state.py", "import sqlalchemy"),
    "home-of-http-server": ("dure/client/work.py", "import pydantic"),
    "home-of-http-client": ("dure/agent/backoff.py", "import httpx"),
    "home-of-terminal": ("dure/simulator/story.py", "import rich"),
    "home-of-server": ("dure/api/sse.py", "import uvicorn"),
    "home-of-machine": ("dure/agent/settings.py", "import psutil"),
    "home-of-compilation": ("dure/scheduler/quote.py", "import numba"),
    "home-of-parquet": ("dure/simulator/world.py", "import pyarrow"),
    "home-of-signatures": ("dure/controller/sealer.py", "import cryptography"),
}
OUTSIDE = "a-package-that-nobody-placed"  # not an import: the layers are exhaustive


def contracts() -> dict[str, str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {c["id"]: c["name"] for c in settings["tool"]["importlinter"]["contracts"]}


def lint(folder: Path) -> tuple[int, str]:
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "400", "PATH": ""})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy in which every contract is broken once."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "dure", copy / "dure", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, line in VIOLATIONS.values():
        path = copy / file
        path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    (copy / "dure" / "utils").mkdir()
    (copy / "dure" / "utils" / "__init__.py").touch()
    return lint(copy)[1]


def test_every_contract_is_kept() -> None:
    code, said = lint(ROOT)
    assert code == 0, said


def test_every_contract_has_a_planted_violation() -> None:
    assert set(VIOLATIONS) == set(contracts())


@pytest.mark.parametrize("contract", sorted(VIOLATIONS))
def test_a_planted_violation_is_caught(planted: str, contract: str) -> None:
    assert f"{contracts()[contract]} BROKEN" in planted, planted


def test_a_package_that_nobody_placed_is_caught(planted: str) -> None:
    assert "utils" in planted.split("Broken contracts")[1]
