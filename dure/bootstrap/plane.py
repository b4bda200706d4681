"""The plane of a farm: its store, signing key, controller and API, and its database as a whole.

open_plane   everything that one process of the plane is
back_up, restore, move_to, bring_up_to_date: a plane's database as a whole
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fastapi import FastAPI

from dure.api import ApiSettings, PlaneServices, create_app, openapi
from dure.api.app import end_streams
from dure.api.auth import identity_of
from dure.bootstrap.machine import (
    DRAINED_FOR_STOP,
    LOCAL,
    SystemClock,
    SystemEntropy,
    make_folder,
    read_secret,
    write_secret,
)
from dure.bootstrap.site import running_here
from dure.config import Config
from dure.controller import Controller, ControllerSettings, Deed, found
from dure.controller.commands.bundles import BundleLimits
from dure.controller.commands.sites import create_site, drain_farm
from dure.controller.commands.tenancy import NewToken, create_actor, create_token
from dure.errors import ConfigError, require
from dure.model.money import NANO, Currency
from dure.model.policy import Policy, Price
from dure.model.reason import Reason
from dure.model.records import Plane
from dure.model.site import Site
from dure.model.tenancy import Actor, Grant, Role
from dure.ports import Clock, Entropy, Store, Tx
from dure.store.sql import SqlStore, transport

T = TypeVar("T")

SIGNING_KEY = "signing.key"
BOOT_ACTOR = "bootstrap"  # who founds a plane and gives its machine's own credentials out

# -- the default tariff ------------------------------------------------------------------------------------------------

# Won per hour. Of devices: (purchase × 1.5 for host, network and storage) over 4 years sold to 70 %, at 1,400 won a dollar,
# plus power at 181.9 won/kWh (KEPCO, mean industrial price 2025) × PUE 1.3 and colocation at 250,000 won per kW and month (CBRE,
# July 2026) for the device's share of its server; rounded to 100 won. Purchase prices are middles of published or assumed
# ranges in dollars: h100 32,500, h200 35,000, b200 45,000, a100 11,500, l40s 8,500, mi300x 17,500, rngd 11,500, atom-max
# 9,000, rebel100 22,500. A public farm that covers its cost, not a market price; a farm sets its own with `dure policy set`.
DEVICE_WON_PER_HOUR: Mapping[str, int] = {
    "h100": 3_500, "h200": 3_700, "b200": 4_900, "a100": 1_500, "l40s": 1_100, "mi300x": 2_300,
    "rngd": 1_200, "atom-max": 1_100, "rebel100": 2_400, "*": 2_000,
}  # fmt: skip
# Assumed: about a third of what Korean public clouds list for a virtual core, which is half a core.
CORE_WON_PER_HOUR = 15
MEMORY_GIB_WON_PER_HOUR = 2


def default_policy() -> Policy:
    """The rules that a new farm starts with."""
    won = {"core": CORE_WON_PER_HOUR, "memory_gib": MEMORY_GIB_WON_PER_HOUR}
    won |= {f"device:{name}": price for name, price in DEVICE_WON_PER_HOUR.items()}
    prices = tuple(Price(resource=name, nano=_per_second(price)) for name, price in won.items())
    merit = Price(resource="device:*", nano=NANO, currency=Currency.ACS)  # one accelerator-second for each device and second
    return Policy(prices=(*prices, merit))


def _per_second(won_per_hour: int) -> int:
    return (won_per_hour * NANO + 1800) // 3600


# -- the plane ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaneParts:
    """One process of the plane. The controller's thread runs; `close` stops it and flushes the store."""

    store: Store
    controller: Controller
    app: FastAPI

    def hang_up(self) -> None:
        """End streams and long polls, so that the server can stop."""
        end_streams(self.app)

    def close(self) -> None:
        self.controller.stop()
        self.store.close()


def open_plane(config: Config) -> PlaneParts:
    """Open the farm's plane, founding it when the store is empty, and start its controller. Raises ConfigError (also when a farm
    lived here whose plane the store does not hold), StoreError."""
    folder = make_folder(config)
    clock, entropy = SystemClock(), SystemEntropy()
    store = open_store(config)
    try:
        plane = store.read(lambda reader: reader.get(Plane, "plane"))
        if plane is None:
            _require_fresh(config)
        key = signing_key(folder / SIGNING_KEY, plane)
        public = public_half(key)
        deed = Deed(actor=BOOT_ACTOR, now_ms=clock.now_ms(), entropy=entropy)
        _settle_in(store, deed, config, public)
        bounds = ControllerSettings(why_plans_max=config.why_plans_max)
        controller = Controller(store, clock, entropy, _sign(key), public, bounds)
        app = _app(store, controller, clock, entropy, config)
    except BaseException:
        store.close()
        raise
    controller.start()
    return PlaneParts(store, controller, app)


def open_store(config: Config) -> Store:
    """The store that the settings name, its schema brought to this version. Raises StoreError, ConfigError."""
    make_folder(config)
    return SqlStore.open(config.store_url)


def _require_fresh(config: Config) -> None:
    """A new plane beside what an old one left would know nothing of jobs that still run, and nobody's token would open it.

    A key alone is what a founding that was killed leaves, and an agent may have had the folder to itself. Only a plane that was
    founded gives out an administrator's token. Raises ConfigError."""
    left = [name for name in (SIGNING_KEY, config.admin_token.name) if (config.data / name).exists()]
    left += sorted(p.name for p in config.data.glob("site-*.token"))
    for pattern in ("agent-*/journal.db", f"{LOCAL}*/attempts/*"):
        left += sorted({p.relative_to(config.data).parts[0] for p in config.data.glob(pattern)})
    if config.admin_token.name in left or (SIGNING_KEY in left and len(left) > 1):
        runs = ", ".join(f"{one.attempt} (process {one.pid})" for one in running_here(config))
        raise ConfigError(
            f"the database holds no plane, and a farm lived in DURE_DATA={config.data}: there are {', '.join(left)}"
            f"{f', and {runs} still runs' if runs else ''}. If its database was lost, restore a backup (dure restore FILE). If it"
            " lives in another database, name that in DURE_STORE, or move it there (dure migrate --to URL). To found a new farm,"
            " name a fresh folder; or, when no job of the old one runs any more, move what is named here out of this one"
        )


def _app(store: Store, controller: Controller, clock: Clock, entropy: Entropy, config: Config) -> FastAPI:
    limits = BundleLimits(bytes_max=config.bundles_mib << 20)
    settings = ApiSettings(blobs=config.data / "bundles", bundle_limits=limits)
    return create_app(PlaneServices(store=store, controller=controller, clock=clock, entropy=entropy, settings=settings))


def signing_key(path: Path, plane: Plane | None) -> Ed25519PrivateKey:
    """The key that signs the heads of the event chain, made when a plane is founded.

    Raises ConfigError when it is not the key of the plane that the store holds: heads signed by another would look forged to
    everyone who kept an earlier one."""
    if plane is None and not path.exists():
        key = Ed25519PrivateKey.generate()
        write_secret(path, key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()).hex())
        return key
    try:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except FileNotFoundError as fault:
        raise ConfigError(f"{path} is missing, the signing key of this plane; {_KEY_REMEDY}") from fault
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{path} is not the signing key of this plane; {_KEY_REMEDY}") from fault
    if plane is not None and plane.public_key != public_half(key):
        raise ConfigError(f"{path} is the signing key of another plane; {_KEY_REMEDY}")
    return key


_KEY_REMEDY = "copy signing.key from the data folder in which the plane was founded, or from its backup"


def _sign(key: Ed25519PrivateKey) -> Callable[[bytes], str]:
    return lambda body: key.sign(body).hex()


def public_half(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _settle_in(store: Store, deed: Deed, config: Config, public_key: str) -> None:
    """Found the plane in an empty store; make sure that this machine's site and the two credentials in the folder exist.

    A credential whose file is missing is made anew: whoever owns the data folder owns the farm."""
    store.transact(lambda tx: found(tx, deed, policy=default_policy(), public_key=public_key))
    if not (config.admin_token).exists():
        write_secret(config.admin_token, store.transact(lambda tx: _token(tx, deed, Role.ADMIN, "*")))
    store.transact(lambda tx: _site(tx, deed, config))
    if not config.site_token.exists():
        write_secret(config.site_token, store.transact(lambda tx: _token(tx, deed, Role.AGENT, config.site)))
    if (config.data / DRAINED_FOR_STOP).exists():
        store.transact(lambda tx: drain_farm(tx, deed, draining=False))
        (config.data / DRAINED_FOR_STOP).unlink()


def admin_token_works(store: Store, config: Config, now_ms: int) -> bool:
    """Whether the token in the data folder still opens the farm as an administrator: it may have been revoked, its role taken."""
    token = read_secret(config.admin_token)
    identity = store.read(lambda reader: identity_of(reader, token, now_ms))
    return not isinstance(identity, Reason) and any(g.role == Role.ADMIN for g in identity.grants)


def site_token_works(store: Store, config: Config, now_ms: int) -> bool:
    """Whether the token in the data folder still lets the agent of this machine's site in."""
    token = read_secret(config.site_token)
    identity = store.read(lambda reader: identity_of(reader, token, now_ms))
    return not isinstance(identity, Reason) and any((g.role, g.scope) == (Role.AGENT, config.site) for g in identity.grants)


def _site(tx: Tx, deed: Deed, config: Config) -> None:
    if tx.get(Site, config.site) is None:
        _done(create_site(tx, deed, id=config.site, name=config.site, region=config.region, pue_permille=config.pue_permille))


def _token(tx: Tx, deed: Deed, role: Role, scope: str) -> str:
    """A token of a service account that has this role, which is made when there is none."""
    holders = [g.actor for g in tx.find(Grant, {"role": role, "scope": scope})]
    actors = [a for a in tx.get_many(Actor, holders).values() if a.kind == "service" and not a.disabled]
    actor = actors[0] if actors else _done(create_actor(tx, deed, name="", kind="service", grants=[(role, scope)]))
    new: NewToken = _done(create_token(tx, deed, actor=actor.id, label=f"data folder, {role.value}"))
    return new.token


def _done(answer: T | Reason) -> T:
    """What a command gave that nothing can refuse here."""
    require(not isinstance(answer, Reason), f"the farm could not settle in: {answer}")
    assert not isinstance(answer, Reason)
    return answer


# -- a database as a whole ---------------------------------------------------------------------------------------------


def bring_up_to_date(config: Config) -> None:
    """Make the schema of the database the one that this version needs. Raises StoreError, ConfigError."""
    open_store(config).close()


def back_up(config: Config, target: Path) -> Path:
    """Write the database to a file (in `target`, when that is a folder). The plane may run on. Raises StoreError, ConfigError."""
    return transport.backup(config.store_url, target, now_ms=SystemClock().now_ms())


def restore(config: Config, file: Path, *, force: bool) -> transport.Carried:
    """Fill the database from a backup; agents then report anew what they run. The restore is signed with the plane's key, which
    lies beside the backup or in the data folder. Raises StoreError, ConfigError (also when it is in neither)."""
    make_folder(config)
    beside = file.resolve().parent / SIGNING_KEY
    path = beside if beside.exists() else config.data / SIGNING_KEY
    return transport.restore(
        file, config.store_url, now_ms=SystemClock().now_ms(), key_of=lambda plane: _sign(signing_key(path, plane)), force=force
    )


def move_to(config: Config, url: str) -> transport.Carried:
    """Copy the plane into another, empty database, and let the farm of this folder live there from now on.

    The old SQLite database is set aside under another name: two planes of one history would run and bill the same work twice.
    Raises StoreError, ConfigError."""
    source = config.store_url
    carried = transport.migrate_to(source, url, now_ms=SystemClock().now_ms())
    if source == f"sqlite:///{config.database}":
        for suffix in ("", "-wal", "-shm"):
            old = config.database.with_name(config.database.name + suffix)
            if old.exists():
                old.rename(old.with_name(f"moved-{old.name}"))
    if not config.store:
        write_secret(config.moved_to, url)
    return carried


def openapi_text() -> str:
    """The description of the API, as a plane would give it, in the form in which it is checked in."""
    return openapi.text()
