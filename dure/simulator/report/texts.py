"""What the report says, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# fmt: off
TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "title": ("{trace} on {fleet}: {policies}", "{trace} · {fleet}: {policies}"),

    "kicker": ("Simulated by Dure", "Dure 모의실험"),

    "lede": (
        "{jobs} jobs, {room}, {span} from the first submission to the last end.",
        "작업 {jobs}건, {room}, 첫 제출부터 마지막 종료까지 {span}.",
    ),

    "room.devices.one": ("{n} devices at one site", "사이트 한 곳의 장치 {n}개"),
    "room.cores.one": ("{n} cores at one site", "사이트 한 곳의 코어 {n}개"),
    "room.devices": ("{n} devices at {sites} sites", "사이트 {sites}곳의 장치 {n}개"),
    "room.cores": ("{n} cores at {sites} sites", "사이트 {sites}곳의 코어 {n}개"),

    "unknown": ("–", "–"),

    "and": (", ", ", "),

    "head.one": (
        "With {policy} a job waits {mean} on average, and half of the jobs at most {half}; {use} of the fleet is in use.",
        "{policy}에서는 작업이 평균 {mean} 기다립니다. 절반은 {half} 안에 시작하고, 장비 이용률은 {use}입니다.",
    ),
    "head.one_now": (
        "With {policy} a job waits {mean} on average, half of the jobs not at all; {use} of the fleet is in use.",
        "{policy}에서는 작업이 평균 {mean} 기다립니다. 절반은 바로 시작하고, 장비 이용률은 {use}입니다.",
    ),
    "head.times": (
        "With {best} a job waits {low} on average; with {worst} it waits {high}, {factor} times as long.",
        "{best}에서는 작업이 평균 {low} 기다리고, {worst}에서는 그 {factor}배인 {high} 기다립니다.",
    ),
    "head.percent": (
        "With {best} a job waits {low} on average; with {worst} it waits {high}, {factor} % longer.",
        "{best}에서는 작업이 평균 {low} 기다리고, {worst}에서는 {factor} % 더 긴 {high} 기다립니다.",
    ),
    "head.none": (
        "With {best} jobs do not wait; with {worst} a job waits {high} on average.",
        "{best}에서는 작업이 기다리지 않고, {worst}에서는 평균 {high} 기다립니다.",
    ),
    "head.same": (
        "It makes no difference to waiting: a job waits {mean} on average with every policy.",
        "대기 시간에는 차이가 없습니다. 어느 정책에서나 작업은 평균 {mean} 기다립니다.",
    ),
    "head.nothing": (
        "No job finished under every policy, so waiting cannot be compared.",
        "모든 정책에서 끝난 작업이 없어 대기 시간을 비교할 수 없습니다.",
    ),
    "head.carbon": ("All of it emits {most} of CO₂.", "전체 CO₂ 배출량은 {most}입니다."),
    "head.carbon_from": (
        "All of it emits {least} of CO₂ with {best} and {most} with {worst}.",
        "전체 CO₂ 배출량은 {best}에서 {least}, {worst}에서 {most}입니다.",
    ),
    "head.but": ("What {best} does worse: {items}.", "{best}에서 더 나빠진 것: {items}."),
    "head.but_item": ("{what} {value} ({other}: {there})", "{what} {value}({other} {there})"),
    "head.fine": (
        "Nothing else that is measured here gets more than {limit} % worse with {best}.",
        "{best}에서 {limit} % 넘게 나빠진 다른 지표는 없습니다.",
    ),
    "head.left": (
        "{n} of {jobs} jobs did not finish under every policy; JCT, queueing and slowdown are of the other {rest}.",
        "작업 {jobs}건 중 {n}건은 모든 정책에서 끝나지는 않았습니다. 완료 시간, 대기 시간, 지연 배수는 나머지 {rest}건의 "
        "값입니다.",
    ),

    "unit.s": ("{n} s", "{n}초"),
    "unit.min": ("{n} min", "{n}분"),
    "unit.h": ("{n} h", "{n}시간"),
    "unit.d": ("{n} d", "{n}일"),
    "unit.krw": ("{n} won", "{n}원"),
    "unit.device_hours": ("{n} h", "{n}시간"),

    "width.devices": ("{n} devices", "장치 {n}개"),
    "width.cores": ("{n} cores", "코어 {n}개"),

    "by.tenant": ("tenant", "테넌트"),
    "by.size.devices": ("devices", "장치 수"),
    "by.size.cores": ("cores", "코어 수"),
    "by.jobs": ("jobs", "작업"),
    "by.never": ("never started", "시작 못 함"),

    "size.none": ("none", "없음"),
    "size.part": ("below 1", "1 미만"),
    "size.>512": ("over 512", "512 초과"),

    "stat.mean": ("mean", "평균"),
    "stat.p50": ("p50", "p50"),
    "stat.p90": ("p90", "p90"),
    "stat.p99": ("p99", "p99"),

    "m.jobs": ("jobs", "작업"),
    "m.jobs.unfinished": ("not finished", "끝나지 않음"),
    "m.jobs.never_started": ("never started", "시작하지 못함"),
    "m.queueing": ("queueing", "대기 시간"),
    "m.jct": ("completion (JCT)", "완료 시간(JCT)"),
    "m.slowdown": ("slowdown", "지연 배수"),
    "m.wait.longest": ("longest wait", "가장 긴 대기"),
    "m.wait.widest": ("wait of the widest gang", "가장 큰 갱의 대기"),
    "m.makespan": ("makespan", "전체 소요 시간"),
    "m.utilisation": ("utilisation", "이용률"),
    "m.utilisation.steady": ("utilisation, steady", "이용률, 안정 구간"),
    "m.fragmentation": ("fragmentation", "단편화"),
    "m.fairness.jain": ("fairness (Jain)", "공정성(Jain)"),
    "m.slowdown.tenant_best": ("slowdown, best tenant", "지연 배수, 가장 나은 테넌트"),
    "m.slowdown.tenant_worst": ("slowdown, worst tenant", "지연 배수, 가장 나쁜 테넌트"),
    "m.preemptions": ("preemptions", "선점"),
    "m.lost": ("device-hours done twice", "다시 실행한 장치 시간"),
    "m.energy": ("energy", "전력량"),
    "m.carbon": ("CO₂", "CO₂"),
    "m.power_krw": ("cost of power", "전기 요금"),
    "m.charged_krw": ("charged", "청구액"),
    "m.domestic": ("on domestic devices", "국산 장치 비중"),

    "d.queueing": ("All the time since submission in which a job did not run.", "제출한 뒤 실행되지 않은 모든 시간."),
    "d.jct": ("From submission to end.", "제출부터 종료까지."),
    "d.slowdown": (
        "Completion over run time, at least 1; runs below 10 s count as 10 s (Feitelson et al., 1997).",
        "완료 시간 ÷ 실행 시간, 최소 1. 10초 미만 실행은 10초로 봅니다(Feitelson 외, 1997).",
    ),

    "m.percentiles": ("mean, p50, p90, p99", "평균, p50, p90, p99"),
    "m.wait": ("longest wait, widest gang", "가장 긴 대기, 가장 큰 갱"),
    "m.fairness": ("fairness", "공정성"),

    "d.percentiles": (
        "Percentiles are nearest-rank: the wait of a job that there is. Means are exact sums over all jobs.",
        "백분위수는 최근접 순위로, 실제로 있는 작업의 값입니다. 평균은 모든 작업의 정확한 합에서 나옵니다.",
    ),
    "d.wait": (
        "Longest wait and widest gang count jobs that never started too, up to the end of the simulation.",
        "가장 긴 대기와 가장 큰 갱에는 시작하지 못한 작업도 모의실험이 끝난 때까지 넣습니다.",
    ),
    "d.utilisation": (
        "Integral of use over integral of capacity, from the first submission to the last end; steady: without the first "
        "tenth of the time of submissions, and up to the last one.",
        "사용량 적분 ÷ 용량 적분, 첫 제출부터 마지막 종료까지. 안정 구간은 제출 기간의 첫 10분의 1을 빼고 마지막 "
        "제출까지입니다.",
    ),
    "d.fragmentation": (
        "Free devices of no use to the expected workers, those of the trace, over all devices; mean over time "
        "(Weng et al., ATC 2023).",
        "예상 워커(작업 기록의 워커)가 쓸 수 없는 빈 장치 ÷ 모든 장치, 시간 평균(Weng 외, ATC 2023).",
    ),
    "d.fairness": (
        "Jain's index over tenants of service received over what an idle fleet would have given them, in 24 equal parts "
        "of the time of submissions; the mean of these. 1 when all are served alike.",
        "제출 기간을 24등분한 구간마다 테넌트가 받은 서비스 ÷ 빈 장비였다면 받았을 서비스의 Jain 지수를 구해 평균합니다. "
        "모두 같으면 1입니다.",
    ),
    "d.energy": (
        "Idle draw of the nodes, and the rest up to full draw in proportion to use, times PUE. CO₂ and cost by the hour "
        "of the day at the site.",
        "노드의 유휴 전력에 사용 비율만큼의 나머지를 더하고 PUE를 곱합니다. CO₂와 요금은 사이트의 시각별 값입니다.",
    ),

    "table.title": ("All measures", "모든 지표"),
    "table.measure": ("measure", "지표"),
    "table.best": ("best", "최선"),
    "table.lower": ("less is better", "작을수록 좋음"),
    "table.higher": ("more is better", "클수록 좋음"),
    "table.neither": ("", ""),
    "table.note": (
        "★ is the best of its row. ↓ less is better, ↑ more is better. Pointing at a number shows it in full.",
        "★는 그 줄에서 가장 좋은 값입니다. ↓ 작을수록, ↑ 클수록 좋습니다. 숫자를 가리키면 전체 값이 보입니다.",
    ),

    "data": ("Numbers of this chart", "이 그림의 숫자"),

    "policy": ("policy", "정책"),

    "hour": ("hour", "시"),

    "of_policy": ("{policy} {value}", "{policy} {value}"),

    "c.waits": ("How long jobs wait", "작업이 기다린 시간"),
    "c.waits.said": ("Started after at most a minute of waiting: {items}.", "1분 안에 시작한 작업: {items}."),
    "c.waits.x": ("waited at most", "기다린 시간(이하)"),
    "c.waits.y": ("share of all jobs", "모든 작업 중 비율"),
    "c.waits.mark": ("{policy}: {share} of jobs waited at most {wait}", "{policy}: 작업의 {share}가 {wait} 이하로 기다림"),
    "c.waits.desc": (
        "Cumulative share of jobs by waiting time, logarithmic from 1 s; one line a policy. {items}.",
        "대기 시간별 작업의 누적 비율, 1초부터 로그 눈금, 정책마다 한 선. {items}.",
    ),
    "c.waits.note": (
        "Evaluated at {n} points from all {jobs} jobs; those who waited less than 1 s stand at 1 s. Jobs that never "
        "started keep a line below 100 %.",
        "모든 작업 {jobs}건에서 {n}개 지점을 계산했습니다. 1초보다 적게 기다린 작업은 1초에 있습니다. 시작하지 못한 "
        "작업이 있으면 선이 100 %에 닿지 않습니다.",
    ),
    "c.use": ("How much of the fleet is in use", "장비가 쓰인 비율"),
    "c.use.said": ("While jobs kept coming: {items}.", "작업이 계속 들어오는 동안: {items}."),
    "c.use.x": ("time since the first submission", "첫 제출 이후 시간"),
    "c.use.y": ("in use", "이용률"),
    "c.use.desc": (
        "Share of the fleet in use over time, one line a policy. {items}.",
        "시간에 따른 장비 이용률, 정책마다 한 선. {items}.",
    ),
    "c.use.note": ("Each of the {n} points is the exact mean over {step}.", "점 {n}개는 각각 {step} 동안의 정확한 평균입니다."),
    "c.use.tail": (
        "The picture ends where {share} of the work is done; the last jobs end after {last}, and the table has them.",
        "그림은 작업량의 {share}가 끝난 데까지입니다. 마지막 작업은 {last} 뒤에 끝나며 표에 들어 있습니다.",
    ),
    "c.sizes": ("Who waits, by size", "크기별 대기 시간"),
    "c.sizes.said": ("The largest jobs here ({size}) wait on average: {items}.", "가장 큰 작업({size})의 평균 대기: {items}."),
    "c.sizes.x": ("waiting: line from p50 to p99, mark at the mean", "대기 시간: 선은 p50에서 p99, 표시는 평균"),
    "c.sizes.y.devices": ("devices of a job", "작업의 장치 수"),
    "c.sizes.y.cores": ("cores of a job", "작업의 코어 수"),
    "c.sizes.mark": (
        "{policy}, {size}: mean {mean}, p50 {p50}, p90 {p90}, p99 {p99}, longest {longest}",
        "{policy}, {size}: 평균 {mean}, p50 {p50}, p90 {p90}, p99 {p99}, 최장 {longest}",
    ),
    "c.sizes.desc": (
        "For each size of job, the mean and the range of waiting, logarithmic; one mark a policy. {items}.",
        "작업 크기별 대기의 평균과 범위, 로그 눈금, 정책마다 한 표시. {items}.",
    ),
    "c.tenants": ("Who is slowed down, by tenant", "테넌트별 지연"),
    "c.tenants.said": ("Jain's index (1: all are served alike): {items}.", "Jain 지수(1이면 모두 같은 대우): {items}."),
    "c.tenants.x": ("mean slowdown: completion over run time", "평균 지연 배수: 완료 시간 ÷ 실행 시간"),
    "c.tenants.y": ("tenants, by demand", "테넌트(요구량 순)"),
    "c.tenants.mark": ("{policy}, {tenant}: {value}", "{policy}, {tenant}: {value}"),
    "c.tenants.desc": (
        "Mean slowdown of each tenant, logarithmic; one mark a policy. {items}.",
        "테넌트별 평균 지연 배수, 로그 눈금, 정책마다 한 표시. {items}.",
    ),
    "c.tenants.note": (
        "Shown are the {n} of {all} tenants that asked for most, {share} of all demand.",
        "테넌트 {all}곳 중 가장 많이 요구한 {n}곳을 보입니다. 전체 요구량의 {share}입니다.",
    ),
    "c.tenants.unknown": ("unknown", "알 수 없음"),
    "c.power": ("What the fleet draws over the day", "하루 중 전력"),
    "c.power.said": ("Energy of the whole run: {items}.", "전체 전력량: {items}."),
    "c.power.x": ("hour of the day", "시각"),
    "c.power.y": ("mean power, {unit}", "평균 전력, {unit}"),
    "c.power.desc": (
        "Mean power by hour of the day, one line a policy. {items}.",
        "시각별 평균 전력, 정책마다 한 선. {items}.",
    ),
    "c.carbon": ("What it emits over the day", "하루 중 CO₂ 배출"),
    "c.carbon.said": ("CO₂ of the whole run: {items}.", "전체 CO₂: {items}."),
    "c.carbon.y": ("CO₂ by the hour, {unit}", "시간당 CO₂, {unit}"),
    "c.carbon.desc": (
        "CO₂ emitted by hour of the day, one line a policy. {items}.",
        "시각별 CO₂ 배출, 정책마다 한 선. {items}.",
    ),
    "c.clock.note": (
        "The trace does not tell its time of day: its first moment counts as midnight.",
        "작업 기록에 시각이 없어 그 시작을 자정으로 보았습니다.",
    ),
    "c.won": ("What it costs", "비용"),
    "c.won.said": ("{items}.", "{items}."),
    "c.won.x": ("million won", "백만 원"),
    "c.won.y": ("sums", "합계"),
    "c.won.desc": ("Sums in won, one bar a policy, from zero. {items}.", "원 단위 합계, 정책마다 막대 하나, 0부터. {items}."),
    "c.won.mark": ("{policy}: {value}", "{policy}: {value}"),

    "absent": ("Not shown", "보이지 않는 것"),
    "absent.power": (
        "energy, CO₂ and cost of power: the fleet does not say what everything in it draws",
        "전력량, CO₂, 전기 요금: 장비 목록이 모든 장비의 소비 전력을 말하지 않습니다",
    ),
    "absent.carbon": ("CO₂: no site says how much its power emits", "CO₂: 전기의 배출량을 말한 사이트가 없습니다"),
    "absent.won": ("what was charged: no run says it", "청구액: 기록된 실행이 없습니다"),
    "absent.fragmentation": ("fragmentation: no run sampled it", "단편화: 표본을 남긴 실행이 없습니다"),
    "absent.tenants": (
        "fairness by tenant: fewer than two tenants are known",
        "테넌트별 공정성: 알려진 테넌트가 둘보다 적습니다",
    ),
    "absent.domestic": (
        "share of domestic devices: use is counted in cores, or it is unknown who makes the devices",
        "국산 장치 비중: 사용량을 코어로 세거나 장치의 제조사를 모릅니다",
    ),

    "longest.title": ("Who waits longest", "가장 오래 기다린 작업"),
    "longest.job": ("job", "작업"),
    "longest.width": ("asks for", "요구"),
    "longest.wait": ("waits", "대기"),
    "longest.case": ("case", "구분"),
    "longest.never": ("{wait}, and had not started at the end", "{wait}, 끝날 때까지 시작하지 못함"),

    "method.title": ("How this was made", "이렇게 만들었습니다"),
    "method.measures": ("What each measure is", "지표의 뜻"),
    "method.trace": ("trace", "작업 기록"),
    "method.fleet": ("fleet", "장비"),
    "method.source": ("source of the fleet", "장비의 출처"),
    "method.policies": ("policies", "정책"),
    "method.jobs": ("jobs", "작업"),
    "method.whole": (
        "Nothing was sampled: every number is of all the jobs that it is about. Where a curve is drawn through points, "
        "their number stands below it.",
        "표본은 없습니다. 모든 숫자는 해당하는 작업 전체의 값이고, 점으로 그린 곡선에는 점의 수를 적었습니다.",
    ),

    "note.seed": ("seed", "시드"),
    "note.cadence": ("cadence", "결정 주기"),
    "note.versions": ("versions", "버전"),
    "note.cadence=every event": ("whenever a job arrives or ends", "작업이 도착하거나 끝날 때마다"),
    "note.version": ("version of Dure", "Dure 버전"),
    "note.steps": ("moments of decision", "결정한 횟수"),
    "note.loop": ("how it was decided", "결정 방식"),
    "note.loop=compiled": ("in one compiled loop", "컴파일된 반복문 하나로"),
    "note.loop=a plan for each step": ("a snapshot and a plan for each step", "단계마다 스냅샷과 계획을 만들어"),
    "note.loop.why": ("why not in the compiled loop", "컴파일된 반복문을 쓰지 않은 이유"),
    "note.loop.why=asked for": ("asked for", "요청에 따라"),
    "note.loop.why=a promise could not be made": ("a promise could not be made", "약속을 할 수 없어서"),
    "note.loop.why=limits of power": ("limits of power", "전력 한도"),
    "note.loop.why=shares of devices": ("shares of devices", "장치의 일부"),
    "note.loop.why=topology blocks": ("topology blocks", "토폴로지 블록"),
    "note.loop.why=preferences": ("preferences", "선호"),
    "note.loop.why=work that yields": ("work that yields", "양보하는 작업"),
    "note.promises": ("how many that wait are promised a moment", "시작 시각을 약속받는 대기 작업 수"),
    "note.depth": ("tries behind the first promise", "첫 약속 뒤에서 시도하는 횟수"),
    "note.depth=all": ("all", "모두"),
    "note.preempted": ("what is preempted", "선점된 작업"),
    "note.preempted=leave at once": ("leaves at once, and waits again", "바로 비우고 다시 기다림"),
    "note.power": ("limits of power", "전력 한도"),
    "note.power=limits kept": ("kept", "지킴"),
    "note.power=no limits": ("the fleet has none", "플릿에 없음"),
    "note.prices": ("prices", "가격"),
    "note.prices=ordinary": (
        "none told: 3,600 won a device-hour, 36 a core, 3.6 a GiB",
        "없음: 시간당 장치 3,600원, 코어 36원, GiB 3.6원",
    ),
    "note.prices=of the policy": ("of the policy", "정책의 가격"),
    "note.way": ("way of running", "실행 방식"),
    "note.way=whole plane": ("the whole plane", "제어면 전체"),
    "note.events": ("events recorded; chain and books proved", "기록한 이벤트 (체인과 장부 검증)"),
    "note.refused": ("jobs that the plane refused", "제어면이 거절한 작업"),
    "note.taken": ("first jobs taken / of all", "사용한 처음 작업 / 전체"),
    "note.assumed.limit_unknown": ("jobs without wall time, given one for all", "제한 시간이 없어 하나로 정한 작업"),
    "note.assumed.idle_unknown": ("nodes of unknown idle draw; counted as none", "유휴 전력을 몰라 0으로 본 노드"),
    "note.assumed.after_ignored": ("jobs that do not wait for the one they follow", "앞선 작업을 기다리지 않은 작업"),
    "note.assumed.deadline_ignored": ("jobs whose deadline counts nowhere", "마감이 반영되지 않은 작업"),
    "note.assumed.priority_ignored": ("jobs whose priority is of another system", "다른 체계의 우선순위를 가진 작업"),
    "note.assumed.limit_learned": ("jobs without wall time, given one by those before", "제한 시간을 이전 작업으로 정한 작업"),
    "note.assumed.longer_than_limit": ("jobs longer than their wall time; not ended", "제한 시간을 넘지만 끝내지 않은 작업"),
    "note.assumed.cores_unknown": ("jobs of unknown cores; 0.001 asked for", "코어 수를 몰라 0.001개로 한 작업"),
    "note.assumed.memory_unknown": ("jobs of unknown memory; 1 MiB asked for", "메모리를 몰라 1 MiB로 한 작업"),
    "note.assumed.whole_shares": ("jobs given a whole device for a part", "일부 대신 장치 하나를 모두 받은 작업"),
    "note.assumed.equal_workers": ("jobs made gangs of equal workers", "같은 크기의 워커로 나눈 작업"),
    "note.assumed.queues_are_sites": ("jobs kept at the site of their queue's name", "대기열 이름의 사이트에서만 실행한 작업"),
    "note.assumed.queue_unknown": ("jobs without a queue, run at any site", "대기열이 없어 어느 사이트에서나 실행한 작업"),
    "note.assumed.queues_are_no_sites": ("jobs whose queue is no site, as none is", "대기열이 사이트가 아닌 작업 (모두 그러함)"),
    "note.assumed.queues_ignored": ("jobs run at any site, whatever their queue", "대기열과 상관없이 실행한 작업"),
    "note.skipped": ("rows passed over", "건너뛴 행"),
    "note.skipped.no_run_time": ("jobs passed over: run time unknown", "건너뛴 작업: 실행 시간을 모름"),
    "note.skipped.broken_row": ("rows passed over: broken", "건너뛴 행: 깨짐"),
    "note.skipped.encoding": ("rows passed over: encoding", "건너뛴 행: 문자 인코딩"),
    "note.skipped.missing": ("rows passed over: a field is missing", "건너뛴 행: 필드 없음"),
    "note.skipped.not_a_number": ("rows passed over: not a number", "건너뛴 행: 숫자가 아님"),
    "note.skipped.not_finite": ("rows passed over: not finite", "건너뛴 행: 유한하지 않은 수"),
    "note.skipped.negative": ("rows passed over: negative", "건너뛴 행: 음수"),
    "note.skipped.too_large": ("rows passed over: too large", "건너뛴 행: 너무 큰 수"),
    "note.skipped.not_whole": ("rows passed over: not a whole number", "건너뛴 행: 정수가 아님"),
    "note.skipped.unknown_word": ("rows passed over: unknown word", "건너뛴 행: 모르는 낱말"),
    "note.skipped.unknown_queue": ("rows passed over: unknown queue", "건너뛴 행: 모르는 대기열"),
    "note.skipped.duplicate": ("rows passed over: twice in the trace", "건너뛴 행: 중복"),
    "note.skipped.contradiction": ("rows passed over: contradiction", "건너뛴 행: 모순"),
    "note.left_out": ("left out", "제외한 기록"),
    "note.trace_source": ("source of the trace", "작업 기록의 출처"),
    "note.policy": ("policy", "정책 설명"),
    "note.command": ("command", "명령"),
    "note.rules": ("rules", "규칙"),
    "note.made": ("made at", "만든 때"),
})
# fmt: on
