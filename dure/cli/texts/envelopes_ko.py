"""Power of sites over time and windows of maintenance, in Korean."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "arg.watts": "계량기 기준으로 쓸 수 있는 전력. 예: 60kW. 없으면 정해진 한도를 보여 줍니다.",
    "cmd.site.maintenance": "사이트나 일부 노드에서 아무것도 실행하지 않을 시간을 정하거나, 정해진 것을 보여 줍니다.",
    "cmd.site.power": "사이트가 쓸 수 있는 전력을 한동안 또는 계속 제한하거나, 정해진 한도를 보여 줍니다.",
    "col.maintenance_nodes": "대상",
    "col.note": "메모",
    "col.power": "전력",
    "col.window": "점검",
    "opt.clear_power": "한도 없음.",
    "opt.maintenance_from": "첫날, 또는 2026-12-01T09:00 같은 시각(시차가 없으면 한국 시간). 없으면 지금부터.",
    "opt.maintenance_node": "이 노드만. 여러 번 쓸 수 있습니다.",
    "opt.maintenance_note": "사이트를 쓰는 모두가 읽는 한 줄.",
    "opt.maintenance_remove": "이 점검을 거둡니다.",
    "opt.maintenance_until": "마지막 날, 또는 끝난 뒤의 첫 시각.",
    "opt.power_from": "첫날, 또는 2026-12-01T09:00 같은 시각(시차가 없으면 한국 시간). 없으면 지금부터.",
    "opt.power_until": "마지막 날, 또는 끝난 뒤의 첫 시각. 그 뒤에는 전에 정한 한도가 다시 유효합니다. 없으면 계속.",
    "power.alone": "--from과 --until은 언제 유효한지를 말합니다. 전력이나 --clear도 적으십시오.",
    "power.form": "전력은 60kW처럼 W, kW, MW, GW를 붙인 수로 적으십시오. {text!r}: 알 수 없습니다.",
    "power.one": "전력과 --clear 가운데 하나만 적으십시오.",
    "power.none": "한도 없음",
    "power.set": "{id}: 계량기 기준 {power}까지 쓸 수 있습니다. 넘게 될 작업은 시작하지 않고, 실행 중인 것은 계속됩니다.",
    "power.set_later": "{id}: {when}부터 계량기 기준 {power}까지 쓸 수 있습니다. 그때도 실행 중이어서 넘게 될 작업은 시작하지 "
    "않습니다.",
    "power.cleared": "{id}: 전력 한도를 거두었습니다.",
    "maintenance.closed": "점검 {begin}~{end}",
    "maintenance.one": "--remove는 점검을 거두는 데만 씁니다. 다른 것과 함께 쓸 수 없습니다.",
    "maintenance.planned": "{site}: {begin}에 아직 실행 중일 수 있는 작업은 시작하지 않습니다. 그때 실행 중인 것은 멈추지 "
    "않습니다: {command}",
    "maintenance.removed": "{id|을/를} 거두었습니다. 작업을 다시 실행할 수 있습니다.",
    "maintenance.until": "점검이 언제 끝나는지 --until로 적으십시오.",
    "maintenance.whole": "사이트 전체",
}
