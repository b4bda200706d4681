"""The words of a command line before Typer reads them: where common options stand, which language, whether the command exists."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from dure.cli.commands import COMMANDS
from dure.cli.texts import CATALOGUES
from dure.config import language

JSON_FLAG = "--json"
# Common options with a value; the same names as in `app.COMMON`.
VALUED = ("--lang", "--url", "--token", "--data", "--project", "-p")
NOUNS = frozenset(name.split(" ")[0] for name in COMMANDS if " " in name)


def arranged(words: Sequence[str]) -> list[str]:
    """Common options that stand before the command's name (`dure --json jobs`), or between its two words, put right behind it.

    Without a command the words stay as they are: then they ask for help."""
    path: list[str] = []
    front: list[str] = []
    rest = list(words)
    while rest and not _complete(path):
        if not rest[0].startswith("-"):
            path.append(rest.pop(0))
            continue
        name, equals, _ = rest[0].partition("=")
        if name not in VALUED and rest[0] != JSON_FLAG:
            break
        count = 2 if name in VALUED and not equals else 1
        front += rest[:count]
        del rest[:count]
    return [*path, *front, *rest] if _complete(path) else list(words)


def _complete(path: Sequence[str]) -> bool:
    return len(path) == 2 or (len(path) == 1 and path[0] not in NOUNS)


def before_separator(words: Sequence[str]) -> Sequence[str]:
    """The words that are Dure's: those behind -- are a job's."""
    return words[: list(words).index("--")] if "--" in words else words


def wants_json(words: Sequence[str]) -> bool:
    return JSON_FLAG in before_separator(words)


def chosen_language(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Help has to be in the right language before the command line is parsed, so --lang is looked for first."""
    own = before_separator(words)
    for here, following in zip(own, [*own[1:], ""], strict=True):
        chosen = following if here == "--lang" else here.removeprefix("--lang=")
        if here.startswith("--lang") and chosen in CATALOGUES:
            return chosen
    return language(environ)


def unknown_command(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """What was typed for a command that there is none of, and the nearest ones; None when it is one, or asks for help."""
    typed = [word for word in words[:2] if not word.startswith("-")]
    if not typed or words[0].startswith("-"):
        return None
    first = typed[0]
    if first not in NOUNS:
        known = sorted({name.split(" ")[0] for name in COMMANDS if not name.startswith("_")})
        return None if first in known or first in COMMANDS else (first, _near(first, known))
    name = " ".join(typed)
    if len(typed) < 2 or name in COMMANDS:
        return None
    verbs = [known for known in COMMANDS if known.startswith(first + " ")]
    return name, _near(name, verbs) or verbs


def _near(typed: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(typed, known, n=3, cutoff=0.6)
