"""Typer's complaints about a command line in the reader's language. Its own classes are not public: they are told by their name
and by what they carry, and one that is not known keeps its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dure.cli.texts import Texts

_COMMA = re.compile(r"\d{1,3}(?:,\d{3})+")  # a number as it is written for people, where click wants digits alone
_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)|unexpected extra argument\(s\) \((.*)\)")


def is_usage_error(wrong: Exception) -> bool:
    return hasattr(wrong, "format_message")


def asks_for_help(wrong: Exception) -> bool:
    """A command that was given nothing prints its help instead of a complaint."""
    return type(wrong).__name__ == "NoArgsIsHelpError"


def complaint(wrong: Any, texts: Texts, words: Sequence[str] = ()) -> str:
    """What is wrong, what is wanted instead, and where help is. words: the command line."""
    parts = [_what(wrong, texts, words)]
    path = getattr(getattr(wrong, "ctx", None), "command_path", "")
    if path:
        parts.append(texts.say("usage.help", command=path))
    return "\n".join(part for part in parts if part)


def _what(wrong: Any, texts: Texts, words: Sequence[str]) -> str:
    kind, message = type(wrong).__name__, str(wrong.format_message())
    parameter = getattr(wrong, "param", None)
    if kind == "NoSuchOption":
        near = ", ".join(sorted(wrong.possibilities or []))
        return texts.say("usage.no_option", option=wrong.option_name) + (texts.say("usage.near", near=near) if near else "")
    if kind == "MissingParameter" and parameter is not None:
        return texts.say("usage.missing", name=_name(parameter), about=_about(parameter, texts))
    if kind == "EmptyId" and parameter is not None:
        return texts.say("usage.empty", name=_name(parameter), about=_about(parameter, texts))
    if kind == "BadParameter" and parameter is not None:
        comma = _with_commas(parameter, words)
        if comma:
            return texts.say("usage.comma", name=_name(parameter), plain=comma.replace(",", ""))
        return texts.say("usage.bad_value", name=_name(parameter), about=_about(parameter, texts))
    if kind == "BadOptionUsage":
        return texts.say("usage.no_value", option=wrong.option_name)
    extra = _EXTRA.search(message)
    if extra:
        return texts.say("usage.extra", words=extra[1] or extra[2])
    return texts.say("usage.no_verb") if message == "Missing command." else message


def _with_commas(parameter: Any, words: Sequence[str]) -> str:
    """The number with commas that an option was given, "" for none: the complaint itself does not repeat it."""
    options = tuple(getattr(parameter, "opts", []))
    after = [words[i + 1] for i, word in enumerate(words[:-1]) if word in options]
    within = [word.partition("=")[2] for word in words if word.partition("=")[0] in options]
    return next((value for value in (*after, *within) if _COMMA.fullmatch(value)), "")


def _name(parameter: Any) -> str:
    """An option as it is typed, an argument as the help calls it."""
    options = [word for word in getattr(parameter, "opts", []) if word.startswith("-")]
    return options[0] if options else str(getattr(parameter, "metavar", None) or parameter.name).upper()


def _about(parameter: Any, texts: Texts) -> str:
    """What it is, and which values it takes."""
    descriptor = getattr(parameter, "type_descriptor", None)
    choices = getattr(descriptor, "choices", None)
    info = getattr(descriptor, "parameter_info", None)
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    parts = [getattr(parameter, "help", None) or ""]
    if choices and not isinstance(choices, Mapping):
        parts.append(texts.say("usage.one_of", values=", ".join(str(getattr(c, "value", c)) for c in choices)))
    if low is not None and high is not None:
        parts.append(texts.say("usage.between", low=low, high=high))
    elif low is not None:
        parts.append(texts.say("usage.at_least", low=low))
    return " ".join(part for part in parts if part)
