"""What the code archives of a project may take of the plane's disk, and how they go again."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.api.blobs import STRAY_MS, sweep
from dure.controller.commands.bundles import KEPT_MS, BundleLimits
from dure.controller.step import BUNDLES_EVERY_MS
from dure.model.event import Event
from dure.model.records import Bundle
from tests.builders.api_plane import JOB, ApiPlane, api_plane, problem

SMALL = BundleLimits(bytes_max=200, count_max=3)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[ApiPlane]:
    with api_plane(tmp_path, bundle_limits=SMALL) as plane:
        yield plane


def archive(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def send(plane: ApiPlane, content: Any, who: str = "alice", project: str = "alpha") -> Any:
    headers = plane.headers(who, content_type="application/gzip")
    return plane.http.post(f"/api/v1/projects/{project}/bundles", content=content, headers=headers)


def files(plane: ApiPlane, project: str = "alpha") -> list[str]:
    folder = plane.app.state.api.settings.blobs / project
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def collect(plane: ApiPlane) -> list[str]:
    """What the hourly sweep of the controller, and then that of the files, leave."""
    plane.controller.step()
    plane.clock.shift_ms += BUNDLES_EVERY_MS + 60_000
    plane.controller.step()
    sweep(plane.app.state.api)
    return files(plane)


def test_a_project_keeps_no_more_archives_than_its_share_and_others_keep_theirs(narrow: ApiPlane) -> None:
    for text in (b"1", b"2", b"3"):
        assert send(narrow, archive(text)).status_code == 201
    told = problem(send(narrow, archive(b"4")), 422, "bundles_full")
    assert (told["reason"]["facts"]["count"], told["reason"]["facts"]["limit"]) == (4, 3)
    assert "30 d after" in told["remedy"]
    assert len(files(narrow)) == 3
    assert send(narrow, archive(b"4"), "bob", "beta").status_code == 201


def test_what_is_kept_already_may_be_uploaded_again_when_the_share_is_used_up(narrow: ApiPlane) -> None:
    for text in (b"1", b"2", b"3"):
        send(narrow, archive(text))
    headers = narrow.headers("alice", content_type="application/gzip", x_content_sha256=hashlib.sha256(archive(b"1")).hexdigest())
    again = narrow.http.post("/api/v1/projects/alpha/bundles", content=archive(b"1"), headers=headers)
    assert again.status_code == 201
    lie = {**headers, "idempotency-key": "lie"}  # the bytes count, not what they are said to be
    problem(narrow.http.post("/api/v1/projects/alpha/bundles", content=archive(b"5"), headers=lie), 422, "bad_field")


def test_bytes_are_bounded_by_their_declared_length_and_by_what_comes(narrow: ApiPlane) -> None:
    noise = b"\x1f\x8b" + os.urandom(300)
    problem(send(narrow, noise), 422, "bundles_full")

    async def unannounced() -> Any:
        yield noise

    problem(send(narrow, unannounced()), 422, "bundles_full")
    assert files(narrow) == []
    assert narrow.store.read(lambda reader: reader.count(Bundle)) == 0


def test_nothing_is_taken_in_below_the_reserve_of_the_disk(tmp_path: Path) -> None:
    with api_plane(tmp_path, disk_reserve_bytes=1 << 60) as plane:
        problem(send(plane, archive(b"1")), 507, "disk_low")
        assert files(plane) == []


def test_parts_of_interrupted_uploads_and_files_without_a_row_go_after_an_hour(plane: ApiPlane) -> None:
    send(plane, archive(b"1"))
    (kept,) = files(plane)
    folder = plane.app.state.api.settings.blobs / "alpha"
    (folder / ".part-up_1").write_bytes(b"half")
    (folder / f"{'0' * 64}.tar.gz").write_bytes(b"forgotten")
    assert sweep(plane.app.state.api) == 0  # an upload may still be at them
    plane.clock.shift_ms += STRAY_MS + 60_000
    assert sweep(plane.app.state.api) == 2
    assert files(plane) == [kept]


def test_an_archive_goes_long_after_its_last_use_and_never_under_what_waits(plane: ApiPlane) -> None:
    used, unused = (send(plane, archive(text)).json()["sha256"] for text in (b"used", b"unused"))
    id = plane.submit(job={**JOB, "bundle": used})["ids"][0]
    assert collect(plane) == sorted([f"{used}.tar.gz", f"{unused}.tar.gz"])
    plane.clock.shift_ms += KEPT_MS
    assert collect(plane) == [f"{used}.tar.gz"]
    events = plane.store.read(lambda reader: reader.find(Event, order="seq"))
    assert [e.subject for e in events if e.kind == "bundle.removed"] == [unused]
    plane.post("alice", f"/workloads/{id}/cancel")
    assert collect(plane) == []
    told = problem(plane.call("alice", "POST", f"/workloads/{id}/resubmit", {"job": {}}), 409, "bundle_gone")
    assert told["reason"]["facts"]["id"] == used
    assert send(plane, archive(b"used")).status_code == 201
    plane.post("alice", f"/workloads/{id}/resubmit", {"job": {}})


def test_a_use_keeps_an_archive(plane: ApiPlane) -> None:
    digest = send(plane, archive(b"1")).json()["sha256"]
    plane.clock.shift_ms += KEPT_MS - 60_000
    id = plane.submit(job={**JOB, "bundle": digest})["ids"][0]
    plane.post("alice", f"/workloads/{id}/cancel")
    assert collect(plane) == [f"{digest}.tar.gz"]
