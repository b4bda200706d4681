"""How long a newcomer waits from `pip install` to the first comparison of policies, told apart.

A wheel of this working tree is installed into a fresh virtual environment, with what it needs from the package index; then the
first comparison of docs/guides/simulate.md runs there twice: the first time compiles."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.results import Result, fill_page

ROOT = Path(__file__).parent.parent
GUIDE, PAGE = ROOT / "docs/guides/simulate.md", ROOT / "docs/benchmarks/policies.md"
AIM_S = 120
AGAINST = "nothing here"
HIDDEN = ("PYTHONPATH", "NUMBA_CACHE_DIR", "VIRTUAL_ENV", "NUMBA_DISABLE_JIT")
Spent = tuple[float, float]  # seconds of wall time, and of CPU


def newcomer() -> list[Result]:
    words = first_comparison()
    with tempfile.TemporaryDirectory(prefix="dure-newcomer-") as made:
        folder = Path(made)
        wheel = _wheel(folder)
        install = ["sh", "-c", f"{sys.executable} -m venv venv && venv/bin/pip install -q '{wheel}[simulate]'"]
        run = ["venv/bin/dure", *words]
        does = {"install": install, "first run, which compiles": run, "second run": run}
        parts = {name: _timed(words_of, folder) for name, words_of in does.items()}
    fill_page(PAGE, {"newcomer": table(parts, words)})
    whole, _ = until_compared(parts)
    told = ", ".join(f"{name} {wall:.0f} s ({cpu:.0f} s of CPU)" for name, (wall, cpu) in parts.items())
    return [
        Result(
            name="newcomer.first_comparison", value=round(whole, 1), unit="s", aim=f"< {AIM_S}", against=AGAINST,
            method=f"wall time, once, packages from the index: {told}; dure {' '.join(words)}",
        )
    ]  # fmt: skip


def first_comparison() -> list[str]:
    """The words of the guide's first comparison, without the program."""
    found = re.search(r"^\$ dure (simulate .*--policy .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{GUIDE} shows no comparison of policies")
    return found[1].split()


def until_compared(parts: Mapping[str, Spent]) -> Spent:
    """Of all but the last part, which runs again what was run."""
    *needed, _ = parts.values()
    return sum(wall for wall, _ in needed), sum(cpu for _, cpu in needed)


def table(parts: Mapping[str, Spent], words: list[str]) -> str:
    whole = {f"from `pip install` to the first comparison (aim: less than {AIM_S} s)": until_compared(parts)}
    rows = "".join(f"| {name} | {wall:.0f} s | {cpu:.0f} s |\n" for name, (wall, cpu) in {**parts, **whole}.items())
    return (
        f"`pip install 'dure[simulate]'` into a fresh environment, then `dure {' '.join(words)}` twice, measured once:\n\n"
        f"| part | wall time | CPU time |\n|---|---|---|\n{rows}"
    )


def _wheel(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    return next(folder.glob("dure-*.whl"))


def _timed(words: list[str], folder: Path) -> Spent:
    """Nothing that was compiled elsewhere is found: what numba keeps lies beside the installed package."""
    environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    began, before = time.monotonic(), _cpu_s()
    subprocess.run(words, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began, _cpu_s() - before


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
