"""Arguments and options that several commands share. Their help is a key of the text catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Id = Annotated[str, typer.Argument(help="arg.id", metavar="ID")]
NewId = Annotated[str, typer.Argument(help="arg.new_id", metavar="ID")]
WorkloadId = Annotated[str, typer.Argument(help="arg.workload", metavar="ID")]
Name = Annotated[str, typer.Option("--name", help="opt.name")]
Amount = Annotated[int, typer.Option("--amount", help="opt.amount", min=1)]
Starts = Annotated[str, typer.Option("--starts", help="opt.starts", metavar="DATE")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="opt.page", min=1, max=10_000)]
Sites = Annotated[list[str] | None, typer.Option("--site", help="opt.award_site")]
File = Annotated[Path, typer.Argument(help="arg.file", metavar="FILE", dir_okay=False)]
