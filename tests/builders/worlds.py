"""Small random farms for Hypothesis: what is live always fits where it sits; what waits may be anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st

from dure.model.money import Currency
from dure.model.policy import NO_LIMIT, Policy, Preference, Taste
from dure.scheduler.snapshot import DEPENDENCY_MET, DEPENDENCY_WAITS, LAUNCHING, RUNNING, STOPPING
from tests.builders.world import World

PROJECTS = ("ant", "bee", "cat")
FIRM = tuple(replace(c, yields=False) for c in Policy().classes)  # who yields is drawn by itself
PRIORITIES = ("background", "low", "normal", "high", "urgent")


def examples(default: int, most: int = 0) -> settings:
    """The usual settings; DURE_EXAMPLES asks for more (or fewer) examples, drawn by chance.

    most: of a property of which a single example takes a tenth of a second or more, as it plans again and again or compares with
    a plain program: no more than so many, whatever was asked for."""
    asked = int(os.environ.get("DURE_EXAMPLES", "0"))
    count = min(asked, most) if most else asked
    return settings(max_examples=count or default, derandomize=not asked, deadline=None, database=None, print_blob=asked > 0)


@dataclass
class Left:
    """What is free on a node while a world is drawn."""

    site: str
    cores: int
    memory: int
    mask: int


@st.composite
def worlds(
    draw: st.DrawFn, waiting_max: int = 8, money: bool = True, power: bool = False, windows: bool = False, quotas: bool = False,
    shares: bool = False, tastes: bool = False, blocks: bool = False, yields: bool = False, elastic: bool = False,
    speeds: bool = False,
) -> World:  # fmt: skip
    """power: sites have envelopes and nodes draw; windows: of maintenance on some nodes; quotas: some have any, of devices, of
    cores, or of both, and more may be in use than there is; shares: of devices, that some have and some want; tastes: what sites
    are preferred for, and how much; blocks: nodes stand in some, and work asks for one; yields: some of what runs is of a class
    that does; elastic: most gangs can run with fewer workers, and there are larger ones; speeds: limits on
    alternatives behind the first are often others, and some of what is waited for is grace. None is drawn unless asked for, so
    that a world without them is the same as it always was."""
    world = World(
        policy=replace(
            Policy(),
            reclaims=True,
            classes=FIRM,
            reservations_max=draw(st.integers(0, 4)),
            backfill_depth=draw(st.integers(1, 12)),
        )
    )
    world.draining = _rarely(draw, 40)
    sites = [f"s{i}" for i in range(draw(st.integers(1, 3)))]
    for site in sites:
        world.site(site, reachable=not _rarely(draw, 12), drained=_rarely(draw, 12))
    left = _nodes(draw, world, sites)
    world.organisation("north", weight=draw(st.integers(1, 3))).organisation("south")
    for project in PROJECTS:
        use = draw(st.sampled_from((0.0, 0.0, 1_000.0, 50_000.0)))
        world.project(project, organisation=draw(st.sampled_from(("", "north", "south"))), use=use)
        if money:
            _awards(draw, world, project, sites)
    for i in range(draw(st.integers(0, 9))):
        _attempt(draw, world, left, f"a{i}")
    _claims(draw, world, left)
    for i in range(draw(st.integers(1, waiting_max))):
        _pending(draw, world, sites, f"w{i}", money)
    if shares:
        _shared(draw, world)
    if tastes:
        _tastes(draw, world)
    if power:
        _envelopes(draw, world)
    if windows:
        _closed(draw, world)
    if quotas:
        _quotas(draw, world)
    if blocks:
        _blocks(draw, world)
    if yields:
        for attempt in world.attempts:
            attempt["yields"] = draw(st.booleans())
    if elastic:
        for waiting in world.waiting:
            waiting["workers"] = draw(st.sampled_from((waiting["workers"], 2, 3, 4, 5, 7)))
            waiting["workers_min"] = draw(st.integers(0, waiting["workers"] - 1))
    if speeds:
        _speeds(draw, world)
    return world


def _tastes(draw: st.DrawFn, world: World) -> None:
    for site in world.sites.values():
        site["carbon"], site["price"] = draw(st.sampled_from((-1, 0, 200, 450))), draw(st.sampled_from((-1, 90_000, 150_000)))
        site["data"] = tuple(sorted(draw(st.sets(st.sampled_from(("kcc", "weather")), max_size=2))))
    bounds = {Taste.DOMESTIC: (0,), Taste.CARBON: (0, 200, 300), Taste.POWER_PRICE: (100_000,), Taste.DATA: (0, 1)}
    world.policy = replace(
        world.policy,
        preferences=tuple(
            Preference(
                taste=taste, weight=draw(st.sampled_from((0, 1, 500, 1000))),
                most=draw(st.sampled_from(bounds[taste])) if _rarely(draw, 4) else NO_LIMIT,
            )
            for taste in Taste
            if draw(st.booleans())
        ),
    )  # fmt: skip
    for waiting in world.waiting:
        waiting["deadline_ms"] = world.now_ms + 1000 * draw(st.sampled_from((200, 700, 4000, 10**9, 10**9)))
        waiting["data"] = draw(st.sampled_from(((), (), ("kcc",), ("kcc", "weather"), ("nowhere",))))


SHARE = st.sampled_from((250, 300, 500, 700, 100))


def _shared(draw: st.DrawFn, world: World) -> None:
    """Some who have one device have a share of it, some of them not alone; some who want devices want a share."""
    divides = {node["id"]: not _rarely(draw, 5) for node in world.nodes}
    for node in world.nodes:
        node["shares"] = divides[node["id"]]
    makes_room = {a["id"] for a in world.attempts if a["beneficiary"]}
    for attempt in list(world.attempts):
        alone = all(mask.bit_count() == 1 and divides[node] for node, mask in attempt["seats"])
        if not alone or attempt["id"] in makes_room or attempt["id"].startswith("claim") or draw(st.booleans()):
            continue
        attempt["share"] = draw(SHARE)
        beside = draw(SHARE)
        if len(attempt["seats"]) == 1 and attempt["share"] + beside <= 1000:
            world.attempt(
                f"z-{attempt['id']}", attempt["seats"], cores=0, memory=0, share=beside, project=draw(st.sampled_from(PROJECTS)),
                priority=draw(st.sampled_from(PRIORITIES[:3])), started=draw(st.sampled_from((-1000, -30))),
                ends=draw(st.sampled_from((100, 700, 3600, None))),
            )  # fmt: skip
    for waiting in world.waiting:
        if waiting["devices"] and draw(st.booleans()):
            waiting["devices"], waiting["share"] = 0, draw(SHARE)


@st.composite
def promising(draw: st.DrawFn) -> World:
    """A node or three whose devices are divided, and many who wait for one thing or another while others leave one by one: so
    shares and whole devices are promised side by side, also of devices that nobody has."""
    world = World(policy=replace(Policy(), reclaims=True, classes=FIRM, reservations_max=draw(st.integers(2, 8)))).site("s0")
    for n in range(draw(st.integers(1, 3))):
        devices = draw(st.integers(1, 4))
        world.node(f"n{n}", "s0", cores=8, devices=devices, accelerator="a100", shares=not _rarely(draw, 8))
        world.attempt(f"n{n}-c", [(f"n{n}", 0)], cores=draw(st.integers(0, 5)), memory=0, ends=draw(LEAVES), preemptible=False)
        for device in range(devices):
            _who_has(draw, world, f"n{n}", device)
    for i in range(draw(st.integers(2, 12))):
        share = draw(st.sampled_from((0, 0, 300, 500, 700)))
        world.pending(
            f"w{i}", workers=draw(st.sampled_from((1, 1, 1, 2, 3))), cores=draw(st.sampled_from((0, 0, 2, 4, 6))), memory=0,
            share=share, devices=0 if share else draw(st.sampled_from((0, 1, 1, 1, 2, 3))),
            limit=draw(st.sampled_from((60, 120, 250, 1000))), priority="urgent" if _rarely(draw, 12) else "normal",
        )  # fmt: skip
    return world


@st.composite
def lent(draw: st.DrawFn, waiting_max: int = 8) -> World:
    """A site or two, nearly full, of projects that have quotas or whose organisations do, and mostly use more or less."""
    world = World(policy=replace(Policy(), reclaims=True, classes=FIRM, reservations_max=draw(st.integers(0, 2))))
    world.organisation("north").organisation("south", parent=draw(st.sampled_from(("", "", "north"))))
    for project in PROJECTS:
        world.project(project, organisation=draw(st.sampled_from(("", "north", "south"))))
    asked = [(f"project:{project}", draw(st.sampled_from((None, 0, 2, 4, 6)))) for project in PROJECTS]
    asked += [(f"organisation:{id}", draw(st.sampled_from((None, None, 2, 5)))) for id in ("north", "south")]
    resource = draw(st.sampled_from(("device:a100", "device:a100", "core")))
    for of, nominal in asked:
        if nominal is not None:
            world.quota(of, resource, nominal, lend=draw(st.sampled_from((NO_LIMIT, NO_LIMIT, NO_LIMIT, 1))))
    for n in range(draw(st.integers(1, 4))):
        site = f"s{n % 2}"
        if site not in world.sites:
            world.site(site)
        world.node(f"n{n}", site, cores=4, devices=4, accelerator="a100")
        _lodgers(draw, world, f"n{n}")
    for i in range(draw(st.integers(1, waiting_max))):
        world.pending(
            f"w{i}", project=draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from(PRIORITIES)), memory=0,
            workers=draw(st.sampled_from((1, 1, 2, 3))), cores=1, devices=draw(st.sampled_from((1, 1, 2, 4))),
            limit=draw(st.sampled_from((60, 300))), preemptible=not _rarely(draw, 6),
        )  # fmt: skip
    return world


def _lodgers(draw: st.DrawFn, world: World, node: str) -> None:
    """One or two devices each."""
    free = list(range(4))
    while free and not _rarely(draw, 6):
        mask = sum(1 << free.pop() for _ in range(min(len(free), draw(st.sampled_from((1, 1, 2))))))
        state = STOPPING if _rarely(draw, 9) else RUNNING
        world.attempt(
            f"{node}-{mask}", [(node, mask)], project=draw(st.sampled_from(PROJECTS)), memory=0, state=state,
            priority=draw(st.sampled_from(PRIORITIES)), preemptible=not _rarely(draw, 8),
            started=draw(st.sampled_from((-600, -200, -30))), checkpoint=draw(st.sampled_from((-20, -10, 0))),
            ends=draw(st.sampled_from((50, 400, 3600))),
            grace=draw(st.sampled_from((0, 10, None))), yields=_rarely(draw, 6),
        )  # fmt: skip


LEAVES = st.sampled_from((50, 100, 200, 300, 400))


def _who_has(draw: st.DrawFn, world: World, node: str, device: int) -> None:
    """Nobody, somebody alone, or one or two with shares, also where devices are not divided any more."""
    for i, share in enumerate(draw(st.sampled_from(((), (), (0,), (0,), (300,), (600,), (500, 500))))):
        world.attempt(
            f"{node}-{device}{i}", [(node, 1 << device)], cores=0, memory=0, share=share, ends=draw(LEAVES),
            preemptible=not _rarely(draw, 6),
        )  # fmt: skip


def _blocks(draw: st.DrawFn, world: World) -> None:
    """Two for each accelerator, and nodes that are in none."""
    types = sorted({node["accelerator"] for node in world.nodes})
    for node in world.nodes:
        block = draw(st.sampled_from((0, 0, 1, 1, -1)))
        node["block"] = block if block < 0 else 2 * types.index(node["accelerator"]) + block
    for asked in world.waiting:
        asked["block"] = draw(st.sampled_from((True, True, False)))


def _speeds(draw: st.DrawFn, world: World) -> None:
    for waiting in world.waiting:
        waiting["grace_ms"] = draw(st.sampled_from((0, 10_000, 30_000)))
        if waiting["accelerators"] is None and (waiting["devices"] or waiting.get("share")) and draw(st.booleans()):
            waiting["accelerators"] = draw(st.sampled_from((("npu", "a100"), ("a100", "npu"))))
        own = waiting["limit_ms"] - waiting["grace_ms"]
        scaled = [waiting["grace_ms"] + own * 1000 // milli for milli in draw(st.lists(st.sampled_from(SPEEDS), max_size=1))]
        waiting["limits_ms"] = [0, *scaled]


SPEEDS = (100, 333, 450, 900, 1000, 2000, 7000)


def _envelopes(draw: st.DrawFn, world: World) -> None:
    """Caps between too little for what runs and enough for all, some of them later. Of some nodes nobody knows the draw."""
    for node in world.nodes:
        for name, choices in (("idle_mw", (0, 2_000, 2_001)), ("device_mw", (0, 1_000, 1_300)), ("core_mw", (0, 100, 333))):
            node[name] = draw(st.sampled_from(choices))
    for site in world.sites.values():
        site["pue"] = draw(st.sampled_from((1000, 1000, 1200, 1333)))
        from_s = [-50, *sorted(draw(st.sets(st.sampled_from((30, 100, 700, 3000, 5000)), max_size=2)))]
        steps = [(world.now_ms + 1000 * at, draw(st.sampled_from((-1, 20_000, 9_000, 6_000, 3_500, 0)))) for at in from_s]
        site["power"] = steps if draw(st.booleans()) else []


def _closed(draw: st.DrawFn, world: World) -> None:
    """Mostly none; a whole site now and then, as when it is told so."""
    windows = st.sampled_from(((), (), ((-10, 200),), ((100, 400),), ((500, 4000),), ((60, 90), (300, 700)), ((3600, 3601),)))
    whole = {site: draw(windows) if _rarely(draw, 4) else () for site in world.sites}
    for node in world.nodes:
        given = whole[node["site"]] or draw(windows)
        node["closed"] = [(world.now_ms + 1000 * begin, world.now_ms + 1000 * end) for begin, end in given]


def _quotas(draw: st.DrawFn, world: World) -> None:
    tenants = ("*", "organisation:north", "organisation:south", *(f"project:{id}" for id in PROJECTS))
    limit = st.sampled_from((NO_LIMIT, NO_LIMIT, 0, 1, 3))
    for of in tenants:
        for resource in ("device:a100", "device:*", "core"):
            if not draw(st.booleans()):
                continue
            limits = {} if of == "*" else {"borrow": draw(limit), "lend": draw(limit)}
            world.quota(of, resource, draw(st.sampled_from((0, 1, 2, 4, 8))), **limits)


def _rarely(draw: st.DrawFn, one_in: int) -> bool:
    """Hypothesis likes the ends of a range, so the rare value sits inside."""
    return draw(st.integers(0, one_in)) == one_in // 2 + 1


def _nodes(draw: st.DrawFn, world: World, sites: list[str]) -> dict[str, Left]:
    left = {}
    for i in range(draw(st.integers(1, 6))):
        site, cores, devices = draw(st.sampled_from(sites)), draw(st.integers(2, 8)), draw(st.sampled_from((0, 2, 4)))
        accelerator = draw(st.sampled_from(("a100", "a100", "a100", "npu"))) if devices else ""
        usable, memory = not _rarely(draw, 15), draw(st.sampled_from((2048, 4096)))
        world.node(f"n{i}", site, cores=cores, memory=memory, devices=devices, accelerator=accelerator, usable=usable)
        left[f"n{i}"] = Left(site, cores, memory, (1 << devices) - 1)
    return left


def _awards(draw: st.DrawFn, world: World, project: str, sites: list[str]) -> None:
    for _ in range(draw(st.integers(0, 4))):
        world.award(
            project,
            draw(st.sampled_from((100, 400, 10_000, 50, 0))),
            currency=draw(st.sampled_from((Currency.KRW, Currency.KRW, Currency.ACS))),
            expires=draw(st.sampled_from((100, 100, 5000, 9000, -1))),
            sites=draw(st.sampled_from(((), (), (sites[0],)))),
            accelerators=draw(st.sampled_from(((), (), ("a100",)))),
        )


def _seat(draw: st.DrawFn, left: dict[str, Left], site: str, cores: int, memory: int, devices: int) -> tuple[str, int] | None:
    """Take room for one worker, on any node of the site that has it."""
    for id in draw(st.permutations(sorted(n for n, x in left.items() if x.site == site))):
        node, mask = left[id], 0
        if node.cores < cores or node.memory < memory or node.mask.bit_count() < devices:
            continue
        for _ in range(devices):
            mask |= (node.mask & ~mask) & -(node.mask & ~mask)
        node.cores, node.memory, node.mask = node.cores - cores, node.memory - memory, node.mask & ~mask
        return id, mask
    return None


def _attempt(draw: st.DrawFn, world: World, left: dict[str, Left], id: str) -> None:
    site = draw(st.sampled_from(sorted({x.site for x in left.values()})))
    demand = (draw(st.integers(1, 5)), draw(st.sampled_from((256, 0, 1024))), draw(st.sampled_from((0, 0, 1, 2))))
    seats = [_seat(draw, left, site, *demand) for _ in range(draw(st.sampled_from((1, 1, 2))))]
    found = [seat for seat in seats if seat is not None]
    if not found:
        return
    started = draw(st.sampled_from((-1000, -100, -30)))
    world.attempt(
        id, found, project=draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from(PRIORITIES[:3])), cores=demand[0],
        memory=demand[1], state=draw(st.sampled_from((LAUNCHING, RUNNING, RUNNING, RUNNING, STOPPING, STOPPING))),
        preemptible=not _rarely(draw, 4), started=started, checkpoint=draw(st.integers(started, 0)),
        ends=draw(st.sampled_from((-5, 100, 700, 3000, 3600, None))), grace=draw(st.sampled_from((0, 10, 600, None))),
    )  # fmt: skip


def _claims(draw: st.DrawFn, world: World, left: dict[str, Left]) -> None:
    """Claims behind attempts that are stopping: what they leave, and what is free beside it, is kept."""
    stopping = [a for a in world.attempts if a["state"] == STOPPING]
    for i, victim in enumerate(stopping[: draw(st.integers(0, 2))]):
        node, mask = victim["seats"][0]
        taken = draw(st.integers(0, victim["cores_milli"] // 1000 + left[node].cores))
        more = left[node].mask & draw(st.integers(0, 15))
        left[node].mask &= ~more
        left[node].cores -= max(0, taken - victim["cores_milli"] // 1000)
        world.claim(
            f"claim{i}", [(node, mask | more)], victims=[victim["id"]], priority="urgent", cores=taken, memory=0,
            ends=draw(st.sampled_from((500, 4000))), started=0,
        )  # fmt: skip


def _pending(draw: st.DrawFn, world: World, sites: list[str], id: str, money: bool) -> None:
    devices = draw(st.sampled_from((0, 0, 0, 1, 1, 2, 4)))
    types = draw(st.sampled_from((None, None, None, ("a100",), ("npu", "a100")))) if devices else None
    if devices and _rarely(draw, 20):
        types = ("none",)
    allowed = ("gone",) if _rarely(draw, 25) else draw(st.sampled_from(((), (), (), (sites[-1],))))
    world.pending(
        id, project=draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from(PRIORITIES)),
        workers=draw(st.sampled_from((1, 1, 1, 2, 2, 3))), cores=draw(st.sampled_from((1, 2, 3, 4, 0, 9))),
        memory=draw(st.sampled_from((128, 128, 0, 1024, 2048))), devices=devices, accelerators=types,
        limit=draw(st.sampled_from((60, 300, 3600, 20_000))), sites=allowed,
        hold=draw(st.sampled_from((0, 0, 0, 40, 60, 90, 5000, -1))) if money else 0,
        merit=draw(st.sampled_from((-1, -1, 0, 30, 120))) if money else -1,
        submitted=draw(st.integers(-50, 0)), eligible=5 if _rarely(draw, 15) else -1,
        dependency=DEPENDENCY_WAITS if _rarely(draw, 15) else DEPENDENCY_MET,
    )  # fmt: skip


@st.composite
def scattered(draw: st.DrawFn, waiting_max: int = 5) -> World:
    """A site or two whose nodes are partly in use by work that saves what it has done, so that there is mostly room in all for
    who waits but not together. There are cores for all, so that devices are what counts."""
    world = World(policy=replace(Policy(), moves=True, classes=FIRM, reservations_max=draw(st.sampled_from((0, 0, 1, 2)))))
    size, sites = draw(st.sampled_from((2, 4, 4, 8))), draw(st.sampled_from((1, 1, 1, 2)))
    for n in range(draw(st.integers(2, 6))):
        site = f"s{n % sites}"
        if site not in world.sites:
            world.site(site)
        world.node(f"n{n}", site, cores=64, devices=size, accelerator="a100", usable=not _rarely(draw, 20))
        _scattered_on(draw, world, f"n{n}", size)
    for i in range(draw(st.integers(1, waiting_max))):
        world.pending(
            f"w{i}", project=draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from(PRIORITIES[1:])), memory=0,
            workers=draw(st.sampled_from((1, 1, 1, 1, 2))), cores=1, devices=draw(st.sampled_from((size, size, size, size // 2))),
            limit=draw(st.sampled_from((60, 300))), preemptible=not _rarely(draw, 6),
        )  # fmt: skip
    return world


def _scattered_on(draw: st.DrawFn, world: World, node: str, devices: int) -> None:
    """About the half of them."""
    free, left = list(range(devices)), devices // 2 + draw(st.sampled_from((0, 0, 0, 1, -1)))
    while left > 0 and free:
        own = min(left, len(free), draw(st.sampled_from((1, 2, 2, 4))))
        left -= own
        mask = sum(1 << free.pop() for _ in range(own))
        world.attempt(
            f"{node}-{mask}", [(node, mask)], project=draw(st.sampled_from(PROJECTS)), memory=0, cores=1,
            priority=draw(st.sampled_from(PRIORITIES)), preemptible=not _rarely(draw, 8),
            started=-30 if _rarely(draw, 8) else -600, checkpoint=draw(st.sampled_from((-20, -10, 0))),
            ends=draw(st.sampled_from((50, 400, 3600))), grace=draw(st.sampled_from((0, 10, None))),
            rest=0 if _rarely(draw, 6) else 3600, yields=_rarely(draw, 6),
        )  # fmt: skip


@st.composite
def roomy(draw: st.DrawFn, shares: bool = False) -> World:
    """A site of unlike nodes, each partly in use, with room for most of those who wait on several of them: so that which node is
    taken is a choice. shares: some have a share of a device, and some want one."""
    world = World(policy=replace(Policy(), classes=FIRM, reservations_max=draw(st.sampled_from((0, 0, 2))))).site("s")
    for n in range(draw(st.integers(3, 7))):
        size, each = draw(st.sampled_from((2, 4, 4, 8))), draw(st.sampled_from((1, 2, 6)))
        kind = draw(st.sampled_from(("a100", "a100", "npu")))
        world.node(f"n{n}", "s", cores=size * each + 1, memory=1 << 16, devices=size, accelerator=kind)
        free = list(range(draw(st.integers(0, size))))  # the rest is free
        while free:
            workers = [1 << free.pop() for _ in range(min(len(free), draw(st.sampled_from((1, 1, 2)))))]
            seats = [(f"n{n}", sum(workers))] if draw(st.booleans()) else [(f"n{n}", mask) for mask in workers]
            one = shares and all(mask.bit_count() == 1 for _, mask in seats)
            own = draw(SHARE) if one and draw(st.booleans()) else 0
            world.attempt(
                f"a{n}-{len(free)}", seats, cores=0 if _rarely(draw, 3) else min(each, 2), memory=0, share=own,
                priority=PRIORITIES[1], started=-600, ends=draw(st.sampled_from((50, 400, 3600))),
            )  # fmt: skip
    for i in range(draw(st.integers(1, 6))):
        devices = draw(st.sampled_from((1, 1, 2, 2, 4, 0)))
        share = draw(SHARE) if shares and devices and draw(st.booleans()) else 0
        world.pending(
            f"w{i}", priority=draw(st.sampled_from(PRIORITIES[:3])), workers=draw(st.sampled_from((1, 1, 2, 3))), memory=64,
            cores=draw(st.sampled_from((0, 1, 2, 3))), devices=0 if share else devices, share=share,
            accelerators=draw(st.sampled_from((None, None, ("a100",)))) if devices else None,
            limit=draw(st.sampled_from((60, 900))),
        )  # fmt: skip
    return world


def movable(draw: st.DrawFn, world: World) -> World:
    """The same farm, in which much of what runs may be moved."""
    world.policy = replace(world.policy, moves=True, min_run_ms=draw(st.sampled_from((0, 60_000))))
    for attempt in world.attempts:
        attempt["rest_ms"] = draw(st.sampled_from((0, 50_000, 400_000, 4_000_000)))
    return world


@st.composite
def moving(draw: st.DrawFn, waiting_max: int = 6, **more: bool) -> World:
    """Mostly farms with holes; and any, where there is more to keep to than room."""
    if draw(st.booleans()):
        return draw(scattered(waiting_max))
    return movable(draw, draw(worlds(waiting_max=waiting_max, **more)))
