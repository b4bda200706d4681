"""What a command is given: where to print, which language, which plane, and the refusals it may end with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from dure.cli.console import Console
from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.texts import Texts
from dure.client import DureClient
from dure.config import Config
from dure.model.calendar import people_text
from dure.model.reason import Reason
from dure.model.render import render


class Refusal(Exception):
    """Ends a command: what people read, the exit code, and what programs read."""

    def __init__(self, text: str, code: Exit = Exit.REFUSED, error: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.error = dict(error or {"detail": text})


Connect = Callable[["Run"], DureClient]


@dataclass
class Run:
    """One run of one command."""

    console: Console
    texts: Texts
    config: Config
    connect: Connect
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def client(self) -> DureClient:
        return self.connect(self)

    @property
    def address(self) -> str:
        """Where the plane is: as set, else the farm that runs on the data folder, else where one would answer."""
        if self.config.url:
            return self.config.url
        running = lock.running(self.config.data)
        return running.url if running and running.url else f"http://{self.config.host}:{self.config.port}"

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    def t(self, key: str, **facts: Any) -> str:
        return self.texts.say(key, **facts)

    def say(self, key: str, **facts: Any) -> None:
        self.console.say(self.t(key, **facts))

    def note(self, key: str, **facts: Any) -> None:
        self.console.note(self.t(key, **facts))

    def money(self, amount: int, currency: str = "KRW") -> str:
        return self.texts.money(amount, currency)

    def when(self, ms: int) -> str:
        """A moment in Korean civil time, or nothing for 0."""
        return people_text(ms) if ms else ""

    def reason(self, plain: Mapping[str, Any]) -> str:
        """A Reason in words; one of a kind that this version does not know keeps its name."""
        try:
            text = render(Reason.from_json(plain), self.texts.lang)
        except (ValueError, KeyError):
            return str(plain.get("kind", ""))
        return " ".join(part for part in (text.detail or text.title, text.remedy) if part)

    def refusal(self, key: str, code: Exit = Exit.REFUSED, **facts: Any) -> Refusal:
        return Refusal(self.t(key, **facts), code, {"kind": key, "facts": facts, "detail": self.t(key, **facts)})

    def project(self) -> str:
        """The project that is meant: as set, else the only one that there is."""
        if self.config.project:
            return self.config.project
        projects = [str(p["id"]) for p in islice(self.client.projects(), 20)]
        if len(projects) == 1:
            return projects[0]
        raise self.refusal("project.many" if projects else "project.none", Exit.USAGE, projects=", ".join(projects))
