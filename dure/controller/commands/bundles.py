"""Code archives, by content hash. Two tenants who upload the same bytes do not learn of each other."""

from __future__ import annotations

from dure.controller.deed import Deed, record
from dure.controller.rules import not_found
from dure.model.reason import Reason
from dure.model.records import Bundle
from dure.model.tenancy import Project
from dure.ports import Tx


def register_bundle(tx: Tx, deed: Deed, *, project: str, sha256: str, size: int) -> Bundle | Reason:
    """Note that a project may use this archive; its bytes are on disk already. Twice is once."""
    if tx.get(Project, project) is None:
        return not_found("project", project)
    known = tx.get(Bundle, f"{project}:{sha256}")
    if known is not None:
        return known
    bundle = Bundle(id=f"{project}:{sha256}", project=project, sha256=sha256, size=size, created_ms=deed.now_ms)
    tx.insert(bundle)
    record(tx, deed, "bundle.registered", sha256, project=project, data={"size": size})
    return bundle
