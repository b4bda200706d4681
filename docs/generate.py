"""The pages of docs/ that say what the code says, made of it: `make docs` writes them, `--check` names those that are stale.

Whole pages are made for reasons, events, commands, rights and exit codes. In pages that people write, what stands between
`<!-- generated: NAME -->` and `<!-- end -->` is made anew and the rest is left alone.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import walk  # beside this file

from dure.access import FARM_WIDE, RIGHTS, Action, Scope
from dure.cli.app import build
from dure.cli.exits import Exit
from dure.model.event import RESTORED
from dure.model.reason import ReasonKind
from dure.model.reason_texts import REASON_TEXTS, Helper, ReasonText
from dure.model.tenancy import Role
from dure.model.workload import ATTEMPT_NEXT, WORKLOAD_NEXT
from dure.scheduler import FORMS, WAIT_CODES

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Made by docs/generate.py from the code: edit the code, then run `make docs`. -->\n\n"
EVENT_KIND = re.compile(r"[a-z]+\.[a-z_]+")

# What each event tells. A kind that the code records and this table lacks (or the other way round) stops the generator.
EVENTS: Mapping[str, str] = {
    "actor.created": "A person or service account was made. The name is in an erasable row, not here.",
    "actor.disabled": "Nothing that this actor holds opens a door any more.",
    "actor.erased": "The personal data of an actor was erased.",
    "attempt.checkpointed": "The site saw a newer checkpoint of a running attempt.",
    "attempt.ended": "An attempt ended; in the same transaction it was billed, refunded if due, and its workload moved on.",
    "attempt.launching": "The last victim left: an attempt that was claimed is now to be launched.",
    "attempt.attested": "An operator stated that an attempt is dead. Should it live, its site is told to stop it.",
    "attempt.resurfaced": "A site told of an attempt that lives although its end is recorded: set aside and stopped.",
    "attempt.quarantined": "A site told of an attempt that the plane does not know. An operator decides.",
    "attempt.running": "The plane learnt that an attempt runs.",
    "attempt.stopping": "An attempt is told to make room: the plan puts other work in its place, or moves it (`by`: move), or an "
    "operator asked.",
    "award.created": "A voucher was given to a project and paid out of its programme.",
    "award.withdrawn": "An officer took back a part of a voucher that was neither held nor spent: into its programme.",
    "award.expired": "What was left of a voucher after its last day went back to its programme.",
    "bundle.registered": "A project uploaded a code archive.",
    "bundle.removed": "A code archive that nothing had named for a long time was removed.",
    "farm.drained": "Nothing new is started anywhere.",
    "farm.undrained": "The farm takes work again.",
    "grant.created": "An actor got a role within a scope.",
    "grant.revoked": "An actor lost a role.",
    "node.drained": "Nothing new is started on a node.",
    "node.undrained": "A node takes work again.",
    "organisation.created": "An organisation was made.",
    "plane.restored": "The plane went on from a backup: the first event of its incarnation, behind the backup's last.",
    "plane.founded": "A plane was founded in an empty store, with its first rules and its signing key.",
    "policy.written": "A new version of the rules is in force.",
    "programme.created": "A programme was made.",
    "programme.funded": "Money came from the treasury into a programme.",
    "project.created": "A project was made.",
    "quarantine.observed": "Its site told how far an attempt that was set aside has come: once it has ended, its place is free.",
    "quarantine.resolved": "What was set aside was accounted for: adopted, attested lost, dismissed, or ended.",
    "quarantine.stopping": "An operator asked for an attempt that was set aside to be stopped.",
    "site.created": "A site was made.",
    "site.drained": "Nothing new is started at a site.",
    "site.inventory": "The nodes of a site changed.",
    "site.joined": "An agent took charge of its site; whoever did before is fenced off.",
    "site.joining": "An agent took charge of its site and is still telling what it knows; `site.joined` follows.",
    "site.maintenance_cancelled": "A window of maintenance was taken back.",
    "site.maintenance_planned": "Nothing may run on a site, or on some of its nodes, from a moment until another.",
    "site.power_set": "A site may draw so much from a moment until another (null: for ever); -1 is no cap.",
    "site.returned": "A site that was unknown spoke again.",
    "site.traits_set": "What is known of a site: carbon and price of its power (-1: nobody knows), and the data that is there.",
    "site.undrained": "A site takes work again.",
    "site.unknown": "A site has not been heard of for too long. What runs there is left alone.",
    "token.created": "A credential was made. Its secret is not here, nor anywhere else in the store.",
    "token.revoked": "A credential stopped working.",
    "workload.cancel_asked": "Somebody asked for a placed workload to be cancelled; its attempt is told to stop.",
    "workload.cancelled": "A waiting workload was cancelled.",
    "workload.failed": "A waiting workload will never start: what it depends on failed, or it is too late for its deadline.",
    "workload.placed": "A waiting workload got its place and its hold, in one transaction, or what is moved its next "
    "(`moved_from`); its attempt is to be launched.",
    "workload.submitted": "A workload or an array was admitted to wait.",
}

# -- reasons ----------------------------------------------------------------------------------------------------------

WAITING = "Why work waits"
ENDED = "How work ended"
REFUSED = "Why a request is refused"
HELP = {
    Helper.REQUESTER: "whoever asked",
    Helper.MANAGER: "the manager of the project, or the officer of the programme",
    Helper.OPERATOR: "an operator",
    Helper.NOBODY: "nobody has to",
}


def reasons() -> str:
    parts = ["# Reasons\n\n", NOTE, _REASONS_INTRO]
    seen = ""
    for kind in ReasonKind:
        if _group(kind) != seen:
            seen = _group(kind)
            parts.append(f"\n## {seen}\n")
        parts.append(_reason(kind, REASON_TEXTS[kind]))
    return "".join(parts)


_REASONS_INTRO = """A refusal is data: a kind and its facts. The API gives both, with words made of them in English or Korean
(`Accept-Language`). A name in braces stands for a fact; a stretch in brackets is left out when its facts are missing.
"""


def _group(kind: ReasonKind) -> str:
    waits = {k for k, _ in WAIT_CODES} | {
        ReasonKind.NOT_YET_PLANNED,
        ReasonKind.WAITS_QUARANTINE,
        ReasonKind.IN_PROGRESS,
        ReasonKind.MAKES_ROOM,
        ReasonKind.BEING_CANCELLED,
    }
    if kind in waits:
        return WAITING
    return ENDED if kind.startswith("ended_") or kind is ReasonKind.DEPENDENCY_FAILED else REFUSED


def _reason(kind: ReasonKind, text: ReasonText) -> str:
    facts = ", ".join(f"`{fact}`" for fact in text.facts) or "none"
    rows = (
        ("Means", text.en.detail),
        ("What to do", text.en.remedy),
        ("Who can help", HELP[text.helper]),
        ("Facts", facts),
        ("한국어", f"{text.ko.title}. {text.ko.detail} {text.ko.remedy}"),
    )
    body = "".join(f"- **{name}:** {_plain(value)}\n" for name, value in rows)
    return f"\n### {kind.value}\n\n{text.en.title}.\n\n{body}"


def _plain(template: str) -> str:
    """Templates as people read them: Korean particles by their first form, a remedy that is all optional by general words."""
    return "as the answer says" if template == "[{remedy}]" else re.sub(r"\{(\w+)\|([^}/]+)[^}]*\}", r"{\1}\2", template)


# -- events -----------------------------------------------------------------------------------------------------------


def events() -> str:
    found = recorded()
    if set(found) != set(EVENTS):
        raise SystemExit(f"EVENTS in docs/generate.py and the code differ in {sorted(set(found) ^ set(EVENTS))}")
    rows = [f"| `{kind}` | {EVENTS[kind]} | {', '.join(f'`{m}`' for m in sorted(found[kind]))} |" for kind in sorted(found)]
    head = "# Events\n\n" + NOTE + _EVENTS_INTRO + "\n| kind | what it tells | members of `data` |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


_EVENTS_INTRO = """Every change leaves an event in the transaction that made it. An event holds ids and numbers, never names,
e-mails or contents of files. What seals them is in [events and audit](../concepts/events-and-audit.md).

Any event also tells `credential` and `made_by` where its actor showed a token that opens some projects alone
([tokens that a manager makes](../guides/actors-and-tokens.md#tokens-that-a-manager-makes)): which token, and who made it.
"""


def recorded() -> dict[str, set[str]]:
    """Every kind of event that the code records, with the members of its data."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "dure").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "record(" not in text and "Event(" not in text:
            continue
        tree = ast.parse(text)
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n.func) == "Event"):
            if any(k.arg == "kind" and _name(k.value) == "RESTORED" for k in call.keywords):  # the only one that is not recorded
                found.setdefault(RESTORED, set()).update(_members(call, tree))
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name != "record"):
            for call in (n for n in ast.walk(function) if isinstance(n, ast.Call) and _name(n.func) == "record"):
                for kind in _kinds(call.args[2], tree):
                    found.setdefault(kind, set()).update(_members(call, function))
    return found


def _kinds(argument: ast.expr, tree: ast.Module) -> set[str]:
    """The kinds that an argument may be: its own words, else every word of the module that looks like one and is not said there
    to `record` itself."""
    own = _words(argument)
    if own:
        return own
    said = [
        word
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _name(call.func) == "record"
        for word in _words(call.args[2])
    ]
    return _words(tree) - set(said)


def _words(node: ast.AST) -> set[str]:
    constants = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return {word for word in constants if EVENT_KIND.fullmatch(word)}


def _members(call: ast.Call, function: ast.AST) -> set[str]:
    data = next((k.value for k in call.keywords if k.arg == "data"), None)
    if isinstance(data, ast.Name):
        named = [
            n.value
            for n in ast.walk(function)
            if isinstance(n, ast.Assign) and _name(n.targets[0]) == data.id and n.lineno < call.lineno
        ]
        data = named[-1] if named else None
    either = (data.body, data.orelse) if isinstance(data, ast.IfExp) else (data,)
    keys = (key for each in either if isinstance(each, ast.Dict) for key in each.keys)
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


# -- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    root: Any = typer.main.get_command(build("en", {}))
    parts = ["# Commands\n\n", NOTE, _COMMANDS_INTRO]
    for path, command in _leaves(root, "dure"):
        usage = " ".join([path, *(_metavar(p) for p in command.params if _is_argument(p))])
        parts.append(f"\n## {path}\n\n{_sentence(command.help)}\n\n```text\n{usage}\n```\n")
        options = [p for p in command.params if not _is_argument(p) and p.help and not p.hidden and p.opts[0] not in SHARED]
        if options:
            parts.append("\n| option | what it does |\n|---|---|\n")
            parts.extend(f"| {_option(p)} | {_sentence(p.help)} |\n" for p in options)
    return "".join(parts)


SHARED = ("--json", "--lang", "--url", "--token", "--data", "--project", "--help", "-h")
_COMMANDS_INTRO = """Every command also takes `--json` (a document instead of words), `--lang en|ko`, `--url`, `--token`, `--data`
and `--project`/`-p` (the [settings](settings.md) of the same names), and `--help`. Exit codes are on
[a page of their own](exit-codes.md).
"""


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in group.commands:
        command = group.commands[name]
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _metavar(parameter: Any) -> str:
    word = parameter.metavar or parameter.name.upper()
    return word if parameter.required else f"[{word}]"


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{o}`" for o in parameter.opts)
    return names if parameter.is_flag or not parameter.metavar else f"{names} {parameter.metavar}"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


# -- rights, exit codes, states, the tree -----------------------------------------------------------------------------


def rights() -> str:
    roles = list(Role)
    head = "# Rights\n\n" + NOTE + _RIGHTS_INTRO
    scopes = "".join(f"| {role.value} | {RIGHTS[role][0].value} |\n" for role in roles)
    rows = "".join(f"| `{a.value}` | " + " | ".join(_right(r, a) for r in roles) + " |\n" for a in Action)
    table = f"| action | {' | '.join(r.value for r in roles)} |\n|---|{'---|' * len(roles)}\n{rows}"
    return f"{head}\n| role | its scope names |\n|---|---|\n{scopes}\n{table}"


def _right(role: Role, action: Action) -> str:
    if action not in RIGHTS[role][1]:
        return ""
    return "at `*`" if action in FARM_WIDE and RIGHTS[role][0] != Scope.FARM else "yes"


_RIGHTS_INTRO = """What is not in the table is denied. Anybody who is signed in may also do `me.read`, `policy.read` and
`site.read`, and `actor.read`, `actor.erase`, `token.create` and `token.revoke` on what is their own. A role reaches what lies
within its scope; `*` reaches everything of that kind, and what says "at `*`" nobody with a narrower scope does. With a token
that is held within some projects (`within`) nobody may do `actor.erase`, even to themselves.
"""


def exit_codes() -> str:
    lines = (ROOT / "dure/cli/exits.py").read_text(encoding="utf-8").splitlines()
    said = {m[1]: m[2] for line in lines if (m := re.match(r"\s+([A-Z_]+) = \d+(?:\s+# (.*))?", line))}
    rows = "".join(f"| {code.value} | {code.name} | {said.get(code.name) or 'it was done'} |\n" for code in Exit)
    return (
        "# Exit codes\n\n"
        + NOTE
        + "Every `dure` command ends with one of these.\n\n| code | name | means |\n|---|---|---|\n"
        + rows
    )


def workload_states() -> str:
    return _states(WORKLOAD_NEXT)


def attempt_states() -> str:
    return _states(ATTEMPT_NEXT)


def _states(following: Mapping[Any, Iterable[Any]]) -> str:
    order = list(following)
    rows = "".join(
        f"| `{s}` | {', '.join(f'`{n}`' for n in order if n in following[s]) or 'nothing: it is over'} |\n" for s in order
    )
    return "| state | may be followed by |\n|---|---|\n" + rows


def supposable() -> str:
    """What can be supposed, how it is said and what it means."""
    rows = [f"| `{form.usage.replace('|', chr(92) + '|')}` | {form.en} | {form.ko} |\n" for form in FORMS]
    return "| say | it means | 뜻 |\n|---|---|---|\n" + "".join(rows)


def tree() -> str:
    """The top level of dure/, each with the first sentence of its charter, in the order of the layers."""
    rows = [(name, _first_sentence(_docstring(name))) for name in TREE]
    there = {p.name + ("/" if p.is_dir() else "") for p in (ROOT / "dure").iterdir() if not p.name.startswith("__")}
    if there != set(TREE):
        raise SystemExit(f"TREE in docs/generate.py and dure/ differ in {sorted(there ^ set(TREE))}")
    marks = ["├──"] * (len(rows) - 1) + ["└──"]
    body = "".join(f"{mark} {name:<13} {sentence}\n" for mark, (name, sentence) in zip(marks, rows, strict=True))
    return f"```text\ndure/\n{body}```\n"


TREE = (
    "model/", "scheduler/", "ledger/", "access/", "store/", "controller/", "agent/", "backends/", "simulator/", "api/", "client/",
    "cli/", "ports.py", "bootstrap/", "config.py", "errors.py",
)  # fmt: skip


def _docstring(name: str) -> str:
    path = ROOT / "dure" / name / "__init__.py" if name.endswith("/") else ROOT / "dure" / name
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _first_sentence(docstring: str) -> str:
    text = " ".join(docstring.split("\n\n")[0].split())
    end = text.find(". ")
    return (text if end < 0 else text[:end]).removesuffix(".")


# -- writing ----------------------------------------------------------------------------------------------------------

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/reasons.md": reasons,
    "docs/reference/events.md": events,
    "docs/reference/cli.md": commands,
    "docs/reference/rights.md": rights,
    "docs/reference/exit-codes.md": exit_codes,
}
BLOCKS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "ARCHITECTURE.md": {"tree": tree, "life of a won": walk.table},
    "docs/reference/suppositions.md": {"suppositions": supposable},
    "docs/concepts/ledger.md": {"life of a won": walk.table},
    "docs/concepts/workloads-and-attempts.md": {"workload states": workload_states, "attempt states": attempt_states},
}


def pages() -> dict[str, str]:
    """Every page that is made, or has made parts, by its path in the repository."""
    made = {path: make() for path, make in PAGES.items()}
    for path, blocks in BLOCKS.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        for name, make in blocks.items():
            pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            if not pattern.search(text):
                raise SystemExit(f"{path} has no block {name!r}")
            text = pattern.sub(lambda m, new=make(): m[1] + new + m[2], text)  # type: ignore[misc]
        made[path] = text
    return made


def main() -> int:
    stale = {path: text for path, text in pages().items() if _present(path) != text}
    if "--check" in sys.argv:
        sys.stdout.write("".join(f"{path} is stale: run `make docs`\n" for path in stale))
        return 1 if stale else 0
    for path, text in stale.items():
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


def _present(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""


if __name__ == "__main__":
    sys.exit(main())
