"""The stories are documentation, and true: the right column is what the plane answers, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.errors import ConfigError
from dure.simulator import run_scenario, run_text

HERE = Path(__file__).parent
PAGES = sorted(HERE.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_page_says_what_happens(page: Path, request: pytest.FixtureRequest) -> None:
    result = run_scenario(page)
    if request.config.getoption("--update"):
        page.write_text(result.text, encoding="utf-8")
        return
    assert result.stale == (), "run `pytest tests/scenarios --update` and review the difference as prose"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_story_ends_with_true_books(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "→ the books balance and the chain holds" in text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("09:00 submit a nobody gpus 1 for 1h", "refused"),
        ("09:00 submit", "the workload's name is missing"),
        ("09:00 submit a lab gpus one for 1h", "'one' is no whole number"),
        ("09:00 submit a lab gpus 1 for soon", "'soon' is no duration"),
        ("09:00 submit a lab gpus 1 for 1h sideways", "not understood: 'sideways'"),
        ("09:00 dance", "unknown verb 'dance'"),
        ("09:00 cancel a", "no workload is called 'a'"),
        ("08:00 watch", "earlier than the line before"),
        ("09:00 kill north-9", "no node is called 'north-9'"),
        ("09:00 power north 60", "'60' is no power"),
        ("09:00 power north 60kW until 08:00", "ends before it starts"),
        ("09:00 close north-9 until 10:00", "no node is called 'north-9'"),
        ("09:00 close north from 10:00", "say until when it is closed"),
        ("every", "event, or how many seconds is missing"),
        ("every soon", "'soon' is no duration"),
        ("every some seconds", "'some' is no whole number"),
        ("every 0 seconds", "a cadence is from a second to a day"),
        ("every 25h", "a cadence is from a second to a day"),
        ("every event seconds", "not understood: 'seconds'"),
    ],
)
def test_a_story_that_cannot_be_understood_names_its_line(line: str, problem: str) -> None:
    page = f"```scenario\npool north 1 nodes x 8 h100\ntenant lab budget 10 won\n08:30 watch\n{line}\n```"
    try:
        told = run_text(page).text
    except ConfigError as fault:
        told = str(fault)
        assert told.startswith("line 5:")
    assert problem in told


CAPPED = """```scenario
pool    north 1 nodes x 8 h100
price   h100 3_600 won per GPU hour
tenant  lab budget 1_000_000 won
09:00   power north 7.332kW
09:00   close north from 10:01 until 11:00
09:00   close north-1 from 12:00 until 13:00
09:00   submit a lab gpus 8 cores 8 for 1h runs 5m
09:10   power north none from 10:00 until 11:00
```
"""


def test_a_pool_is_capped_and_closed_in_a_story_and_what_keeps_to_both_starts() -> None:
    """8 devices of 700 W and 8 cores of 5 W, at a PUE of 1.3, draw 7.332 kW; an hour's work is over when the window begins."""
    told = run_text(CAPPED).text
    assert "→ a starts on north-1" in told and "a succeeds" in told


EVERY = """```scenario
{cadence}
pool    north 1 nodes x 8 h100
price   h100 3_600 won per GPU hour
tenant  lab budget 1_000_000 won
09:00:05 submit a lab gpus 8 for 1h runs 90s
09:03   restart
09:03:10 submit b lab gpus 8 for 1h runs 5s
09:05   why b
```
"""


@pytest.mark.parametrize(
    ("cadence", "starts"),
    [
        ("every event", ("→ a starts", "→ b starts")),
        ("", ("→ a starts", "→ b starts")),
        ("every 60 seconds", ("09:01   · a starts", "09:04   · b starts")),
        ("every 1m", ("09:01   · a starts", "09:04   · b starts")),
        ("every 1 second", ("09:00:05   · a starts", "09:03:10   · b starts")),
        ("every 7 seconds", ("09:00:10   · a starts", "09:03:12   · b starts")),
    ],
)
def test_a_story_is_decided_at_the_cadence_that_it_states(cadence: str, starts: tuple[str, str]) -> None:
    """At multiples since midnight, and what comes at one is decided about at it."""
    told = run_text(EVERY.format(cadence=cadence)).text
    assert [words for words in starts if words not in told] == []
    assert "→ it is succeeded" in told


def test_a_cadence_is_said_once() -> None:
    with pytest.raises(ConfigError, match="line 3: the cadence is already said: 'every event'"):
        run_text("```scenario\nevery 1m\nevery event\npool north 1 nodes\n```")


def test_an_open_block_is_named() -> None:
    with pytest.raises(ConfigError, match=r"line 1: this ```scenario block is never closed"):
        run_text("```scenario\npool north 1 nodes x 8 h100\n")
