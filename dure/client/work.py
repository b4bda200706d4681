"""Methods about work: quotes, workloads, logs, bundles."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dure.client.transport import LogPiece, Plain, Transport, log_piece, part

Job = Mapping[str, Any]


class WorkMethods(Transport):
    def quote(self, project: str, job: Job, *, array: int | None = None) -> Plain:
        """What it would cost and when it would start. Changes nothing."""
        return self.ask("/quotes", _work(project, job, array))

    def submit(self, project: str, job: Job, *, array: int | None = None, key: str = "") -> Plain:
        """{"ids", "array_id", "quoted_won", "limit_ms"}. key: the caller's own Idempotency-Key."""
        return self.write("POST", "/workloads", _work(project, job, array), key=key)

    def resubmit(self, id: str, changes: Job, *, array: int | None = None, project: str = "", key: str = "") -> Plain:
        """A workload or array once more, with changed members of its job, or of another project; as `submit`, and {"origin"}."""
        more = {**({} if array is None else {"array": array}), **({"project": project} if project else {})}
        body = {"job": dict(changes), **more}
        return self.write("POST", f"/workloads/{part(id)}/resubmit", body, key=key)

    def workloads(
        self, *, project: str = "", state: str = "", array: str = "", newest: bool = False, limit: int = 100
    ) -> Iterator[Plain]:
        """limit: items a page, not in all."""
        order = "true" if newest else ""
        return self.pages("/workloads", project=project, state=state, array=array, newest=order, limit=limit)

    def workload(self, id: str) -> Plain:
        return self.get(f"/workloads/{part(id)}")

    def attempts(self, workload: str) -> list[Plain]:
        return list(self.get(f"/workloads/{part(workload)}/attempts")["items"])

    def why(self, workload: str) -> Plain:
        return self.get(f"/workloads/{part(workload)}/why")

    def what_if(self, workload: str, suppositions: Sequence[str]) -> Plain:
        """{"now", "then", "why", …}: what it would be like beside what it is. Changes nothing."""
        return self.ask(f"/workloads/{part(workload)}/why", {"what_if": list(suppositions)})

    def cancel(self, id: str) -> Plain:
        """{"items"} with the workload as it is now; of an array {"array_id", "states", "elements"}."""
        return self.write("POST", f"/workloads/{part(id)}/cancel")

    def array(self, id: str) -> Plain:
        """{"id", "project", "states", "elements", "ids", "next"}: `ids` are the first page."""
        return self.get(f"/arrays/{part(id)}")

    def logs(
        self, workload: str, *, worker: int = 0, attempt: str = "", follow: bool = False, offset: int = 0
    ) -> Iterator[LogPiece]:
        """Pieces of a log from byte `offset` on, the last of kind "end". Reconnects where it was."""
        events = self.stream(
            f"/workloads/{part(workload)}/logs",
            last_id=str(offset) if offset else "",
            ends=("end",),
            worker=worker,
            attempt=attempt,
            follow="true" if follow else "",
        )
        return (log_piece(event) for event in events)

    def upload_bundle(self, project: str, archive: bytes) -> Plain:
        """Upload a tar.gz; {"project", "sha256", "size"}. The same bytes again change nothing."""
        digest = hashlib.sha256(archive).hexdigest()
        return self.upload(f"/projects/{part(project)}/bundles", archive, {"x-content-sha256": digest})


def _work(project: str, job: Job, array: int | None) -> Plain:
    body: Plain = {"project": project, "job": dict(job)}
    if array is not None:
        body["array"] = array
    return body
