"""What people read about topology blocks and background work, in Korean."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "change.topology.any": "워커를 여러 토폴로지 블록에 나누어 앉히기",
    "col.yields": "양보",
    "policy.reclaims.yes": "할당량 안의 작업은 남이 빌려 쓰는 몫을 회수합니다(reclaims).",
    "policy.reclaims.no": "할당량은 시작만 제한합니다. 빌려 쓰는 작업은 끝날 때까지 돌려주지 않습니다(reclaims: false).",
    "policy.order.fair": "같은 등급에서는 자기 몫을 가장 적게 쓴 쪽이 먼저입니다(order: fair).",
    "policy.order.submitted": "같은 등급에서는 먼저 제출한 작업이 먼저입니다(order: submitted).",
    "policy.order.shortest": "같은 등급에서는 제한 시간이 가장 짧은 작업이 먼저입니다(order: shortest).",
    "policy.order.smallest": "같은 등급에서는 제한 시간으로 본 일의 양이 가장 적은 작업이 먼저입니다(order: smallest).",
    "policy.moves.yes": "체크포인트를 저장하는 실행 중인 작업을 옮겨, 모인 자리가 필요한 작업이 시작하게 합니다(moves).",
    "policy.moves.no": "실행 중인 작업은 옮기지 않습니다(moves: false).",
    "why.next.preemption.move": "다음: {when}에 {subject}에 다른 자리로 옮기라고 요청합니다. 그 자리는 이미 잡아 두었습니다.",
    "why.next.preemption.move.more": "다음: {when}에 {subject} 외 {more}개에 다른 자리로 옮기라고 요청합니다. "
    "그 자리들은 이미 잡아 두었습니다.",
    "why.next.preemption.quota": "다음: {when}에 {subject}에 자리를 비우라고 요청합니다. 이 과제의 할당량을 빌려 쓰고 있습니다.",
    "why.next.preemption.quota.more": "다음: {when}에 {subject} 외 {more}개에 자리를 비우라고 요청합니다. 이 과제의 할당량을 "
    "빌려 쓰고 있습니다.",
    "why.next.preemption.yields": "다음: {when}에 {subject}에 자리를 비우라고 요청합니다. 자리를 양보하는 배경 작업입니다.",
    "why.next.preemption.yields.more": "다음: {when}에 {subject} 외 {more}개에 자리를 비우라고 요청합니다. 첫째는 자리를 "
    "양보하는 배경 작업입니다.",
}
