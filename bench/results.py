"""What a measurement says, on the screen and in bench/results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parent / "results.json"


@dataclass(frozen=True, kw_only=True)
class Result:
    """against: the peer or limit that the value is to be read beside. method: how it was measured, with its spread."""

    name: str
    value: float
    unit: str
    aim: str
    against: str
    method: str


def write(results: Iterable[Result], machine: str) -> None:
    """Merge with what other measurements wrote: each name holds its latest value."""
    known = {r["name"]: r for r in json.loads(FILE.read_text())["results"]} if FILE.exists() else {}
    known |= {r.name: asdict(r) for r in results}
    FILE.write_text(json.dumps({"machine": json.loads(machine), "results": list(known.values())}, indent=2) + "\n")


def fill_page(page: Path, parts: Mapping[str, str]) -> None:
    """Fill the measured parts of a page, by name; what people wrote around them stays."""
    text = page.read_text(encoding="utf-8")
    for name, said in parts.items():
        first = text.index(mark := f"<!-- measured: {name} -->\n") + len(mark)
        text = text[:first] + said + text[text.index("<!-- end -->", first) :]
    page.write_text(text, encoding="utf-8")
