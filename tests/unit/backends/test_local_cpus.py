"""Which CPUs an attempt gets: on machines far larger than the one that tests run on."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dure.backends.local import cpus
from tests.builders.worlds import examples

MACHINES = st.sets(st.integers(0, 255), min_size=1, max_size=128)
DEMANDS = st.lists(st.integers(0, 40_000), max_size=30)


def load_of(claims: dict[str, dict[int, int]]) -> Counter[int]:
    load: Counter[int] = Counter()
    for claim in claims.values():
        load.update(claim)
    return load


def place(machine: set[int], demands: list[int]) -> dict[str, dict[int, int]]:
    claims: dict[str, dict[int, int]] = {}
    for number, demand in enumerate(demands):
        claims[f"a_{number}"] = cpus.choose(machine, load_of(claims), demand)
    return claims


@examples(100)
@given(MACHINES, DEMANDS, st.integers(0, 400_000))
def test_an_attempt_gets_at_least_one_cpu_never_more_than_it_asked_for_and_none_that_is_not_there(
    machine: set[int], demands: list[int], demand: int
) -> None:
    chosen = cpus.choose(machine, load_of(place(machine, demands)), demand)
    assert chosen.keys() <= machine
    assert len(chosen) == max(1, min(len(machine), -(-demand // 1000)))
    assert all(0 < milli <= 1000 for milli in chosen.values())
    if demand <= len(machine) * 1000:
        assert sum(chosen.values()) == max(1, demand)


@examples(100)
@given(MACHINES, st.lists(st.integers(1, 20), max_size=30))
def test_whole_cores_are_nobody_elses_while_there_are_enough(machine: set[int], cores: list[int]) -> None:
    fitting = [n * 1000 for i, n in enumerate(cores) if sum(cores[: i + 1]) <= len(machine)]
    assert max(load_of(place(machine, fitting)).values(), default=0) <= 1000


@examples(100)
@given(MACHINES, DEMANDS, st.integers(1, 20))
def test_whole_cores_are_free_ones_whenever_so_many_are_free(machine: set[int], demands: list[int], cores: int) -> None:
    load = load_of(place(machine, demands))
    free = machine - {cpu for cpu, milli in load.items() if milli}
    chosen = cpus.choose(machine, load, cores * 1000)
    if len(free) >= cores:
        assert chosen.keys() <= free


@examples(100)
@given(MACHINES, DEMANDS, st.integers(1, 999))
def test_a_fraction_breaks_into_a_free_cpu_only_when_it_fits_nowhere_else(
    machine: set[int], demands: list[int], part: int
) -> None:
    load = load_of(place(machine, demands))
    ((cpu, milli),) = cpus.choose(machine, load, part).items()
    assert milli == part
    if load[cpu] == 0:
        assert all(load[other] == 0 or load[other] + part > 1000 for other in machine)
    elif load[cpu] + part > 1000:
        assert load[cpu] == min(load[other] for other in machine)


@examples(100)
@given(MACHINES, DEMANDS)
def test_what_is_released_can_be_had_again_and_what_is_adopted_counts(machine: set[int], demands: list[int]) -> None:
    first, second = cpus.Claims(), cpus.Claims()
    taken = {f"a_{n}": first.take(f"a_{n}", demand, machine) for n, demand in enumerate(demands)}
    for attempt, claim in taken.items():
        second.adopt(attempt, [list(pair) for pair in claim])  # as it is read from an order
    assert first.take("new", 1500, machine) == second.take("new", 1500, machine)
    for attempt in taken:
        second.release(attempt)
    second.release("new")
    assert second.take("new", 1500, machine) == cpus.Claims().take("new", 1500, machine)
    assert first.take("new", 1500, machine) == first.take("new", 1500, machine)  # its own claim is not in its way
