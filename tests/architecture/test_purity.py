"""What the import contracts say of the pure packages, said by the interpreter: nothing outside is touched while they work."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.tree import ROOT


def probe(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.architecture.probe", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_planning_posting_deciding_and_rendering_open_no_file_socket_or_process() -> None:
    done = probe()
    assert (done.returncode, done.stdout) == (0, "pure\n"), done.stderr


def test_the_watch_would_see_a_file() -> None:
    done = probe("plant")
    assert done.returncode != 0
    assert "the pure core did open" in done.stderr
