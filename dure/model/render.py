"""People's words for a Reason: the one place where kinds and facts become Korean or English.

Nothing here raises, whatever the facts hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dure.model.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, people_text
from dure.model.money import Currency
from dure.model.policy import WHOLE_FARM
from dure.model.reason import Reason
from dure.model.reason_texts import REASON_TEXTS
from dure.model.reason_words import DETAILS, FAULTS, NOUNS, PROBLEMS, ROLES, STATES, TASTES, Pairs

Facts = Mapping[str, Any]

_FACT = re.compile(r"\{(\w+)(?:\|([^}]+))?\}")
_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_NUMBER_MAX = 10**30  # beyond, a number is not spelt out
_TEXT_MAX = 500  # of one fact: who asks gets an answer, not an echo of everything sent
_LIST_MAX = 50
_CODE_MAX = 16  # of a currency

_MOMENTS = frozenset({"from_ms", "until_ms", "at_ms", "starts_ms", "expires_ms", "ends_ms", "promised_ms", "deadline_ms"})
_MONEY = frozenset({"hold", "held", "available", "asked", "amount", "settled"})
_PLAIN = frozenset({"exit_code", "epoch", "current", "protocol", "oldest", "newest"})  # numbers that are names: no separators
_WORDS: Mapping[str, Pairs] = {
    "what": NOUNS, "expected": NOUNS, "state": STATES, "roles": ROLES, "detail": DETAILS, "problem": PROBLEMS,
    "wrong": FAULTS, "taste": TASTES,
}  # fmt: skip
_TEMPLATES = ("problem", "wrong")  # facts whose words use further facts
# Other names under which a fact may come.
_ALIASES = {"limit_bytes": "bytes_max"}
_REMEDY = {"en": "Correct it and send the request again.", "ko": "고쳐서 다시 보내십시오."}
_CORE, _DEVICE, _CORES = "core", "device:", {"en": "cores", "ko": "코어"}
_TENANTS = frozenset({"quota_of", "tenant"})
_UNKNOWN_TIME = {"en": "an unknown time", "ko": "알 수 없는 때"}

# Names and not numbers, since a name is what people look up.
_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
            11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """title: a few words. detail: what is so. remedy: what can be done about it."""

    title: str
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.title}: {self.detail} {self.remedy}".strip()


def render(reason: Reason, lang: str = "en") -> Text:
    """A Reason in words. lang: "ko", "ko_KR.UTF-8" and the like give Korean, anything else English.

    A fact that is missing shows as its name in ‹ ›, so that the sentence still says what it is about."""
    lang = language(lang)
    text = REASON_TEXTS[reason.kind]
    words = text.ko if lang == "ko" else text.en
    remedy = fill(words.remedy, reason.facts, lang) or _REMEDY[lang]
    return Text(fill(words.title, reason.facts, lang), fill(words.detail, reason.facts, lang), remedy)


def language(locale: str) -> str:
    """ "ko" or "en"."""
    return "ko" if locale.lower().startswith("ko") else "en"


def fill(template: str, facts: Facts, lang: str) -> str:
    """A template with its facts; bracketed stretches go when one of theirs is missing or empty."""

    def stretch(found: re.Match[str]) -> str:
        names = [name for name, _ in _FACT.findall(found[1])]
        return found[1] if all(_get(facts, name) not in (None, "", [], ()) for name in names) else ""

    def fact(found: re.Match[str]) -> str:
        word = fact_text(found[1], facts, lang)
        return word + particle(word, found[2]) if found[2] else word

    return _FACT.sub(fact, _OPTIONAL.sub(stretch, template))


def fact_text(name: str, facts: Facts, lang: str) -> str:
    """One fact as people read it. Its name says its unit; for "limit" and "asked" the fact "what" or "field" says it."""
    value = _get(facts, name)
    if value is None:
        return f"‹{name}›"
    if isinstance(value, (list, tuple, set, frozenset)):
        entries = sorted(value, key=_plain) if isinstance(value, (set, frozenset)) else value
        more = ", …" if len(entries) > _LIST_MAX else ""
        return (", ".join(_entry(name, v, facts, lang) for v in entries[:_LIST_MAX])[: 2 * _TEXT_MAX] or "–") + more
    return _entry(name, value, facts, lang)


def duration_words(ms: int, lang: str) -> str:
    """The two largest units that count: "1 h 5 min", "1시간 5분"; below a second milliseconds."""
    if ms < 0:
        return "-" + duration_words(-ms, lang)
    if ms < SECOND_MS:
        return f"{ms}밀리초" if lang == "ko" else f"{ms} ms"
    units = ((DAY_MS, " d", "일"), (HOUR_MS, " h", "시간"), (MINUTE_MS, " min", "분"), (SECOND_MS, " s", "초"))
    first = next(i for i, (unit, _, _) in enumerate(units) if ms >= unit)
    parts = []
    for unit, en, ko in units[first : first + 2]:
        count, ms = divmod(ms, unit)
        parts.append(f"{count_words(count)}{ko if lang == 'ko' else en}" if count else "")
    return " ".join(part for part in parts if part)


def money_words(amount: int, currency: str, lang: str) -> str:
    """1234000 of KRW: "1,234,000 won", "1,234,000원"; merit in accelerator-seconds."""
    units = {Currency.KRW.value: (" won", "원"), Currency.ACS.value: (" accelerator-seconds", " 가속기초")}
    en, ko = units.get(currency, (f" {currency}", f" {currency}"))
    return count_words(amount) + (ko if lang == "ko" else en)


def count_words(number: int) -> str:
    """With thousands separators; monstrous numbers as a bound, since spelling them out may itself be refused."""
    if abs(number) >= _NUMBER_MAX:
        return "< -10^30" if number < 0 else "> 10^30"
    return f"{number:,}"


def memory_words(mib: int) -> str:
    return f"{_decimal(mib, 1024)} GiB" if abs(mib) >= 1024 else f"{mib} MiB"


def bytes_words(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{_decimal(size, unit)} {name}"
    return f"{count_words(size)} B"


def power_words(milliwatts: int) -> str:
    """1_500_000 → "1.5 kW"."""
    for unit, name in ((10**9, "MW"), (10**6, "kW")):
        if abs(milliwatts) >= unit:
            return f"{_decimal(milliwatts, unit)} {name}"
    return f"{_decimal(milliwatts, 1000)} W"


def cores_words(milli: int, lang: str) -> str:
    number = _decimal(milli, 1000)
    if lang == "ko":
        return f"{number}코어"
    return f"{number} core" if milli == 1000 else f"{number} cores"


def resource_words(milli: int, resource: str, lang: str) -> str:
    """Thousandths of a device or a core, as quotas count them: "8 h100", "h100 8개", "2.5 cores"."""
    if not resource.startswith(_DEVICE):
        return cores_words(milli, lang)
    number, type = _decimal(milli, 1000), resource.removeprefix(_DEVICE)[:_TEXT_MAX]
    return f"{type} {number}개" if lang == "ko" else f"{number} {type}"


def tenant_words(of: str, lang: str) -> str:
    """Whose quota it is: "project lab", "과제 lab", "the whole farm"."""
    kind, _, id = of.partition(":")
    if of == WHOLE_FARM:
        return "농장 전체" if lang == "ko" else "the whole farm"
    noun = NOUNS.get(kind, (kind, kind))
    return f"{noun[1] if lang == 'ko' else noun[0]} {id}".strip()


# -- Korean particles -------------------------------------------------------------------------------------------------

# The last consonant of each digit's name, and of a Latin letter's: "" none, "ㄹ" (an exception for "으로"), "x" any other.
_DIGIT_SOUNDS = dict(zip("0123456789", ("x", "ㄹ", "", "x", "", "", "x", "ㄹ", "ㄹ", ""), strict=True))
_CAPITAL_SOUNDS = {"L": "ㄹ", "R": "ㄹ", "M": "x", "N": "x"}
_SMALL_SOUNDS = {**dict.fromkeys("aeiouy", ""), "l": "ㄹ", "m": "x", "n": "x"}
_HANGUL_FIRST, _HANGUL_LAST, _FINALS, _FINAL_RIEUL = 0xAC00, 0xD7A3, 28, 8


def particle(word: str, pair: str) -> str:
    """The particle of `pair` ("을/를": after a consonant / after a vowel) for `word`; "을(를)" where its sound is not known."""
    with_final, without = pair.split("/", 1)
    sound = _last_sound(word)
    if sound is None:
        return f"{with_final}({without})"
    has_final = sound == "x" or (sound == "ㄹ" and with_final != "으로")
    return with_final if has_final else without


def _last_sound(word: str) -> str | None:
    spoken = [c for c in word if c.isalnum()]
    if not spoken:
        return None
    last = spoken[-1]
    if _HANGUL_FIRST <= ord(last) <= _HANGUL_LAST:
        final = (ord(last) - _HANGUL_FIRST) % _FINALS
        return "" if final == 0 else "ㄹ" if final == _FINAL_RIEUL else "x"
    if last in _DIGIT_SOUNDS:
        return _DIGIT_SOUNDS[last]
    return _CAPITAL_SOUNDS.get(last, "") if last.isascii() and last.isupper() else _SMALL_SOUNDS.get(last)


# -- one value ----------------------------------------------------------------------------------------------------------


def _get(facts: Facts, name: str) -> Any:
    return facts.get(name, facts.get(_ALIASES.get(name, ""), None))


def _plain(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # an integer within that Python refuses to spell out
        return "…"


def _entry(name: str, value: Any, facts: Facts, lang: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _word(name, _plain(value), facts, lang)
    if isinstance(value, float):
        return f"{value:,.6g}"
    if name == "signal":
        return f"{_SIGNALS[value]} ({value})" if value in _SIGNALS else count_words(value)
    if abs(value) >= _NUMBER_MAX or name in _PLAIN:
        return count_words(value) if abs(value) >= _NUMBER_MAX else str(value)
    return _quantity(name, value, facts, lang)


def _quantity(name: str, value: int, facts: Facts, lang: str) -> str:
    """An integer in the unit that its name ends in."""
    if name in _MONEY and facts.get("currency"):
        return money_words(value, _plain(facts["currency"])[:_CODE_MAX], lang)
    unit = _unit_name(name, facts)
    if unit in _MOMENTS:
        return people_text(value) or _UNKNOWN_TIME[lang]
    if unit.endswith("_ms"):
        return duration_words(value, lang)
    if unit.endswith("share_milli"):
        return f"{value / 1000:g}"
    if unit.endswith("_milli"):
        return resource_words(value, _plain(facts.get("resource", _CORE)), lang)
    if unit.endswith("_mib"):
        return memory_words(value)
    if unit.endswith("_mw"):
        return power_words(value)
    return bytes_words(value) if unit.endswith("_bytes") else count_words(value)


def _unit_name(name: str, facts: Facts) -> str:
    if name not in ("limit", "asked"):
        return name
    if facts.get("problem") in ("too_early", "too_late"):
        return "at_ms"
    return _plain(facts.get("what") or facts.get("field") or name)


def _word(name: str, word: str, facts: Facts, lang: str) -> str:
    """A machine word in its language; one that is in no table as it is."""
    if name in _TENANTS:
        return tenant_words(word[:_TEXT_MAX], lang)
    if name == "resource":
        return word[:_TEXT_MAX].removeprefix(_DEVICE) if word != _CORE else _CORES[lang]
    known = _WORDS.get(name, {}).get(word)
    if known is None:
        return word[:_TEXT_MAX]
    text = known[1] if lang == "ko" else known[0]
    return fill(text, facts, lang) if name in _TEMPLATES else text


def _decimal(number: int, unit: int) -> str:
    """`number / unit` with up to two decimals, exact before that, halves up, no trailing zeros."""
    hundredths = (200 * abs(number) + unit) // (2 * unit)
    whole, rest = divmod(hundredths, 100)
    tail = f"{rest:02}".rstrip("0")
    return f"{'-' if number < 0 else ''}{whole:,}{'.' + tail if tail else ''}"
