"""What people read, in Korean and English: one catalogue, two files with the same keys and the same placeholders.

Keys are dotted: `cmd.` help of a command, `opt.` help of an option or argument, `col.` headings, `state.` words for states,
and one prefix for each group of commands. `Reason`s are not here: `dure.model.render` puts those into words.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dure.cli.texts.demo_en import TEXTS as DEMO_EN
from dure.cli.texts.demo_ko import TEXTS as DEMO_KO
from dure.cli.texts.en import TEXTS as EN
from dure.cli.texts.envelopes_en import TEXTS as ENVELOPES_EN
from dure.cli.texts.envelopes_ko import TEXTS as ENVELOPES_KO
from dure.cli.texts.findings_en import TEXTS as FINDINGS_EN
from dure.cli.texts.findings_ko import TEXTS as FINDINGS_KO
from dure.cli.texts.help_en import TEXTS as HELP_EN
from dure.cli.texts.help_ko import TEXTS as HELP_KO
from dure.cli.texts.ko import TEXTS as KO
from dure.cli.texts.placing_en import TEXTS as PLACING_EN
from dure.cli.texts.placing_ko import TEXTS as PLACING_KO
from dure.cli.texts.quotas_en import TEXTS as QUOTAS_EN
from dure.cli.texts.quotas_ko import TEXTS as QUOTAS_KO
from dure.cli.texts.traits_en import TEXTS as TRAITS_EN
from dure.cli.texts.traits_ko import TEXTS as TRAITS_KO
from dure.cli.texts.trials_en import TEXTS as TRIALS_EN
from dure.cli.texts.trials_ko import TEXTS as TRIALS_KO
from dure.cli.texts.whatif_en import TEXTS as WHATIF_EN
from dure.cli.texts.whatif_ko import TEXTS as WHATIF_KO
from dure.cli.texts.whole_en import TEXTS as WHOLE_EN
from dure.cli.texts.whole_ko import TEXTS as WHOLE_KO
from dure.model.money import nano_text
from dure.model.render import particle

CATALOGUES: Mapping[str, Mapping[str, str]] = {
    "en": {
        **EN,
        **HELP_EN,
        **DEMO_EN,
        **FINDINGS_EN,
        **ENVELOPES_EN,
        **PLACING_EN,
        **QUOTAS_EN,
        **TRAITS_EN,
        **TRIALS_EN,
        **WHATIF_EN,
        **WHOLE_EN,
    },
    "ko": {
        **KO,
        **HELP_KO,
        **DEMO_KO,
        **FINDINGS_KO,
        **ENVELOPES_KO,
        **PLACING_KO,
        **QUOTAS_KO,
        **TRAITS_KO,
        **TRIALS_KO,
        **WHATIF_KO,
        **WHOLE_KO,
    },
}


class _Speaker(string.Formatter):
    """Placeholders as `str.format` knows them, "{name|을/를}": with the Korean particle that the last sound asks for, and
    "{count|#job/jobs}": the word for one, or for any other number of them."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        name, bar, pair = field_name.partition("|")
        value, used = super().get_field(name, args, kwargs)
        if pair.startswith("#"):
            one, _, more = pair[1:].partition("/")
            return (one if value == 1 else more), used
        return (f"{value}{particle(str(value), pair)}" if bar else value), used


_SPEAKER = _Speaker()


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. Money and counts are given as integers; the placeholders say how they are written."""

    lang: str

    def say(self, key: str, **facts: Any) -> str:
        return _SPEAKER.vformat(CATALOGUES[self.lang][key], (), facts)

    def word(self, prefix: str, code: str) -> str:
        """A word for a code such as a state; a code that the catalogue does not know stands for itself."""
        return CATALOGUES[self.lang].get(f"{prefix}.{code}", code)

    def money(self, amount: int, currency: str = "KRW") -> str:
        return self.say(f"money.{currency}", n=f"{amount:,}")

    def exact(self, nano: int, currency: str = "KRW") -> str:
        """An amount in nano-units, with its decimals."""
        return self.say(f"money.{currency}", n=nano_text(nano))

    def duration(self, ms: int) -> str:
        """A length of time as people say it: the two largest units."""
        parts = []
        for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
            count, ms = divmod(ms, length)
            if count:
                parts.append(self.say(f"time.{unit}", n=count))
        return " ".join(parts[:2]) or self.say("time.s", n=0)
