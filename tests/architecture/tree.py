"""The source tree as the architecture tests see it: every file read and parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PURE = ("model", "scheduler", "ledger", "access")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file. path: from the root of the repository."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def pure(self) -> bool:
        return self.path.parts[0] == "dure" and self.path.parts[1] in PURE

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every Python file in these folders of the repository."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(_source(path) for path in paths)


@cache
def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT), text, ast.parse(text))


def length(function: Function) -> int:
    """Lines from `def` to the last one; decorators do not count."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def packages() -> dict[str, str]:
    """Every top-level package and module of dure, as the tree in ARCHITECTURE.md writes it, with its docstring."""
    found = {}
    for path in sorted((ROOT / "dure").iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            found[f"{path.name}/"] = ast.get_docstring(_source(path / "__init__.py").tree) or ""
        elif path.suffix == ".py" and path.name != "__init__.py":
            found[path.name] = ast.get_docstring(_source(path).tree) or ""
    return found


def first_sentence(docstring: str) -> str:
    """Up to the first full stop that ends a sentence, on one line."""
    text = " ".join(docstring.split("\n\n")[0].split())
    end = text.find(". ")
    return (text if end < 0 else text[:end]).removesuffix(".")
