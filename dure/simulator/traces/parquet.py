"""The one module that knows pyarrow: a Parquet file as columns, and columns as a Parquet file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from dure.simulator.traces.faults import Faults

MAGIC = b"PAR1"
# What pyarrow raises for damaged files: its own tree, and Python's errors where a number in the file makes no sense.
_BROKEN = (pyarrow.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError, NotImplementedError)
Column = np.ndarray[Any, Any] | list[str | None]


def column_names(path: Path, faults: Faults) -> tuple[str, ...]:
    """The names of its columns. Raises TraceError when it is no Parquet file."""
    try:
        return tuple(pyarrow.parquet.read_schema(path).names)
    except _BROKEN as cause:
        raise _damaged(faults, cause) from cause


def read_columns(path: Path, faults: Faults, *, where: Mapping[str, str] | None = None) -> dict[str, Column]:
    """Every flat column: numbers as float64 (null is NaN, and NaN itself infinity, so that the two stay apart), words as lists.

    where: only rows in which these columns hold these words. Columns of other kinds are left out. Raises TraceError."""
    try:
        # Page checksums where the writer left some: a flipped bit is then found and not read as another number.
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
        for name, word in (where or {}).items():
            table = table.filter(pyarrow.compute.equal(table[name].cast(pyarrow.string()), word))
        return {name: found for name in table.column_names if (found := _column(table[name])) is not None}
    except _BROKEN as cause:
        raise _damaged(faults, cause) from cause


def write_columns(path: Path, columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]) -> None:
    """Write columns of one length, with page checksums; NaN is written as null (unknown). Raises OSError."""
    table = pyarrow.table({name: pyarrow.array(values, from_pandas=True) for name, values in columns.items()})
    pyarrow.parquet.write_table(table, path, compression="zstd", write_page_checksum=True)


def write_described(
    path: Path,
    columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]],
    lists: Mapping[str, tuple[np.ndarray[Any, Any], Sequence[Any] | np.ndarray[Any, Any]]],
    words: Mapping[str, str],
) -> None:
    """Write columns of one length, columns of lists as (offsets, one more than rows; values), and words that describe the file.

    With page checksums; whole numbers of -1 are written as null (unknown). Raises OSError."""
    made = {name: _known(values) for name, values in columns.items()}
    made |= {name: pyarrow.ListArray.from_arrays(offsets, _known(values)) for name, (offsets, values) in lists.items()}
    table = pyarrow.table(made).replace_schema_metadata(dict(words))
    pyarrow.parquet.write_table(table, path, compression="zstd", write_page_checksum=True)


def _known(values: Sequence[Any] | np.ndarray[Any, Any]) -> Any:
    whole = isinstance(values, np.ndarray) and values.dtype.kind == "i"
    return pyarrow.array(values, mask=values == -1) if whole else pyarrow.array(values, from_pandas=True)


def read_described(
    path: Path, faults: Faults
) -> tuple[dict[str, Any], dict[str, tuple[np.ndarray[Any, Any], Any]], dict[str, str]]:
    """What `write_described` wrote: columns, lists, words. Whole numbers stay whole: int64, null is -1. Raises TraceError."""
    try:
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True).combine_chunks()
        columns, lists = {}, {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            if pyarrow.types.is_list(column.type):
                offsets = np.array(column.offsets.to_numpy(), np.int64)
                lists[name] = offsets - offsets[0], _told(column.flatten())
            else:
                columns[name] = _told(column)
        words = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    except _BROKEN as cause:
        raise _damaged(faults, cause) from cause
    return columns, lists, words


def _told(column: Any) -> Any:
    if not pyarrow.types.is_integer(column.type):
        return column.to_pylist()
    return np.array(column.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _column(column: Any) -> Column | None:
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        return _column(column.cast(kind.value_type))
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return list(column.to_pylist())
    if pyarrow.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)):
        return None
    nulls = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    values = np.array(column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    values[np.isnan(values)] = np.inf
    if nulls is not None:
        values[nulls.astype(bool)] = np.nan
    return values


def _damaged(faults: Faults, cause: BaseException) -> Exception:
    what = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return faults.unreadable(f"it is no Parquet file, or truncated or damaged ({what[:200]})", "Fetch it again.")
