"""Methods about the plane itself: sites, rules, the farm, the record of everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dure.client.transport import Plain, Transport, part

# Of a policy as it is read: given by the plane, not by who writes it.
POLICY_READ_ONLY = frozenset({"id", "version", "created_ms", "written_by", "changes", "based_on", "free"})


class PlaneMethods(Transport):
    def healthz(self) -> Plain:
        """Needs no token."""
        return self.get("/healthz")

    def create_site(
        self,
        id: str,
        *,
        name: str = "",
        region: str = "",
        jurisdiction: str = "KR",
        owner_kind: str = "public",
        pue_permille: int = 1300,
    ) -> Plain:
        body = {
            "id": id,
            "name": name,
            "region": region,
            "jurisdiction": jurisdiction,
            "owner_kind": owner_kind,
            "pue_permille": pue_permille,
        }
        return self.write("POST", "/sites", body)

    def sites(self) -> Iterator[Plain]:
        return self.pages("/sites")

    def site(self, id: str) -> Plain:
        """With its nodes, its live attempts and how much is in use."""
        return self.get(f"/sites/{part(id)}")

    def drain_site(self, id: str) -> Plain:
        return self.write("POST", f"/sites/{part(id)}/drain")

    def undrain_site(self, id: str) -> Plain:
        return self.write("POST", f"/sites/{part(id)}/undrain")

    def set_power(self, id: str, watts: int | None, *, starts: str | int | None = None, ends: str | int | None = None) -> Plain:
        """Cap what a site draws at the meter; watts None: no cap. starts, ends: as dates are given; None: now, and for ever."""
        body = {"watts": watts, "starts": starts, "ends": ends}
        return self.write("POST", f"/sites/{part(id)}/power", body)

    def set_traits(
        self, id: str, *, carbon_g_kwh: int | None = None, power_krw_mwh: int | None = None, datasets: Sequence[str] | None = None
    ) -> Plain:
        """Say what is known of a site now; None: as it was. -1: nobody knows. datasets: all that are there."""
        told = None if datasets is None else list(datasets)
        body = {"carbon_g_kwh": carbon_g_kwh, "power_krw_mwh": power_krw_mwh, "datasets": told}
        return self.write("POST", f"/sites/{part(id)}/traits", body)

    def plan_maintenance(
        self, id: str, *, ends: str | int, starts: str | int | None = None, nodes: Sequence[str] = (), note: str = ""
    ) -> Plain:
        """Nothing may run there in that time. nodes: names within the site; none: all of it. starts None: now."""
        body = {"starts": starts, "ends": ends, "nodes": list(nodes), "note": note}
        return self.write("POST", f"/sites/{part(id)}/maintenance", body)

    def cancel_maintenance(self, id: str, window: str) -> Plain:
        return self.write("DELETE", f"/sites/{part(id)}/maintenance/{part(window)}")

    def site_token(self, id: str) -> Plain:
        """A credential for the site's agent; `token` is shown this once."""
        return self.write("POST", f"/sites/{part(id)}/tokens")

    def nodes(self, *, site: str = "") -> Iterator[Plain]:
        return self.pages("/nodes", site=site)

    def drain_node(self, site: str, name: str) -> Plain:
        return self.write("POST", f"/nodes/{part(site)}/{part(name)}/drain")

    def undrain_node(self, site: str, name: str) -> Plain:
        return self.write("POST", f"/nodes/{part(site)}/{part(name)}/undrain")

    def stop_attempt(self, attempt: str) -> Plain:
        """An operator preempts it: refunded by the rule, and its workload waits again."""
        return self.write("POST", f"/attempts/{part(attempt)}/stop")

    def attest_lost(self, attempt: str, *, force: bool = False) -> Plain:
        """State that an attempt is dead for certain. force: although its site answers and could stop it."""
        return self.write("POST", f"/attempts/{part(attempt)}/attest-lost", {"force": force})

    def quarantine(self) -> Iterator[Plain]:
        return self.pages("/quarantine")

    def dismiss_quarantine(self, attempt: str, *, force: bool = False) -> Plain:
        """force: although its site was last heard to run it; its place is given away."""
        return self.write("POST", f"/quarantine/{part(attempt)}/dismiss", {"force": force})

    def stop_quarantined(self, attempt: str) -> Plain:
        """Its site stops it; it stays in the quarantine."""
        return self.write("POST", f"/quarantine/{part(attempt)}/stop")

    def policy(self) -> Plain:
        return self.get("/policy")

    def policy_version(self, version: int) -> Plain:
        return self.get(f"/policy/{version}")

    def policies(self) -> Iterator[Plain]:
        """Every version, newest first, with who wrote it and what it changed."""
        return self.pages("/policies")

    def write_policy(self, policy: Mapping[str, Any], *, based_on: int = 0, free: bool = False) -> Plain:
        """Put a whole policy in force; of its members other than classes and prices, those left out take their first value.

        policy: may be one that was read; based_on: the version that is to be in force, 0 for any; free: nothing is to cost
        anything."""
        body = {name: value for name, value in policy.items() if name not in POLICY_READ_ONLY}
        return self.write("PUT", "/policy", {**body, "based_on": based_on, "free": free})

    def quotas(self, *, project: str = "") -> Plain:
        """What quotas leave to whom, as of the last step."""
        return self.get("/quotas", project=project)

    def snapshot(self) -> bytes:
        """A file with what the last plan was made from; `dure.scheduler.decode` reads it."""
        return self.send("GET", "/snapshot").content

    def farm(self) -> Plain:
        return self.get("/farm")

    def drain_farm(self) -> Plain:
        return self.write("POST", "/farm/drain")

    def undrain_farm(self) -> Plain:
        return self.write("POST", "/farm/undrain")

    def events(self, *, after: int = 0, project: str = "", subject: str = "") -> Iterator[Plain]:
        """Sealed events behind number `after`, oldest first."""
        while True:
            page = self.get("/events", after=after, project=project, subject=subject)
            yield from page["items"]
            if not page["next"]:
                return
            after = int(page["next"])

    def follow_events(self, *, after: int = 0, project: str = "") -> Iterator[Plain]:
        """Sealed events behind number `after`, and then every new one. Never ends by itself."""
        stream = self.stream("/events/stream", last_id=str(after), project=project)
        return (event.data for event in stream if event.event == "event")

    def audit_head(self) -> Plain:
        """The last signed head of the event chain; {} before the first."""
        return self.get("/audit/head")

    def verify_audit(self) -> Plain:
        """What the plane itself finds. `dure.client.audit` proves the same without trusting it."""
        return self.get("/audit/verify")
