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
    "policy.packing.fullest": "시작하는 작업은 받을 수 있는 노드 가운데 가장 많이 찬 곳에 앉습니다(packing: fullest).",
    "policy.packing.first_fit": "시작하는 작업은 받을 수 있는 첫 노드에 앉습니다(packing: first_fit).",
    "policy.packing.best_fit": "시작하는 작업은 코어와 장치가 가장 적게 남는 노드에 앉습니다(packing: best_fit).",
    "policy.packing.dot_product": "시작하는 작업은 남은 자원의 구성이 요청과 가장 덜 닮은 노드에 앉습니다(packing: dot_product).",
    "policy.packing.gpu_packing": "시작하는 작업은 쓰이는 장치, 쓰이는 노드, 빈 노드 순으로 앉습니다(packing: gpu_packing).",
    "policy.packing.gpu_clustering": "시작하는 작업은 장치를 같은 수만큼 요청한 작업 곁에 앉습니다(packing: gpu_clustering).",
    "policy.packing.fgd": "시작하는 작업은 실행 중인 종류의 작업이 못 쓰게 되는 자원이 가장 적은 곳에 앉습니다(packing: fgd).",
    "policy.packing.least_waste": "fgd와 같고, 코어 없이 남는 장치도 헤아립니다(packing: least_waste).",
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
