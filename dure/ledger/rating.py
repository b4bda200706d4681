"""What work costs, exactly. Prices are integer nano-units per unit and second; a charge is one fraction of Python
integers, rounded once, half up, to a nano-unit. Which whole units of it are posted, `carry.py` says.

    charge = workers × (core × cores + memory × GiB + device × devices) × seconds × discount × class

*class* is the price factor of the work's priority class: a place in front of others is dearer, in won and in merit alike.
Won pays for cores, memory and devices. Merit (ACS) pays for devices alone: what rides along on the host is free.
A hold is rounded up to a whole unit over limit and grace, so an exact charge can never exceed it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dure.errors import require
from dure.ledger.book import AMOUNT_MAX
from dure.model.money import CURRENCIES, NANO, Currency, round_half_up, round_up
from dure.model.policy import Policy, price_table

_MILLI, _MIB, _PERMILLE, _MS = 1000, 1024, 1000, 1000
# One denominator for the whole charge in nano-units: milli-cores, MiB in a GiB, ms in a second, permille of discount and class.
_DENOMINATOR = _MILLI * _MIB * _MS * _PERMILLE * _PERMILLE
_HOUR_MS = 3_600_000
UNPAYABLE = AMOUNT_MAX + 1  # an amount that no award can hold; still fits every column


def charge_nano(
    policy: Policy, *, currency: str, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int,
    duration_ms: int, preemptible: bool, priority: str, share_milli: int = 0,
) -> int | None:  # fmt: skip
    """Price of `workers` times this much for `duration_ms`, in nano-units of `currency`, rounded half up.

    cores_milli, memory_mib, devices: per worker; share_milli: thousandths of a device besides. priority: name of the class whose
    factor counts. None: cannot be paid in that currency (its devices have no price there; in ACS also what has no devices)."""
    numerator = _numerator(
        policy, currency, accelerator, workers, cores_milli, memory_mib, devices * _MILLI + share_milli, duration_ms, preemptible,
        priority,
    )  # fmt: skip
    return None if numerator is None else round_half_up(numerator, _DENOMINATOR)


def hold_amount(
    policy: Policy, *, currency: str, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int,
    limit_ms: int, preemptible: bool, priority: str, grace_ms: int = 0, share_milli: int = 0,
) -> int | None:  # fmt: skip
    """The most that an attempt may cost: the charge for limit and grace, rounded up to a whole unit. None as in `charge_nano`."""
    duration_ms = limit_ms + grace_ms
    numerator = _numerator(
        policy, currency, accelerator, workers, cores_milli, memory_mib, devices * _MILLI + share_milli, duration_ms, preemptible,
        priority,
    )  # fmt: skip
    return None if numerator is None else round_up(numerator, _DENOMINATOR * NANO)


def rate_all(
    policy: Policy, *, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, limit_ms: int,
    preemptible: bool, priority: str, grace_ms: int = 0, share_milli: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    """`hold_amount` for each of CURRENCIES, -1 where it cannot be paid in that one, at most UNPAYABLE: a row of a snapshot."""
    amounts = (
        hold_amount(policy, currency=currency, accelerator=accelerator, workers=workers, cores_milli=cores_milli,
                    memory_mib=memory_mib, devices=devices, limit_ms=limit_ms, grace_ms=grace_ms, preemptible=preemptible,
                    priority=priority, share_milli=share_milli)
        for currency in CURRENCIES
    )  # fmt: skip
    return tuple(-1 if amount is None else min(amount, UNPAYABLE) for amount in amounts)


def run_charge_nano(
    policy: Policy, *, currency: str, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int,
    run_ms: int, limit_ms: int, preemptible: bool, priority: str, share_milli: int = 0,
) -> int:  # fmt: skip
    """What an ended attempt costs, in nano-units: the charge for its evidenced run time, at most its limit.

    policy: the version under which the attempt was held (`attempt.policy_version`). Raises InvariantViolated when there is no
    price in `currency`: nothing can have been held in it then."""
    duration_ms = max(0, min(run_ms, limit_ms))
    amount = charge_nano(policy, currency=currency, accelerator=accelerator, workers=workers, cores_milli=cores_milli,
                         memory_mib=memory_mib, devices=devices, duration_ms=duration_ms, preemptible=preemptible,
                         priority=priority, share_milli=share_milli)  # fmt: skip
    require(amount is not None, f"no price in {currency} for what was held in it")
    assert amount is not None  # as just required; for the type checker
    return amount


def refund_nano(
    policy: Policy, *, charged_nano: int, run_ms: int, lost_ms: int, checkpoint_interval_ms: int, capped: bool = True
) -> int:
    """What is given back of `charged_nano` (for `run_ms`) because `lost_ms` of the run was for nothing; never more than that.

    lost_ms: since the last checkpoint, all of the run when there was none. capped: on preemption the loss counts up to the
    checkpoint interval that the job declared, or without checkpoints (0) up to the policy's guaranteed minimum run: who declares
    none bears the risk beyond it. Not capped: the plane's own fault."""
    if run_ms <= 0:
        return 0
    cap_ms = (checkpoint_interval_ms or policy.min_run_ms) if capped else run_ms
    return round_half_up(charged_nano * max(0, min(lost_ms, cap_ms, run_ms)), run_ms)


def energy_mwh(
    *, run_ms: int, cores_milli: int, core_mw: int, devices: int, device_mw: int, pue_permille: int, share_milli: int = 0
) -> int:  # fmt: skip
    """Modelled energy at the site's meter, in milliwatt-hours, rounded half up.

    Basis: run time × (busy cores × the node's milliwatts per core + allocated devices × its milliwatts per device) × PUE. It
    supposes that what was allocated was busy, so it is an upper estimate for idle work. Nodes differ: call it for each worker
    and add."""
    milli_mw = cores_milli * core_mw + (_MILLI * devices + share_milli) * device_mw
    return round_half_up(run_ms * milli_mw * pue_permille, _MILLI * _PERMILLE * _HOUR_MS)


def _numerator(
    policy: Policy, currency: str, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices_milli: int,
    duration_ms: int, preemptible: bool, priority: str,
) -> int | None:  # fmt: skip
    require(min(workers, cores_milli, memory_mib, devices_milli, duration_ms) >= 0, "no demand or duration is negative")
    prices = price_table(policy, currency)
    device = _device_price(prices, accelerator) if devices_milli else 0
    merit = currency == Currency.ACS
    if device is None or (merit and not devices_milli):
        return None
    host = 0 if merit else prices.get("core", 0) * cores_milli * _MIB + prices.get("memory_gib", 0) * memory_mib * _MILLI
    rate = workers * (host + device * devices_milli * _MIB)
    discount = policy.preemptible_permille if preemptible else _PERMILLE
    return rate * duration_ms * discount * policy.class_of(priority).price_permille


def _device_price(prices: Mapping[str, int], accelerator: str) -> int | None:
    return prices.get(f"device:{accelerator}", prices.get("device:*"))
