"""Job files: YAML that is read strictly, with the line of every field kept so that a refusal can point at it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# A job file is a page of text; what is larger is a mistake (a data set named by accident) and not worth parsing.
SIZE_MAX = 256 * 1024
_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class JobFileError(Exception):
    """The file cannot be a job. key: what is wrong, as a key of the text catalogue; facts: for its placeholders."""

    def __init__(self, key: str, **facts: Any) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts


@dataclass(frozen=True, slots=True)
class JobFile:
    """The plain job as the API takes it (but `code`, which is kept apart), and on which line each field stands."""

    job: Mapping[str, Any]
    array: int | None
    code: tuple[str, ...]  # what to bundle, () for nothing
    code_is_list: bool  # a list keeps the names of its folders; a single folder is bundled by content
    folder: Path  # what `code` is relative to
    lines: Mapping[str, int] = field(default_factory=dict)  # "resources.cores" → line, counted from 1


class _Loader(yaml.SafeLoader):
    """YAML without aliases (a small file could stand for a huge one) and without values that JSON does not have."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise JobFileError("jobfile.alias", line=event.start_mark.line + 1)
        return super().compose_node(parent, index)


def read(path: Path, text: str) -> JobFile:
    """The job in `text`, which came from `path`. Raises JobFileError."""
    plain, lines = parse(text)
    job = dict(plain)
    array = job.pop("array", None)
    if array is not None and (isinstance(array, bool) or not isinstance(array, int)):
        raise JobFileError("jobfile.array", line=lines["array"], value=array)
    code = job.pop("code", None)
    names = _code_names(code, lines.get("code", 0))
    return JobFile(job, array, names, isinstance(code, list), path.parent, lines)


def parse(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """A YAML mapping as plain values, and the line of every field in it. Raises JobFileError."""
    if len(text.encode()) > SIZE_MAX:
        raise JobFileError("jobfile.too_large", size=len(text.encode()), most=SIZE_MAX)
    lines: dict[str, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise JobFileError("jobfile.not_mapping", line=1 if node is None else _line(node))
        return _mapping(loader, node, "", lines), lines
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        raise JobFileError("jobfile.not_yaml", line=mark.line + 1 if mark else 1, problem=wrong.problem or "") from wrong
    except (yaml.YAMLError, RecursionError) as wrong:
        raise JobFileError("jobfile.not_yaml", line=1, problem=str(wrong).split("\n")[0]) from wrong


def _mapping(loader: _Loader, node: yaml.MappingNode, path: str, lines: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, Hashable) or not isinstance(key, str):
            raise JobFileError("jobfile.key", line=_line(key_node), found=getattr(key_node, "value", ""))
        if key in found:
            raise JobFileError("jobfile.duplicate", line=_line(key_node), field=key, first=lines[path + key])
        lines[path + key] = _line(key_node)
        found[key] = _value(loader, value_node, path + key, lines)
    return found


def _value(loader: _Loader, node: Any, path: str, lines: dict[str, int]) -> Any:
    if not isinstance(node, yaml.ScalarNode) and node.tag not in _TAGS:
        raise JobFileError("jobfile.value", line=_line(node), field=path, found=node.tag)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path + ".", lines)
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[f"{path}.{position}"] = _line(item)
        return [_value(loader, item, f"{path}.{position}", lines) for position, item in enumerate(node.value)]
    value = loader.construct_object(node)
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise JobFileError("jobfile.value", line=_line(node), field=path, found=node.value)
    return value


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _code_names(code: Any, line: int) -> tuple[str, ...]:
    names = (code,) if isinstance(code, str) else code
    if code is None:
        return ()
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(n, str) and n for n in names):
        raise JobFileError("jobfile.code", line=line)
    return tuple(names)
