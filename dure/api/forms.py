"""What texts in requests have to look like: a pattern that machines check, and words and an example that people are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """pattern: as in openapi.json; code: of its sentence (`FORMS` in model/reason_texts.py); example: one that fits."""

    pattern: str
    code: str
    example: str = ""

    def fits(self, text: str) -> bool:
        return re.fullmatch(self.pattern, text) is not None


SLUG = Form(r"^[a-z][a-z0-9-]{0,62}$", "form_slug", "steel-faults")
WORD = Form(r"^[a-z0-9][a-z0-9_-]{0,62}$", "form_word", "h100")
ID = Form(r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$", "form_id", "wl_01M80WND8YFVGDD7MYPQC5TM1Q")
FILTER = Form(r"^([A-Za-z0-9][A-Za-z0-9_.:@*/-]*)?$", "form_filter")
SCOPE = Form(r"^(\*|[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127})$", "form_scope", "steel-faults")
EMAIL = Form(r"^([^@\s]{1,64}@[^@\s]{1,188})?$", "form_email", "name@example.org")
SHA256 = Form(r"^([0-9a-f]{64})?$", "form_sha256")
REGION = Form(r"^([A-Z]{2}-[A-Z0-9]{1,3})?$", "form_region", "KR-47")
COUNTRY = Form(r"^[A-Z]{2}$", "form_country", "KR")
RESOURCE = Form(r"^(core|memory_gib|device:(\*|[a-z0-9][a-z0-9_-]{0,62}))$", "form_resource", "device:h100")
QUOTA_OF = Form(r"^(\*|(project|organisation):[a-z][a-z0-9-]{0,62})$", "form_quota_of", "project:steel-faults")
QUOTA_RESOURCE = Form(r"^(core|device:(\*|[a-z0-9][a-z0-9_-]{0,62}))$", "form_quota_resource", "device:h100")

BY_PATTERN: Mapping[str, Form] = {
    form.pattern: form
    for form in (SLUG, WORD, ID, FILTER, SCOPE, EMAIL, SHA256, REGION, COUNTRY, RESOURCE, QUOTA_OF, QUOTA_RESOURCE)
}


def mended(form: Form, text: object) -> str:
    """`text` as it would have to be written, when small letters and hyphens are all that it takes; else the form's example."""
    if isinstance(text, str) and len(text) <= 256:
        for joined in ("-", "_"):
            close = re.sub(r"[^a-z0-9-]+", joined, text.strip().lower()).strip("-_")
            if close != text and form in (SLUG, WORD) and form.fits(close):
                return close
    return form.example
