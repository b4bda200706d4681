"""Options of the whole suite, and what no test may do."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from functools import wraps
from ipaddress import ip_address
from typing import Any

import pytest
from coverage import Coverage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the right column of the scenarios")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With DURE_EXAMPLES=10000 (`make test-long`) a property may take as long as it takes."""
    if "DURE_EXAMPLES" in os.environ:
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What is marked as unmeasured runs at its own pace: to be measured takes as long again."""
    measuring = Coverage.current() if item.get_closest_marker("unmeasured") else None
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()


# -- no test leaves this machine ------------------------------------------------------------------------------------------


def _is_here(host: Any) -> bool:
    """Whether this is the loopback, or its one name that nobody else has to be asked for."""
    try:
        return ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _is_number(host: str) -> bool:
    try:
        return bool(ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def _refuse(what: str) -> None:
    # no OSError, and not even an Exception: whatever is tested must not take it for a plane that is out of reach
    pytest.fail(f"a test tried to {what}: tests speak with nothing but this machine")


def _guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    @wraps(connect)
    def guarded(sock: socket.socket, address: Any) -> Any:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            _refuse(f"connect to {address}")
        return connect(sock, address)

    return guarded


def _known_names(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """Addresses that are numbers are not looked up anywhere, and nothing can be done with them but what is guarded too."""

    @wraps(look_up)
    def guarded(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_here(name) and not _is_number(name):
            _refuse(f"look up {name!r}")
        return look_up(host, *rest, **more)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def network_guard() -> Iterator[None]:
    """In the process of the tests; what they start is on its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", _known_names(socket.getaddrinfo))
        yield
