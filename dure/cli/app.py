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
from typing import Annotated, Any, get_args, get_origin

import typer

from dure.cli.bundle import BundleError
from dure.cli.commands import COMMANDS, load_command, wanted
from dure.cli.connecting import connect_http
from dure.cli.console import Console
from dure.cli.exits import Exit
from dure.cli.jobfile import JobFileError
from dure.cli.run import Connect, Refusal, Run
from dure.cli.texts import CATALOGUES, Texts
from dure.config import language, load
from dure.errors import ApiError, ConfigError, DureError, LinkError

JSON_FLAG = "--json"
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
    lang = _language(words, environ)
    as_json = JSON_FLAG in words[: words.index("--")] if "--" in words else JSON_FLAG in words
    app = build(lang, environ, connect, wanted(list(words)))
    try:
        code = app(list(words), standalone_mode=not as_json, prog_name="dure")
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception as wrong:  # with --json a usage error is a document too; Typer's own classes are not public
        if not hasattr(wrong, "format_message"):
            raise
        Console(as_json=True).document({"error": {"kind": "usage", "detail": wrong.format_message()}})
        return Exit.USAGE
    return int(code or 0)


def _language(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Help has to be in the right language before the command line is parsed, so --lang is looked for first."""
    for here, following in zip(words, [*words[1:], ""], strict=True):
        if here == "--":
            break
        chosen = following if here == "--lang" else here.removeprefix("--lang=")
        if here.startswith("--lang") and chosen in CATALOGUES:
            return chosen
    return language(environ)


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
    app.callback()(_nothing)  # so that an application with one command is still asked for it by name
    groups: dict[str, typer.Typer] = {}
    for path in commands:
        noun, _, verb = path.rpartition(" ")
        if noun and noun not in groups:
            groups[noun] = typer.Typer(name=noun, help=texts.say(f"cmd.{noun}"), no_args_is_help=True, rich_markup_mode=None)
            app.add_typer(groups[noun])
        hidden = path.startswith("_")
        about = "" if hidden else texts.say("cmd." + path.replace(" ", "."))
        wrapped = _wrapped(load_command(path), texts, environ, connect)
        (groups[noun] if noun else app).command(verb, help=about, short_help=about, hidden=hidden, context_settings=_HELP)(
            wrapped
        )
    return app


def _nothing() -> None:
    return None


_HELP = {"help_option_names": ["-h", "--help"]}


def _wrapped(command: Callable[..., Any], texts: Texts, environ: Mapping[str, str], connect: Connect) -> Callable[..., None]:
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    taken = {parameter.name for parameter in own}
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=False if name == "as_json" else None)
        for name, kind in COMMON.items()
        if name not in taken
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_translated(p.annotation, texts)) for p in own]
    parameters += [p.replace(annotation=_translated(p.annotation, texts)) for p in shared]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        common = {name: given.pop(name, None) for name in COMMON if name not in taken}
        raise typer.Exit(_guarded(command, given, common, texts, environ, connect))

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _translated(annotation: Any, texts: Texts) -> Any:
    """The same annotation with its help in the chosen language."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, info = get_args(annotation)
    info = copy(info)
    info.help = texts.say(info.help) if info.help else info.help
    return Annotated[kind, info]


def _guarded(
    command: Callable[..., Any],
    given: Mapping[str, Any],
    common: Mapping[str, Any],
    texts: Texts,
    environ: Mapping[str, str],
    connect: Connect,
) -> int:
    """Run the command; whatever stops it is told once, here, and becomes an exit code."""
    console = Console(as_json=bool(common.get("as_json")))
    run: Run | None = None
    try:
        chosen = {name: common.get(name) for name in ("lang", "url", "token", "data", "project")}
        run = Run(console, texts, load(environ, **chosen), connect, environ)
        return int(command(run, **given) or 0)
    except (DureError, Refusal, JobFileError, BundleError) as stopped:
        text, code, error = _told(run, texts, stopped)
        if console.as_json:
            console.document({"error": error})
        else:
            console.fail(text)
        return code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader is gone; nothing more can be told
        return Exit.OK
    finally:
        if run is not None:
            run.close()


def _told(run: Run | None, texts: Texts, stopped: Exception) -> tuple[str, Exit, Mapping[str, Any]]:
    """What people read, the exit code, and what programs read."""
    if isinstance(stopped, Refusal):
        return stopped.text, stopped.code, stopped.error
    if isinstance(stopped, (JobFileError, BundleError)):
        text = texts.say(stopped.key, **stopped.facts)
        return text, Exit.USAGE, {"kind": stopped.key, "facts": stopped.facts, "detail": text}
    if isinstance(stopped, ConfigError):
        return str(stopped), Exit.USAGE, {"kind": "config", "detail": str(stopped)}
    if isinstance(stopped, LinkError):
        text = texts.say("error.unreachable", url=run.address if run else "", detail=str(stopped))
        return text, Exit.UNREACHABLE, {"kind": "unreachable", "detail": text}
    if isinstance(stopped, ApiError):
        reason = stopped.problem.get("reason") or {}
        text = run.reason(reason) if run and reason else str(stopped.problem.get("detail", stopped))
        return text, Exit.REFUSED, {"status": stopped.status, "reason": reason, "detail": text}
    return f"{type(stopped).__name__}: {stopped}", Exit.REFUSED, {"kind": type(stopped).__name__, "detail": str(stopped)}
