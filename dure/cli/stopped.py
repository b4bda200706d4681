"""What stopped a command, told once: to people as a sentence with its remedy, to programs as a document, to scripts as a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dure.cli.bundle import BundleError
from dure.cli.connecting import credential, speaks_as_tenant, tenant_token
from dure.cli.exits import Exit
from dure.cli.jobfile import JobFileError
from dure.cli.naming import named_so, nearest
from dure.cli.run import Refusal, Run, os_words
from dure.cli.texts import Texts
from dure.errors import ApiError, ConfigError, InvariantViolated, LinkError, StoreError

_CLASS = re.compile(r"\b(?:[A-Z][a-z]+)+(?:Error|Exception|File): ")  # names of classes say nothing to people
Told = tuple[str, Exit, Mapping[str, Any]]


def told(run: Run | None, texts: Texts, stopped: Exception) -> Told:
    """What people read, the exit code, and what programs read."""
    if isinstance(stopped, Refusal):
        return stopped.text, stopped.code, stopped.error
    if isinstance(stopped, (JobFileError, BundleError)):
        text = texts.say(stopped.key, **stopped.facts)
        return text, Exit.USAGE, {"kind": stopped.key, "facts": stopped.facts, "detail": text}
    if isinstance(stopped, LinkError):
        detail = str(stopped.__cause__ or stopped)
        text = texts.say("error.unreachable", url=run.address if run else "", detail=detail)
        return text, Exit.UNREACHABLE, {"kind": "unreachable", "detail": text}
    if isinstance(stopped, ApiError):
        return _refused(run, texts, stopped)
    if isinstance(stopped, ConfigError):
        return _plain("config", texts.say("error.config", detail=str(stopped)), Exit.USAGE)
    if isinstance(stopped, OSError):
        file = str(stopped.filename or "")
        return _plain("file", texts.say("error.file", file=file, detail=os_words(texts, stopped)), Exit.REFUSED)
    if isinstance(stopped, StoreError):
        return _plain("store", texts.say("error.store", detail=_CLASS.sub("", str(stopped))), Exit.REFUSED)
    key = "error.fault" if isinstance(stopped, InvariantViolated) else "error.other"
    kind = "fault" if key == "error.fault" else "other"
    return _plain(kind, texts.say(key, detail=_CLASS.sub("", str(stopped))), Exit.REFUSED)


def _plain(kind: str, text: str, code: Exit) -> Told:
    return text, code, {"kind": kind, "detail": text}


def _refused(run: Run | None, texts: Texts, refused: ApiError) -> Told:
    """The plane's own Reason in words; for a thing that is not there also what is most like it."""
    reason = refused.problem.get("reason") or {}
    facts = reason.get("facts") or {}
    every = list(refused.problem.get("reasons") or [reason])
    told = "\n".join(run.reason(r) for r in every) if run and reason else ""
    text = told or str(refused.problem.get("detail") or refused.problem.get("title", ""))
    error = {"status": refused.status, "reason": reason, "detail": text, **({"reasons": every} if len(every) > 1 else {})}
    if run is None:
        return text, Exit.REFUSED, error
    if refused.status == 401 and not credential(run):
        return _plain("token", texts.say("token.none", file=run.config.admin_token), Exit.REFUSED)
    if refused.status in (403, 404) and speaks_as_tenant(run):
        text += "\n" + texts.say("tenant.speaks", file=tenant_token(run), admin=run.config.admin_token)
    if reason.get("kind") == "still_runs":
        text += "\n" + texts.say("quarantine.commands", id=str(facts.get("attempt", "")))
    if reason.get("kind") == "not_found":
        ids = named_so(run, str(facts.get("what", "")), str(facts.get("id", "")))
        if ids:
            text += "\n" + texts.say("name.ids", name=str(facts["id"]), ids=", ".join(ids[:3]))
            return text, Exit.REFUSED, {**error, "detail": text, "near": ids}
    near = nearest(run, str(facts.get("what", "")), str(facts.get("id", ""))) if reason.get("kind") == "not_found" else []
    if near:
        text += "\n" + "\n".join([texts.say("name.near"), *("  " + line for line in near)])
    return text, Exit.REFUSED, {**error, "detail": text, "near": near}
