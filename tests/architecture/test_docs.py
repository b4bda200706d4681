"""What the documentation says is so: links lead somewhere, commands exist, job files are taken, named tests are there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from dure.api.jobfile import Job, Resources
from dure.cli.app import build
from dure.cli.jobfile import read
from dure.model.reason import ReasonKind
from tests.architecture.tree import ROOT, Source, first_sentence, packages, sources

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:root|work|home/\w+)(?=/|\b)")
REGISTRY = re.compile(r"--(?:extra-)?index-url|--find-links|--registry|\bregistry\s*=\s*http", re.IGNORECASE)


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the repository: those that git knows, and those that it would."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for name in sorted(set(names)) if (path := ROOT / name).is_file())


@cache
def pages() -> tuple[Path, ...]:
    return tuple(path for path in tracked() if path.suffix == ".md")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    return (body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- generated pages --------------------------------------------------------------------------------------------------


def test_generated_pages_say_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", list(ReasonKind))
def test_every_reason_has_a_section(kind: ReasonKind) -> None:
    assert f"\n### {kind.value}\n" in (ROOT / "docs/reference/reasons.md").read_text(encoding="utf-8")


def test_every_dependency_is_accounted_for() -> None:
    settings = tomllib.loads(read_text(ROOT / "pyproject.toml"))
    wanted = [*settings["project"]["dependencies"], *settings["project"]["optional-dependencies"]["demo"]]
    wanted += [*settings["dependency-groups"]["dev"], *settings["build-system"]["requires"]]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in wanted}
    page = read_text(ROOT / "docs/decisions/dependencies.md")
    assert {name for name in names if not re.search(rf"\b{name}\b", page)} == set()


# -- charters, glossary -----------------------------------------------------------------------------------------------


def test_every_package_has_a_charter() -> None:
    bare = [s.module for s in sources("dure") if s.path.name == "__init__.py" and not ast.get_docstring(s.tree)]
    assert bare == []


def test_architecture_tells_every_package_by_its_charter() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [package for package, charter in packages().items() if f" {package:<13} {first_sentence(charter)}\n" not in text]
    assert missing == []


def test_every_noun_is_in_the_glossary_in_both_languages() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*[가-힣][^|]*) \| ([^|]+) \|$", glossary(), re.MULTILINE)
    assert sorted(row[0] for row in rows) == sorted({c for source in sources("dure/model") for c in public_classes(source)})
    assert [row[0] for row in rows if not row[2].strip().endswith(".")] == []


def glossary() -> str:
    return (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")


def public_classes(source: Source) -> list[str]:
    return [node.name for node in source.tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


# -- links and paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    dead = [link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:") and not leads(page, link)]
    assert dead == []


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in anchors(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def test_every_page_of_the_documentation_is_linked_from_its_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in LINK.findall(index)}
    wanted = {p for p in pages() if name(p).startswith(("docs/", "tests/scenarios/"))} - {ROOT / "docs/README.md"}
    indexed = {p for p in wanted if p.parent == ROOT / "docs/decisions"} if ROOT / "docs/decisions/README.md" in linked else set()
    assert sorted(map(name, wanted - linked - indexed)) == []


def test_no_file_names_a_path_of_one_machine_or_a_registry() -> None:
    texts = [p for p in tracked() if p.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".json"} or p.name == "Makefile"]
    this = Path(__file__)
    found = [
        f"{name(path)}: {word}"
        for path in texts
        if path != this
        for word in {m[0] for m in (*MACHINE_PATH.finditer(read_text(path)), *REGISTRY.finditer(read_text(path)))}
        if (name(path), word) not in ALLOWED
    ]
    assert found == []


# A folder that only its owner may enter, told of as an example of what jobs may not see.
ALLOWED = {("dure/backends/local/isolation.py", "/root"), ("docs/guides/security-of-the-local-backend.md", "/root")}


@cache
def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


# -- commands, job files, named tests ---------------------------------------------------------------------------------


@cache
def application() -> Any:
    return typer.main.get_command(build("en", {}))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_in_the_documentation_exist_and_know_their_options(page: Path) -> None:
    wrong = [line for block in blocks(page, "console", "sh") for line in block.splitlines() if not known(line)]
    assert wrong == []


def known(line: str) -> bool:
    words = line.removeprefix("$ ").split(" # ")[0].split()
    if not line.startswith("$ ") or not words or words[0] not in ("dure", "make"):
        return True
    if words[0] == "make":
        makefile = read_text(ROOT / "Makefile")
        return all("=" in word or re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words[1:])
    return takes(application(), words[1:])


def takes(command: Any, words: list[str]) -> bool:
    """Whether the application has this command, and the command these options."""
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return words[0] in ("-h", "--help")
        command, words = command.commands[words[0]], words[1:]
    given = [
        word.partition("=")[0]
        for word in (words[: words.index("--")] if "--" in words else words)
        if word.startswith("-") and word != "-"
    ]
    options = {o for p in getattr(command, "params", ()) for o in p.opts} | {"-h", "--help"}
    return not hasattr(command, "commands") and set(given) <= options


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert [known(f"$ dure {words}") for words in ("sumbit job.yaml", "submit --colour red", "submit -- ls --colour")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("page", pages(), ids=name)
def test_job_files_in_the_documentation_are_taken(page: Path) -> None:
    for block in blocks(page, "yaml"):
        if "command:" in block:
            job = dict(read(page, block).job)
            assert Job.model_validate(job).command
        else:
            assert isinstance(yaml.safe_load(block), dict)


@pytest.mark.parametrize("model", [Job, Resources])
def test_every_field_of_a_job_is_described(model: type[BaseModel]) -> None:
    page = (ROOT / "docs/reference/job-file.md").read_text(encoding="utf-8")
    prefix = "resources." if model is Resources else ""
    fields = set(model.model_fields) - ({"bundle"} if model is Job else set())  # made of `code`
    assert {f for f in fields if f"| `{prefix}{f}` |" not in page} - {"resources"} == set()


def test_tests_that_the_documentation_names_are_there() -> None:
    named = [(page, m[1], m[2] or "") for page in pages() for m in NAMED_TEST.finditer(page.read_text(encoding="utf-8"))]
    missing = [f"{name(page)}: {file} {test}" for page, file, test in named if not has_test(ROOT / file, test)]
    assert missing == []
    assert len(named) > 20


def has_test(file: Path, test: str) -> bool:
    return file.exists() and (not test or f"def {test}(" in read_text(file))


def test_every_concept_ends_with_guarantees_that_name_their_tests() -> None:
    concepts = [page for page in pages() if page.parent == ROOT / "docs/concepts"]
    without = [
        name(page)
        for page in concepts
        if not NAMED_TEST.search(page.read_text(encoding="utf-8").partition("\n## Guarantees\n")[2])
    ]
    assert concepts and without == []
