"""The same snapshot gives the same plan, byte for byte, in whatever order a process of Python keeps its sets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings

from dure.scheduler import encode, plan
from tests.builders.world import World
from tests.builders.worlds import examples, worlds

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
ROOT = Path(__file__).parents[3]
SEEDS = ("0", "1", "77")


def fingerprint() -> str:
    """Of some worlds with everything in them, always the same ones, and of their plans."""
    seen = hashlib.sha256()

    @given(worlds(power=True, windows=True, quotas=True, shares=True, tastes=True, blocks=True, yields=True))
    @settings(examples(30, most=2000), derandomize=True, database=None)
    def look(world: World) -> None:
        s = world.snapshot()
        p = plan(s)
        seen.update(encode(s))
        for column in fields(p):
            seen.update(getattr(p, column.name).tobytes())

    look()
    return seen.hexdigest()


def test_the_same_worlds_have_the_same_plans_under_any_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-m", __name__], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for seed in SEEDS
    ]  # fmt: skip
    assert len(set(told)) == 1 and len(told[0]) == 64, told


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
