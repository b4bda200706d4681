"""Bundles are fetched once, kept while used, and bounded."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dure.agent.backoff import Backoff, doubled_ms
from dure.agent.bundles import BundleCache
from dure.errors import LinkError
from tests.unit.agent.fakes import CountingEntropy

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


class Source:
    def __init__(self, size: int = 100) -> None:
        self.size = size
        self.fetched: list[str] = []

    def __call__(self, target: Path) -> str:
        self.fetched.append(target.name)
        target.write_bytes(b"x" * self.size)
        return ""


def aged(cache: BundleCache, *oldest_first: str) -> None:
    for moment, sha256 in enumerate(oldest_first):
        os.utime(cache.path(sha256), ns=(moment, moment))


def test_a_bundle_is_fetched_once(tmp_path: Path) -> None:
    cache, source = BundleCache(tmp_path / "b", 1000), Source()
    assert cache.obtain(A, source, ()) == "" == cache.obtain(A, source, ())
    assert BundleCache(tmp_path / "b", 1000).obtain(A, source, ()) == ""  # nor after a restart
    assert source.fetched == [A]


def test_two_launches_at_once_fetch_it_once(tmp_path: Path) -> None:
    cache, source = BundleCache(tmp_path, 1000), Source()
    both = threading.Barrier(2)

    def obtain() -> None:
        both.wait()
        cache.obtain(A, source, ())

    threads = [threading.Thread(target=obtain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.fetched == [A]


def test_the_least_recently_used_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    cache, source = BundleCache(tmp_path, 150), Source()
    cache.obtain(A, source, ())
    cache.obtain(B, source, {A})
    aged(cache, A, B)
    cache.obtain(C, source, {A})  # A is older, but used
    assert cache.path(A).exists() and cache.path(B).exists() and cache.path(C).exists()
    cache.evict({A})
    assert cache.path(A).exists() and not cache.path(B).exists() and cache.path(C).exists()
    cache.evict(())
    assert not cache.path(A).exists() and cache.path(C).exists()


def test_what_cannot_be_fetched_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path, 1000)
    assert cache.obtain(A, lambda target: "bundle_missing", ()) == "bundle_missing"

    def broken(target: Path) -> str:
        raise LinkError("down")

    with pytest.raises(LinkError):
        cache.obtain(A, broken, ())
    assert cache.obtain(A, Source(), ()) == ""


def test_what_a_killed_fetch_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".part-xyz").write_bytes(b"half")
    BundleCache(tmp_path, 1000)
    assert list(tmp_path.iterdir()) == []


def test_pauses_double_up_to_a_cap_and_differ_between_agents() -> None:
    backoff = Backoff(CountingEntropy(), 200, 1_600)
    pauses = [backoff.next_ms() for _ in range(6)]
    for pause, whole in zip(pauses, [200, 400, 800, 1_600, 1_600, 1_600], strict=True):
        assert whole // 2 <= pause <= whole
    assert len(set(pauses[3:])) > 1
    assert backoff.failing
    backoff.reset()
    assert backoff.next_ms() <= 200


def test_what_one_agent_repeats_alone_is_not_a_matter_of_chance() -> None:
    assert [doubled_ms(2_000, 60_000, n) for n in (0, 1, 2, 9, 500)] == [2_000, 4_000, 8_000, 60_000, 60_000]
