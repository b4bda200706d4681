"""The catalogue of accelerator types: what a type is, who makes it and where, and how much of the farm one device weighs.

Figures are peaks without sparsity, as the source beside each says; many tables on the web print the sparse number, which is twice
that. Watts are for modelled energy where a site names none of its own. No figure here is a price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

# Where the figures are from.
_AICONFIGURATOR = "NVIDIA aiconfigurator-core 0.12.0 (PyPI, Apache-2.0), system files"
_AMD = "amd.com, data sheet"
_INTEL = "intel.com, data sheet; y-ic.de"
_GOOGLE_V5E = "docs.cloud.google.com/tpu/docs/v5e"
_GOOGLE = "cloud.google.com, TPU documentation"
_ATOM = "ascii.jp 4379440; docs.rbln.ai 0.12.0, support matrix; watts: Korean on-premises report 2026-04-23"
_ATOM_MAX = "Korean on-premises report 2026-04-23; docs.rbln.ai 0.12.0, support matrix"
_REBEL = "docs.rbln.ai 0.12.0, architecture; ISSCC 2026 (aiwirenews.com, tomshardware.com)"
_WARBOY = "developer.furiosa.ai, Warboy; memory and watts: assumption"
_RNGD = "developer.furiosa.ai, RNGD overview; watts: b-lab.team"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One type of device, as its maker or a measurement describes it."""

    id: str  # as in Node.accelerator and Demand.accelerators
    name: str
    vendor: str
    origin: str  # ISO 3166-1 alpha-2 of the vendor's home: "KR" is domestic
    kind: str  # gpu, npu, tpu, asic
    memory_gib: int
    tera_ops: float  # dense peak, 10^12 operations a second, at `precision`
    precision: str  # bf16, fp16 or int8
    watts: int  # thermal design power of the device; 0 where the vendor publishes none
    server_watts: int  # share of a full server's maximum per device (host, fans, network in); 0 where unknown
    trains: bool  # made for training, not only for inference
    source: str


def _entry(
    id: str, name: str, maker: tuple[str, str, str], memory_gib: int, peak: tuple[float, str], watts: tuple[int, int],
    trains: bool, source: str,
) -> Accelerator:  # fmt: skip
    vendor, origin, kind = maker
    return Accelerator(id=id, name=name, vendor=vendor, origin=origin, kind=kind, memory_gib=memory_gib, tera_ops=peak[0],
                       precision=peak[1], watts=watts[0], server_watts=watts[1], trains=trains, source=source)  # fmt: skip


_NVIDIA, _AMD_GPU, _HABANA = ("NVIDIA", "US", "gpu"), ("AMD", "US", "gpu"), ("Intel", "US", "asic")
_TPU, _REBELLIONS, _FURIOSA = ("Google", "US", "tpu"), ("Rebellions", "KR", "npu"), ("FuriosaAI", "KR", "npu")

# id, name, maker, memory GiB, (dense peak, precision), (device watts, server watts per device), trains, source
_ENTRIES = (
    _entry("a100", "A100 SXM 80GB", _NVIDIA, 80, (312, "bf16"), (400, 813), True, _AICONFIGURATOR),
    _entry("h100", "H100 SXM 80GB", _NVIDIA, 80, (989, "bf16"), (700, 1275), True, _AICONFIGURATOR),
    _entry("h200", "H200 SXM 141GB", _NVIDIA, 141, (989, "bf16"), (700, 1275), True, _AICONFIGURATOR),
    _entry("b200", "B200 SXM 180GB", _NVIDIA, 180, (2250, "bf16"), (1000, 1788), True, _AICONFIGURATOR),
    _entry("b300", "B300 SXM 288GB", _NVIDIA, 275, (2250, "bf16"), (1100, 1813), True, _AICONFIGURATOR),
    _entry("gb200", "GB200 NVL72 (per GPU)", _NVIDIA, 186, (2500, "bf16"), (1200, 1667), True, _AICONFIGURATOR),
    _entry("l40s", "L40S 48GB", _NVIDIA, 48, (362, "bf16"), (350, 563), False, _AICONFIGURATOR),
    _entry("rtx-pro-6000", "RTX PRO 6000 Blackwell 96GB", _NVIDIA, 96, (468, "bf16"), (600, 813), False, _AICONFIGURATOR),
    _entry("mi300x", "Instinct MI300X", _AMD_GPU, 192, (1307, "bf16"), (750, 1313), True, _AMD),
    _entry("mi325x", "Instinct MI325X", _AMD_GPU, 256, (1307, "bf16"), (1000, 1563), True, _AMD),
    _entry("gaudi3", "Gaudi 3 OAM", _HABANA, 128, (1835, "bf16"), (900, 1313), True, _INTEL),
    _entry("tpu-v5e", "TPU v5e", _TPU, 16, (197, "bf16"), (0, 0), True, _GOOGLE_V5E),
    _entry("tpu-v6e", "TPU v6e Trillium", _TPU, 32, (918, "bf16"), (0, 0), True, _GOOGLE),
    _entry("atom", "ATOM (RBLN-CA02)", _REBELLIONS, 16, (32, "fp16"), (85, 188), False, _ATOM),
    _entry("atom-max", "ATOM-Max (RBLN-CA25)", _REBELLIONS, 64, (128, "fp16"), (350, 500), False, _ATOM_MAX),
    _entry("rebel100", "Rebel100 / REBEL-Quad (RBLN-CR13)", _REBELLIONS, 144, (1024, "fp16"), (600, 875), False, _REBEL),
    _entry("warboy", "Warboy", _FURIOSA, 16, (64, "int8"), (60, 150), False, _WARBOY),
    _entry("rngd", "RNGD", _FURIOSA, 48, (256, "bf16"), (180, 375), False, _RNGD),
)  # fmt: skip

ACCELERATORS: Mapping[str, Accelerator] = MappingProxyType({entry.id: entry for entry in _ENTRIES})

# Fair share weighs unlike things on one scale, the core-second. Our convention, not a measurement: ten dense bf16 (or
# fp16) TFLOPS weigh as much as one core, so that an H100 weighs about as much as a hundred cores. Eight-bit peaks count
# half, as on the A100, H100 and MI300X, which publish both.
TERA_OPS_PER_CORE = 10.0
INT8_DISCOUNT = 0.5
# A type that the catalogue does not know weighs as much as an A100 or L40S: neither free nor prohibitive.
RATE_UNKNOWN = 32.0


def find(accelerator: str) -> Accelerator | None:
    """The catalogue's entry for a type's id, whatever its case, or None."""
    return ACCELERATORS.get(accelerator.lower())


HOME = "KR"


def is_domestic(accelerator: str) -> bool:
    """Whether its maker is at home here. A type that the catalogue does not know is from abroad."""
    entry = find(accelerator)
    return entry is not None and entry.origin == HOME


def core_rate(accelerator: str) -> float:
    """Normalised core-seconds that one device-second of this type weighs in fair share; 0 for "" (no device)."""
    if not accelerator:
        return 0.0
    entry = find(accelerator)
    if entry is None:
        return RATE_UNKNOWN
    scale = INT8_DISCOUNT if entry.precision == "int8" else 1.0
    return entry.tera_ops * scale / TERA_OPS_PER_CORE


# Of a full server's draw, what it draws with nothing to do, in thousandths. Assumed: host, fans, memory and devices at rest take
# a fifth of the maximum; no source that we know measures it for the servers above.
IDLE_PERMILLE = 200


def idle_mw(accelerator: str, devices: int) -> int:
    """Milliwatts of a node with so many devices of a type when nothing runs on it; 0 (not known) for types without figures."""
    entry = find(accelerator)
    return 0 if entry is None else entry.server_watts * devices * IDLE_PERMILLE


# -- how fast work runs on one type, against another ----------------------------------------------------------------------

SPEED_MILLI_MAX = 100_000  # a hundred times as fast is another order of things


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast work runs on a type, as somebody has measured it: against the other types of the same list."""

    accelerator: str
    milli: int  # 1 to 100,000


def exchange(speeds: Sequence[Speed], first: str, other: str) -> tuple[int, int]:
    """So many milliseconds on another type do what so many do on the first; (1, 1) where not both are measured."""
    milli = {s.accelerator: s.milli for s in speeds}
    if first == other or first not in milli or other not in milli:
        return 1, 1
    return milli[first], milli[other]


def exchanged_ms(limit_ms: int, many: int, one: int, least_ms: int) -> int:
    """How long a limit lasts on a type on which `many` milliseconds do what `one` do on the first, rounded up; no shorter than
    least_ms, unless it was."""
    return max(-(-limit_ms * many // one), min(limit_ms, least_ms))
