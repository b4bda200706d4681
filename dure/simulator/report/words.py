"""Numbers as people read them, and the report's texts in one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dure.model.render import language
from dure.simulator.report.metrics import Value
from dure.simulator.report.texts import TEXTS

_TIMES = ((86_400 * 2, 86_400, "d"), (3_600, 3_600, "h"), (60, 60, "min"), (0, 1, "s"))
_ENERGY = ((1e9, 1e9, "GWh"), (1e6, 1e6, "MWh"), (1e3, 1e3, "kWh"), (0, 1, "Wh"))
_MASS = ((1e6, 1e6, "t"), (1e3, 1e3, "kg"), (0, 1, "g"))
_PREFIXES = {"wh": _ENERGY, "g": _MASS}
Steps = Sequence[tuple[float, float, str]]


@dataclass(frozen=True, slots=True)
class Words:
    """lang: "ko" or "en"."""

    lang: str

    def say(self, key: str, **facts: object) -> str:
        """A text with its facts filled in; facts are plain, and escaped with the text."""
        return TEXTS[key][self.lang == "ko"].format(**facts)

    def known(self, key: str) -> str:
        """The text of a key, or the key itself where it has none: a note that somebody else named."""
        return TEXTS[key][self.lang == "ko"] if key in TEXTS else key.rpartition(".")[2]

    def note(self, key: str, value: str) -> str:
        """What a note says: in words where its value is one of ours or a list of them, else as it is."""
        texts = [TEXTS.get(f"note.{key}={each}") for each in value.split(", ")]
        return value if None in texts else ", ".join(text[self.lang == "ko"] for text in texts if text)

    def duration(self, seconds: float) -> str:
        _least, one, unit = next(step for step in _TIMES if seconds >= step[0] or step[0] == 0)
        return self.say(f"unit.{unit}", n=short(seconds / one))

    def value(self, value: Value, unit: str) -> str:
        """A value of a measure, rounded for people."""
        if value is None:
            return self.say("unknown")
        if unit == "s":
            return self.duration(value)
        if unit in _PREFIXES:
            _least, one, name = next(step for step in _PREFIXES[unit] if value >= step[0])
            return f"{short(value / one)} {name}"
        if unit == "krw":
            return self.say("unit.krw", n=f"{value:,.0f}")
        if unit == "device_hours":
            return self.say("unit.device_hours", n=short(value))
        return f"{100 * value:.1f} %" if unit == "share" else short(value) if unit == "ratio" else f"{value:,.0f}"

    def exactly(self, value: Value, unit: str) -> str:
        """The same, with all that is known of it."""
        if value is None:
            return self.say("unknown")
        base = {"s": "s", "wh": "Wh", "g": "g", "share": "", "ratio": ""}.get(unit, "")
        return f"{value:,.3f} {base}".strip() if isinstance(value, float) else f"{value:,}"

    def width(self, milli: int, measured: str) -> str:
        """How much a job asks for."""
        return self.say(f"width.{measured}", n=short(milli / 1000))

    def size(self, key: str) -> str:
        """A class of size."""
        return self.known(f"size.{key}") if f"size.{key}" in TEXTS else key.replace("-", "–")

    def label(self, key: str) -> str:
        """A measure by its key: what, and which of its statistics."""
        what, _, which = key.rpartition(".")
        if which in ("mean", "p50", "p90", "p99"):
            return f"{self.say('m.' + what)}, {self.say('stat.' + which)}"
        return self.say("m." + key)


def words(lang: str) -> Words:
    """The words of a language: Korean for "ko" and what begins so, English for all else."""
    return Words(language(lang))


def short(value: float) -> str:
    """About three digits, and no more than needed: 0.943, 5.76, 57.6, 1,106."""
    if value == int(value):
        return f"{value:,.0f}"
    digits = 3 if abs(value) < 0.9995 else 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{digits}f}"
