"""Tenants and who acts for them: organisations, projects, actors, roles, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from dure.cli.commands.options import Id, Name, NewId, filled
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.naming import resolved
from dure.cli.run import Run
from dure.errors import ApiError

Kind = Annotated[str, typer.Option("--kind", help="opt.org_kind")]
Weight = Annotated[int, typer.Option("--weight", help="opt.weight", min=1)]
Roles = Annotated[list[str] | None, typer.Option("--role", help="opt.role", metavar="ROLE[:SCOPE]")]
TokenActor = Annotated[str, typer.Option("--actor", help="opt.token_actor", metavar="ID", callback=filled)]
ActorOption = Annotated[str, typer.Option("--actor", help="opt.actor", metavar="ID", callback=filled)]


_SLUGS = frozenset({"id", "organisation", "parent", "partners", "roles", "site"})


def listed(
    run: Run, rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], spare: Mapping[str, int] | None = None
) -> None:
    """A table of documents. columns: (heading's key, member); a member that ends in _ms is a moment. spare: members that a
    narrow terminal can do without, see `Column`."""
    found = list(rows)
    run.console.document({"items": found})
    numbers = {member for _, member in columns if found and all(type(row.get(member)) is int for row in found)}
    heads = [
        Column(
            run.t(key),
            keep=member == "id" or member.endswith("_ms"),
            right=member in numbers and not member.endswith("_ms"),
            slug=member in _SLUGS,
            spare=(spare or {}).get(member, 0),
        )
        for key, member in columns
    ]
    run.console.table(heads, [[_cell(run, row.get(member, ""), member) for _, member in columns] for row in found])
    if not found:
        run.say("list.none")


def _cell(run: Run, value: Any, member: str) -> str:
    if member in ("ends_ms", "expires_ms"):
        return run.last_day(value)
    if member.endswith("_ms"):
        return run.moment(value)
    if isinstance(value, bool):
        return run.t("word.yes") if value else ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def done(run: Run, answer: Mapping[str, Any], key: str, **facts: Any) -> None:
    """The answer of a write: a document for programs, a sentence for people."""
    run.console.document(answer)
    run.say(key, **{"id": answer.get("id", ""), **facts})


def _grants(roles: Sequence[str] | None) -> list[tuple[str, str]]:
    return [(role, scope or "*") for role, _, scope in (word.partition(":") for word in roles or [])]


# -- organisations and projects


def organisation_create(
    run: Run,
    id: NewId,
    name: Name = "",
    kind: Kind = "sme",
    parent: Annotated[str, typer.Option("--parent", help="opt.parent")] = "",
    weight: Weight = 1,
) -> None:
    done(run, run.client.create_organisation(id, name or id, kind=kind, parent=parent, weight=weight), "done.created")


def organisation_list(run: Run) -> None:
    rows = run.client.organisations()
    listed(
        run,
        rows,
        [("col.id", "id"), ("col.name", "name"), ("col.kind", "kind"), ("col.parent", "parent"), ("col.weight", "weight")],
        {"weight": 2, "parent": 1},
    )


def project_create(
    run: Run,
    id: NewId,
    organisation: Annotated[str, typer.Option("--organisation", "-o", help="opt.organisation", callback=filled)],
    name: Name = "",
    partner: Annotated[list[str] | None, typer.Option("--partner", help="opt.partner", callback=filled)] = None,
    weight: Weight = 1,
) -> None:
    leader = resolved(run, "organisation", organisation)
    partners = [resolved(run, "organisation", word) for word in partner or []]
    done(run, run.client.create_project(id, name or id, leader, partners=partners, weight=weight), "done.created")


def project_list(run: Run) -> None:
    rows = run.client.projects()
    listed(
        run,
        rows,
        [
            ("col.id", "id"),
            ("col.name", "name"),
            ("col.organisation", "organisation"),
            ("col.partners", "partners"),
            ("col.weight", "weight"),
        ],
        {"weight": 2, "partners": 1},
    )


def project_show(run: Run, id: Id) -> None:
    row = run.client.project(resolved(run, "project", id))
    run.console.document(row)
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.name"): row["name"],
            run.t("col.organisation"): row["organisation"],
            run.t("col.partners"): ", ".join(row["partners"]),
            run.t("col.members"): ", ".join(f"{m['actor']} ({m['role']})" for m in row["members"]),
        }
    )


def project_add(
    run: Run, id: Id, actor: ActorOption, role: Annotated[str, typer.Option("--role", help="opt.member_role")] = "member"
) -> None:
    id, actor = resolved(run, "project", id), resolved(run, "actor", actor)
    done(run, run.client.add_member(id, actor, role), "done.member", id=id, actor=actor, role=role)


def project_remove(run: Run, id: Id, actor: ActorOption) -> None:
    id, actor = resolved(run, "project", id), resolved(run, "actor", actor)
    with _tokens_told(run, actor):
        done(run, run.client.remove_member(id, actor), "done.no_member", id=id, actor=actor)


# -- actors and tokens


def actor_create(
    run: Run,
    name: Annotated[str, typer.Argument(help="arg.person")],
    email: Annotated[str, typer.Option("--email", help="opt.email")] = "",
    service: Annotated[bool, typer.Option("--service", help="opt.service")] = False,
    role: Roles = None,
) -> None:
    kind = "service" if service else "person"
    done(run, run.client.create_actor(name, email=email, kind=kind, grants=_grants(role)), "done.created")


def actor_list(run: Run) -> None:
    rows = [{**a, "roles": [f"{g['role']}:{g['scope']}" for g in a.get("grants", [])]} for a in run.client.actors()]
    listed(
        run,
        rows,
        [("col.id", "id"), ("col.name", "name"), ("col.kind", "kind"), ("col.roles", "roles"), ("col.disabled", "disabled")],
        {"kind": 1},
    )


def actor_show(run: Run, id: Id) -> None:
    row = run.client.actor(resolved(run, "actor", id))
    run.console.document(row)
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.name"): row["name"],
            run.t("col.email"): row["email"],
            run.t("col.kind"): row["kind"],
            run.t("col.disabled"): run.t("word.yes") if row["disabled"] else "",
            run.t("col.roles"): ", ".join(g["id"].removeprefix(row["id"] + ":") for g in row["grants"]),
        }
    )


def actor_erase(run: Run, id: Id, yes: Annotated[bool, typer.Option("--yes", help="opt.yes")] = False) -> None:
    if not yes:
        raise run.refusal("erase.sure", Exit.USAGE, id=id)
    id = resolved(run, "actor", id)
    with _tokens_told(run, id):
        done(run, run.client.erase_actor(id), "done.erased", id=id)


def actor_disable(run: Run, id: Id) -> None:
    id = resolved(run, "actor", id)
    with _tokens_told(run, id):
        done(run, run.client.disable_actor(id), "done.disabled", id=id)


def actor_grant(run: Run, id: Id, role: Annotated[str, typer.Argument(help="arg.role", metavar="ROLE[:SCOPE]")]) -> None:
    ((name, scope),) = _grants([role])
    id = resolved(run, "actor", id)
    done(run, run.client.grant(id, name, scope), "done.granted", id=id, role=role)


def actor_revoke(run: Run, id: Id, role: Annotated[str, typer.Argument(help="arg.role", metavar="ROLE[:SCOPE]")]) -> None:
    ((name, scope),) = _grants([role])
    id = resolved(run, "actor", id)
    with _tokens_told(run, id):
        done(run, run.client.revoke_grant(f"{id}:{name}:{scope}"), "done.revoked_role", id=id, role=role)


@contextmanager
def _tokens_told(run: Run, actor: str) -> Iterator[None]:
    """Around what may end tokens that somebody made in others' names: which ones ended, and whose they were."""
    before = _made_for_others(run, actor)
    yield
    ended = before.keys() - _made_for_others(run, actor).keys() if before else set()
    if ended:
        run.note("tokens.ended", n=len(ended), whose=", ".join(sorted({before[id] for id in ended})))


def _made_for_others(run: Run, actor: str) -> dict[str, str]:
    """The working tokens, each with whose it is; none where who asks may not list them."""
    try:
        rows = run.client.tokens(actor, made=True)
        return {row["id"]: row["actor"] for row in rows if not row["revoked_ms"] and row["actor"] != actor}
    except ApiError:
        return {}


def _actor(run: Run, actor: str) -> str:
    return resolved(run, "actor", actor) or str(run.client.me()["actor"])


def token_create(
    run: Run,
    actor: TokenActor = "",
    label: Annotated[str, typer.Option("--label", help="opt.label")] = "",
    expires: Annotated[str, typer.Option("--expires", help="opt.expires_token", metavar="DATE")] = "",
) -> None:
    new = run.client.create_token(_actor(run, actor), label=label, expires=expires or None)
    run.console.document(new)
    run.console.say(new["token"])
    run.note("token.once", id=new["id"])


def token_list(
    run: Run,
    actor: TokenActor = "",
    made_by: Annotated[str, typer.Option("--made-by", help="opt.made_by", metavar="ID", callback=filled)] = "",
) -> None:
    if actor and made_by:
        raise run.refusal("token.either", Exit.USAGE)
    rows = run.client.tokens(_actor(run, made_by or actor), made=bool(made_by))
    whose = [("col.token_of", "actor")] if made_by else []
    listed(
        run,
        rows,
        [
            ("col.id", "id"),
            *whose,
            ("col.label", "label"),
            ("col.created", "created_ms"),
            ("col.expires", "expires_ms"),
            ("col.revoked", "revoked_ms"),
            ("col.within", "within"),
            ("col.made_by", "made_by"),
        ],
        {"made_by": 3, "within": 2, "created_ms": 1},
    )


def token_revoke(run: Run, id: Id) -> None:
    done(run, run.client.revoke_token(id), "done.revoked_token", id=id)
