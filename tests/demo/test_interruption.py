"""A signal is obeyed between two steps, never in the middle of one; and cleaning is not interrupted."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from dure.cli.demo.farm import DemoFarm
from dure.cli.demo.interruption import SIGNALS, Interruption


def interrupt(number: int = signal.SIGINT) -> None:
    """To this process, and handled before this returns: the kernel may give it to another thread."""
    os.kill(os.getpid(), number)
    time.sleep(0.05)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_waits_for_the_next_check(number: int) -> None:
    with Interruption() as interruption:
        interruption.check()
        interrupt(number)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_a_pause_ends_at_a_signal() -> None:
    with Interruption() as interruption:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(KeyboardInterrupt):
            interruption.pause(60)


def test_a_pause_that_nobody_interrupts_lasts() -> None:
    with Interruption() as interruption:
        began_s = time.monotonic()
        interruption.pause(0.15)
        assert time.monotonic() - began_s >= 0.15


def test_a_second_signal_does_not_wait() -> None:
    with Interruption():
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_cleaning_is_not_interrupted_and_the_signal_is_remembered() -> None:
    with Interruption() as interruption:
        interruption.cleaning()
        interrupt()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_other_threads_are_not_interrupted() -> None:
    seen: list[BaseException] = []

    def look() -> None:
        try:
            interruption.pause(0.01)
        except BaseException as error:
            seen.append(error)

    with Interruption() as interruption:
        interrupt()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == []


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_farm_that_is_being_stopped_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    said: list[str] = []
    with Interruption() as interruption:
        farm = DemoFarm({}, "en", lambda what, _: said.append(what), interruption)
        assert farm.stop() == []
        assert not farm._start_again()
    assert said == []
    assert list(tmp_path.iterdir()) == []
