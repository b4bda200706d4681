"""The only code that changes state: commands, asked by people and agents, and the step, asked by time.

Here live the commands (`commands/`), the step and what it keeps in memory (`mirror`, `columns`), how a plan is carried out
(`apply`), how workloads and attempts move on (`lifecycle`) and their money (`money`). What is decided is decided by the pure
packages; what is stored goes through the Store port. No HTTP, no SQL, no backend, no clock but the port may enter."""

from dure.controller.answers import QuoteAnswer, SoFar, Usable, WhyAnswer, so_far
from dure.controller.controller import Controller, ControllerSettings, View
from dure.controller.deed import CONTROLLER, Deed
from dure.controller.founding import found
from dure.controller.quotas import QuotasAnswer, QuotaUse
from dure.controller.step import StepReport, step
from dure.controller.verify import AuditReport, BooksReport, verify_audit, verify_store_books
from dure.controller.whatif import WhatIf, WhatIfAnswer

__all__ = [
    "CONTROLLER",
    "AuditReport",
    "BooksReport",
    "Controller",
    "ControllerSettings",
    "Deed",
    "QuotaUse",
    "QuotasAnswer",
    "QuoteAnswer",
    "SoFar",
    "StepReport",
    "Usable",
    "View",
    "WhatIf",
    "WhatIfAnswer",
    "WhyAnswer",
    "found",
    "so_far",
    "step",
    "verify_audit",
    "verify_store_books",
]
