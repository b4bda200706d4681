"""SQL text, compiled once per class and shape of question, and the order in which its parameters go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Dialect,
    Double,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.sql import ClauseElement

from dure.errors import require
from dure.store.kinds import shape
from dure.store.sql.tables import TABLES


@dataclass(frozen=True, slots=True)
class Statement:
    """Compiled text, the names of its positional parameters in order, and the values of those that never change."""

    sql: str
    order: tuple[str, ...]
    fixed: Mapping[str, Any]

    def bind(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([values[name] if name in values else self.fixed[name] for name in self.order])


@dataclass(frozen=True, slots=True)
class Joined:
    """One statement that answers several: one row, a column for each part, that holds its rows as JSON lists."""

    sql: str
    parts: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """The shape of a search: what is asked, without the values asked for."""

    kind: type[Any]
    equal: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    order: str = "id"
    descending: bool = False
    after: bool = False
    limit: bool = False
    count: bool = False
    lock: bool = False  # PostgreSQL: the rows found may not change until we have committed


class Statements:
    """The statements of one database, kept by shape. Shapes come from the program's own code, so there are few."""

    def __init__(self, dialect: Dialect) -> None:
        self.postgres = dialect.name == "postgresql"
        self._dialect = dialect
        self._kept: dict[Any, Statement] = {}
        self._joined: dict[tuple[Question, ...], Joined] = {}

    def ask(self, question: Question) -> Statement:
        return self._keep(question, lambda: self._search(question))

    def together(self, questions: tuple[Question, ...]) -> Joined:
        """Of PostgreSQL: others gain nothing by it."""
        found = self._joined.get(questions)
        if found is None:
            found = self._joined[questions] = self._join(questions)
        return found

    def _join(self, questions: tuple[Question, ...]) -> Joined:
        parts = tuple([self.ask(question) for question in questions])
        columns = (_as_json(TABLES[q.kind], part) for q, part in zip(questions, parts, strict=True))
        return Joined(f"SELECT {', '.join(columns)}", parts)

    def insert(self, kind: type[Any]) -> Statement:
        """Parameters are the fields in order: a row as the mapper makes it."""
        return self._keep(("insert", kind), lambda: insert(TABLES[kind]))

    def update(self, kind: type[Any], names: tuple[str, ...]) -> Statement:
        """Of these columns alone. Parameters are they in order, then the id and the version expected."""
        return self._keep(("update", kind, names), lambda: _compare_and_set(TABLES[kind], names))

    def insert_together(self, kind: type[Any]) -> Statement | None:
        """Many rows by one statement, whose parameter is a JSON list of objects: what `insert` takes, by column; floats as text,
        as JSON has no infinity. None where the database gains nothing by it."""
        if not self.postgres:
            return None
        return self._keep(("insert together", kind), lambda: text(_insert_together(TABLES[kind])))

    def update_together(self, kind: type[Any], names: tuple[str, ...]) -> Statement | None:
        """The same for what `update` takes, its last two as KEYS. A server that goes by index (see `engines`) takes the rows one
        after the other as they are given, and so locks them in the order of their ids; should one not, a deadlock is a conflict,
        and what lost it is run again."""
        if not self.postgres:
            return None
        return self._keep(("update together", kind, names), lambda: text(_update_together(TABLES[kind], names)))

    def delete(self, kind: type[Any]) -> Statement:
        """The parameter holds all ids, as `_among` takes them."""
        return self._keep(("delete", kind), lambda: delete(TABLES[kind]).where(self._among(TABLES[kind], "id")))

    def _keep(self, key: Any, build: Callable[[], ClauseElement]) -> Statement:
        statement = self._kept.get(key)
        if statement is None:
            compiled: Any = build().compile(dialect=self._dialect)
            statement = Statement(str(compiled), tuple(compiled.positiontup or ()), compiled.params)
            self._kept[key] = statement  # two threads may both come here: they store equal values
        return statement

    def _search(self, question: Question) -> Select[Any]:
        table = TABLES[question.kind]
        query: Select[Any] = select(func.count()).select_from(table) if question.count else select(table)
        for name in question.equal:
            query = query.where(table.c[name] == bindparam(f"is_{name}"))
        for name in question.any_of:
            query = query.where(self._among(table, name))
        if question.after:
            query = query.where(_behind(table, question))
        if not question.count:
            query = _sorted(query, table, question)
        if question.limit:
            query = query.limit(bindparam("limit"))
        if question.lock and self.postgres:
            query = query.with_for_update(read=True)
        return query

    def _among(self, table: Table, name: str) -> ColumnElement[bool]:
        """`column = any of these`, with one parameter however many there are, so that the text stays the same."""
        column = table.c[name]
        if self.postgres:
            element = Text() if isinstance(column.type, Text) else column.type
            values: BindParameter[Any] = bindparam(f"in_{name}", type_=ARRAY(element))
            return column == any_(values)
        return column.in_(select(func.json_each(bindparam(f"in_{name}")).table_valued("value").c.value))


def _as_json(table: Table, statement: Statement) -> str:
    """Floats as text: JSON has no infinity, and no 1.0."""
    listed = ", ".join(f'"{column.name}"' + ("::text" if isinstance(column.type, Double) else "") for column in table.c)
    return f"(SELECT coalesce(json_agg(json_build_array({listed}) ORDER BY id), '[]') FROM ({statement.sql}) AS found)"


def _compare_and_set(table: Table, names: tuple[str, ...]) -> Any:
    change = update(table).values({name: bindparam(f"set_{name}") for name in names})
    return change.where(table.c.id == bindparam("key_id"), table.c.version == bindparam("key_version"))


# The rest of a row for `update_together`, beside its columns but the id.
KEYS = ("key_id", "key_version")


def _insert_together(table: Table) -> str:
    names = [f'"{column.name}"' for column in table.c]
    listed = ", ".join(names)
    return f'INSERT INTO "{table.name}" ({listed}) SELECT {listed} FROM {_rows(table, tuple(table.c.keys()))}'


def _update_together(table: Table, names: tuple[str, ...]) -> str:
    name = f'"{table.name}"'
    changes = ", ".join(f'"{each}" = given."{each}"' for each in names)
    return (
        f"WITH given AS MATERIALIZED (SELECT * FROM {_rows(table, names)}) "
        f"UPDATE {name} SET {changes} FROM given WHERE {name}.id = key_id AND {name}.version = key_version"
    )


def _rows(table: Table, names: tuple[str, ...]) -> str:
    """Rows of the parameter: a JSON list of objects."""
    types = {BigInteger: "bigint", Boolean: "boolean", Text: "text", Double: "double precision"}
    members = [f'"{name}" {types[type(table.c[name].type)]}' for name in names]
    keys = [f"{name} {kind}" for name, kind in zip(KEYS, ("text", "bigint"), strict=True)]
    return f"json_to_recordset(:rows) AS rows({', '.join([*members, *keys])})"


def _behind(table: Table, question: Question) -> ColumnElement[bool]:
    after: BindParameter[str] = bindparam("after", type_=table.c.id.type)
    if question.order == "id":
        return table.c.id < after if question.descending else table.c.id > after
    last = table.alias("last")
    here = tuple_(table.c[question.order], table.c.id)
    mark = tuple_(select(last.c[question.order]).where(last.c.id == after).scalar_subquery(), after)
    return here < mark if question.descending else here > mark


def _sorted(query: Select[Any], table: Table, question: Question) -> Select[Any]:
    names = dict.fromkeys((question.order, "id"))
    columns = [table.c[name] for name in names]
    return query.order_by(*(column.desc() if question.descending else column.asc() for column in columns))


def require_orders(statements: Statements) -> None:
    """Parameters must go where the writer puts them: a row in the wrong columns would be the worst of bugs. Once per store."""
    for kind in TABLES:
        names = tuple(shape(kind).forms)
        require(statements.insert(kind).order == names, f"{kind.__name__}: columns of an insert are out of order")
        changed = tuple(name for name in names if name != "id")
        for some in (changed, changed[::2]):
            wanted = (*(f"set_{name}" for name in some), *KEYS)
            require(statements.update(kind, some).order == wanted, f"{kind.__name__}: columns of an update are out of order")
