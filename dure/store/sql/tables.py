"""Tables, made from the records themselves: a table per class, a column per field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, MetaData, Table, Text, column
from sqlalchemy.types import TypeEngine

from dure.store.kinds import INDEXES, KINDS, SEQUENCES, Form, shape

METADATA = MetaData()

# Text sorts by code point everywhere, as in Python and SQLite: a cursor means the same on every database.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_TYPES: Mapping[Form, TypeEngine[Any]] = {
    Form.TEXT: _TEXT,
    Form.ENUM: _TEXT,
    Form.INT: BigInteger(),
    Form.BOOL: Boolean(),
    Form.FLOAT: Double(),
    Form.JSON: Text(),
}


def table_name(kind: type[Any]) -> str:
    """WaitNote → wait_note."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def _table(kind: type[Any]) -> Table:
    columns = [Column(name, _TYPES[form], primary_key=name == "id", nullable=False) for name, form in shape(kind).forms.items()]
    return Table(table_name(kind), METADATA, *columns, *_indexes(kind))


def _indexes(kind: type[Any]) -> Iterator[Index]:
    name = table_name(kind)
    for fields in INDEXES.get(kind, ()):
        yield Index(f"ix_{name}_{'_'.join(fields)}", *fields, "id")
    if kind in SEQUENCES:
        # Beside the plain index, and not instead of it: no planner proves `seq = ?` to be above zero before it knows the value.
        field = SEQUENCES[kind]
        given = column(field, BigInteger) > 0
        yield Index(f"uq_{name}_{field}", field, unique=True, sqlite_where=given, postgresql_where=given)


TABLES: Mapping[type[Any], Table] = {kind: _table(kind) for kind in KINDS}
