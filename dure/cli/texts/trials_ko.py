"""What people read about trials, in Korean."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles": "이 서버에 맞게 모의 실험의 빠른 경로를 컴파일하고 있습니다. 설치 후 한 번, 1분쯤 걸립니다.",
    "trial.scenario": (
        "{file}: 시나리오로 읽습니다. 시나리오는 무엇이 있는지 스스로 말하므로 {options|을/를} 빼십시오. "
        "정책을 비교하려면 --policy를 쓰십시오."
    ),
    "trial.scenario_every": (
        "{file}: 시나리오로 읽습니다. 무엇이 있고 얼마나 자주 결정하는지는 시나리오가 말합니다(예: `every 60 seconds` 줄). "
        "{options|을/를} 빼십시오."
    ),
    "trial.not_of_traces": "{file}: 작업 기록입니다. 무작위로 만드는 것도, 답을 적을 곳도 없습니다. {options|을/를} 빼십시오.",
    "trial.not_of_made": "{file}: 여기서 생성하는 작업 부하입니다. 읽는 것도, 답을 적을 곳도 없습니다. {options|을/를} 빼십시오.",
    "trial.load": "--load에는 숫자를 쓰고, 생성하는 작업 부하(national)에만 씁니다. 작업 기록에는 빼십시오.",
    "opt.read":
        "형식이 열어 둔 것을 읽는 방법(여러 번 가능): variant, swf_processor, allocated, philly_span, devices_per_node, "
        "cores_milli_per_device, memory_mib_per_device, queues.",
    "opt.scenario": "정책을 비교할 시나리오가 문서에서 몇 번째인지(1부터). 기본값: 하나뿐인 시나리오.",
    "opt.by": "테넌트별(tenant) 또는 크기별(size) 표도 출력(여러 번 가능).",
    "trial.read.form": "--read {said}: NAME=VALUE로 쓰십시오. 이름은 {known}입니다.",
    "trial.read.unknown": "--read {name}: 이런 읽기 옵션은 없습니다. 이름은 {known}입니다.",
    "trial.read.twice": "--read {name|이/가} 두 번 있습니다. 하나를 빼십시오.",
    "trial.read.empty": "--read {name}=: 등호 뒤에 값이 없습니다. 값을 쓰거나 옵션을 빼십시오.",
    "trial.read.word": "--read {name}={value}: {known} 중 하나여야 합니다.",
    "trial.read.number": "--read {name}={value}: {least} 이상의 정수여야 합니다.",
    "trial.read.format":
        "--read {name}: 작업 기록이 {format} 형식인데 이 옵션은 {formats}에만 쓰입니다. 빼십시오. "
        "{format}에는 {known|이/가} 있습니다.",
    "trial.left_out": "시뮬레이션할 작업이 아니어서 제외: {what} {count:,}개.",
    "trial.left_out.column": "{name} 열의 값",
    "trial.left_out.job_step": "작업 단계",
    "trial.left_out.heterogeneous_jobs_read_in_parts": "부분별로 읽은 이종 작업",
    "trial.left_out.partial_execution": "부분 실행",
    "trial.left_out.job_without_a_scheduled_attempt": "배치된 시도가 없는 작업",
    "trial.more_groups": "처음 {shown}개만 보입니다. 나머지 {count:,}개는 --json 문서에 있습니다.",
    "trial.assumed.idle_unknown":
        "노드 {count:,}개의 유휴 전력(idle_watts)을 몰라 0으로 보았습니다. 실제 전력량은 이보다 적지 않습니다.",
    "trial.some_ordinary_prices":
        "가격이 없는 정책({policies})에는 일반 가격으로 청구했습니다. 시간당 장치 3,600원, 코어 36원, GiB 3.6원. "
        "가격이 다른 정책의 청구액과는 비교할 수 없습니다.",
    "trial.ordinary_prices": "정해진 가격이 없어 일반 가격으로 청구했습니다. 시간당 장치 3,600원, 코어 36원, GiB 3.6원.",
    "trial.no_price": "청구액은 표에 없습니다. 사용한 장치 중 정책에 가격이 없는 종류가 있습니다.",
    "trial.policy_twice": "이름이 {name}인 정책이 둘입니다. 파일 하나의 이름을 바꾸십시오.",
    "trial.policy_named": "{file}: {name|은/는} 내장 정책의 이름입니다. 파일 이름을 바꾸십시오.",
    "trial.unhonoured": "{file}: 작업 기록의 시뮬레이션에서는 --whole-plane으로도 반영되지 않습니다: {fields}. {remedy}",
    "trial.instead.else": "빼십시오.",
    "trial.instead.quotas":
        "작업 기록은 누구의 쿼터인지 말하지 않습니다. 빼거나 저장한 스냅샷을 "
        "계획하십시오: dure snapshot plan FILE --policy POLICY.",
    "trial.instead.reclaims":
        "작업 기록에는 쿼터가 없습니다. 빼거나 저장한 스냅샷을 계획하십시오: dure snapshot plan FILE --policy POLICY.",
    "trial.instead.limit_ms_default": "--limit-days로 정하십시오.",
    "trial.instead.speeds": "작업은 어느 장치에서나 작업 기록에 있는 시간만큼 걸립니다. 빼십시오.",
    "trial.no_energy":
        "전력량, CO₂, 전기 요금은 표에 없습니다. 플릿이 모든 장비의 소비 전력(node_watts)을 말하지 않습니다.",
    "trial.made":
        "제출되는 작업 {jobs:,}개, 그전부터 실행 중이라 시각 0에 두는 작업 {begun:,}개. 장치의 {load:.0%}를 요구합니다.",
    "trial.no_fleet": "작업 기록이나 생성한 작업 부하에는 --fleet이 필요합니다. 예: --fleet kr-15000, 또는 파일.",
    "trial.unknown_policy": "{name}: 이런 정책은 없습니다. 정책은 {known}입니다.",
    "trial.unknown_fleet": "{name}: 이런 플릿도 파일도 없습니다. 내장 플릿은 {known}입니다.",
    "trial.no_devices": "{fleet}: 장치가 없는데 생성한 작업 부하는 장치를 씁니다. 다른 플릿이나 자신의 작업 기록을 쓰십시오.",
    "trial.no_run_time": "{file}, 작업 {job}: duration_s를 모릅니다. 이런 작업 {count:,}개는 --skip-bad로 건너뜁니다.",
    "trial.nothing_left": "{file}: 시뮬레이션할 수 있는 작업이 없습니다. 실행 시간을 아는 작업이 하나도 없습니다.",
    "trial.no_extra": "작업 기록을 시뮬레이션하려면 {module|이/가} 필요합니다: pip install 'dure[simulate]'",
    "trial.runs": "{policy}: 작업 {jobs:,}개 …",
    "trial.skipped": "행 {count:,}개를 건너뛰었습니다. 처음 몇 개:",
    "trial.skipped_no_run_time": "실행 시간을 몰라 건너뛴 작업: {count:,}개.",
    "trial.skipped_queue": "대기열 이름의 사이트가 없어 건너뛴 작업: {count:,}개. 첫 작업:",
    "trial.nobody_waited": "기다린 작업이 없습니다. 작업에 비해 플릿이 큽니다. 작업을 늘리거나 작은 플릿을 쓰십시오.",
    "trial.never_started": "{policy}: 작업 {count:,}개는 시작하지 못했습니다. 플릿이 비어 있어도 받아 줄 자리가 없습니다.",
    "trial.compared_all": "대기와 완료 시간은 작업 {jobs:,}개 모두에 대한 것입니다.",
    "trial.compared": "대기와 완료 시간은 모든 정책에서 끝난 작업 {compared:,}개(전체 {jobs:,}개)에 대한 것입니다.",
    "trial.written": "보고서: {page}. 정책별 Parquet 파일이 같은 폴더에 있습니다.",
    "trial.assumed.limit_unknown": "작업 {count:,}개에 제한 시간이 없어 {days:g}일로 보았습니다(--limit-days).",
    "trial.assumed.after_ignored": "다른 작업 뒤에 와야 하는 작업 {count:,}개가 그 작업을 기다리지 않습니다.",
    "trial.assumed.priority_ignored": "작업 기록의 우선순위가 이 시스템의 것과 달라 작업 {count:,}개를 모두 같게 보았습니다.",
    "trial.assumed.limit_learned": "제한 시간이 없는 작업 {count:,}개는 먼저 끝난 작업을 보고, 없으면 {days:g}일로 정했습니다.",
    "trial.assumed.longer_than_limit": "작업 {count:,}개가 제한 시간(대신 정한 것 포함)을 넘지만 그 때문에 끝내지는 않습니다.",
    "trial.assumed.cores_unknown": "작업 {count:,}개에 필요한 코어 수가 없어 코어 0.001개로 했습니다.",
    "trial.assumed.memory_unknown": "작업 {count:,}개에 필요한 메모리가 없어 1 MiB로 했습니다.",
    "trial.assumed.whole_shares": "장치의 일부를 요구한 작업 {count:,}개에 장치 하나를 모두 주었습니다.",
    "trial.assumed.equal_workers": "작업 {count:,}개는 노드 하나보다 많은 장치가 필요해 같은 크기의 워커로 나누어 실행합니다.",
    "trial.assumed.queues_are_sites": "대기열 이름이 사이트 이름과 같아 작업 {count:,}개는 그 사이트에서만 실행합니다.",
    "trial.assumed.queue_unknown": "대기열이 사이트인데 대기열 이름이 없는 작업 {count:,}개는 어느 사이트에서나 실행합니다.",
    "trial.assumed.queues_are_no_sites": "대기열 이름의 사이트가 없어 작업 {count:,}개는 어느 사이트에서나 실행합니다.",
    "trial.assumed.queues_ignored": "대기열을 무시하므로(--ignore-queues) 작업 {count:,}개는 어느 사이트에서나 실행합니다.",
}  # fmt: skip
