"""The plane, as an agent sees it. `client.link.HttpLink` speaks HTTP; the simulator and the tests have their own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dure.errors import ApiError
from dure.model.link import Hello, HelloAnswer, LogAnswer, LogChunk, Poll, PollAnswer, Report, ReportAnswer
from dure.model.reason import ReasonKind


class Link(Protocol):
    """Five words, each safe to repeat, spoken from several threads. Every one raises LinkError when the plane could not be
    reached (it may have acted all the same) and ApiError when it refused."""

    def hello(self, hello: Hello) -> HelloAnswer: ...

    def poll(self, poll: Poll) -> PollAnswer:
        """Answers at once when there is something to do, else after `poll.wait_ms`."""

    def report(self, report: Report) -> ReportAnswer: ...

    def send_log(self, chunk: LogChunk) -> LogAnswer:
        """May take long: it answers when there is room for more."""

    def fetch_bundle(self, project: str, sha256: str, target: Path, size_max: int) -> str:
        """Put the bundle at `target`, whole and verified, or not at all.

        "" when it is there, else why it never will be: "bundle_missing", "bundle_too_large" (bytes over `size_max`) or
        "bundle_corrupt" (the bytes do not have that hash)."""

    def close(self) -> None:
        """End the calls in progress, from any thread: they raise LinkError, and so does every later one."""


def is_stale(refusal: ApiError) -> bool:
    """Whether the plane has heard a later hello than ours, so that ours has to be said again."""
    return reason_of(refusal) == ReasonKind.EPOCH_STALE.value


def reason_of(refusal: ApiError) -> str:
    """Kind of the Reason in a problem document, "" when it carries none."""
    reason = refusal.problem.get("reason")
    return str(reason.get("kind", "")) if isinstance(reason, dict) else ""
