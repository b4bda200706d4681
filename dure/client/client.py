"""`DureClient`: every route as a method, gathered from the nouns."""

from __future__ import annotations

from dure.client.money import MoneyMethods
from dure.client.plane import PlaneMethods
from dure.client.tenancy import TenancyMethods
from dure.client.work import WorkMethods


class DureClient(TenancyMethods, MoneyMethods, WorkMethods, PlaneMethods):
    """A plane, with a method for every route. How one is made, and what it raises: `Transport`, which it is."""
