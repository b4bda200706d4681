"""What a client that was written for one OpenAPI document would miss in a later one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
METHODS = ("get", "put", "post", "patch", "delete")
LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")  # may only go down in what is sent
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")  # may only go up
SAME = ("pattern", "format")  # may only go away
FORMS = {"$ref", "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items", "default"}
WEIGHED = FORMS.union(LEAST, MOST, SAME)
WORDS = {"title", "description", "examples", "ge", "le"}
NUMBERS = {"integer": {"integer", "number"}}  # what a type is besides


def breaks(before: Schema, after: Schema) -> list[str]:
    """Everything that was there and is not any more, or is asked for and was not, one line each. Empty: only additions.

    Of answers a member may not go, stop being always there, or be of a type that it was not; new words of an enumeration are
    additions. Of requests nothing that was taken may be refused. Raises ValueError for a keyword that is not weighed here."""
    comparison = _Comparison(before, after)
    for path, operations in before["paths"].items():
        for method in (m for m in METHODS if m in operations):
            operation = after["paths"].get(path, {}).get(method)
            where = f"{method.upper()} {path}"
            comparison.found += [f"{where}: gone"] if operation is None else []
            if operation is not None:
                comparison.operation(where, operations[method], operation)
    return list(dict.fromkeys(comparison.found))


@dataclass
class _Comparison:
    before: Schema
    after: Schema
    found: list[str] = field(default_factory=list)

    def operation(self, where: str, old: Schema, new: Schema) -> None:
        self._parameters(where, old.get("parameters", []), new.get("parameters", []))
        self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            there = new["responses"].get(status)
            if there is None:
                self.found.append(f"{where}: no answer {status}")
                continue
            told, tells = _content(self.before, answer), _content(self.after, there)
            self.found += [f"{where} {status}: no {kind}" for kind in told.keys() - tells.keys()]
            for kind in told.keys() & tells.keys():
                self.found += self.answered(f"{where} {status}", told[kind], tells[kind], ())

    def _parameters(self, where: str, old: list[Schema], new: list[Schema]) -> None:
        known = {(p["in"], p["name"]): p for p in old}
        for key, parameter in known.items():
            there = next((p for p in new if (p["in"], p["name"]) == key), None)
            if there is None:
                self.found.append(f"{where}: parameter {key[1]} gone")
            else:
                self.found += self.sent(f"{where} {key[1]}", parameter.get("schema", {}), there.get("schema", {}), ())
        required = [p for p in new if p.get("required") and not known.get((p["in"], p["name"]), {}).get("required")]
        self.found += [f"{where}: parameter {p['name']} is required" for p in required]

    def _body(self, where: str, old: Schema | None, new: Schema | None) -> None:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            self.found.append(f"{where}: a body is required")
        for kind, content in (old or {}).get("content", {}).items():
            there = (new or {}).get("content", {}).get(kind)
            if there is None:
                self.found.append(f"{where}: no body of {kind}")
            else:
                self.found += self.sent(f"{where} body", content.get("schema", {}), there.get("schema", {}), ())

    # -- schemas: `old` of the client, `new` of the plane. seen: pairs on the way here, one of which twice is a circle ---------

    def sent(self, where: str, old: Schema, new: Schema, seen: tuple[Any, ...]) -> list[str]:
        """What a client may send and the plane would no longer take."""
        if (pair := (id(old), id(new))) in seen:
            return []
        seen = (*seen, pair)
        choices = _choices(self.after, new)
        return [
            line
            for one in _choices(self.before, old)
            for line in min((list(self._refused(where, one, other, seen)) for other in choices), key=len)
        ]

    def answered(self, where: str, old: Schema, new: Schema, seen: tuple[Any, ...]) -> list[str]:
        """What a client reads and would no longer find, or find otherwise."""
        if (pair := (id(old), id(new))) in seen:
            return []
        seen = (*seen, pair)
        choices = _choices(self.before, old)
        return [
            line
            for one in _choices(self.after, new)
            for line in min((list(self._missed(where, other, one, seen)) for other in choices), key=len)
        ]

    def _refused(self, where: str, old: Schema, new: Schema, seen: tuple[Any, ...]) -> Iterator[str]:
        yield from _narrowed(where, old, new)
        names = new.get("properties", {})
        for name, member in old.get("properties", {}).items():
            if name in names:
                yield from self.sent(f"{where}.{name}", member, names[name], seen)
            elif new.get("additionalProperties") is False:
                yield f"{where}.{name}: gone"
        yield from (f"{where}.{n}: is required" for n in new.get("required", ()) if n not in old.get("required", ()))
        for part in ("additionalProperties", "items"):
            had, has = _part(old, part), _part(new, part)
            if has is False and had is not False:
                yield f"{where}: no further members"
            elif isinstance(has, Mapping) and had is not False:
                yield from self.sent(f"{where}[]", had if isinstance(had, Mapping) else {}, has, seen)

    def _missed(self, where: str, old: Schema, new: Schema, seen: tuple[Any, ...]) -> Iterator[str]:
        yield from _retyped(where, new, old)
        names = new.get("properties", {})
        for name, member in old.get("properties", {}).items():
            if name not in names:
                yield f"{where}.{name}: gone"
                continue
            if name in old.get("required", ()) and name not in new.get("required", ()):
                yield f"{where}.{name}: may be absent"
            yield from self.answered(f"{where}.{name}", member, names[name], seen)
        for part in ("additionalProperties", "items"):
            had, has = _part(old, part), _part(new, part)
            if isinstance(had, Mapping) and has is not False:
                yield from self.answered(f"{where}[]", had, has if isinstance(has, Mapping) else {}, seen)


def _narrowed(where: str, old: Schema, new: Schema) -> Iterator[str]:
    yield from _retyped(where, old, new)
    allowed, was = _values(new), _values(old)
    if allowed is not None and (was is None or not set(was) <= set(allowed)):
        yield f"{where}: no longer {sorted(set(was) - set(allowed), key=str) if was is not None else 'any value'}"
    for names, sign in ((LEAST, 1), (MOST, -1)):
        for name in names:
            if name in new and (name not in old or sign * new[name] > sign * old[name]):
                yield f"{where}: {name} {new[name]}"
    yield from (f"{where}: {name} {new[name]!r}" for name in SAME if name in new and (name not in old or new[name] != old[name]))
    if "default" in old and ("default" not in new or new["default"] != old["default"]):
        yield f"{where}: default {new.get('default', 'gone')!r}"  # it means something else to who leaves it out


def _retyped(where: str, narrow: Schema, wide: Schema) -> Iterator[str]:
    """`narrow` is what comes, `wide` what is understood."""
    if "type" in wide and narrow.get("type") not in (wide["type"], *_also(wide["type"])):
        yield f"{where}: {narrow.get('type', 'anything')} is not {wide['type']}"


def _also(wide: str) -> list[str]:
    return [narrow for narrow, wider in NUMBERS.items() if wide in wider]


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _part(schema: Schema, name: str) -> Any:
    """Absent: anything goes."""
    return schema.get(name, True)


def _content(document: Schema, answer: Schema) -> dict[str, Schema]:
    return {kind: content.get("schema", {}) for kind, content in _resolved(document, answer).get("content", {}).items()}


def _choices(document: Schema, schema: Schema) -> list[Schema]:
    """The alternatives of a schema, each by itself. Raises ValueError for a keyword that is not weighed."""
    schema = _resolved(document, schema)
    unknown = schema.keys() - WEIGHED - WORDS
    if unknown:
        raise ValueError(f"not weighed: {sorted(unknown)}")
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    if "anyOf" not in schema:
        return [beside]
    return [{**beside, **choice} for one in schema["anyOf"] for choice in _choices(document, one)]


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema
