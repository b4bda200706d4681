"""The demo as people see it: a table that lives when they sit at a terminal, plain lines when not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dure.cli.run import Run

LOG_LINES = 4  # of the training that are in sight at once
REFRESH_PER_S = 6
STYLES = {"running": "green", "starting": "cyan", "waiting": "yellow", "failed": "bold red"}


class View:
    """Steps, events and log lines in order; at a terminal also the present state of every job. Safe from several threads."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._console = run.console
        self._began_s = time.monotonic()
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._rows: list[Mapping[str, Any]] = []
        self._states: dict[str, str] = {}
        self._guard = threading.Lock()
        self._live: Live | None = None

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Show the living table meanwhile, at a terminal."""
        if self._console.as_json or not self._console.out.is_terminal:
            yield
            return
        with Live(self._picture(), console=self._console.out, refresh_per_second=REFRESH_PER_S, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def step(self, key: str, **facts: Any) -> None:
        """A new part of the story."""
        self._console.say("")
        self._console.say(self._run.t(key, **facts), "bold")

    def say(self, key: str, **facts: Any) -> None:
        self._console.say("  " + self._run.t(key, **facts))

    def event(self, key: str, **facts: Any) -> None:
        """Something happened, at this second of the demo."""
        self._console.say(f"  {time.monotonic() - self._began_s:5.1f} s  {self._run.t(key, **facts)}")

    def log(self, name: str, text: str) -> None:
        """A line that a job printed."""
        with self._guard:
            self._lines.append(f"{name} │ {text}")
        if self._live is None:
            self._console.say(f"           {name} | {text}", "dim")
        self._refresh()

    def jobs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The jobs as they are now: what changed since the last look is told."""
        for row in rows:
            before = self._states.get(row["id"])
            if before == row["state"]:
                continue
            self._states[row["id"]] = row["state"]
            if not row["array_id"]:
                self._tell_change(row, before)
        with self._guard:
            self._rows = list(rows)
        self._refresh()

    def _tell_change(self, row: Mapping[str, Any], before: str | None) -> None:
        state = self._run.texts.word("state", row["state"])
        if row["state"] == "waiting" and before in ("running", "starting"):
            self.event("demo.event.again", name=row["spec"]["name"])
        elif row["state"] != "starting":
            self.event("demo.event.state", name=row["spec"]["name"], state=state)

    def _refresh(self) -> None:
        live = self._live
        if live is not None:
            live.update(self._picture())

    def _picture(self) -> Group:
        with self._guard:
            rows, lines = list(self._rows), list(self._lines)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for key in ("col.job", "col.state", "col.tries", "col.reason"):
            table.add_column(self._run.t(key), overflow="fold")
        for cells in _job_lines(self._run, rows):
            table.add_row(*cells)
        return Group(Text(""), table, *(Text("  " + line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines))


def _job_lines(run: Run, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Text]]:
    """One line a job; the elements of an array share one."""
    arrays: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["array_id"]:
            arrays.setdefault(row["array_id"], []).append(row)
            continue
        title = ((row.get("reason") or {}).get("text") or {}).get("title", "") if row["state"] in ("waiting", "failed") else ""
        state = Text(run.texts.word("state", row["state"]), style=STYLES.get(row["state"], ""))
        yield [Text(row["spec"]["name"]), state, Text(str(row["attempts"])), Text(title)]
    for elements in arrays.values():
        counts = {
            s: sum(1 for e in elements if e["state"] == s) for s in ("waiting", "starting", "running", "succeeded", "failed")
        }
        words = ", ".join(f"{n} {run.texts.word('state', s)}" for s, n in counts.items() if n)
        name = f"{elements[0]['spec']['name']} × {len(elements)}"
        yield [Text(name), Text(words), Text(str(sum(e["attempts"] for e in elements))), Text("")]
