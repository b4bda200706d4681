"""Methods about tenants: organisations, projects, actors, tokens, roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dure.client.transport import Plain, Transport, part

Grants = Sequence[tuple[str, str]]  # (role, scope)


class TenancyMethods(Transport):
    def me(self) -> Plain:
        """Who the token stands for: actor, kind, name, grants, projects (None: all)."""
        return self.get("/me")

    def create_organisation(self, id: str, name: str, *, kind: str = "sme", parent: str = "", weight: int = 1) -> Plain:
        body = {"id": id, "name": name, "kind": kind, "parent": parent, "weight": weight}
        return self.write("POST", "/organisations", body)

    def organisations(self) -> Iterator[Plain]:
        return self.pages("/organisations")

    def organisation(self, id: str) -> Plain:
        return self.get(f"/organisations/{part(id)}")

    def create_project(self, id: str, name: str, organisation: str, *, partners: Sequence[str] = (), weight: int = 1) -> Plain:
        body = {"id": id, "name": name, "organisation": organisation, "partners": list(partners), "weight": weight}
        return self.write("POST", "/projects", body)

    def projects(self) -> Iterator[Plain]:
        return self.pages("/projects")

    def project(self, id: str) -> Plain:
        """With its members, as grants."""
        return self.get(f"/projects/{part(id)}")

    def add_member(self, project: str, actor: str, role: str = "member") -> Plain:
        return self.write("POST", f"/projects/{part(project)}/members", {"actor": actor, "role": role})

    def remove_member(self, project: str, actor: str) -> Plain:
        """Takes every role of the actor within the project."""
        return self.write("DELETE", f"/projects/{part(project)}/members", actor=actor)

    def create_actor(self, name: str, *, email: str = "", kind: str = "person", grants: Grants = ()) -> Plain:
        wanted = [{"role": role, "scope": scope} for role, scope in grants]
        return self.write("POST", "/actors", {"name": name, "email": email, "kind": kind, "grants": wanted})

    def actors(self) -> Iterator[Plain]:
        return self.pages("/actors")

    def actor(self, id: str) -> Plain:
        return self.get(f"/actors/{part(id)}")

    def erase_actor(self, id: str) -> Plain:
        """Erase who it is; what it did stays under an id that names nobody."""
        return self.write("POST", f"/actors/{part(id)}/erase")

    def disable_actor(self, id: str) -> Plain:
        return self.write("POST", f"/actors/{part(id)}/disable")

    def grant(self, actor: str, role: str, scope: str = "*") -> Plain:
        return self.write("POST", f"/actors/{part(actor)}/grants", {"role": role, "scope": scope})

    def revoke_grant(self, id: str) -> Plain:
        return self.write("DELETE", f"/grants/{part(id)}")

    def create_token(self, actor: str, *, label: str = "", expires: str | int | None = None) -> Plain:
        """`token` of the answer is shown this once. expires: a date (its last day), an ISO moment, or ms; None: never."""
        body = {"label": label} if expires is None else {"label": label, "expires": expires}
        return self.write("POST", f"/actors/{part(actor)}/tokens", body)

    def tokens(self, actor: str, *, made: bool = False) -> Iterator[Plain]:
        """Its own, or those that it made, whosoever they are."""
        return self.pages(f"/actors/{part(actor)}/tokens", **({"made": "true"} if made else {}))

    def revoke_token(self, id: str) -> Plain:
        return self.write("DELETE", f"/tokens/{part(id)}")
