"""A farm whose database is gone is not taken for a new one; what it left and what still runs is named."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dure.backends.local import files, processes
from dure.bootstrap.machine import SystemClock
from dure.bootstrap.plane import SIGNING_KEY, back_up, open_plane, restore, signing_key, site_token_works
from dure.bootstrap.site import running_here
from dure.config import Config, load
from dure.controller.commands import tenancy
from dure.errors import ConfigError
from dure.model.records import Plane
from dure.model.tenancy import Credential


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load({"DURE_DATA": str(tmp_path / "data")})


@pytest.fixture
def lost(config: Config) -> Config:
    """A farm lived here, and its database is gone."""
    open_plane(config).close()
    for file in config.data.glob("dure.db*"):
        file.unlink()
    return config


def test_a_database_that_is_gone_is_missed_and_no_new_plane_is_founded(lost: Config) -> None:
    key = (lost.data / SIGNING_KEY).read_text()
    for _ in range(2):
        with pytest.raises(ConfigError) as refused:
            open_plane(lost)
        told = str(refused.value)
        for word in ("signing.key", "admin.token", "site-local.token", str(lost.data), "dure restore FILE", "DURE_DATA"):
            assert word in told
        assert "\n" not in told, "who starts it in the background reads one line"
    assert (lost.data / SIGNING_KEY).read_text() == key


@pytest.mark.parametrize(
    "left", ["admin.token", "site-local.token", "agent-local/journal.db", "local-local/attempts/at_1/order.json"]
)
def test_any_trace_of_a_farm_beside_its_key_tells_that_one_lived_here(config: Config, left: str) -> None:
    config.data.mkdir(mode=0o700)
    signing_key(config.data / SIGNING_KEY, None)
    (config.data / left).parent.mkdir(parents=True, exist_ok=True)
    (config.data / left).touch()
    with pytest.raises(ConfigError, match="a farm lived in"):
        open_plane(config)
    top = config.data / Path(left).parts[0]
    top.rename(config.data.with_name(top.name))
    open_plane(config).close()


def test_a_founding_that_was_killed_goes_on(config: Config) -> None:
    """The key comes first, then what is in the database, then the tokens."""
    config.data.mkdir(mode=0o700)
    signing_key(config.data / SIGNING_KEY, None)
    open_plane(config).close()
    config.admin_token.unlink()
    plane = open_plane(config)
    assert plane.store.read(lambda r: r.get(Plane, "plane")) is not None
    plane.close()


def test_an_administrators_token_without_the_key_tells_it_too(lost: Config) -> None:
    (lost.data / SIGNING_KEY).unlink()
    with pytest.raises(ConfigError, match=r"a farm lived in.*admin\.token"):
        open_plane(lost)


def test_a_store_that_is_set_to_an_empty_database_is_no_new_farm(lost: Config, tmp_path: Path) -> None:
    """Such as DURE_STORE without `dure migrate --to`, or a server's database that was emptied."""
    with pytest.raises(ConfigError, match="dure migrate --to"):
        open_plane(load({"DURE_DATA": str(lost.data), "DURE_STORE": f"sqlite:///{tmp_path}/other.db"}))


def test_the_remedies_work(config: Config, tmp_path: Path) -> None:
    open_plane(config).close()
    backup = tmp_path / "backup"
    backup.mkdir()
    file = back_up(config, backup)
    for one in config.data.glob("dure.db*"):
        one.unlink()
    with pytest.raises(ConfigError):
        open_plane(config)
    restore(config, file, force=False)
    open_plane(config).close()
    for one in config.data.glob("dure.db*"):
        one.unlink()
    with pytest.raises(ConfigError) as refused:
        open_plane(config)
    for name in ("signing.key", "admin.token", "site-local.token"):
        assert name in str(refused.value)
        shutil.move(config.data / name, tmp_path / name)
    plane = open_plane(config)
    try:
        assert site_token_works(plane.store, config, SystemClock().now_ms())
    finally:
        plane.close()


def test_a_sites_token_that_was_revoked_or_is_another_planes_is_known(config: Config) -> None:
    plane, now_ms = open_plane(config), SystemClock().now_ms()
    try:
        assert site_token_works(plane.store, config, now_ms)
        (credential,) = [c for c in plane.store.read(lambda r: r.find(Credential)) if c.label == "data folder, agent"]
        plane.store.transact(lambda tx: tenancy.revoke_token(tx, plane.controller.deed("test"), credential=credential.id))
        assert not site_token_works(plane.store, config, now_ms)
    finally:
        plane.close()
    config.site_token.unlink()
    again = open_plane(config)
    try:
        assert site_token_works(again.store, config, now_ms)
        config.site_token.write_text(config.admin_token.read_text())
        assert not site_token_works(again.store, config, now_ms), "the agent's work is a site's alone"
    finally:
        again.close()


# -- what still runs -------------------------------------------------------------------------------------------------------


def attempt(config: Config, name: str, **records: dict[str, object]) -> Path:
    folder = config.data / "local-local" / "attempts" / name
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    for record, value in {"order.json": {}, **records}.items():
        (folder / record).write_text(json.dumps(value))
    return folder


@pytest.fixture
def me() -> dict[str, object]:
    return {"boot_id": files.boot_id(), "pid": os.getpid(), "start_ticks": processes.start_ticks(os.getpid())}


@pytest.fixture
def held() -> Iterator[list[int]]:
    descriptors: list[int] = []
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_what_runs_on_this_machine_is_found_by_its_lock_and_by_its_process(
    config: Config, me: dict[str, object], held: list[int]
) -> None:
    attempt(config, "at_gone", run={**me, "start_ticks": 1})
    attempt(config, "at_ended", run=me, exit={"outcome": "succeeded"})
    attempt(config, "at_before_boot", run={**me, "boot_id": "another"})
    attempt(config, "at_witnessed", run=me)
    attempt(config, "at_orphaned", run={**me, "start_ticks": 1, "init": [me["pid"], me["start_ticks"]]})
    busy = attempt(config, "at_locked", run=me)
    for folder in (busy, attempt(config, "at_looked_at", run={**me, "start_ticks": 1})):
        held.append(os.open(folder / "lock", os.O_RDWR))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
    attempt(config, ".new-at_1.2.3", run=me)
    found = {one.attempt: one.pid for one in running_here(config)}
    assert found == {"at_witnessed": me["pid"], "at_orphaned": me["pid"], "at_locked": me["pid"]}


def test_where_no_job_ever_ran_none_does(config: Config) -> None:
    assert running_here(config) == []
