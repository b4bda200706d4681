"""What people read about trials, in Korean."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles": "이 서버에 맞게 모의 실험의 빠른 경로를 컴파일하고 있습니다. 설치 후 한 번, 1분쯤 걸립니다.",
    "trial.scenario": "{file}: 시나리오로 읽습니다. 시나리오는 무엇이 있는지 스스로 말하므로 {options|을/를} 빼십시오.",
    "trial.scenario_every": (
        "{file}: 시나리오로 읽습니다. 무엇이 있고 얼마나 자주 결정하는지는 시나리오가 말합니다(예: `every 60 seconds` 줄). "
        "{options|을/를} 빼십시오."
    ),
    "trial.not_of_traces": "{file}: 작업 기록입니다. 무작위로 만드는 것도, 답을 적을 곳도 없습니다. {options|을/를} 빼십시오.",
    "trial.not_of_made": "{file}: 여기서 생성하는 작업 부하입니다. 읽는 것도, 답을 적을 곳도 없습니다. {options|을/를} 빼십시오.",
    "trial.load": "--load에는 숫자를 쓰고, 생성하는 작업 부하(national)에만 씁니다. 작업 기록에는 빼십시오.",
    "trial.made":
        "제출되는 작업 {jobs:,}개, 그전부터 실행 중이라 시각 0에 두는 작업 {begun:,}개. 장치의 {load:.0%}를 요구합니다.",
}  # fmt: skip
