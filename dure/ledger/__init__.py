"""Double entry, pure: quote → hold → settle | release → refund | expire; rating of use; proof of the books.

Here live functions from values to values: which records a posting changes (`book`), who pays for a job (`funding`), what it costs
(`rating`), what was paid (`statement`) and whether the books are true (`verify`). The teacher is TigerBeetle: a hold is a pending
transfer, a settlement posts it, a release voids it, and the same transfer id is the same deed.

Never here: a clock, chance, I/O, logging, floats, a rounding other than the one at the end, or a balance that no transfer
explains.
"""

from dure.ledger.book import (
    AMOUNT_MAX,
    Posting,
    available,
    award_account,
    normal_of,
    open_account,
    policy_account,
    post,
    post_all,
    programme_account,
    site_account,
    treasury_account,
)
from dure.ledger.funding import (
    award_transfer,
    divide,
    eligible,
    expire_transfer,
    fund_transfer,
    hold_transfers,
    refund_transfers,
    release_transfers,
    settle_transfers,
)
from dure.ledger.rating import charge, energy_mwh, hold_amount, rate_all, refund_amount, settlement_amount
from dure.ledger.statement import AwardLine, JobLine, Statement, statement
from dure.ledger.verify import AttemptMoney, Finding, transfer_digest, verify_books, verify_digests

__all__ = [
    "AMOUNT_MAX",
    "AttemptMoney",
    "AwardLine",
    "Finding",
    "JobLine",
    "Posting",
    "Statement",
    "available",
    "award_account",
    "award_transfer",
    "charge",
    "divide",
    "eligible",
    "energy_mwh",
    "expire_transfer",
    "fund_transfer",
    "hold_amount",
    "hold_transfers",
    "normal_of",
    "open_account",
    "policy_account",
    "post",
    "post_all",
    "programme_account",
    "rate_all",
    "refund_amount",
    "refund_transfers",
    "release_transfers",
    "settle_transfers",
    "settlement_amount",
    "site_account",
    "statement",
    "transfer_digest",
    "treasury_account",
    "verify_books",
    "verify_digests",
]
