"""What was measured on public traces, as tables that the generator draws from. `fit.measure` computes how well they hold.

Philly: 82,247 jobs of Microsoft's cluster, 2017-09-04 to 2017-12-22 (msr-fiddle/philly-traces, CC-BY-4.0). openb: 8,152 pods of
Alibaba's cluster (alibaba/clusterdata gpu-v2023; Apache-2.0 in the FGD simulator). Azure: LLM requests of one hour
(Azure/AzurePublicDataset, CC-BY-4.0). Only summary statistics are kept here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Levels of every table of quantiles below, in percent.
LEVELS = (
    0,
    0.1,
    1,
    2.5,
    5,
    10,
    15,
    20,
    25,
    30,
    35,
    40,
    45,
    50,
    55,
    60,
    65,
    70,
    75,
    80,
    85,
    90,
    92.5,
    95,
    97.5,
    99,
    99.5,
    99.9,
    100,
)

# Philly: jobs by GPUs.
BATCH_SIZES = {1: 76627, 2: 1818, 4: 1870, 8: 1643, 16: 199, 32: 67, 12: 7, 24: 7, 64: 6, 128: 3}
# Philly: run time in seconds, by GPUs (1; 2 to 4; 8; more).
DURATION_1 = (1, 6, 30, 44, 52, 62, 69, 76, 122, 215, 385, 600, 855, 1117, 1446, 1728, 2054, 2464, 2716, 3754, 5342, 8512, 11166,
              19137, 55518, 135399, 266914, 865708, 3256045)  # fmt: skip
DURATION_2 = (2, 2, 6, 9, 11, 15, 17, 19, 21, 25, 33, 85, 149, 367, 1207, 5582, 14304, 25424, 45388, 79258, 99994, 166119, 185891,
              233082, 422072, 747317, 1122854, 2171243, 2750674)  # fmt: skip
DURATION_8 = (1, 2, 33, 72, 125, 216, 463, 784, 1876, 4011, 7266, 12382, 16650, 23683, 36595, 65013, 105941, 140721, 173248,
              203050,
              242251, 351981, 408313, 525618, 743402, 1060498, 2000448, 2656479, 4628226)  # fmt: skip
DURATION_WIDE = (1, 1, 3, 11, 35, 72, 219, 345, 566, 889, 1531, 3166, 8521, 21137, 45315, 53749, 58976, 73310, 104218, 158991,
                 181582,
                 247971, 330234, 443240, 532106, 922628, 1274180, 1612502, 1710643)  # fmt: skip
# Philly: a session is jobs with at most 60 s between them: its jobs, and the seconds between two of them.
SESSION_S = 60
SESSION_JOBS = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 6, 14, 84, 168, 451, 1099)
SESSION_GAP = (0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 24, 28, 34, 44, 54, 57, 60, 60)
# Philly: sessions by hour of the day (of the log's own clock) and by day of the week from Monday, relative to the mean.
SESSION_HOURS = (1.10, 0.98, 1.03, 1.02, 0.98, 1.08, 1.11, 1.05, 1.12, 1.01, 0.94, 0.92, 0.87, 0.90, 0.87, 0.89, 0.94, 1.05,
                 1.04, 1.00,
                 0.98, 1.03, 1.07, 1.03)  # fmt: skip
SESSION_DAYS = (1.00, 1.18, 1.13, 1.08, 1.00, 0.85, 0.77)

# openb: pods that share a device, by thousandths of it.
SHARES = {50: 7, 110: 24, 140: 1, 160: 74, 220: 62, 230: 140, 270: 4, 290: 1, 320: 328, 330: 7, 350: 6, 370: 47, 440: 2, 460: 128,
          470: 750, 480: 19, 550: 72, 590: 75, 650: 253, 810: 1078}  # fmt: skip
SHARED, WHOLE = 3078, 3911  # pods that share a device, and that have one whole
# openb: (thousandths of a core, MiB) and pods that ask for them (those of at least 20 pods: 94 to 98 % of each group).
NEEDS_CPU = ((12500, 57344, 364), (32000, 49152, 284), (8000, 30517, 163), (15400, 51200, 120), (16500, 51200, 95))
NEEDS_SHARE = (
    (3152, 5600, 1122), (11908, 47104, 625), (8000, 30517, 486), (4000, 22888, 189), (4000, 15258, 182), (4152, 10600, 152),
    (4000, 30517, 136), (6000, 6144, 51), (6000, 12288, 29), (6000, 22888, 28), (1000, 2048, 26),
)  # fmt: skip
NEEDS_WHOLE = (
    (11300, 49152, 857), (11400, 48128, 534), (3152, 5600, 470), (18708, 64512, 255), (9810, 41560, 195), (12000, 24576, 158),
    (15700, 58368, 158), (11908, 47104, 153), (16000, 32768, 108), (8000, 16384, 104), (4000, 24576, 104), (12000, 16384, 99),
    (14200, 58368, 93), (24200, 93184, 84), (11400, 77824, 65), (8000, 32768, 55), (11900, 77824, 51), (12000, 15360, 44),
    (8200, 33792, 41), (4000, 31250, 40), (15200, 80896, 36), (16000, 65536, 33), (16400, 125952, 27),
)  # fmt: skip
# openb: life of pods that share a device, in seconds (up to the end of the trace for those that were still there).
LAB_DURATION = (4, 7, 14, 25, 35, 55, 74, 103, 144, 173, 222, 288, 387, 539, 719, 928, 1047, 1282, 1858, 2872, 4696, 9218,
                12511, 20255,
                40480, 76501, 199339, 4745269, 12475899)  # fmt: skip

# Azure: requests of the busiest of a hundred minutes, relative to the mean minute: what a service must be sized for.
PEAK_CONVERSATION, PEAK_CODE = 1.475, 3.804


def draw(rng: np.random.Generator, table: tuple[float, ...], count: int) -> F64:
    """Values with these quantiles: logarithms are interpolated between levels, as suits long tails (zero counts as a half)."""
    logs = np.log(np.maximum(np.array(table, np.float64), 0.5))
    return np.exp(np.interp(rng.random(count) * 100, LEVELS, logs))


def pick(rng: np.random.Generator, weights: NDArray[np.number] | list[float], count: int) -> I64:
    """Indices, in proportion to weights."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    found: I64 = np.minimum(np.searchsorted(edges, rng.random(count) * edges[-1], side="right"), len(edges) - 1)
    return found


def quantiles(values: F64) -> tuple[float, ...]:
    """A table of quantiles, as those above were made."""
    return tuple(float(value) for value in np.percentile(values, LEVELS))


def distance(first: NDArray[np.number], second: NDArray[np.number]) -> float:
    """Kolmogorov–Smirnov: the largest difference of the two samples' distribution functions."""
    a, b = np.sort(first), np.sort(second)
    every = np.concatenate([a, b])
    below_a = np.searchsorted(a, every, side="right") / len(a)
    below_b = np.searchsorted(b, every, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())
