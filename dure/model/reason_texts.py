"""What every Reason says to people, in Korean and English: one table. `render` fills it in.

In a template "{name}" is a fact, "{name|을/를}" a fact with the Korean particle that its last sound asks for, and a stretch in
square brackets is left out unless all facts within it are there. Machine words within facts are in `reason_words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from dure.model.reason import ReasonKind as K


class Helper(StrEnum):
    """Who can change it."""

    REQUESTER = "requester"
    MANAGER = "manager"  # of the project, or the officer of a programme: rights and money
    OPERATOR = "operator"  # of the site or the farm
    NOBODY = "nobody"  # nothing has to be done


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ReasonText:
    """facts: names that the templates need (those within brackets may be absent). tier: 0 the requester can mend it at once;
    1 with help from their project or programme; 2 an operator has to act; 3 nobody has to do anything but wait."""

    facts: tuple[str, ...]
    tier: int
    helper: Helper
    en: Words
    ko: Words


_Three = tuple[str, str, str]
_SELF, _MANAGER, _OPERATOR, _WAIT = (0, Helper.REQUESTER), (1, Helper.MANAGER), (2, Helper.OPERATOR), (3, Helper.NOBODY)


def _text(facts: str, who: tuple[int, Helper], en: _Three, ko: _Three) -> ReasonText:
    return ReasonText(tuple(facts.split()), *who, Words(*en), Words(*ko))


_WAITING: dict[K, ReasonText] = {
    K.NOT_YET_PLANNED: _text("", _WAIT, (
        "Not yet planned", "It was accepted and has not been looked at yet.", "Wait a moment: the next plan takes it up."), (
        "아직 계획 전", "접수되었고 아직 검토되지 않았습니다.", "잠시 기다리면 다음 계획에서 검토됩니다.")),
    K.WAITS_FOR_TURN: _text("ahead", _WAIT, (
        "Waits for its turn", "It would fit, but {ahead} other workloads go first.",
        "Wait, or ask for less time so that it fits into a gap."), (
        "차례 대기", "자리는 있지만 먼저 갈 작업이 {ahead}개 있습니다.",
        "기다리거나, 제한 시간을 줄여 빈틈에 들어가게 하십시오.")),
    K.WAITS_DEPENDENCY: _text("", _WAIT, (
        "Waits for another workload", "A workload that it depends on has not succeeded yet.",
        "Wait until that one has succeeded."), (
        "선행 작업 대기", "먼저 성공해야 하는 작업이 아직 끝나지 않았습니다.", "선행 작업이 성공할 때까지 기다리십시오.")),
    K.WAITS_PAUSE: _text("until_ms", _WAIT, (
        "Pauses before the next try", "Its last try did not work out; the next comes at {until_ms}.", "Wait for the next try."), (
        "다음 시도 전 휴지", "지난 시도가 이루어지지 않아 {until_ms}에 다시 시도합니다.", "다음 시도를 기다리십시오.")),
    K.WAITS_DRAINING: _text("", _OPERATOR, (
        "The farm is being drained", "Nothing new is started until an operator ends the drain.", "Wait, or ask an operator."), (
        "농장 비우는 중", "운영자가 비우기를 끝낼 때까지 새 작업을 시작하지 않습니다.", "기다리거나 운영자에게 문의하십시오.")),
    K.NO_SITE_ALLOWED: _text("", _SELF, (
        "No site is allowed", "None of the sites that it allows exists or takes new work.", "Allow other sites."), (
        "허용된 사이트 없음", "작업이 허용한 사이트 가운데 새 작업을 받는 곳이 없습니다.", "다른 사이트도 허용하십시오.")),
    K.NO_SITE_REACHABLE: _text("", _OPERATOR, (
        "No site can be reached", "None of the allowed sites that are large enough has been heard of lately.",
        "Wait until a link is back, or ask an operator."), (
        "연결된 사이트 없음", "충분히 큰 허용 사이트에서 최근 소식이 없습니다.",
        "연결이 돌아올 때까지 기다리거나 운영자에게 문의하십시오.")),
    K.SITES_DRAINED: _text("", _OPERATOR, (
        "The sites are being drained",
        "Every allowed site that is large enough has been drained or cannot be reached: nothing new starts there.",
        "Wait until a site is opened again, or ask an operator."), (
        "사이트 비우는 중", "충분히 큰 허용 사이트가 모두 비우는 중이거나 연결되지 않아 새 작업을 시작하지 않습니다.",
        "사이트가 다시 열릴 때까지 기다리거나 운영자에게 문의하십시오.")),
    K.NODES_OUT: _text("workers workers_fit_usable", _OPERATOR, (
        "Its nodes are out of use",
        "Nodes on which it would fit are drained or down. Those in use would take {workers_fit_usable} of its {workers} workers "
        "if nothing else ran there.", "Wait until a node is back in use, or ask an operator."), (
        "노드 사용 중지", "작업이 들어갈 노드가 비우는 중이거나 내려가 있습니다. 쓸 수 있는 노드는 다른 작업이 없어도 "
        "워커 {workers}개 중 {workers_fit_usable}개만 받습니다.", "노드가 다시 열릴 때까지 기다리거나 운영자에게 문의하십시오.")),
    K.NO_SUCH_ACCELERATOR: _text("", _SELF, (
        "No such accelerator", "No allowed site has any of the accelerator types that it accepts.",
        "Accept further types or allow further sites; if it can do without devices, ask for none."), (
        "해당 가속기 없음", "허용된 사이트에 요청한 종류의 가속기가 없습니다.",
        "다른 종류의 가속기나 다른 사이트를 허용하십시오. 장치 없이도 되는 작업이면 장치를 요청하지 마십시오.")),
    K.NODE_TOO_SMALL_CORES: _text("wanted_milli largest_milli", _SELF, (
        "No node has so many cores", "One worker asks for {wanted_milli}; the largest node has {largest_milli}.",
        "Ask for at most {largest_milli} per worker."), (
        "코어 부족", "워커 하나가 {wanted_milli|을/를} 요청했지만 가장 큰 노드에 {largest_milli|이/가} 있습니다.",
        "워커당 {largest_milli} 이하로 요청하십시오.")),
    K.NODE_TOO_SMALL_MEMORY: _text("wanted_mib largest_mib", _SELF, (
        "No node has so much memory", "One worker asks for {wanted_mib}; the largest node has {largest_mib}.",
        "Ask for at most {largest_mib} per worker."), (
        "메모리 부족", "워커 하나가 메모리 {wanted_mib|을/를} 요청했지만 가장 큰 노드에 {largest_mib|이/가} 있습니다.",
        "워커당 {largest_mib} 이하로 요청하십시오.")),
    K.NODE_TOO_SMALL_DEVICES: _text("wanted largest", _SELF, (
        "No node has so many devices", "One worker asks for {wanted} devices; the largest node has {largest}.",
        "Ask for at most {largest} per worker and for more workers."), (
        "가속기 부족", "워커 하나가 가속기 {wanted}개를 요청했지만 가장 큰 노드에 {largest}개가 있습니다.",
        "워커당 {largest}개 이하로 요청하고 워커 수를 늘리십시오.")),
    K.SITE_TOO_SMALL: _text("workers workers_fit_empty", _SELF, (
        "No site is large enough", "It needs {workers} workers together; even an empty site has room for {workers_fit_empty}.",
        "Ask for at most {workers_fit_empty} workers, or smaller ones."), (
        "사이트 규모 초과", "워커 {workers}개가 함께 필요하지만 빈 사이트에도 {workers_fit_empty}개까지만 들어갑니다.",
        "워커를 {workers_fit_empty}개 이하로 하거나 더 작게 요청하십시오.")),
    K.BLOCK_TOO_SMALL: _text("workers workers_fit_block", _SELF, (
        "No topology block is large enough",
        "It needs {workers} workers in one topology block; the largest block takes {workers_fit_block} of them even when empty.",
        "Do without the block (topology: any), or ask for at most {workers_fit_block} workers."), (
        "토폴로지 블록 규모 초과",
        "워커 {workers}개가 한 토폴로지 블록에 있어야 하지만 가장 큰 블록이 비어 있어도 {workers_fit_block}개까지만 들어갑니다.",
        "블록 조건을 빼거나(topology: any) 워커를 {workers_fit_block}개 이하로 하십시오.")),
    K.WAITS_BLOCK: _text("workers workers_fit_now", _WAIT, (
        "Waits for a topology block",
        "A site has room for its {workers} workers, but no block has room for all of them; the emptiest takes {workers_fit_now} "
        "now.",
        "Wait until others in a block end, or do without the block (topology: any)."), (
        "토폴로지 블록 대기",
        "사이트에는 워커 {workers}개의 자리가 있지만 모두 들어갈 블록이 없습니다. 지금 가장 빈 블록에 {workers_fit_now}개가 "
        "들어갑니다.",
        "블록의 다른 작업이 끝나기를 기다리거나 블록 조건을 빼십시오(topology: any).")),
    K.WAITS_CORES: _text("workers workers_fit_now wanted_milli free_milli", _WAIT, (
        "Waits for cores", "It needs {workers} × {wanted_milli} at one site; there is room for {workers_fit_now} now. "
        "The most that is free on one node with room for the rest: {free_milli}.",
        "Wait until others end, or ask for less."), (
        "코어 대기", "한 사이트에 {workers} × {wanted_milli} 자리가 필요하지만 지금은 {workers_fit_now}개분만 있습니다. "
        "나머지를 갖춘 한 노드에 남은 최대: {free_milli}.",
        "다른 작업이 끝나기를 기다리거나 더 적게 요청하십시오.")),
    K.WAITS_MEMORY: _text("workers workers_fit_now wanted_mib free_mib", _WAIT, (
        "Waits for memory", "It needs {workers} × {wanted_mib} at one site; there is room for {workers_fit_now} now. "
        "The most that is free on one node with room for the rest: {free_mib}.",
        "Wait until others end, or ask for less."), (
        "메모리 대기", "한 사이트에 {workers} × {wanted_mib} 자리가 필요하지만 지금은 {workers_fit_now}개분만 있습니다. "
        "나머지를 갖춘 한 노드에 남은 최대: {free_mib}.",
        "다른 작업이 끝나기를 기다리거나 더 적게 요청하십시오.")),
    K.WAITS_DEVICES: _text("workers workers_fit_now wanted free", _WAIT, (
        "Waits for accelerators",
        "It needs {workers} × {wanted} accelerators at one site; there is room for {workers_fit_now} now. "
        "The most that is free on one node with room for the rest: {free}.",
        "Wait until others end, or ask for less."), (
        "가속기 대기", "한 사이트에 {workers} × 가속기 {wanted}개의 자리가 필요하지만 지금은 {workers_fit_now}개분만 있습니다. "
        "나머지를 갖춘 한 노드에 남은 최대: {free}개.",
        "다른 작업이 끝나기를 기다리거나 더 적게 요청하십시오.")),
    K.WAITS_SHARE: _text("workers workers_fit_now wanted_share_milli free_share_milli", _WAIT, (
        "Waits for a share of an accelerator",
        "It needs {workers} × {wanted_share_milli} of an accelerator at one site; there is room for {workers_fit_now} now. "
        "The most that is left of one on a node with room for the rest: {free_share_milli}.",
        "Wait until others end, or ask for a smaller share."), (
        "가속기 일부 대기",
        "한 사이트에 {workers} × 가속기 {wanted_share_milli}개분의 자리가 필요하지만 지금은 {workers_fit_now}개분만 있습니다. "
        "나머지를 갖춘 노드의 가속기 하나에 남은 최대: {free_share_milli}.",
        "다른 작업이 끝나기를 기다리거나 더 작은 몫을 요청하십시오.")),
    K.DEVICES_UNDIVIDED: _text("", _SELF, (
        "No accelerator is divided",
        "It asks for a share of an accelerator, but no site where it may run divides any that it accepts.",
        "Ask for whole accelerators, or allow another type or site."), (
        "나누어 쓰는 가속기 없음",
        "가속기의 일부를 요청했지만, 실행할 수 있는 사이트 가운데 받아들이는 종류의 가속기를 나누어 쓰는 곳이 "
        "없습니다.",
        "가속기를 통째로 요청하거나 다른 종류나 사이트를 허용하십시오.")),
    K.TOO_LATE: _text("deadline_ms limit_ms", _SELF, (
        "Too late for its deadline", "It would not be over by {deadline_ms}: by its limit it may take {limit_ms}.",
        "Shorten its limit, or submit it again with a later deadline or none."), (
        "마감에 늦음", "제한 시간({limit_ms}) 때문에 {deadline_ms}까지 끝낼 수 없습니다.",
        "제한 시간을 줄이거나, 더 늦은 마감으로 또는 마감 없이 다시 제출하십시오.")),
    K.RULED_OUT: _text("taste", _WAIT, (
        "Kept off by the policy", "Wherever it could run, the policy keeps work off: {taste}.",
        "Wait until that changes, or allow other sites or types."), (
        "정책상 실행 불가", "실행할 수 있는 모든 곳이 정책의 제한에 걸립니다: {taste}.",
        "그것이 바뀌기를 기다리거나 다른 사이트나 종류를 허용하십시오.")),
    K.WAITS_RESERVED: _text("for_workload until_ms", _WAIT, (
        "Room is promised to another", "There is room, but it is kept for {for_workload}, which starts by {until_ms}.",
        "Wait, or ask for so little time that it ends before then."), (
        "예약된 자리", "자리가 있지만 {until_ms}까지 시작할 {for_workload|을/를} 위해 비워 두었습니다.",
        "기다리거나, 그 전에 끝나도록 제한 시간을 줄이십시오.")),
    K.WAITS_VICTIMS: _text("victims yielding reclaimed moved", _WAIT, (
        "Others are making room",
        "{victims} running attempts were asked to stop for it[; {yielding} of them are background work]"
        "[; {reclaimed} use what its project has by its quota][; {moved} go on elsewhere at once].",
        "Wait: it starts when they are gone."), (
        "자리 비우는 중", "이 작업을 위해 실행 중인 시도 {victims}개에 중지를 요청했습니다[ (그중 배경 작업 {yielding}개)]"
        "[ (이 과제의 할당량을 빌려 쓰던 시도 {reclaimed}개)][ (다른 자리로 옮겨 바로 이어 가는 시도 {moved}개)].",
        "비워지는 대로 시작합니다.")),
    K.POWER_SHORT: _text("wanted_mw free_mw from_ms", _WAIT, (
        "Waits for power", "It would draw {wanted_mw} (cooling included), but of what its site may draw from {from_ms} on, "
        "{free_mw} is left.",
        "Wait until others end, or ask for fewer devices, another site, or so little time that it ends before then; "
        "an operator of the site can raise its power."), (
        "전력 대기", "이 작업은 (냉각 포함) {wanted_mw|을/를} 쓰지만, 사이트가 {from_ms}부터 쓸 수 있는 전력은 {free_mw} 남아 "
        "있습니다.",
        "다른 작업이 끝나기를 기다리거나, 가속기를 줄이거나, 다른 사이트를 허용하거나, 그 전에 끝나도록 제한 시간을 줄이십시오. "
        "사이트 운영자가 전력 한도를 올릴 수도 있습니다.")),
    K.MAINTENANCE: _text("from_ms until_ms", _WAIT, (
        "Maintenance is in the way", "Nothing may run there from {from_ms} until {until_ms}, and by its limit it might not end "
        "before.",
        "Ask for so little time that it ends before then, allow other sites, or wait until the maintenance is over."), (
        "점검 예정", "{from_ms}부터 {until_ms}까지는 아무것도 실행할 수 없는데, 제한 시간대로라면 그 전에 끝나지 않을 수 "
        "있습니다.",
        "그 전에 끝나도록 제한 시간을 줄이거나, 다른 사이트를 허용하거나, 점검이 끝날 때까지 기다리십시오.")),
    K.WAITS_QUARANTINE: _text("attempt", _OPERATOR, (
        "An operator has to decide", "The site reports attempt {attempt}, which may still run it; it is not started twice.",
        "Wait if it is being stopped; else ask an operator to look at it and to dismiss it once it has ended."), (
        "운영자 결정 대기", "사이트가 알린 시도 {attempt|이/가} 아직 실행 중일 수 있어 두 번 시작하지 않습니다.",
        "중지되는 중이면 기다리고, 아니면 운영자에게 확인하고 끝난 뒤 기각해 달라고 하십시오.")),
    K.FUNDS_SHORT: _text("hold available currency opens starts_ms until_ms", _MANAGER, (
        "Not enough money", "{hold} has to be held for it, but {available} is left on the awards that may pay"
        "[; award {opens} opens at {starts_ms}].",
        "[It can be paid from {until_ms} on. ]Ask for a shorter limit or less, or have the award topped up."), (
        "예산 부족", "{hold|을/를} 예약해야 하지만 쓸 수 있는 바우처에 {available|이/가} 남아 있습니다"
        "[. 바우처 {opens|은/는} {starts_ms}에 열립니다].",
        "[{until_ms}부터는 지불할 수 있습니다. ]제한 시간이나 자원을 줄이거나, 바우처 증액을 요청하십시오.")),
    K.NO_AWARD: _text("opens starts_ms until_ms", _MANAGER, (
        "No award may pay", "The project has no open award that may pay for this work at the allowed sites"
        "[; award {opens} opens at {starts_ms}].",
        "[It can be paid from {until_ms} on. ]Apply for an award, or choose sites and accelerators that an award covers."), (
        "쓸 수 있는 바우처 없음", "허용된 사이트에서 이 작업에 쓸 수 있는 유효한 바우처가 과제에 없습니다"
        "[. 바우처 {opens|은/는} {starts_ms}에 열립니다].",
        "[{until_ms}부터는 지불할 수 있습니다. ]바우처를 신청하거나, 바우처가 허용하는 사이트와 가속기를 고르십시오.")),
    K.QUOTA_REACHED: _text("wanted_milli available_milli resource quota_of", _SELF, (
        "Quota of {resource} reached", "It needs {wanted_milli}, but quotas leave {available_milli} to its project now; the "
        "limit that is reached is that of {quota_of}.",
        "Ask for less or accept another type, wait until other work within that quota has ended, or ask an administrator for a "
        "larger one. `dure quota` shows what is in use."), (
        "{resource} 할당량 도달", "{wanted_milli|이/가} 필요하지만 할당량에 따라 과제가 지금 더 쓸 수 있는 것은 "
        "{available_milli}입니다. 한도에 이른 곳: {quota_of}.",
        "더 적게 요청하거나 다른 종류의 가속기를 허용하거나, 그 할당량을 쓰는 다른 작업이 끝나기를 기다리거나, "
        "관리자에게 증액을 요청하십시오. 사용량은 `dure quota`로 볼 수 있습니다.")),
}  # fmt: skip

_ENDED: dict[K, ReasonText] = {
    K.IN_PROGRESS: _text("state", _WAIT, (
        "In progress", "It does not wait any more: it is {state}.", "Nothing has to be done."), (
        "진행 중", "더 기다리지 않습니다. 현재 상태: {state}.", "할 일이 없습니다.")),
    K.MAKES_ROOM: _text("by reclaimed_by moved_to", _WAIT, (
        "Makes room for another", "It was told to stop[, to make room for {by},] and has its grace to save its work."
        "[ It borrowed quota, which project {reclaimed_by} takes back.]"
        "[ It goes on at once on {moved_to}, which is kept for it.]",
        "Wait: it starts again by itself, and what it loses is refunded by the rule."), (
        "자리를 비우는 중", "[{by|을/를} 위해 ]자리를 비우라는 요청을 받았고, 유예 시간 안에 작업을 저장할 수 있습니다."
        "[ 빌려 쓰던 할당량을 과제 {reclaimed_by|이/가} 회수합니다.][ 잡아 둔 자리 {moved_to}에서 바로 이어 갑니다.]",
        "기다리면 저절로 다시 시작하며, 잃은 만큼 규칙에 따라 환급됩니다.")),
    K.BEING_CANCELLED: _text("", _WAIT, (
        "Being cancelled", "Somebody who may do so cancelled it, and it is being stopped.", "Nothing has to be done."), (
        "취소하는 중", "권한이 있는 사람이 취소하여 중지하고 있습니다.", "할 일이 없습니다.")),
    K.ENDED_SUCCEEDED: _text("", _WAIT, (
        "Succeeded", "It ran to its end without an error.", "Nothing has to be done."), (
        "성공", "오류 없이 끝났습니다.", "할 일이 없습니다.")),
    K.ENDED_EXIT_CODE: _text("exit_code detail", _SELF, (
        "Ended with an error", "The command ended with exit code {exit_code}[: {detail}].",
        "Read its log, mend it and submit it again."), (
        "오류로 종료", "명령이 종료 코드 {exit_code|으로/로} 끝났습니다[: {detail}].", "로그를 보고 고친 뒤 다시 제출하십시오.")),
    K.ENDED_MEMORY: _text("wanted_mib used_mib", _SELF, (
        "Out of memory", "It used more memory than it asked for: {wanted_mib} for each worker; {used_mib} was seen last.",
        "Submit it again with more memory (resources.memory)."), (
        "메모리 초과", "요청한 메모리를 넘어 종료되었습니다. 워커당 {wanted_mib} 요청, 마지막 사용량 {used_mib}.",
        "메모리(resources.memory)를 늘려 다시 제출하십시오.")),
    K.UNACCOUNTED: _text("attempt site", _OPERATOR, (
        "Its site knows nothing of it", "Site {site} does not report attempt {attempt}, which the plane believes to run there.",
        "Ask an operator to look: `dure attempt attest-lost {attempt}` if it is gone for certain."), (
        "사이트에 기록 없음", "사이트 {site|이/가} 이곳에서 실행 중이어야 할 시도 {attempt|을/를} 알지 못합니다.",
        "운영자에게 확인을 요청하십시오. 확실히 없으면 `dure attempt attest-lost {attempt}`를 실행합니다.")),
    K.ENDED_SIGNAL: _text("signal", _SELF, (
        "Ended by a signal", "The command was ended by {signal}.",
        "Read its log; if it was killed for memory, ask for more and submit it again."), (
        "신호로 종료", "명령이 {signal} 신호로 끝났습니다.", "로그를 보고, 메모리가 모자랐다면 더 요청해 다시 제출하십시오.")),
    K.ENDED_TIMED_OUT: _text("limit_ms site", _SELF, (
        "Reached its time limit", "It was stopped after its limit of {limit_ms}.",
        "Submit it again with a longer limit (`dure resubmit`)[; at site {site} it goes on from its last checkpoint]."), (
        "제한 시간 초과", "제한 시간 {limit_ms|이/가} 지나 중지되었습니다.",
        "제한 시간을 늘려 다시 제출하십시오(`dure resubmit`).[ 사이트 {site}에서는 마지막 체크포인트부터 이어 갑니다.]")),
    K.ENDED_CANCELLED: _text("", _SELF, (
        "Cancelled", "Somebody with the right to do so cancelled it.", "Submit it again if it is still needed."), (
        "취소됨", "권한이 있는 사람이 취소했습니다.", "아직 필요하면 다시 제출하십시오.")),
    K.ENDED_PREEMPTED: _text("by reclaimed_by moved_to", _WAIT, (
        "Made room for another", "It was stopped[ to make room for {by}], and what it lost is refunded."
        "[ It borrowed quota, which project {reclaimed_by} took back.][ It went on at once on {moved_to}.]",
        "Wait: it starts again by itself."), (
        "선점됨", "[{by|을/를} 위해 ]자리를 비우느라 중지되었으며 잃은 만큼 환급됩니다."
        "[ 빌려 쓰던 할당량을 과제 {reclaimed_by|이/가} 회수했습니다.][ {moved_to}에서 바로 이어 갔습니다.]",
        "기다리면 저절로 다시 시작합니다.")),
    K.ENDED_LOST: _text("detail", _WAIT, (
        "Lost at the site", "The site lost it[: {detail}]; it pays for nothing beyond the last evidence.",
        "Wait: it is tried again. Ask an operator if it happens often."), (
        "사이트에서 유실", "사이트에서 실행이 유실되었습니다[: {detail}]. 마지막 증거 이후는 청구하지 않습니다.",
        "기다리면 다시 시도합니다. 자주 일어나면 운영자에게 문의하십시오.")),
    K.ENDED_REJECTED: _text("detail", _OPERATOR, (
        "The site could not launch it", "The site's backend refused to launch it[: {detail}]; nothing ran and nothing is billed.",
        "Check the code archive and the command; ask an operator if they are right."), (
        "실행 거부됨", "사이트가 실행을 시작하지 못했습니다[: {detail}]. 실행도 청구도 없습니다.",
        "코드 묶음과 명령을 확인하고, 이상이 없으면 운영자에게 문의하십시오.")),
    K.DEPENDENCY_FAILED: _text("on", _SELF, (
        "A workload before it failed", "It depends on {on}, which did not succeed.", "Mend that one, then submit both again."), (
        "선행 작업 실패", "먼저 끝나야 할 {on|이/가} 성공하지 못했습니다.", "선행 작업을 고친 뒤 둘 다 다시 제출하십시오.")),
}  # fmt: skip

_REFUSED: dict[K, ReasonText] = {
    K.BAD_FIELD: _text("field problem", _SELF, (
        "A field is wrong", "{field}: {problem}.", "[{remedy}]"), (
        "잘못된 항목", "{field} 항목: {problem}.", "[{remedy}]")),
    K.UNKNOWN_FIELD: _text("field known nearest", _SELF, (
        "Unknown field", "There is no field {field} here.[ Did you mean {nearest}?][ Known: {known}.]",
        "Correct its name or leave it out."), (
        "알 수 없는 항목", "{field}: 그런 항목은 없습니다.[ {nearest|을/를} 뜻하셨습니까?][ 가능한 항목: {known}.]",
        "이름을 고치거나 빼십시오.")),
    K.MISSING_FIELD: _text("field", _SELF, (
        "A field is missing", "{field} is required.", "Add it and send the request again."), (
        "항목 누락", "{field|이/가} 필요합니다.", "추가해 다시 보내십시오.")),
    K.BODY_TOO_LARGE: _text("limit_bytes", _SELF, (
        "Too large", "The request is larger than {limit_bytes}.", "Send less, or split it."), (
        "요청이 너무 큼", "요청이 {limit_bytes|을/를} 넘습니다.", "줄이거나 나누어 보내십시오.")),
    K.BODY_NOT_JSON: _text("problem", _SELF, (
        "Not valid JSON", "The request's body could not be read[: {problem}].", "Send a JSON object in UTF-8."), (
        "올바른 JSON이 아님", "요청 본문을 읽을 수 없습니다[: {problem}].", "UTF-8로 된 JSON 객체를 보내십시오.")),
    K.BAD_CURSOR: _text("", _SELF, (
        "Not a cursor of this list", "The cursor was not given out for this list with these filters.",
        "Send the `next` of the page before, with the same filters; or leave `cursor` out to begin at the first page."), (
        "이 목록의 커서가 아님", "이 목록과 조건에서 받은 커서가 아닙니다.",
        "앞 쪽의 `next` 값을 같은 조건으로 보내거나, `cursor` 없이 첫 쪽부터 시작하십시오.")),
    K.NOT_SIGNED_IN: _text("problem", _SELF, (
        "Not signed in", "The request carries no valid token[: {problem}].",
        "Send a valid API token: Authorization: Bearer TOKEN."), (
        "로그인 필요", "요청에 유효한 토큰이 없습니다[: {problem}].",
        "유효한 API 토큰을 Authorization: Bearer 토큰 형식으로 보내십시오.")),
    K.NOT_ALLOWED: _text("action roles", _MANAGER, (
        "Not allowed", "{action} needs one of these roles: {roles}.",
        "Ask somebody who has such a role, or ask for it yourself."), (
        "권한 없음", "{action|은/는} 다음 역할 가운데 하나가 필요합니다: {roles}.",
        "그 역할을 가진 사람에게 부탁하거나 역할을 요청하십시오.")),
    K.NOT_FOUND: _text("what id", _SELF, (
        "Not found", "There is no {what} {id} that you may see.",
        "Check the id, and that you are signed in as the right actor."), (
        "찾을 수 없음", "볼 수 있는 {what} 중에 {id|이/가} 없습니다.", "ID와 로그인한 계정을 확인하십시오.")),
    K.LAST_ADMINISTRATOR: _text("id", _SELF, (
        "The last administrator", "{id} is the only administrator with a token that works: after that nobody could run the farm.",
        "Give somebody else the role admin, and a token without an end; or make a new token first, before the old one goes."), (
        "마지막 관리자", "{id|은/는} 유효한 토큰을 가진 유일한 관리자입니다. 그 뒤에는 아무도 팜을 관리할 수 없습니다.",
        "다른 사람에게 admin 역할과 만료 없는 토큰을 먼저 주거나, 옛 토큰을 없애기 전에 새 토큰을 만드십시오.")),
    K.METHOD_NOT_ALLOWED: _text("method", _SELF, (
        "Method not allowed", "This address does not take {method}[; it takes {allowed}].", "See the API reference."), (
        "허용되지 않는 메서드", "이 주소는 {method|을/를} 받지 않습니다[. 가능: {allowed}].", "API 문서를 보십시오.")),
    K.ALREADY_EXISTS: _text("what id", _SELF, (
        "Already exists", "There is a {what} {id} already.", "Use it, or choose another id."), (
        "이미 있음", "{what} {id|이/가} 이미 있습니다.", "그대로 쓰거나 다른 ID를 고르십시오.")),
    K.EXISTS_DIFFERENT: _text("id", _SELF, (
        "Exists with other contents", "{id} was made before, with other contents.", "Use a new id for something new."), (
        "다른 내용으로 이미 있음", "{id|은/는} 다른 내용으로 이미 만들어졌습니다.", "새로운 것에는 새 ID를 쓰십시오.")),
    K.KEY_MISSING: _text("", _SELF, (
        "No Idempotency-Key", "Every write carries a key, so that it can be repeated without harm.",
        "Send the header Idempotency-Key with a new random value."), (
        "Idempotency-Key 없음", "안전하게 다시 보낼 수 있도록 모든 쓰기 요청에는 키가 필요합니다.",
        "Idempotency-Key 헤더에 새 임의 값을 보내십시오.")),
    K.KEY_REUSED: _text("key", _SELF, (
        "Key used for something else", "The Idempotency-Key {key} came before with a different request.",
        "Use a new key for a new request."), (
        "다른 요청에 쓰인 키", "Idempotency-Key {key|은/는} 다른 요청에 이미 쓰였습니다.", "새 요청에는 새 키를 쓰십시오.")),
    K.ALREADY_ENDED: _text("what id state", _SELF, (
        "Already ended", "The {what} {id} has ended already[: {state}].", "Nothing has to be done."), (
        "이미 끝남", "{what} {id|은/는} 이미 끝났습니다[: {state}].", "할 일이 없습니다.")),
    K.STILL_RUNS: _text("attempt site", _OPERATOR, (
        "Still runs", "Site {site} was last heard to run attempt {attempt}, and what it uses would be given to others.",
        "Have it stopped and wait for its end; use force only when you know that it is gone."), (
        "아직 실행 중", "{site} 사이트가 시도 {attempt|을/를} 실행 중이라 했고, 그 자리가 다른 작업에 넘어갑니다.",
        "중지시키고 끝나기를 기다리십시오. 이미 없다는 것이 확실할 때만 강제하십시오.")),
    K.SITE_REACHABLE: _text("attempt site", _OPERATOR, (
        "Its site answers", "Site {site} answers, so attempt {attempt} may well live; attested lost, it could run twice.",
        "Have it stopped: `dure attempt stop {attempt}`. Use force only when you know that it is dead."), (
        "사이트가 응답 중", "{site} 사이트가 응답하므로 시도 {attempt|이/가} 살아 있을 수 있어, 두 번 실행될 수 있습니다.",
        "`dure attempt stop {attempt}`로 중지시키십시오. 죽었다는 것이 확실할 때만 강제하십시오.")),
    K.LIMIT_EXCEEDED: _text("what limit asked", _SELF, (
        "Over a limit", "{what}: {asked} is more than the limit of {limit}.", "Ask for at most {limit}."), (
        "한도 초과", "{what}: {asked|은/는} 한도 {limit|을/를} 넘습니다.", "{limit} 이하로 요청하십시오.")),
    K.BUNDLES_FULL: _text("asked_bytes limit_bytes count limit kept_ms", _OPERATOR, (
        "Too much code kept", "The project's {count} code archives would take {asked_bytes} with this one; "
        "the bounds are {limit} and {limit_bytes}.",
        "Leave data out of the code folder. An archive goes {kept_ms} after its last use; "
        "an operator can raise DURE_BUNDLES_SIZE."), (
        "보관 중인 코드가 너무 많음", "이것까지 프로젝트의 코드 묶음 {count}개가 {asked_bytes|을/를} 차지하게 됩니다. "
        "한도는 {limit}개, {limit_bytes}입니다.",
        "코드 폴더에서 데이터를 빼십시오. 묶음은 마지막으로 쓴 지 {kept_ms} 뒤에 지워지며, "
        "운영자가 DURE_BUNDLES_SIZE를 올릴 수 있습니다.")),
    K.BUNDLE_GONE: _text("id kept_ms", _SELF, (
        "The code is not kept any more", "The code archive {id} was removed: nothing had named it for {kept_ms}.",
        "Submit the job from its folder, which uploads the code again."), (
        "코드가 더는 보관되어 있지 않음", "코드 묶음 {id|은/는} {kept_ms} 동안 쓰이지 않아 지워졌습니다.",
        "코드가 있는 폴더에서 작업을 다시 제출해 코드를 새로 올리십시오.")),
    K.DISK_LOW: _text("free_bytes reserve_bytes", _OPERATOR, (
        "The plane's disk is nearly full", "{free_bytes} are free where code is kept, "
        "and {reserve_bytes} are held back for the plane.",
        "An operator has to make room on that disk; jobs without new code are taken as before."), (
        "제어면의 디스크가 거의 참", "코드를 두는 디스크에 {free_bytes|이/가} 남았고, "
        "그중 {reserve_bytes|은/는} 제어면 몫입니다.",
        "운영자가 디스크를 비워야 합니다. 새 코드가 없는 작업은 그대로 받습니다.")),
    K.EPOCH_STALE: _text("epoch current", _OPERATOR, (
        "A later session has taken over", "This session has epoch {epoch}, but {current} is in force.",
        "Say hello again; if two agents run at the site, stop one."), (
        "더 새로운 세션이 있음", "이 세션의 에포크는 {epoch}인데 현재는 {current}입니다.",
        "다시 인사(hello)하십시오. 한 사이트에 에이전트가 둘이면 하나를 멈추십시오.")),
    K.PROTOCOL_UNSUPPORTED: _text("protocol oldest newest", _OPERATOR, (
        "Protocol not supported", "Protocol {protocol} is not spoken here; {oldest} to {newest} are.",
        "Upgrade the older side."), (
        "지원하지 않는 프로토콜", "프로토콜 {protocol|은/는} 지원하지 않습니다. {oldest}부터 {newest}까지 가능합니다.",
        "오래된 쪽을 업그레이드하십시오.")),
    K.BUDGET_SHORT: _text("asked available currency", _MANAGER, (
        "The programme has too little left", "{asked} is asked for, but {available} of the programme's budget is left.",
        "Award less, or have the programme funded."), (
        "사업 예산 부족", "{asked|을/를} 요청했지만 사업 예산은 {available|이/가} 남아 있습니다.",
        "금액을 줄이거나 사업 예산을 늘리십시오.")),
    K.BALANCE_SHORT: _text("account asked available currency", _MANAGER, (
        "The account has too little left", "{asked} is asked of {account}, which has {available}.",
        "Ask for less, or top it up."), (
        "잔액 부족", "{account}에서 {asked|을/를} 요청했지만 잔액은 {available}입니다.", "금액을 줄이거나 계정을 채우십시오.")),
    K.HOLD_ENDED: _text("id state", _SELF, (
        "The hold has ended", "The hold {id} has ended before[: {state}].", "Nothing has to be done: a hold ends once."), (
        "이미 끝난 예약금", "예약금 {id|은/는} 이미 끝났습니다[: {state}].", "할 일이 없습니다. 예약금은 한 번만 끝납니다.")),
    K.AWARD_IN_USE: _text("asked available held currency", _MANAGER, (
        "More than can be taken back", "[{asked} is to be taken back, but ]{available} of the award is neither held nor spent; "
        "{held} is held for work that runs.",
        "Take back at most that; what is held and not used is free once the work has ended."), (
        "회수할 수 있는 금액 초과", "[{asked|을/를} 회수하려 하지만 ]예약되거나 쓰이지 않은 금액은 {available}이고, "
        "실행 중인 작업에 {held|이/가} 예약되어 있습니다.",
        "그 금액까지만 회수하십시오. 예약되고 쓰이지 않은 금액은 작업이 끝나면 풀립니다.")),
    K.POLICY_CHANGED: _text("based_on version", _SELF, (
        "The policy was changed meanwhile", "This is based on policy {based_on}, but policy {version} is in force.",
        "Read the policy in force, see what was changed, and send yours based on that."), (
        "그사이 정책이 바뀜", "{based_on}번 정책을 바탕으로 했지만 시행 중인 것은 {version}번 정책입니다.",
        "시행 중인 정책을 읽어 바뀐 점을 확인하고, 그것을 바탕으로 다시 보내십시오.")),
    K.POLICY_FREE: _text("", _SELF, (
        "Everything would be free", "With this policy work costs nothing, so that nobody needs an award to run it.",
        "Give the prices (and a preemptible_permille above 0), or say `free: true` if work is to be free."), (
        "모든 작업이 무료가 됨", "이 정책에서는 작업에 비용이 들지 않아 바우처 없이도 누구나 실행할 수 있습니다.",
        "단가(와 0보다 큰 preemptible_permille)를 적거나, 무료로 하려면 `free: true`를 적으십시오.")),
    K.BAD_SUPPOSITION: _text("supposition wrong", _SELF, (
        "That cannot be supposed", "“{supposition}”: {wrong}.", "Correct it and ask again; nothing was changed."), (
        "가정할 수 없음", "가정 “{supposition}”: {wrong}.", "고쳐서 다시 물으십시오. 아무것도 바뀌지 않았습니다.")),
    K.SNAPSHOT_UNREADABLE: _text("wrong", _SELF, (
        "Not a snapshot that can be planned", "The file cannot be planned from: {wrong}.",
        "Use a whole file of `dure snapshot save`, and the version of Dure that saved it."), (
        "계획할 수 없는 스냅샷", "파일에서 계획을 세울 수 없습니다: {wrong}.",
        "`dure snapshot save`로 저장한 온전한 파일을, 저장한 것과 같은 버전의 Dure로 읽으십시오.")),
    K.PLANE_BUSY: _text("", _WAIT, (
        "The plane is busy", "The plane has more to do than it can take in at this moment; nothing was done.",
        "Try again in a few seconds, under the same Idempotency-Key."), (
        "처리 지연", "지금은 들어온 일이 너무 많아 처리하지 못했습니다. 아무것도 바뀌지 않았습니다.",
        "몇 초 뒤 같은 Idempotency-Key로 다시 시도하십시오.")),
    K.STORE_UNAVAILABLE: _text("", _OPERATOR, (
        "The database cannot be used",
        "The plane cannot reach its database, or does not know whether it wrote what you asked for. Running jobs run on.",
        "Repeat the request under the same Idempotency-Key: it is done once. If this lasts, tell an operator, who finds the "
        "cause in the farm's log."), (
        "데이터베이스 사용 불가",
        "제어면이 데이터베이스에 닿지 못하거나, 요청한 것이 기록되었는지 알 수 없습니다. 실행 중인 작업은 계속됩니다.",
        "같은 Idempotency-Key로 다시 요청하면 한 번만 처리됩니다. 계속되면 운영자에게 알리십시오. 원인은 팜의 로그에 있습니다.")),
    K.PLANE_STARTING: _text("", _WAIT, (
        "Starting up", "The control plane is starting and does not answer yet.", "Try again in a few seconds."), (
        "시작하는 중", "제어면이 시작하는 중이라 아직 답할 수 없습니다.", "몇 초 뒤에 다시 시도하십시오.")),
    K.INTERNAL: _text("reference", _OPERATOR, (
        "Something is broken here", "The plane could not do this; nothing was changed.",
        "Tell an operator this reference: {reference}."), (
        "내부 오류", "제어면이 처리하지 못했으며 아무것도 바뀌지 않았습니다.",
        "운영자에게 이 참조 번호를 알려 주십시오: {reference}.")),
}  # fmt: skip

REASON_TEXTS: Mapping[K, ReasonText] = MappingProxyType({**_WAITING, **_ENDED, **_REFUSED})
