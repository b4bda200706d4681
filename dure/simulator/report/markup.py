"""Markup built from parts: what is not markup already is escaped, so that no name of a trace can become any."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape

NAME_MAX = 60  # characters of a name that are shown
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, marks that turn the direction of text, halves of characters
_EMPTY = frozenset({"br", "meta", "link", "hr", "img", "col"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = Html | str | int | float | None


def text(value: object) -> Html:
    """Text as markup, whatever is in it; characters that do not show become one that does."""
    return value if isinstance(value, Html) else Html(escape(_visible(str(value))))


def _visible(plain: str) -> str:
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join("\ufffd" if c != "\n" and unicodedata.category(c) in _HIDDEN else c for c in plain)


def tag(kind: str, /, *children: Child | Iterable[Child], **attributes: object) -> Html:
    """An element. An attribute is named as in HTML, with "_" for "-" and a trailing "_" where Python has the word; None is left
    out."""
    names = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    opening = kind + "".join(f' {name}="{escape(_visible(str(value)))}"' for name, value in names)
    return Html(f"<{opening}>") if kind in _EMPTY else Html(f"<{opening}>{join(*children)}</{kind}>")


def join(*children: Child | Iterable[Child]) -> Html:
    """Children one after the other; None is nothing."""
    parts = []
    for child in children:
        if isinstance(child, str | int | float):
            parts.append(text(child))
        elif child is not None:
            parts.extend(text(each) for each in child if each is not None)
    return Html("".join(parts))


def shown(name: str) -> str:
    """A name of a trace as it is shown: of bounded length, and without characters that do not show."""
    visible = _visible(name[: NAME_MAX + 1]).replace("\n", "\ufffd")
    return visible if len(visible) <= NAME_MAX else visible[: NAME_MAX - 1] + "…"


def named(name: str) -> Html:
    """A name within a sentence: its direction of writing is its own."""
    return tag("bdi", shown(name))
