"""English texts about quotas."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "cmd.quota": "Quotas: what each project and organisation has, uses, borrows, lends and may use now.",
    "col.tenant": "Whose",
    "col.quota_nominal": "Quota",
    "col.quota_used": "Used",
    "col.quota_borrowed": "Borrowed",
    "col.quota_lent": "Lent",
    "col.quota_available": "Available",
    "col.quota_borrow_max": "Borrows at most",
    "col.quota_lend_max": "Lends at most",
    "quota.none": "No quota: nothing limits you but what is free.",
    "quota.no_limit": "no limit",
    "quota.as_of": "In devices and cores, as of {when}. What is available may be borrowed from others.",
}
