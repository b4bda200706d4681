"""What code may look like, where the linter of imports and ruff cannot tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.tree import Source, sources

JOBS = "dure/cli/demo/jobs/"  # programs that the demo submits: what they print is their log
MUTATORS = frozenset(
    {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
)
MUTABLE = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp


def test_nothing_is_printed_but_through_the_console() -> None:
    calls = [s.at(c) for s in product() for c in ast.walk(s.tree) if isinstance(c, ast.Call) and called(c) == "print"]
    assert calls == []


def test_own_modules_are_imported_at_the_top() -> None:
    hidden = [
        source.at(node)
        for source in sources("dure")
        for function in source.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_the_pure_packages_are_synchronous() -> None:
    waits = [
        s.at(f) for s in sources("dure") if s.pure for f in ast.walk(s.tree) if isinstance(f, ast.AsyncFunctionDef | ast.Await)
    ]
    assert waits == []


def test_no_pure_module_keeps_anything_between_two_calls() -> None:
    changed = [found for source in sources("dure") if source.pure for found in mutations(source)]
    assert changed == []


def test_a_planted_mutation_would_be_found() -> None:
    tree = ast.parse("SEEN = {}\ndef look(x):\n    SEEN[x] = 1\n    SEEN.update(x=2)\n    global COUNT\n")
    source = sources("dure")[0]
    assert len(list(mutations(Source(source.path, "", tree)))) == 3


def test_the_environment_is_read_where_a_process_begins() -> None:
    """Settings come from `config`, which is handed the environment; here it is taken, and handed on to children."""
    readers = {s.module for s in product() for node in ast.walk(s.tree) if reads_environment(node)}
    assert readers <= {"dure.cli.app", "dure.cli.run", "dure.cli.demo.farm"}


def test_what_guards_something_is_required_and_not_asserted() -> None:
    """`assert` is lost under -O. It tells the type checker what the line before has just required, and nothing else."""
    bare = [source.at(guard) for source in product() for guard in bare_asserts(source.tree)]
    assert bare == []
    planted = ast.parse("if x:\n    require(a, 'a')\n    assert a\n    assert b\nassert c\n")
    assert sorted(guard.lineno for guard in bare_asserts(planted)) == [4, 5]


def bare_asserts(tree: ast.Module) -> Iterator[ast.Assert]:
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            statements = block if isinstance(block, list) else []
            for before, statement in zip([None, *statements], statements, strict=False):
                if isinstance(statement, ast.Assert) and not _requires(before):
                    yield statement


def _requires(statement: ast.stmt | None) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and called(statement.value) == "require"


def product() -> list[Source]:
    return [source for source in sources("dure") if not str(source.path).startswith(JOBS)]


def called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def reads_environment(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def mutations(source: Source) -> Iterator[str]:
    """Places inside functions where a module's own mutable is changed, or a module's name is rebound."""
    names = {
        target.id
        for statement in source.tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, MUTABLE)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }
    for function in source.functions():
        for node in ast.walk(function):
            if isinstance(node, ast.Global) or _changes(node, names):
                yield source.at(node)  # type: ignore[arg-type]


def _changes(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return isinstance(node.value, ast.Name) and node.value.id in names
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return isinstance(node.func.value, ast.Name) and node.func.value.id in names
    return False
