"""What a command is given: where to print, which language, which plane, and the refusals it may end with."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dure.cli.console import Console
from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.texts import Texts
from dure.client import DureClient
from dure.config import Config
from dure.model.calendar import DAY_MS, date_text, parse_moment, people_text
from dure.model.reason import Reason
from dure.model.render import render


class Refusal(Exception):
    """Ends a command: what people read, the exit code, and what programs read."""

    def __init__(self, text: str, code: Exit = Exit.REFUSED, error: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.error = dict(error or {"detail": text})


def os_words(texts: Texts, fault: OSError) -> str:
    """What the system said, in the reader's language where it is one of the usual things."""
    code = errno.errorcode.get(fault.errno or 0, "")
    words = texts.word("os", code)
    return words if words != code else fault.strerror or str(fault)


Connect = Callable[["Run"], DureClient]


@dataclass
class Run:
    """One run of one command."""

    console: Console
    texts: Texts
    config: Config
    connect: Connect
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    tenant: bool = False  # a tenant's command: it speaks with the token that `dure quickstart` kept, where there is one
    given_token: str | None = None  # on the command line, also when it is empty

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

    def counted(self, states: Mapping[str, int], prefix: str = "state") -> str:
        """ "2 succeeded, 1 failed", without what there is none of."""
        known = ((state, n) for state, n in states.items() if n)
        return ", ".join(self.t("count.state", n=n, state=self.texts.word(prefix, state)) for state, n in known)

    def money(self, amount: int, currency: str = "KRW") -> str:
        return self.texts.money(amount, currency)

    def exact(self, nano: int, currency: str = "KRW") -> str:
        return self.texts.exact(nano, currency)

    def when(self, ms: int) -> str:
        """A moment in Korean civil time, or nothing for 0."""
        return people_text(ms) if ms else ""

    def moment(self, ms: int) -> str:
        """As `when`, for a column whose heading says the zone."""
        return self.when(ms).removesuffix(" KST")

    def last_day(self, ms: int) -> str:
        """What ends at the first moment of a day ends with the day before, which is what people said; else the moment."""
        if not ms or parse_moment(date_text(ms)) != ms:
            return self.when(ms)
        return date_text(ms - DAY_MS)

    def problem(self, fault: Exception) -> str:
        """Why a file cannot be read, in a few words."""
        if isinstance(fault, UnicodeDecodeError):
            return self.t("file.not_text")
        return os_words(self.texts, fault) if isinstance(fault, OSError) else str(fault).split("\n")[0]

    def reason(self, plain: Mapping[str, Any]) -> str:
        """A Reason in words; one of a kind that this version does not know keeps its name."""
        try:
            text = render(Reason.from_json(plain), self.texts.lang)
        except (ValueError, KeyError):
            return str(plain.get("kind", ""))
        return " ".join(part for part in (text.detail or text.title, text.remedy) if part)

    def refusal(self, key: str, code: Exit = Exit.REFUSED, **facts: Any) -> Refusal:
        return Refusal(self.t(key, **facts), code, {"kind": key, "facts": facts, "detail": self.t(key, **facts)})
