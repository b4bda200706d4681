"""What the lists of awards say of money that may not be used everywhere, or not yet."""

from __future__ import annotations

import pytest

from dure.model.calendar import date_text
from tests.builders.api_plane import DAY_MS
from tests.unit.cli.test_commands import Shell


def grant(still: Shell, **more: object) -> None:
    now_ms = still.served.plane.clock.now_ms()
    body = {"programme": "voucher", "project": "alpha", "amount": 5_000, "starts": now_ms - 1, "expires": now_ms + DAY_MS, **more}
    still.served.plane.post("admin", "/awards", body)


def test_awards_that_are_all_open_everywhere_need_no_column(still: Shell) -> None:
    assert "Pays" not in still.run("award", "list") and "Pays" not in still.run("ledger")


@pytest.mark.parametrize("words", [("award", "list"), ("ledger",)])
def test_an_award_that_opens_later_or_pays_at_one_site_alone_says_so(still: Shell, words: tuple[str, ...]) -> None:
    day = date_text(still.served.plane.clock.now_ms() + 10 * DAY_MS)
    grant(still, starts=day, expires=date_text(still.served.plane.clock.now_ms() + 20 * DAY_MS))
    grant(still, sites=["pohang"])
    said = still.run(*words)
    assert "Pays" in said and f"opens {day}" in said and "only pohang" in said
    assert f"{day}부터" in still.run(*words, "--lang", "ko")
