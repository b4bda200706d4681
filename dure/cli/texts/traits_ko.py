"""사이트의 특성: 한국어."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "cmd.site.traits": "사이트의 특성(전력의 탄소와 값, 그곳에 있는 데이터)을 적거나 보여 줌.",
    "col.carbon": "탄소",
    "col.datasets": "데이터",
    "col.power_price": "전력 단가",
    "opt.carbon": "전력 1kWh의 이산화탄소(g). -1이면 모름.",
    "opt.dataset": "읽는 데이터 세트. 될 수 있으면 그것이 있는 곳에서 실행. 여러 번 쓸 수 있음.",
    "opt.deadline": "제한 시간 안에 끝나야 하는 마지막 날, 또는 그다음 첫 시각. 없으면 언제든 됨.",
    "opt.no_datasets": "데이터 세트가 없음.",
    "opt.power_price": "전력 1kWh의 값(원). -1이면 모름.",
    "opt.site_dataset": "그곳에 있는 데이터 세트. 있는 것을 모두 적음.",
    "policy.preference": "{taste}: 가중치 {weight}",
    "policy.preference_bound": "{taste}: 가중치 {weight}, 최대 {most}",
    "policy.preferences": "선호:",
    "policy.speeds": "종류별 상대 속도: {speeds}",
    "trial.assumed.deadline_ignored": "마감이 있는 작업 {count:,}개의 마감은 반영되지 않습니다.",
    "traits.carbon": "1kWh당 {grams}g",
    "traits.one": "있는 데이터를 적거나 --no-datasets를 쓰십시오. 둘 다는 안 됩니다.",
    "traits.price": "{won:,g}원/kWh",
    "traits.set": "{id|을/를} 적었습니다. 얼마나 중요한지는 정책이 정합니다(dure policy show).",
    "traits.unknown": "모름",
}
