"""The machine words within the facts of a Reason, in Korean and English: problems of a field, nouns, states, roles, forms that a
text has to have, details of a backend. A word that is in no table is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Pairs = Mapping[str, tuple[str, str]]  # machine word → (English, Korean)

# What can be wrong with a field (BAD_FIELD), a body or a token. It follows the field's name and may use further facts.
PROBLEMS: Pairs = MappingProxyType({
    "too_small": ("too small[; at least {limit}][; at least {limit_ms}]",
                  "너무 작습니다[ (최소 {limit})][ (최소 {limit_ms})]"),
    "too_large": ("too large[; at most {limit}][; at most {limit_ms}]",
                  "너무 큽니다[ (최대 {limit})][ (최대 {limit_ms})]"),
    "too_long": ("too long[; at most {limit}]", "너무 깁니다[ (최대 {limit})]"),
    "too_short": ("too short[; at least {limit}]", "너무 짧습니다[ (최소 {limit})]"),
    "too_many": ("too many entries[; at most {limit}]", "항목이 너무 많습니다[ (최대 {limit})]"),
    "too_early": ("too early[; not before {limit}]", "너무 이릅니다[ ({limit} 이후)]"),
    "too_late": ("too late[; not after {limit}]", "너무 늦습니다[ ({limit} 이전)]"),
    "wrong_type": ("wrong type[; expected: {expected}][, {least} to {limit}][; write it in quotes: {quoted}]"
                   "[; for example {example}]",
                   "형식이 다릅니다[ (필요: {expected})][ ({least}~{limit})][ (따옴표로 쓰십시오: {quoted})]"
                   "[ (예: {example})]"),
    "empty": ("empty", "비어 있습니다"),
    "bad_format": ("wrong form[: {detail}][; for example {example}]", "표기가 잘못되었습니다[: {detail}][ (예: {example})]"),
    "control_characters": ("has a character that cannot be seen, {code}", "보이지 않는 문자 {code|이/가} 들어 있습니다"),
    "not_over_the_api": ("is of job files alone; over the API, upload the archive and name it in {needs}",
                         "작업 파일에만 쓰는 항목입니다. API에서는 묶음을 올리고 {needs}에 적으십시오"),
    "array_element": ("is one element of an array; resubmit the array {value} as a whole",
                      "배열의 원소입니다. 배열 {value|을/를} 통째로 다시 제출하십시오"),
    "no_body": ("this request takes no body", "이 요청은 본문을 받지 않습니다"),
    "unknown_value": ("unknown value[ {value}][; known: {allowed}]", "알 수 없는 값입니다[: {value}][ (가능: {allowed})]"),
    "not_a_date": ("not a date[; for example {example}]", "날짜가 아닙니다[ (예: {example})]"),
    "in_the_past": ("in the past", "이미 지난 때입니다"),
    "ends_before_start": ("ends before it starts", "끝이 시작보다 앞섭니다"),
    "contradiction": ("contradicts another field[; it needs {needs}]", "다른 항목과 모순됩니다[ (필요: {needs})]"),
    "duplicate": ("the same thing twice[: {value}]", "같은 것이 두 번 나옵니다[: {value}]"),
    "no_such_tenant": ("there is no {tenant}; make it first, or correct its id",
                       "{tenant|이/가} 없습니다. 먼저 만들거나 ID를 고치십시오"),
    "no_relatives": ("the whole farm has nobody to borrow from or to lend to; set it for organisations or projects instead",
                     "농장 전체는 빌리거나 빌려줄 상대가 없습니다. 기관이나 과제에 정하십시오"),
    "reserved": ("a reserved name[: {value}… is the plane's own]",
                 "쓸 수 없는 예약된 이름입니다[ ({value}… 는 제어면이 씁니다)]"),
    "disabled": ("disabled", "사용이 중지되었습니다"),
    "missing": ("missing", "없습니다"),
    "unknown": ("unknown", "알 수 없습니다"),
    "expired": ("expired", "만료되었습니다"),
    "revoked": ("revoked", "취소되었습니다"),
})  # fmt: skip

# Why something cannot be supposed (BAD_SUPPOSITION), or a saved snapshot not be read (SNAPSHOT_UNREADABLE): the fact "wrong".
# of a preference whose bound keeps work off
TASTES: Pairs = MappingProxyType(
    {
        "domestic": ("accelerators of makers abroad", "국외 제조사의 가속기"),
        "carbon": ("carbon of the site's power", "사이트 전력의 탄소"),
        "power_price": ("price of the site's power", "사이트의 전력 단가"),
        "data": ("data sets that are not there", "그곳에 없는 데이터 세트"),
    }
)
FAULTS: Pairs = MappingProxyType({
    "word": ("“{token}” cannot stand there; what can be supposed: {allowed}",
             "“{token}” 자리에 올 수 없는 말입니다. 가정할 수 있는 것: {allowed}"),
    "ends_early": ("something is missing[ behind “{token}”]; what can be supposed: {allowed}",
                   "[“{token}” 뒤에 ]빠진 말이 있습니다. 가정할 수 있는 것: {allowed}"),
    "too_long": ("it is longer than {most} characters", "{most}자보다 깁니다"),
    "too_many": ("at most {most} things can be supposed at once", "한 번에 {most}개까지만 가정할 수 있습니다"),
    "not_there": ("there is no {what} “{token}” that you may see[; there are {known}]",
                  "볼 수 있는 {what} 가운데 {token|이/가} 없습니다[ (있는 것: {known})]"),
    "nothing_alike": ("the site {site} has no node that the new ones could be like[; its accelerators are {known}]",
                      "사이트 {site}에 본뜰 노드가 없습니다[ (가속기: {known})]"),
    "not_waiting": ("workload {token} does not wait, so that what it asks for decides nothing",
                    "작업 {token|은/는} 대기 중이 아니므로 요청을 바꾸어도 달라질 것이 없습니다"),
    "not_placed": ("nothing of workload {token} runs or starts", "작업 {token|은/는} 실행되거나 시작되는 것이 없습니다"),
    "beyond": ("{token} is beyond what is possible: [{least} to {most}][{least_ms} to {most_ms}][{least_milli} to {most_milli}]"
               "[{least_mib} to {most_mib}]",
               "{token|은/는} 가능한 범위 밖입니다: [{least}~{most}][{least_ms}~{most_ms}][{least_milli}~{most_milli}]"
               "[{least_mib}~{most_mib}]"),
    "not_planned": ("{token} is no whole number of the policy that planning reads; those are {known}",
                    "{token|은/는} 계획이 읽는 정책의 정수 항목이 아닙니다. 읽는 항목: {known}"),
    "asked_gone": ("then there would be nothing left to ask about: it is of the workload in question",
                   "묻는 작업 자체가 없어지므로 물을 것이 남지 않습니다"),
    "not_one": ("it holds no snapshot", "스냅샷이 들어 있지 않습니다"),
    "damaged": ("it is damaged or cut off", "손상되었거나 일부가 잘려 나갔습니다"),
    "too_large": ("it is larger than {limit_bytes} when unpacked", "풀면 {limit_bytes}보다 큽니다"),
    "version": ("it is of format version {found}; known here: {known}", "형식 버전이 {found}입니다. 여기서 아는 버전: {known}"),
    "columns": ("its columns are not those that this version of Dure plans with[; missing: {lacks}][; unknown: {strange}]"
                "[; of another kind: {wrong_kind}][; of another length, or with numbers that cannot be: {outside}]",
                "이 버전의 Dure가 계획에 쓰는 열과 다릅니다[ (없음: {lacks})][ (모름: {strange})][ (종류가 다름: {wrong_kind})]"
                "[ (길이가 맞지 않거나 있을 수 없는 수가 있음: {outside})]"),
})  # fmt: skip

NOUNS: Pairs = MappingProxyType({
    "workload": ("workload", "작업"), "attempt": ("attempt", "시도"), "project": ("project", "과제"),
    "organisation": ("organisation", "기관"), "programme": ("programme", "사업"), "award": ("award", "바우처"),
    "transfer": ("transfer", "이체"),
    "maintenance": ("maintenance", "점검"),
    "site": ("site", "사이트"), "node": ("node", "노드"), "actor": ("actor", "행위자"), "token": ("token", "토큰"),
    "grant": ("grant", "역할 부여"), "bundle": ("code archive", "코드 묶음"),
    "quarantine": ("quarantined attempt", "격리된 시도"),
    "class": ("priority class", "우선순위"), "accelerator": ("accelerator type", "가속기 종류"),
    "policy": ("policy", "정책"), "event": ("event", "사건"), "ledger": ("ledger", "원장"), "account": ("account", "계정"),
    "hold": ("hold", "예약금"), "amount": ("amount", "금액"), "waiting": ("waiting workloads", "대기 작업 수"),
    "array_bytes": ("bytes of an array (description × elements)", "배열의 바이트(설명 × 원소 수)"),
    "workers": ("workers", "워커 수"), "array": ("array elements", "배열 크기"), "backup": ("backup", "백업"),
    "log": ("log", "로그"), "address": ("address", "주소"),
    "object": ("object", "객체"), "string": ("text", "문자열"), "integer": ("whole number", "정수"),
    "number": ("number", "수"), "boolean": ("true or false", "참/거짓"), "list": ("list", "목록"),
})  # fmt: skip

STATES: Pairs = MappingProxyType({
    "waiting": ("waiting", "대기 중"), "starting": ("starting", "시작 중"), "running": ("running", "실행 중"),
    "succeeded": ("succeeded", "성공"), "failed": ("failed", "실패"), "cancelled": ("cancelled", "취소됨"),
    "timed_out": ("timed out", "시간 초과"), "preempted": ("preempted", "선점됨"), "rejected": ("rejected", "거부됨"),
    "lost": ("lost", "유실"), "withdrawn": ("withdrawn", "철회됨"), "ended": ("ended", "종료"), "posted": ("posted", "기장됨"),
    "pending": ("pending", "보류 중"), "settled": ("settled", "정산됨"), "released": ("released", "해제됨"),
})  # fmt: skip

ROLES: Pairs = MappingProxyType({
    "admin": ("admin", "관리자"), "operator": ("operator", "운영자"), "officer": ("programme officer", "사업 담당자"),
    "manager": ("project manager", "과제 책임자"), "member": ("project member", "과제 구성원"), "auditor": ("auditor", "감사자"),
    "agent": ("site agent", "사이트 에이전트"),
})  # fmt: skip

# What a text has to look like, in words: no reader is shown a regular expression. Beside BAD_FIELD "bad_format".
FORMS: Mapping[str, tuple[str, str]] = {
    "form_slug": ("1 to 63 of a–z, 0–9 and -, beginning with a letter", "a–z, 0–9, - 로 1~63자, 영문자로 시작"),
    "form_word": ("1 to 63 of a–z, 0–9, - and _, beginning with a letter or digit",
                  "a–z, 0–9, -, _ 로 1~63자, 영문자나 숫자로 시작"),
    "form_id": ("1 to 128 of letters, digits and _ . : @ -, beginning with a letter or digit",
                "영문자, 숫자, _ . : @ - 로 1~128자, 영문자나 숫자로 시작"),
    "form_filter": ("the id of one thing, or nothing", "대상 하나의 ID, 또는 빈 값"),
    "form_scope": ("the id of a project, programme or site, or * for everywhere", "과제·사업·사이트의 ID, 또는 전체를 뜻하는 *"),
    "form_email": ("an e-mail address, or nothing", "전자우편 주소, 또는 빈 값"),
    "form_sha256": ("64 of 0–9 and a–f: the SHA-256 that the upload answered", "0–9, a–f 64자: 올릴 때 받은 SHA-256"),
    "form_region": ("a region of ISO 3166-2, or nothing", "ISO 3166-2 지역 부호, 또는 빈 값"),
    "form_country": ("two capital letters, ISO 3166-1", "ISO 3166-1 대문자 두 자"),
    "form_resource": ("core, memory_gib, or device: and a type or *", "core, memory_gib, 또는 device:에 가속기 종류나 *"),
    "form_quota_of": ("project: or organisation: and its id, or * for the whole farm",
                      "project:나 organisation:에 ID, 또는 농장 전체를 뜻하는 *"),
    "form_quota_resource": ("core, or device: and a type or *", "core, 또는 device:에 가속기 종류나 *"),
    "form_env_name": ("names of variables are letters, digits and _, do not begin with a digit, and have at most 128",
                      "변수 이름은 영문자, 숫자, _ 로 128자 이하이며 숫자로 시작하지 않음"),
    "form_key": ("1 to 128 visible ASCII characters without spaces, sent once", "공백 없는 ASCII 1~128자를 한 번만"),
    "form_duration": ("numbers with units d, h, m, s, ms in this order, without spaces or fractions",
                      "d, h, m, s, ms 순서로 단위를 붙인 정수, 공백과 소수점 없이"),
    "form_memory": ("a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB", "KiB, MiB, GiB, TiB, KB, MB, GB, TB 단위를 붙인 수"),
    "form_speed": ("how many times as fast, with at most three decimals", "몇 배 빠른지, 소수 셋째 자리까지"),
    "form_devices": ("whole devices, or a share of one with at most three decimals",
                     "장치 개수(정수), 또는 한 장치의 일부(소수점 아래 세 자리까지)"),
    "form_cores": ("at most three decimals", "소수점 아래 세 자리까지"),
    "form_moment": ("a day, an ISO 8601 moment, or milliseconds since 1970", "날짜, ISO 8601 시각, 또는 1970년부터의 밀리초"),
    "form_quotes": ("a quote is left open, or nothing follows the last backslash",
                    "따옴표가 닫히지 않았거나 마지막 \\ 뒤가 비어 있음"),
    "form_archive": ("not a tar.gz archive", "tar.gz 묶음이 아님"),
}  # fmt: skip

# `Evidence.detail`: what backends and the plane say beside an outcome.
DETAILS: Pairs = MappingProxyType({
    **FORMS,
    "no_such_command": ("there is no such command", "그런 명령이 없습니다"),
    "not_executable": ("the command cannot be executed", "실행할 수 없는 명령입니다"),
    "isolation_failed": ("it could not be isolated", "격리하지 못했습니다"),
    "bad_bundle": ("the code archive could not be unpacked", "코드 묶음을 풀 수 없습니다"),
    "memory_limit": ("it used more memory than it asked for", "요청한 메모리를 넘었습니다"),
    "machine_memory": ("its machine ran out of memory", "기계의 메모리가 바닥났습니다"),
    "shim_terminated": ("its supervisor was ended from outside", "감독 프로세스가 밖에서 종료되었습니다"),
    "shim_error": ("its supervisor failed", "감독 프로세스에 오류가 있었습니다"),
    "never_launched": ("it was never launched", "실행되지 않았습니다"),
    "never_started": ("it never started", "시작되지 않았습니다"),
    "vanished": ("the site no longer knows it", "사이트에 흔적이 없습니다"),
    "shim_died": ("its supervisor died", "감독 프로세스가 죽었습니다"),
    "machine_rebooted": ("its machine was started anew", "기계가 다시 시작되었습니다"),
    "spawn_failed": ("no process could be started for it", "프로세스를 시작하지 못했습니다"),
    "disk_full": ("the site's disk is full", "사이트의 디스크가 가득 찼습니다"),
    "root_unwritable": ("the site's folder cannot be written", "사이트의 폴더에 쓸 수 없습니다"),
    "exit_unreadable": ("the record of its end cannot be read", "종료 기록을 읽을 수 없습니다"),
    "forgotten": ("the site has dropped it", "사이트가 이미 지운 시도입니다"),
    "node_down": ("its node is down", "노드가 내려가 있습니다"),
    "node_died": ("its node died", "노드가 죽었습니다"),
    "unknown_node": ("the site has no such node", "그런 노드가 없습니다"),
    "unknown_device": ("the node has no such accelerator", "그런 가속기가 없습니다"),
    "bad_env": ("its environment cannot be used", "환경 변수를 쓸 수 없습니다"),
    "bad_order": ("the order could not be understood", "지시를 이해하지 못했습니다"),
    "bundle_missing": ("the code archive is missing", "코드 묶음이 없습니다"),
    "bundle_too_large": ("the code archive is too large", "코드 묶음이 너무 큽니다"),
    "bundle_corrupt": ("the code archive is damaged", "코드 묶음이 손상되었습니다"),
    "node_lost": ("its node was lost", "노드가 사라졌습니다"),
    "attested_lost": ("an operator attested that it is gone", "운영자가 유실을 확인했습니다"),
})  # fmt: skip
