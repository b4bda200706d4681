"""The demo, as a command: build up, tell the story, check, and take everything away again, whatever happens."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dure.cli.commands.money import tell_statement
from dure.cli.demo.checks import Check, checks
from dure.cli.demo.failure import DemoFailure
from dure.cli.demo.farm import DemoFarm
from dure.cli.demo.interruption import Interruption
from dure.cli.demo.story import CORES, PROJECT, SETTINGS, Story
from dure.cli.demo.view import View
from dure.cli.exits import Exit
from dure.cli.farm.compiling import compiled
from dure.cli.run import Run
from dure.cli.why_words import sentences, smallest_change_command
from dure.errors import DureError

WITHIN_S = 180  # the whole demo, on two cores


def demo(run: Run, within: Annotated[int, typer.Option("--within", help="opt.within", min=10)] = WITHIN_S) -> int:
    """1. a farm; 2. the story; 3. the bill; 4. the checks; 5. nothing left."""
    if importlib.util.find_spec("sklearn") is None:
        raise run.refusal("demo.no_sklearn", Exit.USAGE)
    began_s = time.monotonic()
    view = View(run)
    with Interruption() as interruption:
        farm = DemoFarm(SETTINGS, run.texts.lang, lambda _, facts: view.event("demo.event.farm_again", **facts), interruption)
        failed: list[Check] = []
        left: list[str] = []
        try:
            failed = _tell(run, farm, view, interruption, began_s + within)
        except DemoFailure as failure:
            run.console.fail(run.t(failure.key, **failure.facts))
            failed = [Check(failure.key, False, failure.facts)]
        except DureError as broken:
            run.console.fail(f"{type(broken).__name__}: {broken}")
            failed = [Check(type(broken).__name__, False, str(broken))]
        finally:
            interruption.cleaning()
            run.note("demo.cleaning")
            left = farm.stop()
        interruption.check()
    took_s = time.monotonic() - began_s
    return _end(run, failed, left, took_s, within)


def _tell(run: Run, farm: DemoFarm, view: View, interruption: Interruption, deadline_s: float) -> list[Check]:
    compiled(run)
    view.step("demo.step.farm")
    farm.start()
    view.say("demo.farm", url=farm.url, data=farm.folder, cores=CORES, have=os.cpu_count() or 1)
    story = Story(farm, view, deadline_s)
    try:
        with view.showing():
            for part in (story.found, story.submit, story.preempt, story.finish, story.change):
                interruption.check()
                part()
        statement = story.tenant.statement(PROJECT)
        _tell_why(run, view, story.told.why)
        _tell_bill(run, view, story, statement)
        return _check(run, view, story, statement)
    finally:
        story.close()


def _tell_why(run: Run, view: View, answer: Mapping[str, Any]) -> None:
    view.step("demo.step.why")
    for sentence in sentences(run, answer):
        run.console.say("  " + sentence)
    run.console.say("    " + smallest_change_command(run, answer))
    view.say("demo.changed")


def _tell_bill(run: Run, view: View, story: Story, statement: Mapping[str, Any]) -> None:
    view.step("demo.step.ledger")
    names = {w["id"]: w["spec"]["name"] for w in story.tenant.workloads(project=PROJECT, limit=500)}
    tell_statement(run, statement, names)


def _check(run: Run, view: View, story: Story, statement: Mapping[str, Any]) -> list[Check]:
    view.step("demo.step.checks")
    failed = []
    for check in checks(story, statement):
        run.console.say(
            f"  {run.t('demo.kept' if check.kept else 'demo.broken')}  {run.t(check.key)}", "" if check.kept else "bold red"
        )
        if not check.kept:
            run.console.say(f"      {check.found}", "red")
            failed.append(check)
    return failed


def _end(run: Run, failed: list[Check], left: list[str], took_s: float, within_s: int) -> int:
    ok = not failed and not left and took_s <= within_s
    run.console.document({"ok": ok, "seconds": round(took_s, 1), "failed": [c.key for c in failed], "left": left})
    for process in left:
        run.console.fail(run.t("demo.left", process=process))
    if took_s > within_s:
        run.console.fail(run.t("demo.slow", seconds=took_s, most=within_s))
    if ok:
        run.say("demo.done", seconds=took_s)
        run.say("demo.next")
    return Exit.OK if ok else Exit.REFUSED
