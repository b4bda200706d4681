"""The one place that picks implementations and wires them: the plane, and the agent of a site on this machine.

    open_plane   store, signing key, controller and API: everything that one process of the plane is
    run_site     journal, link and local backend: everything that the agent of this machine is
    running_here what jobs run on this machine, with or without a farm
    back_up, restore, move_to, bring_up_to_date: a plane's database as a whole

What may never live here: a decision, a rule, or anything that a test could not replace by handing over another part.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fastapi import FastAPI

from dure.agent.runner import run_agent
from dure.agent.settings import AgentSettings
from dure.api import ApiSettings, PlaneServices, create_app, openapi
from dure.api.app import end_streams
from dure.api.auth import identity_of
from dure.backends.local.driver import LocalDriver
from dure.backends.local.settings import DAY_MS, LocalSettings
from dure.backends.local.survivors import Survivor, survivors
from dure.client.link import HttpLink
from dure.config import Config
from dure.controller import Controller, ControllerSettings, Deed, found
from dure.controller.commands.bundles import BundleLimits
from dure.controller.commands.sites import create_site, drain_farm
from dure.controller.commands.tenancy import NewToken, create_actor, create_token
from dure.errors import ConfigError, require
from dure.model.accelerators import find
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
DRAINED_FOR_STOP = "drained-for-stop"  # left by `dure down --jobs`: the next start opens the farm again
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


# -- time and chance ---------------------------------------------------------------------------------------------------


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)  # two digits of an id at once


class SystemEntropy:
    """ULIDs and secrets from the operating system's randomness. Ids of one millisecond go up by one, so that they sort in
    the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = -1
        self._last = 0

    def new_id(self, prefix: str, now_ms: int) -> str:
        with self._lock:
            # the top bit starts at 0: 2^79 ids fit into the millisecond before the number could overflow
            self._last = self._last + 1 if now_ms == self._last_ms else secrets.randbits(79)
            self._last_ms = now_ms
            number = (now_ms << 80) | self._last
        return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])

    def secret(self, n_bytes: int) -> str:
        return secrets.token_urlsafe(n_bytes)


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


def make_folder(config: Config) -> Path:
    """The data folder, open to its owner alone. Raises ConfigError when it cannot be made, or when everybody uses it: closing
    /tmp to all others would stop the machine."""
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = config.data.stat().st_mode & (stat.S_ISVTX | stat.S_IWOTH)
        if not shared:
            config.data.chmod(0o700)
    except OSError as fault:
        raise ConfigError(
            f"DURE_DATA={config.data} cannot be used as the data folder: {fault.strerror}; name another folder"
        ) from fault
    if shared:
        raise ConfigError(
            f"DURE_DATA={config.data} is a folder that everybody may write to, and the farm's has to be its own; "
            f"name one inside it, such as {config.data / 'dure'}"
        )
    return config.data


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
    for pattern in ("agent-*/journal.db", f"{_LOCAL}*/attempts/*"):
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


def write_secret(path: Path, text: str) -> None:
    """Whole or not at all, readable by its owner alone, on disk when this returns."""
    fresh = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


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


def read_secret(path: Path) -> str:
    """A token from its file, "" when there is none that may be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


# -- the agent ---------------------------------------------------------------------------------------------------------


_LOCAL = "local-"  # and the name of the site: where its backend keeps everything


def running_here(config: Config) -> list[Survivor]:
    """What still runs on this machine of what farms on this data folder have started. Raises OSError."""
    return [found for root in sorted(config.data.glob(f"{_LOCAL}*")) for found in survivors(root)]


# What the catalogue calls a maker, and what the local backend calls it when it names the devices to a job.
_VENDORS = {"NVIDIA": "nvidia", "AMD": "amd", "Rebellions": "rebellions", "FuriosaAI": "furiosa"}


def _device_facts(accelerator: str) -> dict[str, Any]:
    """What the catalogue knows of a type that the operator named: whose variable names it to jobs, and its watts."""
    known = find(accelerator)
    if known is None:
        return {}
    facts: dict[str, Any] = {"device_mw": known.watts * 1000}
    if known.vendor in _VENDORS:
        facts["accelerator_vendor"] = _VENDORS[known.vendor]
    return facts


def run_site(config: Config, url: str, stop: threading.Event) -> None:
    """Run the agent of this machine's site until `stop` is set; jobs go on when it returns. Raises ConfigError, StoreError."""
    folder = make_folder(config)
    accelerator, _, devices = config.devices.partition(":")
    local = LocalSettings(
        root=folder / f"{_LOCAL}{config.site}",
        farm_folder=folder,
        node=config.node,
        block=config.block,
        cores_milli=config.cores * 1000,
        memory_mib=config.memory_mib,
        accelerator=accelerator,
        devices=int(devices or 0),
        device_shares=config.device_shares,
        **_device_facts(accelerator),
        uid_base=config.uid_base,
        processes_max=config.processes_max,
        bundle_ms_max=config.bundle_s * 1000,
        cpu_affinity=config.cpu_affinity,
        cgroups=config.cgroups,
        keep_ms=config.keep_days * DAY_MS,
        keep_bytes_max=config.keep_mib << 20,
    )
    link = HttpLink(url, read_secret(config.site_token))
    run_agent(AgentSettings(folder=config.agent_folder), LocalDriver(local), link, SystemClock(), SystemEntropy(), stop)


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
