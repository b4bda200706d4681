"""The agent's own link speaks with the real plane."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dure.client.link import HttpLink
from dure.errors import ApiError
from dure.model.link import AttemptReport, Hello, LogChunk, Poll, Report
from dure.model.workload import Attempt, Evidence, Outcome
from tests.builders.api_plane import JOB
from tests.builders.served_plane import Served, served_plane


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_plane(tmp_path / "plane") as made:
        yield made


def test_an_agent_lives_a_whole_life_over_its_link(served: Served, tmp_path: Path) -> None:
    plane = served.plane
    archive = gzip.compress(b"code", mtime=0)
    served.client("alice").upload_bundle("alpha", archive)
    digest = hashlib.sha256(archive).hexdigest()
    link = HttpLink(served.url, plane.tokens["agent"])
    try:
        node = {"name": "n1", "cores_milli": 4000, "memory_mib": 8192}
        hello = Hello(protocol=1, agent_version="1", boot_id="b", describe={"name": "fake"}, nodes=(node,))
        epoch = link.hello(hello).epoch
        plane.controller.step()
        workload = plane.submit(job={**JOB, "bundle": digest})["ids"][0]
        plane.controller.step()
        (order,) = link.poll(Poll(epoch=epoch, wait_ms=1000)).orders
        assert order.spec is not None and order.spec.command == ("true",)
        assert order.owner == plane.actors["alice"], "a backend that runs work as one of its own users has to know whose it is"
        target = tmp_path / "bundle.tar.gz"
        assert link.fetch_bundle("alpha", digest, target, 1 << 20) == "" and target.read_bytes() == archive
        assert link.fetch_bundle("alpha", "0" * 64, tmp_path / "none", 1 << 20) == "bundle_missing"
        told = AttemptReport(attempt=order.attempt, epoch=order.epoch, workload=workload, phase="running", workers=order.workers)
        assert link.report(Report(epoch=epoch, reports=(told,))).recorded == ()
        chunk = LogChunk(epoch=epoch, attempt=order.attempt, worker=0, offset=0, data="aGk=")
        assert link.send_log(chunk).offset == -1
        ended = AttemptReport(
            attempt=order.attempt, epoch=order.epoch, workload=workload, phase="ended", outcome=Outcome.FAILED,
            evidence=Evidence(run_ms=1000, exit_code=3),
        )  # fmt: skip
        assert link.report(Report(epoch=epoch, reports=(ended,))).recorded == (order.attempt,)
        assert plane.get("alice", f"/workloads/{workload}")["reason"]["facts"]["exit_code"] == 3
        link.hello(hello)
        with pytest.raises(ApiError) as stale:
            link.poll(Poll(epoch=epoch))
        assert stale.value.problem["reason"]["kind"] == "epoch_stale"
    finally:
        link.close()


def test_a_hello_in_parts_and_an_empty_inventory_pass_over_the_link(served: Served) -> None:
    plane = served.plane
    link = HttpLink(served.url, plane.tokens["agent"])
    try:
        node = {"name": "n1", "cores_milli": 4000, "memory_mib": 8192}
        hello = Hello(protocol=1, agent_version="1", boot_id="b", describe={"name": "fake"}, nodes=(node,), more=True)
        first = link.hello(hello)
        assert first.more and plane.get("operator", "/sites/pohang")["incarnation"] == 0
        last = link.hello(replace(hello, nodes=(), more=False, epoch=first.epoch))
        assert (last.more, last.epoch) == (False, first.epoch)
        site = plane.get("operator", "/sites/pohang")
        assert (site["incarnation"], [n["up"] for n in site["nodes"]]) == (1, [True])
        for report, up in ((Report(epoch=last.epoch), True), (Report(epoch=last.epoch, inventory=True), False)):
            link.report(report)
            assert [n["up"] for n in plane.get("operator", "/sites/pohang")["nodes"]] == [up]
        link.hello(replace(hello, more=False))
        with pytest.raises(ApiError) as stale:
            link.hello(replace(hello, nodes=(), epoch=first.epoch))
        assert stale.value.problem["reason"]["kind"] == "epoch_stale"
    finally:
        link.close()


def test_an_end_with_an_outcome_that_the_plane_does_not_know_counts_as_lost(served: Served) -> None:
    plane = served.plane
    workload, attempt, epoch = plane.run_one()
    (row,) = plane.store.read(lambda reader: reader.find(Attempt, {"id": attempt}))
    answer = plane.report(epoch, attempt, row.epoch, workload, "ended", outcome="evaporated", evidence={"run_ms": 10})
    assert answer["recorded"] == [attempt]
    (ended,) = plane.store.read(lambda reader: reader.find(Attempt, {"id": attempt}))
    assert ended.outcome is Outcome.LOST
