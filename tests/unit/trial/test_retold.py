"""What of a scenario a trial knows, and that all else is refused by its line."""

from __future__ import annotations

import numpy as np
import pytest

from dure.errors import ConfigError
from dure.simulator.retold import retold_page
from dure.simulator.traces.trace import UNKNOWN, Member
from dure.simulator.trial import rules_of, trial

SETTING = """```scenario
every   60 seconds
pool    north 11 nodes x 8 h100 32 cores 256 GiB
pool    south 2 nodes x 4 odd
price   h100 3_600 won per hour
price   odd 900 won per hour
price   core 36 won per hour
policy  min_run 5m half_life 3d discount 100
tenant  b share 2 of uni budget 1_000_000 won
tenant  a budget 1_000_000 won
"""


def page(*lines: str, setting: str = SETTING) -> str:
    return setting + "\n".join(lines) + "\n```\n"


def test_all_that_a_scenario_says_of_its_work_is_in_the_trace() -> None:
    told = retold_page(page(
        "09:00 submit first a gpus 8 workers 2 for 2h runs 3h checkpoint 10m fixed on h100,odd",
        "watch", "why first",
        "submit many b cores 2 memory 3 array 2 for 10m at south priority urgent",
        "09:01:30 submit last b for 30m runs 20m exits 3",
    ))  # fmt: skip
    t = told.trace
    assert t.ids == ("first", "many.0", "many.1", "last") and told.every_ms == 60_000
    assert t.submit_ms.tolist() == [32_400_000] * 3 + [32_490_000]
    # past its limit it is told to stop, and does within a second
    assert t.duration_ms.tolist() == [7_201_000, 600_000, 600_000, 1_200_000]
    assert t.limit_ms.tolist() == [7_200_000, 600_000, 600_000, 1_800_000]
    assert t.apart.tolist() == [1, 1, 0, 1]
    assert (t.workers[0], t.devices[0], t.cores_milli[1], t.memory_mib[1]) == (2, 8, 2000, 3072)
    assert t.accelerators == (("h100", "odd"),) and t.accelerator.tolist() == [0, UNKNOWN, UNKNOWN, UNKNOWN]
    assert [t.queues[q] if q >= 0 else "" for q in t.queue] == ["", "south", "south", ""]
    assert t.tenants == ("a", "b") and t.members == (Member(1), Member(2, "uni")) and t.tenant.tolist() == [0, 1, 1, 1]
    assert t.preemptible.tolist() == [False, True, True, True] and t.checkpoint_ms[0] == 600_000
    assert t.priority.tolist() == [200, 400, 400, 200] and t.array[1] == t.array[2] != UNKNOWN == t.array[0]
    assert told.rules.name == "own" and told.rules.min_run_ms == 300_000
    assert (told.rules.base.half_life_ms, told.rules.base.preemptible_permille) == (3 * 86_400_000, 900)


def test_nodes_stand_as_a_plane_has_them_which_is_by_name() -> None:
    north = retold_page(page("09:00 submit one a for 1h")).fleet.sites[0]
    assert north.pools[0].ranks == (0, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2)


def test_a_site_may_have_nodes_of_several_kinds() -> None:
    setting = SETTING + "pool    south 1 nodes x 2 h100\n"
    fleet = retold_page(page("09:00 submit one a for 1h", setting=setting)).fleet
    pools = [(pool.name, pool.devices, pool.ranks) for pool in fleet.sites[1].pools]
    assert pools == [
        ("south-1", 4, (0, 1)),
        ("south-2", 2, (2,)),
    ]


def test_other_policies_have_the_prices_of_the_scenario() -> None:
    told = retold_page(page("09:00 submit one a gpus 1 cores 1 on h100 for 1h runs 1h"))
    runs = [trial(told.trace, told.fleet, each, charges=True) for each in (told.rules, told.under(rules_of("fifo")))]
    assert [run.won.tolist() for run in runs] == [[3272], [3272]]  # 3,636 won, less a tenth
    assert [run.notes["prices"] for run in runs] == ["of the policy"] * 2


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["09:00 drain north"], "line 11: a trial does not know drain"),
        (["09:00 submit x a for 1h", "09:30 cancel x"], "line 12: a trial does not know cancel"),
        (["09:00 submit x c for 1h"], "there is no tenant 'c'. Tenants are: a, b"),
        (["09:00 submit x a for 1h priority top"], "there is no class 'top'. Classes are: background, low, normal, high, urgent"),
        (["09:00 submit x a for 1m priority urgent"], "not from 300 s to"),
        (["09:00 submit x a for 400d"], "its limit is not from 1 s to"),
        (["09:00 submit x a for 1h at east"], "there is no pool 'east'. Pools are: north, south"),
        (["09:00 submit x a for 1h at north,south"], "does not know: at several pools"),
        (["09:00 submit x a for 1h workers 0"], "workers, cores and memory are at least 1"),
        (["09:00 submit x a for 1h array -1"], "no number is negative"),
        (["09:00 submit x a for 1h topology ring"], "topology is block"),
        (["09:00 submit x a for 1h topology block"], "does not know: topology block where"),
        (["09:00 submit x a for 1h on h100"], "it names types and no gpus"),
        (["09:00 submit x a for 1h gpus 1 on h1000"], "there is no type 'h1000'. Types are:"),
        (["09:00 submit x a for 1h gpus 1 on a100"], "line 11: there is no price for a100"),
        (["09:00 submit x a for 1h gpus 9"], "no node has 9 such devices, so it never starts: the most is 8"),
        (["09:00 submit x a for 1h gpus 5 on odd"], "the most is 4"),
        (["09:00 submit x a for 1h", "submit y a for 1h after x"], "line 12: a trial does not know: after"),
        (["09:00 submit x a for 1h retries 1"], "does not know: retries"),
        (["09:00 submit x a for 1h workers 4 least 2"], "does not know: least"),
        (["09:00 submit x a for 1h", "submit x a for 1h"], "there is already a workload called x"),
        (["09:10 submit x a for 1h", "09:00 submit y a for 1h"], "earlier than the line before"),
        (["submit x a for 1h"], "say when it is submitted"),
        (["quota a 8 h100", "09:00 submit x a for 1h"], "line 11: a trial knows no quotas"),
        (["tenant c budget 5 won until 18:00", "09:00 submit x a for 1h"], "in a trial money does not end"),
        (["tenant a budget 5 won", "09:00 submit x a for 1h"], "there is already a tenant called a"),
        (["policy reclaims", "09:00 submit x a for 1h"], "reclaims"),
        (["09:00 watch"], "line 2: this scenario submits nothing"),
    ],
)  # fmt: skip
def test_what_a_trial_does_not_know_is_refused_by_its_line(lines: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
        retold_page(page(*lines))


def test_a_scenario_without_a_price_is_refused() -> None:
    setting = "\n".join(line for line in SETTING.split("\n") if not line.startswith("price"))
    with pytest.raises(ConfigError, match=r"line 2: this scenario names no price.*price core 36 won per hour"):
        retold_page(page("09:00 submit x a for 1h", setting=setting))


def test_one_of_several_scenarios_is_named() -> None:
    both = page("09:00 submit x a for 1h") + page("09:00 submit y a for 1h")
    assert [retold_page(both, n).trace.ids for n in (1, 2)] == [("x",), ("y",)]
    for number, text, says in ((0, both, "the page has 2 scenarios"), (3, both, "there is no scenario 3; the page has 2"),
                               (0, "words", "no ```scenario block")):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            retold_page(text, number)


def test_a_budget_that_might_decide_is_refused_by_its_line() -> None:
    """One job of 3,636 won at an hour, of which a tenth is off; its hold is for ten seconds more."""
    told = retold_page(page("09:00 submit x a gpus 1 on h100 for 1h runs 1h"))
    assert told.holds == (3282, 0)
    run = trial(told.trace, told.fleet, told.rules, charges=True)
    told.prove_funded(run)
    least = int(np.sum(run.won)) + 3282
    for budget, fine in ((least, True), (least - 1, False)):
        poor = SETTING.replace("a budget 1_000_000 won", f"a budget {budget} won")
        again = retold_page(page("09:00 submit x a gpus 1 on h100 for 1h runs 1h", setting=poor))
        if fine:
            again.prove_funded(run)
            continue
        with pytest.raises(ConfigError, match=f"line 10: under own the budget might decide what runs.*at least {least:,} won"):
            again.prove_funded(run)
