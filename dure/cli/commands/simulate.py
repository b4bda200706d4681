"""Run a scenario on the simulator."""

from __future__ import annotations

from typing import Annotated

import typer

from dure.cli.commands.options import File
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.simulator import run_scenario


def simulate(
    run: Run,
    file: File,
    update: Annotated[bool, typer.Option("--update", help="opt.update")] = False,
) -> int:
    """Tell the story of a scenario file and compare the plane's answers with those that stand in it."""
    if not file.is_file():
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.t("os.ENOENT"))
    if "```scenario" not in file.read_text(encoding="utf-8", errors="replace"):
        raise run.refusal("simulate.no_scenario", Exit.USAGE, file=str(file))
    result = run_scenario(file)
    run.console.document({"file": str(file), "ok": not result.stale, "stale": result.stale, "page": result.text})
    if update:
        file.write_text(result.text, encoding="utf-8")
    if not result.stale:
        run.say("simulate.same", file=file)
        return Exit.OK
    run.say("simulate.differs", file=file)
    for line in result.stale:
        run.console.say("  " + line)
    return Exit.OK if update else Exit.FAULTY
