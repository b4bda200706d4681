"""No test speaks with anything but the machine that it runs on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

ELSEWHERE = [(socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET, ("dure.invalid", 9)), (socket.AF_INET, ("0.0.0.0", 9)),
             (socket.AF_INET6, ("2001:db8::1", 9, 0, 0))]  # fmt: skip


@pytest.mark.parametrize(("family", "address"), ELSEWHERE, ids=lambda v: str(v))
@pytest.mark.parametrize("way", ["connect", "connect_ex"])
def test_a_test_that_connects_elsewhere_fails_and_is_told_so(family: int, address: tuple[object, ...], way: str) -> None:
    with socket.socket(family) as sock, pytest.raises(pytest.fail.Exception, match="tests speak with nothing but this machine"):
        getattr(sock, way)(address)


def test_a_test_that_looks_a_name_up_elsewhere_fails_and_is_told_so() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"look up 'dure\.invalid'"):
        socket.create_connection(("dure.invalid", 9), timeout=1)


def test_a_guard_is_no_fault_that_tested_code_could_take_for_a_plane_out_of_reach() -> None:
    assert not issubclass(pytest.fail.Exception, Exception)


def test_this_machine_is_spoken_with(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])) as ours,
    ):
        assert ours.getpeername() == server.getsockname()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as ours:
        server.bind(str(tmp_path / "s"))
        server.listen()
        ours.connect(str(tmp_path / "s"))
