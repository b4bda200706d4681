"""Korean texts about quotas."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "cmd.quota": "할당량: 과제와 기관이 가진 것, 쓰는 것, 빌린 것, 빌려준 것, 지금 더 쓸 수 있는 것.",
    "col.tenant": "누구의",
    "col.quota_nominal": "할당량",
    "col.quota_used": "사용",
    "col.quota_borrowed": "빌림",
    "col.quota_lent": "빌려줌",
    "col.quota_available": "사용 가능",
    "col.quota_borrow_max": "빌리는 한도",
    "col.quota_lend_max": "빌려주는 한도",
    "quota.none": "할당량이 없습니다. 비어 있는 만큼 쓸 수 있습니다.",
    "quota.no_limit": "한도 없음",
    "quota.as_of": "장치와 코어 수, {when} 기준. 사용 가능한 것에는 남에게 빌리는 것도 들어 있습니다.",
}
