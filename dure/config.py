"""Every setting of Dure: name, environment variable, default, unit, sentence, and how its text is read.

Only `cli` and `bootstrap` import this module, and nothing else reads the environment: `load` is called once by a command
and the frozen `Config` is handed down. A value that cannot be read is a ConfigError that names the setting, what it
should look like and how to get rid of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dure.errors import ConfigError

DEFAULT_PORT = 7300
SYSTEM_DATA = Path("/var/lib/dure")  # of a farm that root runs: where daemons keep their state (FHS 5.8)

_SIZE = re.compile(r"^(\d+)(MiB|GiB|TiB)$")
_MIB = {"MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
_NAME = re.compile(r"^[a-z][a-z0-9-]{0,62}$")
_BLOCK = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")
_DEVICES = re.compile(r"^[a-z][a-z0-9-]{0,62}:\d{1,2}$")
_REGION = re.compile(r"^KR-\d{2}$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set. parse turns its text into its value and raises ValueError with what it should be."""

    name: str
    env: str
    default: str  # as text; what `parse` makes of it is the value
    unit: str
    en: str
    ko: str
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What was set, once it was read. Empty text means "not set: found out when needed"."""

    data: Path
    store: str
    host: str
    port: int
    log_level: str
    site: str
    node: str
    block: str
    region: str
    pue_permille: int
    cores: int
    memory_mib: int
    devices: str
    device_shares: bool
    uid_base: int
    processes_max: int
    bundle_s: int
    bundles_mib: int
    cpu_affinity: bool
    cgroups: str
    keep_days: int
    keep_mib: int
    why_plans_max: int
    url: str
    token: str
    project: str
    lang: str

    @property
    def store_url(self) -> str:
        """Of the database: as set, else where the plane was moved to, else SQLite in the data folder."""
        moved = self.moved_to.read_text(encoding="utf-8").strip() if self.moved_to.exists() else ""
        return self.store or moved or f"sqlite:///{self.database}"

    @property
    def database(self) -> Path:
        """The SQLite database of a farm that names no other."""
        return self.data / "dure.db"

    @property
    def moved_to(self) -> Path:
        """Says where the plane of this folder lives since `dure migrate --to`: a URL, which may hold a password."""
        return self.data / "store.url"

    @property
    def admin_token(self) -> Path:
        """Who may read this file administers the farm."""
        return self.data / "admin.token"

    @property
    def site_token(self) -> Path:
        """What the agent of this machine's site presents."""
        return self.data / f"site-{self.site}.token"

    @property
    def agent_folder(self) -> Path:
        """Where the agent of this machine's site keeps its journal."""
        return self.data / f"agent-{self.site}"


def _text(text: str) -> str:
    return text


def _path(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError("an absolute path")
    return path


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("one of " + ", ".join(c or "(empty)" for c in choices))
        return text

    return parse


def _matching(pattern: re.Pattern[str], looks: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text and not pattern.match(text):
            raise ValueError(looks)
        return text

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text and not text.startswith(schemes):
            raise ValueError("a URL that starts with " + " or ".join(schemes))
        return text.rstrip("/") if text.startswith("http") else text

    return parse


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("on or off")
    return text == "on"


def _cgroups(text: str) -> str:
    if text not in ("auto", "off") and not text.startswith("/"):
        raise ValueError("auto, off, or the absolute path of a folder")
    return text


def _size(text: str) -> int:
    if text == "0":
        return 0
    found = _SIZE.match(text)
    if not found:
        raise ValueError('a size such as "512MiB" or "16GiB", or 0')
    return int(found[1]) * _MIB[found[2]]


# The one table. `default` of `data` depends on who runs Dure, so it is made in `data_folder_default`.
SETTINGS: tuple[Setting, ...] = (
    Setting("data", "DURE_DATA", "", "path", "Folder that holds everything the farm remembers (mode 0700). Default: "
            "/var/lib/dure for root, else $XDG_DATA_HOME/dure or ~/.local/share/dure.",
            "팜이 기억하는 모든 것을 두는 폴더(권한 0700). 기본값: root는 /var/lib/dure, 그 밖에는 "
            "$XDG_DATA_HOME/dure 또는 ~/.local/share/dure.", _path),
    Setting("store", "DURE_STORE", "", "URL", "Database of the plane. Empty: SQLite in the data folder.",
            "플레인의 데이터베이스. 비어 있으면 데이터 폴더의 SQLite.", _url("sqlite:///", "postgresql+psycopg://", "postgresql://")),
    Setting("host", "DURE_HOST", "127.0.0.1", "address", "Address that the plane listens on.", "플레인이 수신할 주소.", _text),
    Setting("port", "DURE_PORT", str(DEFAULT_PORT), "TCP port", "Port that the plane listens on.", "플레인이 수신할 포트.",
            _integer(1, 65535)),
    Setting("log_level", "DURE_LOG_LEVEL", "warning", "word", "How much the farm's log says: debug, info, warning or error.",
            "팜 로그의 자세한 정도: debug, info, warning, error.", _one_of("debug", "info", "warning", "error")),
    Setting("site", "DURE_SITE", "local", "name", "Name of the site that `dure up` runs by itself.",
            "`dure up`이 스스로 운영하는 사이트의 이름.", _matching(_NAME, "1 to 63 of a-z, 0-9 and -, starting with a letter")),
    Setting("node", "DURE_NODE", "node", "name", "Name of this machine within that site.", "그 사이트 안에서 이 기계의 이름.",
            _matching(_NAME, "1 to 63 of a-z, 0-9 and -, starting with a letter")),
    Setting("block", "DURE_BLOCK", "", "name",
            "Topology block of that site (switch, rack) in which this machine stands. Empty: in none.",
            "이 기계가 속한, 그 사이트의 토폴로지 블록(스위치, 랙). 비어 있으면 어느 블록에도 속하지 않음.",
            _matching(_BLOCK, "at most 64 of a-z, A-Z, 0-9, ., _ and -, starting with a letter or digit")),
    Setting("region", "DURE_REGION", "", "ISO 3166-2:KR", "Where that site stands, such as KR-47 for Gyeongbuk.",
            "그 사이트가 있는 지역. 예: 경북은 KR-47.", _matching(_REGION, "a code such as KR-47")),
    Setting("pue_permille", "DURE_PUE_PERMILLE", "1300", "thousandths", "Power usage effectiveness of that site, times 1000.",
            "그 사이트의 전력 사용 효율(PUE)에 1000을 곱한 값.", _integer(1000, 5000)),
    Setting("cores", "DURE_CORES", "0", "cores", "Cores that this machine offers. 0: as many as it has.",
            "이 기계가 내놓는 코어 수. 0이면 가진 만큼.", _integer(0, 4096)),
    Setting("memory_mib", "DURE_MEMORY", "0", "MiB, GiB, TiB", "Memory that this machine offers. 0: as much as it has.",
            "이 기계가 내놓는 메모리. 0이면 가진 만큼.", _size),
    Setting("devices", "DURE_DEVICES", "", "TYPE:COUNT",
            "Accelerators that this machine offers, such as h100:8. Empty: those found.",
            "이 기계가 내놓는 가속기. 예: h100:8. 비어 있으면 찾은 만큼.",
            _matching(_DEVICES, "a type and a count such as h100:8")),
    Setting("device_shares", "DURE_DEVICE_SHARES", "off", "on, off",
            "Whether jobs that ask for a share of an accelerator (devices: 0.5) may be on one together. Nothing but their "
            "goodwill, and CUDA's MPS where it runs, keeps one from using more than its share.",
            "가속기의 일부(devices: 0.5)를 요청한 작업들이 가속기 하나를 함께 쓸 수 있는지 여부. CUDA MPS가 실행 중이 아니면 "
            "몫을 넘겨 쓰는 것을 막는 것은 작업 자신뿐임.", _switch),
    Setting("uid_base", "DURE_UID_BASE", "200000", "user id",
            "First of the 100,000 user ids that jobs run as, one a project, when the farm runs as root. Two farms on one machine "
            "need two ranges.", "팜을 root로 운영할 때 작업이 쓰는 사용자 ID 10만 개 "
            "중 첫째(프로젝트마다 하나). 한 기계에 팜이 둘이면 범위도 둘이어야 함.", _integer(1000, 2_000_000_000)),
    Setting("why_plans_max", "DURE_WHY_PLANS_MAX", "50", "plans",
            "How often `dure why` may plan the whole queue to find the smallest change that would start a job. Each costs as "
            "much as the plan of a step. 0: it looks for none.",
            "`dure why`가 작업을 시작하게 할 가장 작은 변경을 찾으려고 대기열 전체를 계획할 수 있는 횟수. "
            "한 번이 한 단계의 계획만큼 걸림. 0이면 찾지 않음.", _integer(0, 10_000)),
    Setting("processes_max", "DURE_PROCESSES_MAX", "4096", "processes",
            "Processes and threads that one project may have on this machine, all its jobs together, when the farm runs as root; "
            "with a cgroup that counts them, also each attempt.",
            "팜을 root로 운영할 때 한 프로젝트의 모든 작업이 이 기계에서 가질 수 있는 프로세스와 스레드 수. "
            "이를 세는 cgroup이 있으면 시도마다도 같은 한도.", _integer(64, 1_000_000)),
    Setting("bundle_s", "DURE_BUNDLE_SECONDS", "300", "seconds", "How long unpacking a code archive may take.",
            "코드 묶음을 푸는 데 쓸 수 있는 시간.", _integer(1, 86_400)),
    Setting("bundles_mib", "DURE_BUNDLES_SIZE", "2GiB", "MiB, GiB, TiB",
            "What the code archives of one project may take on the plane's disk. One goes 30 days after its last use. "
            "0: no new code is taken.",
            "한 프로젝트의 코드 묶음이 제어면의 디스크에서 차지할 수 있는 크기. 마지막으로 쓴 지 30일 뒤에 지워짐. "
            "0이면 새 코드를 받지 않음.", _size),
    Setting("cpu_affinity", "DURE_CPU_AFFINITY", "on", "on, off", "Whether each job is given CPUs of its own to run on.",
            "작업마다 자기 CPU를 정해 줄지 여부.", _switch),
    Setting("cgroups", "DURE_CGROUPS", "auto", "auto, off, path",
            "Whether the kernel bounds jobs by cgroup v2: auto where the machine allows it, off, or the folder of a delegated "
            "cgroup.",
            "작업을 cgroup v2로 제한할지 여부: auto(기계가 허용하면), off, 또는 위임받은 cgroup 폴더.", _cgroups),
    Setting("keep_days", "DURE_KEEP_DAYS", "7", "days",
            "How long logs, results and folders of finished work stay on this machine. Work that may run again is kept 30 days "
            "at least. 0: for ever.", "끝난 작업의 로그, 결과, 폴더를 이 기계에 두는 기간. 다시 실행될 수 있는 작업은 "
            "적어도 30일 둠. 0이면 계속 둠.", _integer(0, 3650)),
    Setting("keep_mib", "DURE_KEEP_SIZE", "50GiB", "MiB, GiB, TiB",
            "How much of this machine's disk finished work may take; beyond it the oldest of the project that takes most goes "
            "first. 0: without a bound.", "끝난 작업이 이 기계의 디스크에서 차지할 수 있는 크기. 넘으면 가장 많이 쓰는 "
            "프로젝트의 가장 오래된 것부터 지움. 0이면 제한 없음.", _size),
    Setting("url", "DURE_URL", "", "URL", "Plane that the commands talk to. Empty: the farm of the data folder.",
            "명령이 접속할 플레인. 비어 있으면 데이터 폴더의 팜.", _url("http://", "https://")),
    Setting("token", "DURE_TOKEN", "", "secret",
            "API token that the commands present. Not set: to this machine's farm the commands about jobs present tenant.token "
            "of the data folder, once `dure quickstart` has made it, and all others admin.token; elsewhere none.",
            "명령이 제시할 API 토큰. 설정하지 않으면 이 기계의 팜에는 작업에 관한 명령이 데이터 폴더의 tenant.token"
            "(`dure quickstart`가 만든 뒤부터)을, 그 밖의 명령이 admin.token을 제시하고, 다른 곳에는 아무것도 "
            "제시하지 않음.", _text),
    Setting("project", "DURE_PROJECT", "", "id", "Project that is meant when a command names none. Empty: the only one.",
            "명령에 프로젝트가 없을 때 쓸 프로젝트. 비어 있으면 유일한 프로젝트.", _text),
    Setting("lang", "DURE_LANG", "", "ko, en", "Language of what people read. Empty: as the locale says.",
            "사람이 읽는 글의 언어. 비어 있으면 로캘을 따름.", _one_of("", "ko", "en")),
)  # fmt: skip


def load(environ: Mapping[str, str], **given: str | None) -> Config:
    """Read every setting: what the command line gave, else the environment, else the default.

    Raises ConfigError for the first value that cannot be read."""
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        chosen = given.get(setting.name)
        source = f"--{setting.name.replace('_', '-')}" if chosen is not None else setting.env
        text = chosen if chosen is not None else environ.get(setting.env, "")
        values[setting.name] = _read(setting, text or _default(setting, environ), source)
    return Config(**values)


def _read(setting: Setting, text: str, source: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as wrong:
        raise ConfigError(f"{source}={text!r} is not {wrong}; change it, or leave it out to get the default") from wrong


def _default(setting: Setting, environ: Mapping[str, str]) -> str:
    return str(data_folder_default(environ, os.geteuid())) if setting.name == "data" else setting.default


def data_folder_default(environ: Mapping[str, str], uid: int) -> Path:
    """Where a farm keeps what it remembers when nobody said. uid 0 is root. Raises ConfigError without a home."""
    if uid == 0:
        return SYSTEM_DATA
    if environ.get("XDG_DATA_HOME", "").startswith("/"):
        return Path(environ["XDG_DATA_HOME"]) / "dure"
    if environ.get("HOME", "").startswith("/"):
        return Path(environ["HOME"]) / ".local" / "share" / "dure"
    raise ConfigError(
        "DURE_DATA is not set and neither XDG_DATA_HOME nor HOME names a folder; set DURE_DATA to a folder of yours"
    )


def language(environ: Mapping[str, str]) -> str:
    """ "ko" or "en", as DURE_LANG says, else as the locale does (POSIX order: LC_ALL, LC_MESSAGES, LANG)."""
    if environ.get("DURE_LANG") in ("ko", "en"):
        return environ["DURE_LANG"]
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "ko" if locale.lower().startswith("ko") else "en"


def settings_page(lang: str) -> str:
    """The reference page of all settings, in Markdown. docs/reference/settings.md is this text."""
    head = {
        "en": ("# Settings", "Environment variable", "Default", "Unit", "What it is"),
        "ko": ("# 설정", "환경 변수", "기본값", "단위", "설명"),
    }[lang]
    lines = [head[0], "", "| " + " | ".join(head[1:]) + " |", "|---|---|---|---|"]
    for setting in SETTINGS:
        sentence = setting.ko if lang == "ko" else setting.en
        default = f"`{setting.default}`" if setting.default else "—"
        lines.append(f"| `{setting.env}` | {default} | {setting.unit} | {sentence} |")
    return "\n".join(lines) + "\n"
