"""The parts that only bootstrap chooses: ids and secrets, keys, prices, a folder that is its owner's alone."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dure.bootstrap.machine import SystemClock, SystemEntropy, make_folder, write_secret
from dure.bootstrap.plane import (
    DEVICE_WON_PER_HOUR,
    SIGNING_KEY,
    admin_token_works,
    back_up,
    default_policy,
    open_plane,
    public_half,
    restore,
    signing_key,
)
from dure.config import Config, load
from dure.controller import verify_audit
from dure.controller.commands import tenancy
from dure.controller.commands.policy import policy_fault
from dure.controller.deed import Deed
from dure.errors import ConfigError
from dure.model.accelerators import ACCELERATORS
from dure.model.policy import price_table
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Site
from dure.model.tenancy import Credential, Grant, Role
from dure.ports import Tx

# As the comment at the tariff says: dollars, in the order of the catalogue's ids.
DOLLARS = {
    "h100": 32_500,
    "h200": 35_000,
    "b200": 45_000,
    "a100": 11_500,
    "l40s": 8_500,
    "mi300x": 17_500,
    "rngd": 11_500,
    "atom-max": 9_000,
    "rebel100": 22_500,
}


def config_for(folder: Path, **environ: str) -> Config:
    return load({"DURE_DATA": str(folder / "data"), **environ})


def test_ids_sort_in_the_order_in_which_they_were_asked_for() -> None:
    entropy = SystemEntropy()
    ids = [entropy.new_id("wl", 1_700_000_000_000 + n // 50) for n in range(500)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 500
    assert all(len(i) == 29 and i.startswith("wl_") for i in ids)


def test_threads_never_get_the_same_id() -> None:
    entropy, found = SystemEntropy(), []

    def take() -> None:
        found.extend(entropy.new_id("x", 5) for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2000


def test_a_clock_that_steps_back_gives_no_id_twice() -> None:
    entropy = SystemEntropy()
    ids = [entropy.new_id("x", ms) for ms in (10, 9, 10, 9, 10)]
    assert len(set(ids)) == 5


def test_device_prices_are_what_their_formula_says() -> None:
    for name, dollars in DOLLARS.items():
        kilowatts = ACCELERATORS[name].server_watts / 1000
        purchase = dollars * 1400 * 1.5 / (4 * 365 * 24 * 0.7)
        won = purchase + kilowatts * (181.9 * 1.3 + 250_000 / 730)
        assert DEVICE_WON_PER_HOUR[name] == round(won / 100) * 100, name


def test_the_default_policy_is_one_that_the_controller_would_accept() -> None:
    policy = default_policy()
    assert policy_fault(policy) is None
    assert price_table(policy, "KRW")["core"] * 3600 == pytest.approx(15 * 10**9, rel=1e-6)
    assert price_table(policy, "ACS") == {"device:*": 10**9}


def test_secrets_are_their_owners_alone_and_replaced_whole(tmp_path: Path) -> None:
    write_secret(tmp_path / "token", "one")
    write_secret(tmp_path / "token", "two")
    assert (tmp_path / "token").read_text() == "two\n"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]


def test_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    config.data.mkdir(mode=0o755)
    assert make_folder(config).stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="DURE_DATA"):
        make_folder(config_for(tmp_path))


def test_a_signing_key_that_is_not_the_planes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    key = signing_key(path, None)
    plane = Plane(public_key=public_half(key))
    assert public_half(signing_key(path, plane)) == plane.public_key
    with pytest.raises(ConfigError, match="another plane"):
        signing_key(path, replace(plane, public_key="00" * 32))
    path.write_text("nonsense")
    with pytest.raises(ConfigError, match=r"copy signing\.key"):
        signing_key(path, plane)


def test_a_restore_is_signed_with_the_key_of_the_plane_in_the_backup_or_refused(tmp_path: Path) -> None:
    config, other = config_for(tmp_path), config_for(tmp_path / "other")
    parts = open_plane(config)
    parts.close()
    folder = tmp_path / "backup"
    folder.mkdir()
    file = back_up(config, folder)
    with pytest.raises(ConfigError, match=r"signing\.key is missing.*copy signing\.key"):
        restore(other, file, force=False)
    assert not other.database.exists()
    signing_key(folder / SIGNING_KEY, None)
    with pytest.raises(ConfigError, match="another plane"):
        restore(other, file, force=False)
    shutil.copy(config.data / SIGNING_KEY, folder / SIGNING_KEY)
    assert restore(other, file, force=False).incarnation == 2
    shutil.copy(config.data / SIGNING_KEY, other.data / SIGNING_KEY)
    restored = open_plane(other)
    proof = restored.store.read(lambda r: verify_audit(r, restored.controller.sealer.signer))
    restored.close()
    assert (proof.fault, proof.incarnation, proof.findings) == (None, 2, ())


def test_a_first_start_founds_the_plane_and_a_second_goes_on_with_it(tmp_path: Path) -> None:
    config = config_for(tmp_path, DURE_REGION="KR-47", DURE_SITE="pohang")
    first = open_plane(config)
    first.close()
    token = config.admin_token.read_text()
    (config.data / "drained-for-stop").touch()
    second = open_plane(config)
    try:
        site = second.store.read(lambda reader: reader.get(Site, "pohang"))
        credentials = second.store.read(lambda reader: reader.count(Credential))
    finally:
        second.close()
    assert site is not None
    assert site.region == "KR-47"
    assert config.admin_token.read_text() == token
    assert not (config.data / "drained-for-stop").exists()
    config.site_token.unlink()
    third = open_plane(config)
    try:
        assert third.store.read(lambda reader: reader.count(Credential)) == credentials + 1
    finally:
        third.close()
    assert config.site_token.read_text().startswith("dure_")


def test_the_clock_tells_milliseconds_of_this_century() -> None:
    assert 1_700_000_000_000 < SystemClock().now_ms() < 4_100_000_000_000


def test_a_folder_that_everybody_uses_is_left_as_it_is(tmp_path: Path) -> None:
    for mode in (0o1777, 0o777):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data").chmod(mode)
        with pytest.raises(ConfigError, match=f"name one inside it, such as {tmp_path}/data/dure"):
            make_folder(config_for(tmp_path))
        assert (tmp_path / "data").stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("lost", ["token", "role"])
def test_an_administrators_token_that_was_taken_back_is_made_anew_once_its_file_is_gone(tmp_path: Path, lost: str) -> None:
    config = config_for(tmp_path)
    plane, now_ms = open_plane(config), SystemClock().now_ms()
    try:
        deed = plane.controller.deed("test")
        (credential,) = [c for c in plane.store.read(lambda r: r.find(Credential)) if c.label == "data folder, admin"]
        (role,) = plane.store.read(lambda r: r.find(Grant, {"role": Role.ADMIN}))
        assert credential.actor == role.actor and admin_token_works(plane.store, config, now_ms)

        def lose(tx: Tx) -> object:
            way = {"token": lambda: tenancy.revoke_token(tx, deed, credential=credential.id),
                   "role": lambda: tenancy.revoke_grant(tx, deed, grant=role.id)}  # fmt: skip
            return way[lost]()

        refused = plane.store.transact(lose)
        assert isinstance(refused, Reason) and refused.kind == ReasonKind.LAST_ADMINISTRATOR  # no token that nobody has counts
        plane.store.transact(lambda tx: _another_administrator(tx, deed))
        assert not isinstance(plane.store.transact(lose), Reason)
        assert not admin_token_works(plane.store, config, now_ms)
    finally:
        plane.close()
    config.admin_token.unlink()
    again = open_plane(config)
    try:
        assert admin_token_works(again.store, config, SystemClock().now_ms())
    finally:
        again.close()


def _another_administrator(tx: Tx, deed: Deed) -> None:
    actor = tenancy.create_actor(tx, deed, name="second", grants=[(Role.ADMIN, "*")])
    assert not isinstance(actor, Reason)
    tenancy.create_token(tx, deed, actor=actor.id)
