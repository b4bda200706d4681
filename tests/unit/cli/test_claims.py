"""Work that makes others stop: what it costs at least is told before it is asked for, and after it was cancelled."""

from __future__ import annotations

from tests.api.test_preemption import MIN_RUN_MS, urgent_over
from tests.unit.cli.test_commands import Shell

WHOLE = ("--cores", "4", "--memory", "1GiB", "--priority", "urgent")


def test_what_others_lose_is_told_in_a_quote_and_when_a_claim_is_cancelled(still: Shell) -> None:
    plane = still.served.plane
    _, _, urgent = urgent_over(plane, "bob", "beta")
    plane.clock.shift_ms += MIN_RUN_MS
    plane.join()
    assert "least" not in still.run("quote", "--cores", "1", "--", "true", who="manager")
    plane.controller.step()
    plane.controller.step()
    assert plane.get("manager", f"/workloads/{urgent}")["state"] == "starting"
    said = still.run("cancel", urgent, who="manager")
    (attempt,) = plane.get("manager", f"/workloads/{urgent}/attempts")["items"]
    assert (attempt["outcome"], attempt["settled"], attempt["charge_rest_nano"]) == ("withdrawn", 1, 653_333_504)
    assert "it costs 1.653 won" in said
    assert "1.653원" in still.run("show", urgent, "--lang", "ko", who="manager")


def test_a_quote_for_work_that_would_make_others_stop_says_what_is_charged_at_least(still: Shell) -> None:
    plane = still.served.plane
    _, _, urgent = urgent_over(plane, "bob", "beta")
    plane.post("manager", f"/workloads/{urgent}/cancel")
    plane.clock.shift_ms += MIN_RUN_MS
    plane.join()
    plane.controller.step()
    assert "at least 1 min are charged" in still.run("quote", *WHOLE, "--limit", "1h", "--", "true", who="manager")
    assert "최소 1분은" in still.run("quote", "--lang", "ko", *WHOLE, "--limit", "1h", "--", "true", who="manager")
