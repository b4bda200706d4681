"""Korean texts about traces that run through the whole plane."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "opt.whole_plane": "제어면 전체(컨트롤러, 저장소, 원장과 흉내 낸 백엔드)로 실행: 느리지만 결정은 같음.",
    "trial.not_a_planes": "{name}: 제어면에 없는 순서입니다. --whole-plane에는 {known} 중 하나를 쓰거나 그 옵션을 빼십시오.",
    "trial.proved": "{policy}: 제어면이 이벤트 {events:,}개를 기록했고, 체인과 장부가 맞습니다.",
    "trial.refused": "{policy}: 제어면이 거절한 작업: {count:,}개. 결코 줄 수 없는 것을 요구합니다.",
}
