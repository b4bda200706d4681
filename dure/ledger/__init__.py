"""Double entry, pure: quote → hold → settle | release → refund | expire; rating of use; proof of the books.

Here live functions from values to values: which records a posting changes (`book`), who pays for a job (`funding`), what it costs
(`rating`), what is posted of that and what is carried (`carry`), what was paid (`statement`) and whether the books are true
(`verify`, `verify_exact`). The teacher is TigerBeetle: a hold is a pending
transfer, a settlement posts it, a release voids it, and the same transfer id is the same deed.

Never here: a clock, chance, I/O, logging, floats, a rounding that loses something, or a balance that no transfer explains.
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
from dure.ledger.carry import Settlement, open_remainder, remainder_id, settle_exact
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
    transfer_id,
    withdraw_transfer,
)
from dure.ledger.rating import UNPAYABLE, charge_nano, energy_mwh, hold_amount, rate_all, refund_nano, run_charge_nano
from dure.ledger.statement import AwardLine, JobLine, RemainderLine, Statement, statement
from dure.ledger.verify import AttemptMoney, Finding, transfer_digest, verify_books, verify_digests
from dure.ledger.verify_awards import verify_withdrawals
from dure.ledger.verify_exact import EndTold, verify_ends, verify_remainders
from dure.ledger.verify_told import TransferTold, verify_budgets, verify_told

__all__ = [
    "AMOUNT_MAX",
    "UNPAYABLE",
    "AttemptMoney",
    "AwardLine",
    "EndTold",
    "Finding",
    "JobLine",
    "Posting",
    "RemainderLine",
    "Settlement",
    "Statement",
    "TransferTold",
    "available",
    "award_account",
    "award_transfer",
    "charge_nano",
    "divide",
    "eligible",
    "energy_mwh",
    "expire_transfer",
    "fund_transfer",
    "hold_amount",
    "hold_transfers",
    "normal_of",
    "open_account",
    "open_remainder",
    "policy_account",
    "post",
    "post_all",
    "programme_account",
    "rate_all",
    "refund_nano",
    "refund_transfers",
    "release_transfers",
    "remainder_id",
    "run_charge_nano",
    "settle_exact",
    "settle_transfers",
    "site_account",
    "statement",
    "transfer_digest",
    "transfer_id",
    "treasury_account",
    "verify_books",
    "verify_budgets",
    "verify_digests",
    "verify_ends",
    "verify_remainders",
    "verify_told",
    "verify_withdrawals",
    "withdraw_transfer",
]
