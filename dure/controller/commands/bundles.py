"""Code archives, by content hash. Two tenants who upload the same bytes do not learn of each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dure.controller.deed import Deed, record
from dure.controller.rules import not_found
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Bundle
from dure.model.tenancy import Project
from dure.ports import Reader, Tx

KEPT_MS = 30 * 24 * 3_600_000  # after the last use; as long as results of work that may run again
USE_NOTED_MS = 24 * 3_600_000  # a use is noted once a day: far below KEPT_MS, and a burst of jobs writes it once


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLimits:
    """What the archives of one project may come to."""

    bytes_max: int = 2 << 30
    count_max: int = 1000


def bundle_refusal(reader: Reader, limits: BundleLimits, *, project: str, size: int, sha256: str = "") -> Reason | None:
    """Why a project may not keep one more archive of that size, or None. What it keeps already (`sha256`) costs nothing."""
    if sha256 and reader.get(Bundle, f"{project}:{sha256}") is not None:
        return None
    kept = reader.find(Bundle, {"project": project})  # at most `count_max` small rows
    total, count = sum(b.size for b in kept) + size, len(kept) + 1
    if total <= limits.bytes_max and count <= limits.count_max:
        return None
    return Reason.of(
        ReasonKind.BUNDLES_FULL,
        asked_bytes=total, limit_bytes=limits.bytes_max, count=count, limit=limits.count_max, kept_ms=KEPT_MS,
    )  # fmt: skip


def register_bundle(
    tx: Tx, deed: Deed, *, project: str, sha256: str, size: int, limits: BundleLimits | None = None
) -> Bundle | Reason:
    """Note that a project may use this archive; its bytes are on disk already. Twice is once, but counts as a use."""
    if tx.get(Project, project) is None:
        return not_found("project", project)
    known = use_bundle(tx, deed, project=project, sha256=sha256)
    if known is not None:
        return known
    refusal = bundle_refusal(tx, limits or BundleLimits(), project=project, size=size)
    if refusal is not None:
        return refusal
    bundle = Bundle(id=f"{project}:{sha256}", project=project, sha256=sha256, size=size, created_ms=deed.now_ms)
    tx.insert(bundle)
    record(tx, deed, "bundle.registered", sha256, project=project, data={"size": size})
    return bundle


def use_bundle(tx: Tx, deed: Deed, *, project: str, sha256: str) -> Bundle | None:
    """The archive, if the project has it, after noting that it was used."""
    bundle = tx.get(Bundle, f"{project}:{sha256}")
    if bundle is None or deed.now_ms - last_use_ms(bundle) < USE_NOTED_MS:
        return bundle
    used: Bundle = tx.update(replace(bundle, used_ms=deed.now_ms))
    return used


def last_use_ms(bundle: Bundle) -> int:
    return max(bundle.created_ms, bundle.used_ms)


def bundle_gone(sha256: str) -> Reason:
    """To who submits once more what had an archive."""
    return Reason.of(ReasonKind.BUNDLE_GONE, id=sha256, kept_ms=KEPT_MS)


def remove_bundle(tx: Tx, deed: Deed, *, id: str) -> bool:
    """Forget an archive that has not been used for `KEPT_MS`; its bytes are swept once no row tells of them."""
    bundle = tx.get(Bundle, id)
    if bundle is None or deed.now_ms - last_use_ms(bundle) < KEPT_MS:
        return False  # used again since it was looked up
    tx.delete(Bundle, id)
    record(tx, deed, "bundle.removed", bundle.sha256, project=bundle.project, data={"size": bundle.size})
    return True
