"""Methods about money: programmes, awards, the books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dure.client.transport import Plain, Transport, part
from dure.model.funding import WithdrawalReason

Moment = str | int  # a date, an ISO 8601 moment, or ms since 1970


class MoneyMethods(Transport):
    def create_programme(self, id: str, name: str, budget: int, *, starts: Moment, ends: Moment, currency: str = "KRW") -> Plain:
        body = {"id": id, "name": name, "budget": budget, "starts": starts, "ends": ends, "currency": currency}
        return self.write("POST", "/programmes", body)

    def programmes(self) -> Iterator[Plain]:
        return self.pages("/programmes")

    def programme(self, id: str) -> Plain:
        return self.get(f"/programmes/{part(id)}")

    def fund_programme(self, id: str, amount: int) -> Plain:
        return self.write("POST", f"/programmes/{part(id)}/funds", {"amount": amount})

    def create_award(
        self,
        programme: str,
        project: str,
        amount: int,
        *,
        starts: Moment,
        expires: Moment,
        sites: Sequence[str] = (),
        accelerators: Sequence[str] = (),
    ) -> Plain:
        body = {
            "programme": programme,
            "project": project,
            "amount": amount,
            "starts": starts,
            "expires": expires,
            "sites": list(sites),
            "accelerators": list(accelerators),
        }
        return self.write("POST", "/awards", body)

    def awards(self, *, project: str = "", programme: str = "") -> Iterator[Plain]:
        return self.pages("/awards", project=project, programme=programme)

    def award(self, id: str) -> Plain:
        return self.get(f"/awards/{part(id)}")

    def withdraw_award(self, id: str, amount: int = 0, reason: WithdrawalReason = WithdrawalReason.OTHER) -> Plain:
        """Take back what is neither held nor spent, or `amount` of it; 0: all of it."""
        body = {"reason": reason.value, **({"amount": amount} if amount else {})}
        return self.write("POST", f"/awards/{part(id)}/withdraw", body)

    def statement(self, project: str) -> Plain:
        """jobs, totals, awards, findings; see dure.ledger.statement."""
        return self.get(f"/projects/{part(project)}/ledger")

    def transfers(self, *, project: str = "", workload: str = "", account: str = "") -> Iterator[Plain]:
        return self.pages("/transfers", project=project, workload=workload, account=account)

    def accounts(self) -> Iterator[Plain]:
        return self.pages("/accounts")

    def verify_ledger(self) -> Plain:
        """{"ok", "transfers", "accounts", "findings": [first bad row, …]}."""
        return self.get("/ledger/verify")
