"""What one tenant is told of another: that there is somebody, never who. Ids of what the caller may not see become "…"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.model.funding import Award
from dure.model.reason import Reason
from dure.model.workload import Attempt, Workload
from dure.ports import Reader

HIDDEN = "…"
WORKLOAD_FACTS = ("for_workload", "by")  # facts of reasons that name a workload, maybe of another project

PROJECT_FACT = "reclaimed_by"  # names a project

# kinds of next events that are not about an attempt
SUBJECTS: Mapping[str, type[Workload] | type[Award]] = {
    "pause_ends": Workload, "promise_starts": Workload, "deadline_passes": Workload, "award_opens": Award,
    "dependency_ends": Workload, "dependency_starts": Workload,
}  # fmt: skip


class Veil:
    """visible: projects whose workloads the caller may see; None: all. Belongs to one read."""

    def __init__(self, reader: Reader, visible: frozenset[str] | None) -> None:
        self._reader = reader
        self._visible = visible

    def id(self, kind: type[Workload] | type[Attempt] | type[Award], id: str) -> str:
        """The id, or "…" when what it names is another's (or is no more)."""
        if not id or self._visible is None:
            return id
        row = self._reader.get(kind, id)
        return id if row is not None and row.project in self._visible else HIDDEN

    def project(self, id: str) -> str:
        """The id of a project, or "…" when it is another's."""
        return id if not id or self._visible is None or id in self._visible else HIDDEN

    def reason(self, reason: Reason) -> Reason:
        """The reason, its facts without what is not the caller's to know."""
        named = [name for name in WORKLOAD_FACTS if reason.facts.get(name)]
        if self._visible is None or not (named or PROJECT_FACT in reason.facts):
            return reason
        facts = {**reason.facts, **{name: self.id(Workload, str(reason.facts[name])) for name in named}}
        if PROJECT_FACT in facts:
            facts[PROJECT_FACT] = self.project(str(facts[PROJECT_FACT]))
        return Reason(reason.kind, facts)

    def attempt(self, document: dict[str, Any]) -> dict[str, Any]:
        """An attempt's document: for whom it made room, and who made room for it."""
        victims = [self.id(Attempt, id) for id in document["victims"]]
        shown = {
            "beneficiary": self.id(Workload, document["beneficiary"]),
            "reclaimed_by": self.project(document["reclaimed_by"]),
        }
        return {**document, **shown, "victims": victims}

    def next_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What happens next may happen to somebody else's work."""
        kind = SUBJECTS.get(event["kind"], Attempt)  # a kind not known here finds nothing
        hidden = {"subject": self.id(kind, str(event["subject"]))}
        if "workload" in event:
            hidden["workload"] = self.id(Workload, str(event["workload"]))
        return {**event, **hidden}
