"""The Typer application, built for one language out of the table of commands.

A command is a plain function `command(run: Run, ...)`. Here it gets what all commands share: the common options, help in the
chosen language, and the one place where refusals and faults become sentences, JSON documents and exit codes.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ArgumentInfo

from dure.cli.bundle import BundleError
from dure.cli.commands import COMMANDS, TENANTS, load_command, wanted
from dure.cli.commands.options import filled
from dure.cli.connecting import connect_http
from dure.cli.console import Console
from dure.cli.exits import Exit
from dure.cli.jobfile import JobFileError
from dure.cli.run import Connect, Refusal, Run
from dure.cli.stopped import told
from dure.cli.texts import Texts
from dure.cli.usage import asks_for_help, complaint, is_usage_error
from dure.cli.words import JSON_FLAG, arranged, chosen_language, unknown_command, wants_json
from dure.config import load
from dure.errors import DureError

COMMON: Mapping[str, Any] = {
    "as_json": Annotated[bool, typer.Option(JSON_FLAG, help="opt.json")],
    "lang": Annotated[str | None, typer.Option("--lang", help="opt.lang")],
    "url": Annotated[str | None, typer.Option("--url", help="opt.url")],
    "token": Annotated[str | None, typer.Option("--token", help="opt.token")],
    "data": Annotated[str | None, typer.Option("--data", help="opt.data")],
    "project": Annotated[str | None, typer.Option("--project", "-p", help="opt.project")],
}


def main() -> None:
    """The `dure` command."""
    sys.exit(call(sys.argv[1:], os.environ))


def call(words: Sequence[str], environ: Mapping[str, str], connect: Connect = connect_http) -> int:
    """Run one command line; the exit code."""
    words = arranged(words)
    texts = Texts(chosen_language(words, environ))
    console = Console(as_json=wants_json(words))
    unknown = unknown_command(words)
    if unknown is not None:
        typed, near = unknown
        hint = texts.say("usage.near", near=", ".join(near)) if near else ""
        return _usage(console, texts.say("usage.no_command", name=typed) + hint + "\n" + texts.say("usage.help", command="dure"))
    app = build(texts.lang, environ, connect, wanted(words))
    try:
        code = app(words, standalone_mode=False, prog_name="dure")
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception as wrong:
        if not is_usage_error(wrong):
            raise
        if asks_for_help(wrong) and not console.as_json:
            console.err.print(str(wrong), soft_wrap=True)
            return Exit.USAGE
        return _usage(console, complaint(wrong, texts, words))
    return int(code or 0)


def _usage(console: Console, text: str) -> int:
    console.fail(text, {"kind": "usage", "detail": text})
    return Exit.USAGE


def build(
    lang: str, environ: Mapping[str, str], connect: Connect = connect_http, commands: Sequence[str] = tuple(COMMANDS)
) -> typer.Typer:
    """The application in one language. connect: how a command gets its client; commands: those that are put in."""
    texts = Texts(lang)
    app = typer.Typer(
        name="dure",
        help=texts.say("cmd.dure"),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=_HELP,
    )
    app.callback()(_takes_common(texts))  # also so that an application with one command is still asked for it by name
    groups: dict[str, typer.Typer] = {}
    for path in commands:
        noun, _, verb = path.rpartition(" ")
        if noun and noun not in groups:
            about = texts.say(f"cmd.{noun}")
            groups[noun] = typer.Typer(name=noun, help=about, no_args_is_help=True, rich_markup_mode=None)
            groups[noun].callback()(_takes_common(texts))
            app.add_typer(groups[noun])
        hidden = path.startswith("_")
        about = "" if hidden else texts.say("cmd." + path.replace(" ", "."))
        wrapped = _wrapped(load_command(path), texts, environ, connect, tenant=path in TENANTS)
        (groups[noun] if noun else app).command(verb, help=about, short_help=about, hidden=hidden, context_settings=_HELP)(
            wrapped
        )
    return app


def _takes_common(texts: Texts) -> Callable[..., None]:
    """What stands before the command's name, so that help names it there; `arranged` has put the options where they count."""

    def nothing(**given: Any) -> None:
        return None

    parameters = [_shared(name, kind, texts) for name, kind in COMMON.items()]
    nothing.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    nothing.__annotations__ = {p.name: p.annotation for p in parameters}
    return nothing


def _shared(name: str, kind: Any, texts: Texts) -> inspect.Parameter:
    default = False if name == "as_json" else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=_translated(kind, texts), default=default)


_HELP = {"help_option_names": ["-h", "--help"]}


def _wrapped(
    command: Callable[..., Any], texts: Texts, environ: Mapping[str, str], connect: Connect, *, tenant: bool
) -> Callable[..., None]:
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    taken = {parameter.name for parameter in own}
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_translated(p.annotation, texts)) for p in own]
    parameters += [_shared(name, kind, texts) for name, kind in COMMON.items() if name not in taken]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        common = {name: given.pop(name, None) for name in COMMON if name not in taken}
        raise typer.Exit(_guarded(command, given, common, _Setting(texts, environ, connect, tenant)))

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _translated(annotation: Any, texts: Texts) -> Any:
    """The same annotation with its help in the chosen language. No argument that is a text may be empty: it names something."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, info = get_args(annotation)
    info = copy(info)
    info.help = texts.say(info.help) if info.help else info.help
    if kind is str and isinstance(info, ArgumentInfo):
        info.callback = filled
    return Annotated[kind, info]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all runs of a command have in common."""

    texts: Texts
    environ: Mapping[str, str]
    connect: Connect
    tenant: bool


def _guarded(command: Callable[..., Any], given: Mapping[str, Any], common: Mapping[str, Any], setting: _Setting) -> int:
    """Run the command; whatever stops it is told once, here, and becomes an exit code."""
    columns = setting.environ.get("COLUMNS", "")
    console = Console(as_json=bool(common.get("as_json")), columns=int(columns) if columns.isdecimal() else 0)
    run: Run | None = None
    try:
        chosen = {name: common.get(name) for name in ("lang", "url", "token", "data", "project")}
        run = Run(
            console, setting.texts, load(setting.environ, **chosen), setting.connect, setting.environ,
            tenant=setting.tenant, given_token=chosen["token"],
        )  # fmt: skip
        return int(command(run, **given) or 0)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader is gone; nothing more can be told
        return Exit.OK
    except (DureError, Refusal, JobFileError, BundleError, OSError) as stopped:
        text, code, error = told(run, setting.texts, stopped)
        console.fail(text, error)
        return code
    except KeyboardInterrupt:
        run = None  # not closed: what was interrupted may hold the lock that closing waits for, and the process ends anyway
        return Exit.INTERRUPTED
    finally:
        if run is not None:
            run.close()
