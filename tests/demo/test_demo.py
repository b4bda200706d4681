"""`dure demo` keeps its promises, and leaves nothing behind: also when it is interrupted, or its farm is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from dure.cli.demo.farm import processes_of
from dure.cli.farm import lock
from tests.demo.farms import eventually

pytest.importorskip("sklearn", reason="the demo trains with scikit-learn: pip install 'dure[demo]'")
pytestmark = pytest.mark.timeout(900)
PATIENCE_S = 600  # beside other tests on a busy machine; that it takes less than three minutes alone is measured, not tested
FOLDER = re.compile(r"(/\S*dure-demo-\w+)")


@contextmanager
def demo(tmp: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The demo, with its temporary folder below `tmp`, and the file that it prints into."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DURE_")}
    out = tmp / "out.txt"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dure.cli", "demo", *words],
            env={**kept, "TMPDIR": str(tmp), "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=tmp,
            start_new_session=True,
        )
    try:
        yield process, out
    finally:
        process.kill()
        process.wait()
        for left in processes_of(tmp):
            left.kill()


def ended(process: subprocess.Popen[bytes], out: Path, within_s: float) -> int:
    """Its exit status. One that does not end says where it stands, in all its threads."""
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait()
        raise AssertionError(out.read_text()) from None


def nothing_left(tmp: Path) -> None:
    assert [p.name for p in tmp.iterdir() if p.name.startswith("dure-demo-")] == []
    assert list(processes_of(tmp)) == []


def test_the_demo_keeps_its_promises_though_its_farm_is_killed(tmp_path: Path) -> None:
    with demo(tmp_path, "--within", str(PATIENCE_S)) as (process, out):
        eventually(lambda: "epoch 10/" in out.read_text() or process.poll() is not None, "the training runs")
        found = FOLDER.search(out.read_text())
        assert found, out.read_text()
        farm = lock.running(Path(found[1].rstrip(".")))
        assert farm is not None
        psutil.Process(farm.pid).kill()
        code = ended(process, out, PATIENCE_S + 60)
        told = out.read_text()
        assert code == 0, told
        assert "BROKEN" not in told
        assert "started again" in told
        assert told.count("kept ") >= 20
        assert "won" in told
        nothing_left(tmp_path)


def test_a_demo_that_is_interrupted_takes_everything_away(tmp_path: Path) -> None:
    with demo(tmp_path, "--lang", "ko") as (process, out):
        eventually(lambda: "실행 중" in out.read_text() or process.poll() is not None, "a job runs")
        process.send_signal(signal.SIGINT)
        assert ended(process, out, 120) == 130, out.read_text()
        nothing_left(tmp_path)


def test_a_demo_that_runs_out_of_time_fails_and_takes_everything_away(tmp_path: Path) -> None:
    with demo(tmp_path, "--within", "10", "--json") as (process, out):
        assert ended(process, out, 120) == 1, out.read_text()
        assert '"ok": false' in out.read_text()
        nothing_left(tmp_path)
