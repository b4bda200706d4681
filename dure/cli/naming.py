"""Names for ids: people may type the name of a thing when only one thing that they see has it. Reads through the client alone."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient
from dure.errors import ApiError, LinkError
from dure.model.reason import Reason, ReasonKind

SEEN_MAX = 2_000  # things that are looked through for a name: enough for people's memory, and four pages of the API
NEAREST = 3
ENDED = ("succeeded", "failed", "cancelled")
SHOWN_MAX = 8  # candidates that are told
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")  # what the plane's ids are made of
ALIKE = 0.5  # of difflib's ratio: below it, two names only share letters


@dataclass(frozen=True, slots=True)
class Thing:
    """What a name may mean. about: tells it from others of the same name. over: it has ended, and is meant only where nothing of
    its name goes on."""

    id: str
    names: tuple[str, ...]
    about: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    """mark: how every id begins that is never typed by heart; "" where people choose ids themselves."""

    mark: str
    one: Callable[[DureClient, str], Any]
    all: Callable[[Run], Iterator[Thing]]


def resolved(run: Run, kind: str, text: str) -> str:
    """The id of the thing that is meant: `text` itself when it is an id, else that of the only one with this name that has not
    ended, else that of the newest that has.

    kind: a noun of `KINDS`. A text that names nothing comes back as it is: the plane's refusal is the best answer to it.
    Raises Refusal with the candidates when several have the name."""
    noun = KINDS[kind]
    if not text or _is_id(run, noun, text):
        return text
    try:
        things = _seen(run, kind)
    except ApiError:
        return text  # who may not list them may still know the id
    hits = _meant([thing for thing in things if text in thing.names])
    if len(hits) > 1:
        told = "\n".join("  " + _line(thing) for thing in hits[:SHOWN_MAX])
        more = len(hits) - SHOWN_MAX
        told += "\n  " + run.t("name.more", n=more) if more > 0 else ""
        raise run.refusal("name.many", Exit.USAGE, name=text, n=len(hits), candidates=told)
    if not hits and not _ID.fullmatch(text):
        raise _missing(kind, text)
    return hits[0].id if hits else text


def _meant(hits: list[Thing]) -> list[Thing]:
    """Of what has a name: what still goes on; where nothing does, the newest of what has ended, which is listed first."""
    return [thing for thing in hits if not thing.over] or hits[:1]


def named_so(run: Run, kind: str, text: str) -> list[str]:
    """The ids, newest first, of what has this very name, for where an id is needed and a name was given."""
    if kind not in KINDS:
        return []
    try:
        return [thing.id for thing in _seen(run, kind) if text in thing.names]
    except (ApiError, LinkError):
        return []


def _missing(kind: str, text: str) -> ApiError:
    """As the plane would say it, of a text that can be no id and so is not sent to it."""
    reason = Reason.of(ReasonKind.NOT_FOUND, what=kind, id=text).to_json()
    return ApiError(404, {"status": 404, "title": "", "reason": reason})


def filtered(run: Run, kind: str, text: str) -> str:
    """The id behind a filter, "" for none: a filter that names nothing is refused, since an empty list would hide the slip."""
    if not text:
        return ""
    id = resolved(run, kind, text)
    KINDS[kind].one(run.client, id)
    return id


def project_filter(run: Run) -> str:
    """The id of the project that was set, "" when none was."""
    return filtered(run, "project", run.config.project)


def project_of(run: Run) -> str:
    """The project that is meant: as set, by id or name, else the only one that there is."""
    if run.config.project:
        return resolved(run, "project", run.config.project)
    projects = [str(p["id"]) for p in islice(run.client.projects(), 20)]
    if len(projects) == 1:
        return projects[0]
    raise run.refusal("project.many" if projects else "project.none", Exit.USAGE, projects=", ".join(projects))


def nearest(run: Run, kind: str, text: str) -> list[str]:
    """Ids, with names, of what is most like `text`; [] where nothing is, or nobody may look."""
    if kind not in KINDS:
        return []
    try:
        things = _seen(run, kind)
    except (ApiError, LinkError):
        return []
    scored = ((max(_alike(text, word) for word in (thing.id, *thing.names)), n, thing) for n, thing in enumerate(things))
    best = sorted((entry for entry in scored if entry[0] >= ALIKE), key=lambda e: (-e[0], e[1]))
    return [_line(thing) for _, _, thing in best[:NEAREST]]


def _alike(text: str, word: str) -> float:
    if not word or len(text) > 200:
        return 0.0
    if len(text) > 1 and text.lower() in word.lower():
        return 1.0
    return difflib.SequenceMatcher(None, text.lower(), word.lower()).ratio()


def _line(thing: Thing) -> str:
    about = ", ".join(part for part in (*thing.names[:1], thing.about) if part and part != thing.id)
    return f"{thing.id} ({about})" if about else thing.id


def _is_id(run: Run, kind: _Kind, text: str) -> bool:
    if kind.mark:
        return text.startswith(kind.mark)
    if not _ID.fullmatch(text):
        return False
    try:
        kind.one(run.client, text)
    except ApiError as refused:
        return refused.status != 404
    return True


def _seen(run: Run, kind: str) -> list[Thing]:
    return list(islice(KINDS[kind].all(run), SEEN_MAX))


def _workloads(run: Run) -> Iterator[Thing]:
    """Jobs, newest first; an array is one thing, whatever it has of elements."""
    project = resolved(run, "project", run.config.project)
    found: dict[str, Thing] = {}
    for row in islice(run.client.workloads(project=project, newest=True, limit=500), SEEN_MAX):
        id, over = row["array_id"] or row["id"], row["state"] in ENDED
        state = run.t("word.array") if row["array_id"] else run.texts.word("state", row["state"])
        thing = Thing(id, (row["spec"]["name"],), f"{state}, {run.when(row['submitted_ms'])}", over)
        found[id] = replace(thing, over=over and found.get(id, thing).over)
    yield from found.values()


def _awards(run: Run) -> Iterator[Thing]:
    """An award has no name of its own; people say "that of the project", or of the programme."""
    for row in run.client.awards():
        yield Thing(row["id"], (row["project"], row["programme"]), run.money(row["amount"], row["currency"]))


def _named(rows: Iterator[Mapping[str, Any]]) -> Iterator[Thing]:
    return (Thing(row["id"], (row["name"],)) for row in rows)


KINDS: Mapping[str, _Kind] = {
    "workload": _Kind("wl_", DureClient.workload, _workloads),
    "award": _Kind("award_", DureClient.award, _awards),
    "actor": _Kind("actor_", DureClient.actor, lambda run: _named(run.client.actors())),
    "project": _Kind("", DureClient.project, lambda run: _named(run.client.projects())),
    "programme": _Kind("", DureClient.programme, lambda run: _named(run.client.programmes())),
    "organisation": _Kind("", DureClient.organisation, lambda run: _named(run.client.organisations())),
    "site": _Kind("", DureClient.site, lambda run: _named(run.client.sites())),
}
