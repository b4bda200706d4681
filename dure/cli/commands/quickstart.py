"""From a farm that runs to a project that can pay: what a newcomer needs before the first job, made over the public API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dure.cli.connecting import connect_as_admin, keep_secret, tenant_token
from dure.cli.farm import lock
from dure.cli.run import Run
from dure.client import DureClient
from dure.errors import ApiError
from dure.model.calendar import DAY_MS, date_text

NAME = "quickstart"  # id of the organisation, the programme and the project, and name of the tenant
BUDGET_WON = 1_000_000
AWARD_WON = 100_000  # some 6,000 core hours at the default prices, and ten such awards in the programme
PROGRAMME_DAYS = 365
AWARD_DAYS = 90


@dataclass(frozen=True, slots=True)
class _Step:
    """what: key of a noun; id: of what there is now; made: whether this run made it."""

    what: str
    id: str
    made: bool


def quickstart(run: Run) -> None:
    """1. an organisation with a project; 2. a programme; 3. an award; 4. a tenant with a token. What is there is left alone."""
    farm = lock.running(run.config.data)
    if farm is None or not farm.url:
        raise run.refusal("quickstart.no_farm", data=str(run.config.data))
    with connect_as_admin(run, farm.url) as admin:
        steps = [
            _made("organisation", lambda: admin.organisation(NAME), lambda: admin.create_organisation(NAME, "Quickstart")),
            _made("project", lambda: admin.project(NAME), lambda: admin.create_project(NAME, "Quickstart", NAME)),
            _made("programme", lambda: admin.programme(NAME), lambda: _programme(admin)),
            _award(admin, round(time.time() * 1000)),
            *_tenant(run, admin, farm.url),
        ]
    run.console.document({"project": NAME, "token_file": str(tenant_token(run)), "steps": [_document(s) for s in steps]})
    _tell(run, steps)


def _document(step: _Step) -> dict[str, Any]:
    return {"what": step.what, "id": step.id, "made": step.made}


def _made(what: str, look: Callable[[], Mapping[str, Any]], make: Callable[[], Mapping[str, Any]]) -> _Step:
    try:
        return _Step(what, str(look()["id"]), made=False)
    except ApiError as missing:
        if missing.status != 404:
            raise
    return _Step(what, str(make()["id"]), made=True)


def _programme(admin: DureClient) -> Mapping[str, Any]:
    first, last = _days(PROGRAMME_DAYS)
    return admin.create_programme(NAME, "Quickstart", BUDGET_WON, starts=first, ends=last)


def _award(admin: DureClient, now_ms: int) -> _Step:
    """One that still pays; a new one when the last was spent or has expired."""
    for award in admin.awards(project=NAME, programme=NAME):
        if award["available"] > 0 and award["starts_ms"] <= now_ms < award["expires_ms"]:
            return _Step("award", str(award["id"]), made=False)
    first, last = _days(AWARD_DAYS)
    last = min(last, date_text(admin.programme(NAME)["ends_ms"] - DAY_MS))
    return _Step("award", str(admin.create_award(NAME, NAME, AWARD_WON, starts=first, expires=last)["id"]), made=True)


def _days(count: int) -> tuple[str, str]:
    """From today for so many days, as Korean civil days."""
    today_ms = round(time.time() * 1000)
    return date_text(today_ms), date_text(today_ms + count * DAY_MS)


def _tenant(run: Run, admin: DureClient, url: str) -> tuple[_Step, _Step]:
    """A service account that is a member of the project, and a token of it that this data folder keeps."""
    found = next((a for a in admin.actors() if a["name"] == NAME and not a["disabled"]), None)
    actor = found or admin.create_actor(NAME, kind="service", grants=[("member", NAME)])
    tenant = _Step("actor", str(actor["id"]), made=found is None)
    if _token_works(run, tenant.id, url):
        return tenant, _Step("token", "", made=False)
    fresh = admin.create_token(tenant.id, label=NAME)
    keep_secret(tenant_token(run), str(fresh["token"]))
    return tenant, _Step("token", str(fresh["id"]), made=True)


def _token_works(run: Run, actor: str, url: str) -> bool:
    try:
        token = tenant_token(run).read_text(encoding="ascii").strip()
        with DureClient(url, token) as client:
            return bool(client.me()["actor"] == actor)
    except (OSError, UnicodeDecodeError, ApiError):
        return False


def _tell(run: Run, steps: list[_Step]) -> None:
    for step in steps:
        noun = run.t(f"quickstart.{step.what}", id=step.id, amount=run.money(AWARD_WON), budget=run.money(BUDGET_WON))
        run.console.say("  " + run.t("quickstart.made" if step.made else "quickstart.there", what=noun))
    run.say("quickstart.speaks", file=tenant_token(run))
    run.say("quickstart.next")
    for command in (
        "dure submit --name hello --limit 10m -- python -c 'print(\"hello\")'",
        "dure jobs",
        "dure why hello",
    ):
        run.console.say("  " + command)
