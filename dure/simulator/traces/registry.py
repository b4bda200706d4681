"""Which reader a file needs, told by what it holds; its name decides only where two readers would fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dure.simulator.traces.faults import Faults
from dure.simulator.traces.jobtable import is_job_table, read_csv_jobs, read_parquet_jobs
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.parquet import MAGIC, column_names
from dure.simulator.traces.phillylog import is_philly, read_philly
from dure.simulator.traces.sacct import is_sacct, read_sacct
from dure.simulator.traces.swf import FIELDS, read_swf
from dure.simulator.traces.text import head, number


@dataclass(frozen=True, slots=True)
class Reader:
    """A format. fits: whether a file that begins with this text is one; suffixes: names by which it is known."""

    read: Callable[[Path, ReadOptions], Reading]
    fits: Callable[[str], bool]
    suffixes: tuple[str, ...]
    what: str


def _is_swf(text: str) -> bool:
    rows = [line for line in text.splitlines() if line.strip()]
    row = next((line for line in rows if not line.lstrip().startswith(";")), "")
    cells = row.split()
    return (len(cells) == len(FIELDS) and all(number(cell) is not None for cell in cells)) or (bool(rows) and not row)


def _is_csv(text: str) -> bool:
    return is_job_table([name.strip().strip('"') for name in text.lstrip("\ufeff").partition("\n")[0].split(",")])


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


READERS: Mapping[str, Reader] = MappingProxyType({
    "parquet": Reader(read_parquet_jobs, lambda _text: False, (".parquet",), "Parquet with the job columns"),
    "swf": Reader(read_swf, _is_swf, (".swf", ".swf.gz"), "Standard Workload Format"),
    "sacct": Reader(read_sacct, lambda text: is_sacct(_first_line(text)), (".sacct",), "Slurm's sacct --parsable2"),
    "philly": Reader(read_philly, is_philly, ("cluster_job_log", ".json"), "Philly's cluster_job_log (JSON)"),
    "csv": Reader(read_csv_jobs, _is_csv, (".csv", ".csv.gz"), "CSV with the job columns"),
})  # fmt: skip
_NAMES = ", ".join(f"{name} ({reader.what})" for name, reader in READERS.items())


def read_trace(path: Path, options: ReadOptions | None = None) -> Reading:
    """Read a trace of any known format. Raises TraceError: it names the file, the line or row, the field and the remedy."""
    chosen = options or ReadOptions()
    return READERS[format_of(path, chosen)].read(path, chosen)


def format_of(path: Path, options: ReadOptions) -> str:
    """Whose reader it is that reads this. Raises TraceError where none knows it."""
    faults = Faults(path.name, skip_bad=False)
    if options.format:
        if options.format not in READERS:
            raise faults.unreadable(f"there is no format {options.format!r}", f"Formats are: {_NAMES}.")
        return options.format
    begin = head(path, faults)
    if not begin.strip():
        raise faults.unreadable("the file is empty", "Check that the export is complete.")
    if begin.startswith(MAGIC):
        names = column_names(path, faults)
        if is_job_table(names):
            return "parquet"
        columns = ", ".join(names[:12])
        raise faults.unreadable(f"its columns are {columns}: no table of jobs", "It needs submit_s, duration_s and gpus.")
    return _by_text(path, begin.decode("utf-8-sig", errors="replace"), faults)


def _by_text(path: Path, text: str, faults: Faults) -> str:
    fitting = [name for name, reader in READERS.items() if reader.fits(text)]
    named = [name for name, reader in READERS.items() if path.name.lower().endswith(reader.suffixes)]
    both = [name for name in fitting if name in named]
    if both or fitting:
        return (both or fitting)[0]
    if named and named[0] != "parquet":
        return named[0]  # its own reader says best what is wrong with it
    raise faults.unreadable("no reader knows what this is", f"Readers are: {_NAMES}. Name one as the format if it is meant.")
