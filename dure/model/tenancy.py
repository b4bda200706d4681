"""Who acts, for whom, and with which credential. Personal data sits in `Person` alone, which can be erased."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an actor may be, each within a scope."""

    ADMIN = "admin"  # the whole farm
    OPERATOR = "operator"  # a site, or all
    OFFICER = "officer"  # a programme, or all
    MANAGER = "manager"  # a project: members, and everything a member may
    MEMBER = "member"  # a project: submit, see, cancel
    AUDITOR = "auditor"  # read everything, change nothing
    AGENT = "agent"  # the program at one site


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A tenant of some kind, in a tree: its weight is its share among its siblings."""

    id: str
    name: str
    kind: str = "sme"  # university, institute, sme, startup, public, enterprise, supplier
    parent: str = ""
    weight: int = 1
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Who works together and pays together: a consortium of organisations, led by one."""

    id: str
    name: str
    organisation: str
    partners: tuple[str, ...] = ()
    weight: int = 1
    use: float = 0.0  # decayed use, in normalised core-seconds, as of `use_ms`
    use_ms: int = 0
    created_ms: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person or a service account, without personal data."""

    id: str
    kind: str = "person"  # person, service
    disabled: bool = False
    made_by: str = ""  # the actor that made it
    created_ms: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The erasable part of an actor. Same id as the actor."""

    id: str
    name: str = ""
    email: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An actor holds a role within a scope: "*" for everywhere, else a project, site or programme id."""

    id: str
    actor: str
    role: Role
    scope: str = "*"
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An API token, of which only a digest is kept."""

    id: str  # public part of the token
    actor: str
    digest: str  # sha256 of the secret part, hex
    label: str = ""
    made_with: str = ""  # the credential that was shown when it was made; "": the plane itself made it, on its own machine
    made_by: str = ""  # the actor that made it
    # what it opens nothing beyond, whatever its actor may: projects, or of a site's program `site:ID`; (): no such bound
    within: tuple[str, ...] = ()
    created_ms: int = 0
    expires_ms: int = 0  # 0: does not expire
    revoked_ms: int = 0
    version: int = 1


def site_bound(site: str) -> str:
    """What stands in `Credential.within` for a site. No project is called so."""
    return f"site:{site}"
